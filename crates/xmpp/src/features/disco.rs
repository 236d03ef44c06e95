//! Service discovery, XEP-0030: the server and one's own account.

use super::{Feature, Handler, vars};
use crate::machine::{C2s, Reply, Request};
use crate::translate::refusal::StanzaError;
use crate::wire::{DISCO_INFO, DISCO_ITEMS, Writer};

pub(super) const FEATURE: Feature = Feature {
    vars: &[DISCO_INFO, DISCO_ITEMS],
    iqs: &[
        Handler { name: "query", ns: DISCO_INFO, answer: info, early: false },
        Handler { name: "query", ns: DISCO_ITEMS, answer: items, early: false },
    ],
    ..Feature::NONE
};

fn info(c2s: &mut C2s, request: &Request<'_, '_>) -> Reply {
    if let Some(error) = unknown(request) {
        return Reply::Error(error);
    }
    Reply::Result(about(request.server, vars(), |w| {
        if request.server {
            super::about(c2s, w);
        }
    }))
}

/// What there is to know of the server, or of an account.
pub(crate) fn about(
    server: bool,
    vars: impl Iterator<Item = &'static str>,
    more: impl FnOnce(&mut Writer),
) -> Vec<u8> {
    let mut w = Writer::new();
    w.open_ns("query", DISCO_INFO);
    let (category, kind) = if server { ("server", "im") } else { ("account", "registered") };
    w.open("identity").attr("category", category).attr("type", kind).attr("name", "Rialto").end();
    for var in vars {
        w.open("feature").attr("var", var).end();
    }
    more(&mut w);
    w.finish()
}

fn items(_: &mut C2s, request: &Request<'_, '_>) -> Reply {
    match unknown(request) {
        Some(error) => Reply::Error(error),
        None => Reply::Result(Writer::new().empty_ns("query", DISCO_ITEMS).finish()),
    }
}

/// Nothing here has nodes, and nothing can be set.
fn unknown(request: &Request<'_, '_>) -> Option<StanzaError> {
    if request.set {
        return Some(StanzaError::NOT_ALLOWED);
    }
    request.payload.attr("node").is_some_and(|n| !n.is_empty()).then_some(StanzaError::ITEM_NOT_FOUND)
}

//! Resource binding, RFC 6120 section 7.

use model::{Answer, Ask};

use super::{Feature, Handler};
use crate::jid;
use crate::machine::{C2s, Reply, Request};
use crate::translate::refusal::{self, StanzaError};
use crate::wire::{BIND, Tree, Writer};

pub(super) const FEATURE: Feature = Feature {
    advertise: Some(|_, w| {
        w.empty_ns("bind", BIND);
    }),
    iqs: &[Handler { name: "bind", ns: BIND, answer: bind, early: true }],
    ..Feature::NONE
};

fn bind(c2s: &mut C2s, request: &Request<'_, '_>) -> Reply {
    if c2s.bound.is_some() {
        return Reply::Error(StanzaError::NOT_ALLOWED);
    }
    let Some(account) = c2s.account.clone().filter(|_| request.set) else {
        return Reply::Error(StanzaError::BAD_REQUEST);
    };
    let Some(tree) = Tree::of(request.stanza) else { return Reply::Error(StanzaError::BAD_REQUEST) };
    let wanted = tree
        .root()
        .child("bind", BIND)
        .and_then(|b| b.child("resource", BIND))
        .map(|r| r.text().into_owned());
    let device = match wanted.as_deref().map(str::trim) {
        None | Some("") => None,
        Some(text) => match jid::device(text) {
            Ok(device) => Some(device),
            Err(_) => return Reply::Error(StanzaError::BAD_REQUEST),
        },
    };
    c2s.park();
    c2s.ask_for(request, Ask::Bind { account, device, attend: None }, bound)
}

fn bound(c2s: &mut C2s, answer: Answer) -> Reply {
    c2s.unpark();
    match answer {
        Answer::Bound(endpoint) => {
            let mut w = Writer::new();
            w.open_ns("bind", BIND).leaf("jid", &jid::text(&endpoint));
            c2s.session(endpoint);
            Reply::Result(w.finish())
        }
        Answer::Refused(refusal) => Reply::Error(refusal::render(&refusal)),
        _ => Reply::Error(StanzaError::INTERNAL),
    }
}

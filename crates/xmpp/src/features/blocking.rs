//! Blocking, XEP-0191, with reports, XEP-0377.

use model::{Address, Answer, Ask, BlockEdit, Complaint, Report};

use super::{Feature, Handler};
use crate::jid;
use crate::machine::{C2s, Reply, Request};
use crate::translate::refusal::{self, StanzaError};
use crate::wire::{BLOCKING, Element, REPORTING, STANZA_ID, Tree, Writer};

pub(super) const FEATURE: Feature = Feature {
    vars: &[BLOCKING, REPORTING],
    iqs: &[
        Handler { name: "blocklist", ns: BLOCKING, answer: list, early: false },
        Handler { name: "block", ns: BLOCKING, answer: block, early: false },
        Handler { name: "unblock", ns: BLOCKING, answer: unblock, early: false },
    ],
    ..Feature::NONE
};

/// The most items of one request, and messages of one report.
const ITEMS: usize = 256;
const MESSAGES: usize = 16;
/// The longest words of a report.
const WORDS: usize = 1000;

fn list(c2s: &mut C2s, request: &Request<'_, '_>) -> Reply {
    let Some(device) = c2s.bound.clone() else { return Reply::Error(StanzaError::NOT_ALLOWED) };
    if request.set {
        return Reply::Error(StanzaError::BAD_REQUEST);
    }
    c2s.ask_for(request, Ask::Blocked { device }, |_, answer| match answer {
        Answer::Blocked(who) => {
            let mut w = Writer::new();
            w.open_ns("blocklist", BLOCKING);
            items(&mut w, &who);
            Reply::Result(w.finish())
        }
        Answer::Refused(refusal) => Reply::Error(refusal::render(&refusal)),
        _ => Reply::Error(StanzaError::INTERNAL),
    })
}

fn block(c2s: &mut C2s, request: &Request<'_, '_>) -> Reply {
    edit(c2s, request, |tree| {
        let block = tree.root().child("block", BLOCKING).ok_or(StanzaError::BAD_REQUEST)?;
        let items: Vec<_> = block.children().filter(|c| c.is("item", BLOCKING)).collect();
        // Section 3.3: a block of nobody is no request.
        if items.is_empty() || items.len() > ITEMS {
            return Err(StanzaError::BAD_REQUEST);
        }
        let items = items.iter().map(|item| Ok((who(item)?, report(item))));
        Ok(BlockEdit::Block(items.collect::<Result<_, _>>()?))
    })
}

fn unblock(c2s: &mut C2s, request: &Request<'_, '_>) -> Reply {
    edit(c2s, request, |tree| {
        let unblock = tree.root().child("unblock", BLOCKING).ok_or(StanzaError::BAD_REQUEST)?;
        let items = unblock.children().filter(|c| c.is("item", BLOCKING)).take(ITEMS);
        Ok(BlockEdit::Unblock(items.map(|item| who(&item)).collect::<Result<_, _>>()?))
    })
}

fn edit(
    c2s: &mut C2s,
    request: &Request<'_, '_>,
    read: impl FnOnce(&Tree<'_>) -> Result<BlockEdit, StanzaError>,
) -> Reply {
    let Some(device) = c2s.bound.clone() else { return Reply::Error(StanzaError::NOT_ALLOWED) };
    let tree = Tree::of(request.stanza).filter(|_| request.set);
    match tree.ok_or(StanzaError::BAD_REQUEST).and_then(|tree| read(&tree)) {
        Ok(edit) => c2s.ask_for(request, Ask::EditBlocked { device, edit }, |_, answer| match answer {
            Answer::Done => Reply::DONE,
            Answer::Refused(refusal) => Reply::Error(refusal::render(&refusal)),
            _ => Reply::Error(StanzaError::INTERNAL),
        }),
        Err(error) => Reply::Error(error),
    }
}

/// People and domains are blocked whole; a single device of somebody cannot be.
fn who(item: &Element<'_, '_>) -> Result<Address, StanzaError> {
    let jid = item.attr("jid").ok_or(StanzaError::BAD_REQUEST)?;
    let endpoint = jid::parse(&jid).map_err(|_| StanzaError::JID_MALFORMED)?;
    match endpoint.device {
        None => Ok(endpoint.address),
        Some(_) => Err(StanzaError::NOT_ACCEPTABLE),
    }
}

fn report(item: &Element<'_, '_>) -> Option<Report> {
    let report = item.child("report", REPORTING)?;
    let complaint = match report.attr("reason").as_deref() {
        Some("urn:xmpp:reporting:abuse") => Complaint::Abuse,
        _ => Complaint::Spam,
    };
    let text = report.child("text", REPORTING).map(|text| text.text().chars().take(WORDS).collect());
    let ids = report.children().filter(|c| c.is("stanza-id", STANZA_ID)).take(MESSAGES);
    let messages = ids.filter_map(|id| id.attr("id").map(|id| id.chars().take(64).collect())).collect();
    Some(Report { complaint, text, messages })
}

fn items(w: &mut Writer, who: &[Address]) {
    for who in who {
        w.open("item").attr("jid", &jid::bare(who)).end();
    }
}

/// The push of a change, sections 3.3 and 3.4.
pub(crate) fn push(c2s: &mut C2s, name: &'static str, who: &[Address]) {
    let id = c2s.dice.token(12);
    let mut w = Writer::new();
    w.open("iq").attr("type", "set").attr("id", &id).attr("to", &c2s.full).open_ns(name, BLOCKING);
    items(&mut w, who);
    c2s.send(w.finish(), None);
}

//! The contact list, RFC 6121 section 2.

use compact_str::CompactString;
use model::{Address, Answer, Ask, RosterEdit, RosterItem, Subscription};

use super::{Feature, Handler};
use crate::jid;
use crate::machine::{C2s, Reply, Request};
use crate::translate::refusal::{self, StanzaError};
use crate::wire::{Element, ROSTER, Tree, Writer};

pub(super) const FEATURE: Feature = Feature {
    vars: &[ROSTER],
    iqs: &[Handler { name: "query", ns: ROSTER, answer, early: false }],
    ..Feature::NONE
};

/// The longest name or group we keep, in bytes (RFC 6121 section 2.3.3 leaves the limit to the server).
const MAX_NAME: usize = 1023;
/// The most groups of one contact.
const MAX_GROUPS: usize = 64;

fn answer(c2s: &mut C2s, request: &Request<'_, '_>) -> Reply {
    let Some(device) = c2s.bound.clone() else { return Reply::Error(StanzaError::NOT_ALLOWED) };
    if request.server && request.stanza.attr("to").is_some() {
        // A domain has no contacts.
        return Reply::Error(StanzaError::FORBIDDEN);
    }
    if !request.set {
        return c2s.ask_for(request, Ask::Roster { device }, list);
    }
    let Some(tree) = Tree::of(request.stanza) else { return Reply::Error(StanzaError::BAD_REQUEST) };
    match edit(&tree) {
        Ok(edit) => c2s.ask_for(request, Ask::EditRoster { device, edit }, edited),
        Err(error) => Reply::Error(error),
    }
}

/// Reads a roster set: RFC 6121 section 2.3.3 lists what is wrong with what.
fn edit(tree: &Tree<'_>) -> Result<RosterEdit, StanzaError> {
    let query = tree.root().child("query", ROSTER).ok_or(StanzaError::BAD_REQUEST)?;
    let mut items = query.children().filter(|c| c.is("item", ROSTER));
    let (Some(item), None) = (items.next(), items.next()) else { return Err(StanzaError::BAD_REQUEST) };
    let jid = item.attr("jid").ok_or(StanzaError::BAD_REQUEST)?;
    let contact = jid::parse(&jid).map_err(|_| StanzaError::JID_MALFORMED)?.address;
    if item.attr("subscription").as_deref() == Some("remove") {
        return Ok(RosterEdit::Remove { contact });
    }
    let name = item.attr("name").filter(|n| !n.is_empty()).map(|n| n.into_owned());
    if name.as_ref().is_some_and(|n| n.len() > MAX_NAME) {
        return Err(StanzaError::NOT_ACCEPTABLE);
    }
    Ok(RosterEdit::Set { contact, name, groups: groups(&item)? })
}

fn groups(item: &Element<'_, '_>) -> Result<Vec<CompactString>, StanzaError> {
    let mut groups: Vec<CompactString> = Vec::new();
    for group in item.children().filter(|c| c.is("group", ROSTER)) {
        let text = CompactString::from(group.text().as_ref());
        if text.is_empty() || text.len() > MAX_NAME || groups.len() >= MAX_GROUPS {
            return Err(StanzaError::NOT_ACCEPTABLE);
        }
        if groups.contains(&text) {
            return Err(StanzaError::BAD_REQUEST);
        }
        groups.push(text);
    }
    Ok(groups)
}

fn list(_: &mut C2s, answer: Answer) -> Reply {
    match answer {
        Answer::Roster(items) => {
            let mut w = Writer::new();
            w.open_ns("query", ROSTER);
            items.iter().for_each(|i| write(i, &mut w));
            Reply::Result(w.finish())
        }
        Answer::Refused(refusal) => Reply::Error(refusal::render(&refusal)),
        _ => Reply::Error(StanzaError::INTERNAL),
    }
}

fn edited(_: &mut C2s, answer: Answer) -> Reply {
    match answer {
        Answer::Done => Reply::DONE,
        Answer::Refused(refusal) => Reply::Error(refusal::render(&refusal)),
        _ => Reply::Error(StanzaError::INTERNAL),
    }
}

fn write(item: &RosterItem, w: &mut Writer) {
    let Subscription { asked, .. } = item.subscription;
    w.open("item").attr("jid", &jid::bare(&item.contact)).attr_if("name", item.name.as_deref());
    w.attr("subscription", item.subscription.name());
    if asked {
        w.attr("ask", "subscribe");
    }
    for group in &item.groups {
        w.leaf("group", group);
    }
    w.end();
}

/// A roster push, RFC 6121 section 2.1.6.
pub(crate) fn push(c2s: &mut C2s, item: &RosterItem) {
    begin_push(c2s, |w| write(item, w));
}

/// The push for a contact that left the list.
pub(crate) fn push_removed(c2s: &mut C2s, contact: &Address) {
    begin_push(c2s, |w| {
        w.open("item").attr("jid", &jid::bare(contact)).attr("subscription", "remove").end();
    });
}

fn begin_push(c2s: &mut C2s, item: impl FnOnce(&mut Writer)) {
    let id = c2s.dice.token(12);
    let mut w = Writer::new();
    w.open("iq").attr("type", "set").attr("id", &id).attr("to", &c2s.full).open_ns("query", ROSTER);
    item(&mut w);
    c2s.send(w.finish(), None);
}

//! Chat states (XEP-0085) and the neutral `Composing`; RFC 7573 section 6 gives the table.

use bytes::Bytes;
use model::{Composing, Dialect, Loss, Original};

use crate::wire::{CHATSTATES, Stanza, Writer};

use super::ours;

/// Reads the chat state of a message, if it has one; true while typing.
pub fn state(stanza: &Stanza<'_>) -> Option<bool> {
    let child = stanza.children().find(|c| c.ns() == CHATSTATES.as_bytes())?;
    match child.name() {
        b"composing" => Some(true),
        b"active" | b"inactive" | b"paused" | b"gone" => Some(false),
        _ => None,
    }
}

/// A message that carries nothing but a chat state.
pub fn read(active: bool, stanza: &Stanza<'_>, bytes: Bytes) -> Composing {
    Composing {
        active,
        thread: stanza.child("thread", crate::wire::CLIENT).map(|t| t.text().as_ref().into()),
        lang: stanza.attr("xml:lang").map(|l| l.as_ref().into()),
        original: Some(Original { dialect: Dialect::Xmpp, bytes }),
    }
}

/// The message for it.
pub fn render(composing: &Composing, id: &str, from: &str, to: &str) -> (Bytes, Vec<Loss>) {
    if let Some(bytes) = ours(&composing.original) {
        return (bytes.clone(), Vec::new());
    }
    let mut w = Writer::new();
    w.open("message").attr("from", from).attr("to", to).attr("id", id).attr("type", "chat");
    w.attr_if("xml:lang", composing.lang.as_deref());
    if let Some(thread) = &composing.thread {
        w.leaf("thread", thread);
    }
    w.empty_ns(if composing.active { "composing" } else { "active" }, CHATSTATES);
    (w.finish().into(), Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_composing_becomes_a_chat_state() {
        for (active, name) in [(true, "composing"), (false, "active")] {
            let composing = Composing { active, thread: Some("t".into()), lang: None, original: None };
            let (xml, losses) = render(&composing, "i", "a@b", "c@d");
            let wanted = format!(
                "<message from='a@b' to='c@d' id='i' type='chat'><thread>t</thread><{name} xmlns='{CHATSTATES}'/></message>"
            );
            assert_eq!((&xml[..], losses.len()), (wanted.as_bytes(), 0));
        }
    }
}

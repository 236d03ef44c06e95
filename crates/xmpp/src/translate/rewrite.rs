//! A message stanza with another text: for when a rule changed what may pass.

use super::{message, ours};
use crate::wire::{CHATSTATES, Element, HINTS, MARKERS, RECEIPTS, STANZA_ID, Tree};
use model::{Dialect, Message, Original};

/// XEP-0308: the message is a correction of an earlier one.
const CORRECT: &str = "urn:xmpp:message-correct:0";

/// Elements without text of a person's that a message keeps when its text was changed.
const KEPT: &[&str] = &[RECEIPTS, MARKERS, HINTS, STANZA_ID, CHATSTATES, CORRECT];

/// The sender's stanza with the texts that the message has now: its start tag and its textless children stay, all else
/// is written anew. `None` where it is no stanza.
pub fn rewrite(original: &Original, message: &Message) -> Option<Original> {
    let bytes = ours(&Some(original.clone()))?.clone();
    let tree = Tree::read(&bytes, &[])?;
    let root = tree.root();
    if root.name() != b"message" {
        return None;
    }
    let start = root.inner().as_ptr() as usize - bytes.as_ptr() as usize;
    let tag = std::str::from_utf8(bytes.get(..start)?).ok()?.trim_end_matches('>').trim_end_matches('/');
    let mut out = format!("{tag}>").into_bytes();
    out.extend(message::texts(message));
    for child in root.children().filter(keeps) {
        out.extend(child.raw());
    }
    out.extend(b"</message>");
    Some(Original { dialect: Dialect::Xmpp, bytes: out.into() })
}

fn keeps(child: &Element<'_, '_>) -> bool {
    KEPT.iter().any(|ns| child.ns() == ns.as_bytes()) && child.inner().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Part;

    #[test]
    fn texts_are_new_and_the_rest_stays() {
        let xml = "<message xmlns:x='urn:x' id='1' type='chat' to='b@b'><subject>old</subject><body>old</body>\
            <html xmlns='http://jabber.org/protocol/xhtml-im'><body>old</body></html><thread>t</thread>\
            <request xmlns='urn:xmpp:receipts'/><replace id='0' xmlns='urn:xmpp:message-correct:0'/>\
            <reactions xmlns='urn:xmpp:reactions:0'><reaction>old</reaction></reactions><x:old/>\
            <active xmlns='http://jabber.org/protocol/chatstates'>old</active></message>";
        let original = Original { dialect: Dialect::Xmpp, bytes: xml.into() };
        let message = Message {
            parts: vec![Part::text("new & <x>", Some("en".into()))],
            thread: Some("t".into()),
            ..Message::default()
        };
        let rewritten = rewrite(&original, &message).unwrap();
        assert_eq!(
            std::str::from_utf8(&rewritten.bytes).unwrap(),
            "<message xmlns:x='urn:x' id='1' type='chat' to='b@b'><body xml:lang='en'>new &amp; &lt;x&gt;</body><thread>t</thread>\
            <request xmlns='urn:xmpp:receipts'/><replace id='0' xmlns='urn:xmpp:message-correct:0'/></message>"
        );
        assert!(rewrite(&Original { dialect: Dialect::Sip, bytes: xml.into() }, &message).is_none());
    }
}

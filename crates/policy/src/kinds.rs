//! What feature something is a use of.

use crate::Feature;
use aho_corasick::{AhoCorasick, MatchKind};
use memchr::memmem;
use model::{Envelope, Event, Message, Opaque, ReceiptKind};
use std::sync::LazyLock;

/// What an envelope uses; empty for what only keeps the rest going (service discovery, pings, errors).
pub fn features(envelope: &Envelope) -> &'static [Feature] {
    match &envelope.event {
        Event::Message(message) => match used(message) {
            (false, false) => &[Feature::Im],
            (true, false) => &[Feature::Im, Feature::Files],
            (false, true) => &[Feature::Im, Feature::E2e],
            (true, true) => &[Feature::Im, Feature::Files, Feature::E2e],
        },
        Event::Composing(_) => &[Feature::Typing],
        // That something did not arrive must be told whatever was agreed; words about it are words.
        event @ Event::Receipt(receipt) if matches!(receipt.kind, ReceiptKind::Failed(_)) => {
            if event.is_failure_with_words() { &[Feature::Im] } else { &[] }
        }
        Event::Receipt(_) => &[Feature::Receipts],
        Event::Publish(_) | Event::Subscribe(_) | Event::Authorize(_) | Event::Notify(_) => {
            &[Feature::Presence]
        }
        Event::Opaque(opaque) => talk(opaque),
        Event::Call(_) => &[Feature::Calls],
    }
}

/// Namespace of what clients send beside the link of a file that they have uploaded (XEP-0066).
const LINKED: &str = "jabber:x:oob";

/// What a namespace cannot hide behind: a character reference, which would spell it another way.
const DISGUISE: &str = "&#";

/// Namespaces of what only the addressee can read: OMEMO, OpenPGP (XEP-0373, XEP-0027), RFC 3923, MLS, XEP-0380.
const SEALED: &[&str] = &[
    "eu.siacs.conversations.axolotl",
    "urn:xmpp:omemo:",
    "urn:xmpp:openpgp:",
    "jabber:x:encrypted",
    "urn:ietf:params:xml:ns:xmpp-e2e",
    "urn:xmpp:mls",
    "urn:xmpp:eme:",
];

/// Media types of the same.
const SEALED_TYPES: &[&str] = &["application/pkcs7-mime", "application/pgp-encrypted", "multipart/encrypted"];

/// How an OTR message begins.
const OTR: &[u8] = b"?OTR";

/// What a message's rendering says it uses.
#[derive(Default)]
struct Told {
    linked: bool,
    sealed: bool,
}

impl Told {
    /// Every message passes here: one look for the names, and one for what could hide them.
    fn by(rendering: &[u8]) -> Self {
        static NAMES: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
            let all = std::iter::once(&LINKED).chain(SEALED);
            // Of several ways of matching this one has the search by vector instructions.
            AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(all).ok()
        });
        // What cannot be looked into counts as sealed.
        let Some(names) = &*NAMES else { return Self { linked: true, sealed: true } };
        let mut told = Self { linked: false, sealed: is_disguised(rendering) };
        for found in names.find_iter(rendering) {
            match found.pattern().as_usize() {
                0 => told.linked = true,
                _ => told.sealed = true,
            }
        }
        told
    }
}

/// Does a character reference stand before the text begins, or within a tag, where it spells out a name another way?
fn is_disguised(rendering: &[u8]) -> bool {
    static REFERENCE: LazyLock<memmem::Finder> = LazyLock::new(|| memmem::Finder::new(DISGUISE));
    let (mut seen, mut in_tag) = (0, true);
    for at in REFERENCE.find_iter(rendering) {
        if let Some(last) = memchr::memrchr2(b'<', b'>', &rendering[seen..at]) {
            in_tag = rendering[seen + last] == b'<';
        }
        if in_tag {
            return true;
        }
        seen = at;
    }
    false
}

/// What a message uses beside words: a file, encryption.
fn used(message: &Message) -> (bool, bool) {
    let told = message.original.as_ref().map_or_else(Told::default, |original| Told::by(&original.bytes));
    let text = |mime: &str| mime.split('/').next().is_some_and(|kind| kind.eq_ignore_ascii_case("text"));
    let has_file = message.parts.iter().any(|part| !text(&part.mime) && !part.mime.starts_with("message/"));
    let typed = |mime: &str| {
        let mime = mime.as_bytes();
        SEALED_TYPES.iter().any(|t| mime.get(..t.len()).is_some_and(|m| m.eq_ignore_ascii_case(t.as_bytes())))
    };
    let sealed = message.parts.iter().any(|part| part.body.starts_with(OTR) || typed(&part.mime));
    (has_file || told.linked, sealed || told.sealed)
}

/// Is it encrypted between the people themselves? Who only writes about it is taken for encrypted as well, which costs
/// less than the other mistake; what can be read is read all the same.
pub fn is_encrypted(message: &Message) -> bool {
    used(message).1
}

/// Words that tell what talk between devices is about: namespaces of XMPP, methods of SIP.
const TELLING: &[(&str, &[Feature])] = &[
    ("urn:xmpp:jingle:apps:file-transfer", &[Feature::Files]),
    ("http://jabber.org/protocol/si", &[Feature::Files]),
    ("http://jabber.org/protocol/bytestreams", &[Feature::Files]),
    ("http://jabber.org/protocol/ibb", &[Feature::Files]),
    ("jabber:iq:oob", &[Feature::Files]),
    ("urn:xmpp:http:upload", &[Feature::Files]),
    ("urn:xmpp:jingle", &[Feature::Calls]),
    ("urn:xmpp:call", &[Feature::Calls]),
    ("http://jabber.org/protocol/muc", &[Feature::Rooms]),
    ("jabber:x:conference", &[Feature::Rooms]),
    ("urn:xmpp:mix", &[Feature::Rooms]),
    ("jabber:iq:search", &[Feature::Directory]),
    ("vcard-temp", &[Feature::Directory]),
    ("urn:ietf:params:xml:ns:vcard-4.0", &[Feature::Directory]),
    ("application/sdp", &[Feature::Calls]),
];

fn talk(opaque: &Opaque) -> &'static [Feature] {
    let bytes = &opaque.original.bytes;
    let told = TELLING.iter().find(|(word, _)| memmem::find(bytes, word.as_bytes()).is_some());
    match told {
        Some((_, features)) => features,
        None if memmem::find(bytes, DISGUISE.as_bytes()).is_some() => &Feature::ALL,
        None => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Dialect, Original, Part};

    #[test]
    fn references_hide_no_name_and_writing_one_is_no_crime() {
        for (rendering, sealed) in [
            ("<message><body>a &#233; b</body></message>", false),
            ("<message><x xmlns='&#117;rn:xmpp:omemo:2'/></message>", true),
            ("<message><body>&#233;</body><x xmlns='&#117;rn:xmpp:omemo:2'/></message>", true),
            ("<message><body>&#233; &#233;</body><x xmlns='urn:xmpp:mls:0'/></message>", true),
            ("<message><body>a &lt; &#62; b</body></message>", false),
        ] {
            assert_eq!(Told::by(rendering.as_bytes()).sealed, sealed, "{rendering}");
        }
    }

    fn opaque(text: &'static str) -> Event {
        let original = Original { dialect: Dialect::Xmpp, bytes: text.into() };
        Event::Opaque(Opaque { original, wants_answer: true })
    }

    #[test]
    fn what_each_event_uses() {
        let message = |mime: &str| {
            let part = Part { mime: mime.into(), lang: None, body: "x".into() };
            Event::Message(Message { parts: vec![part], ..Message::default() })
        };
        let linked = Event::Message(Message {
            original: Some(Original {
                dialect: Dialect::Xmpp,
                bytes: "<message><x xmlns='jabber:x:oob'><url>https://h/f/a</url></x></message>".into(),
            }),
            ..Message::default()
        });
        let all: &[Feature] = &Feature::ALL;
        for (event, uses) in [
            (message("text/plain"), &[Feature::Im][..]),
            (message("TEXT/html;charset=utf-8"), &[Feature::Im]),
            (message("image/png"), &[Feature::Im, Feature::Files]),
            (linked, &[Feature::Im, Feature::Files]),
            (opaque("<iq><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"), &[]),
            (opaque("<iq><jingle xmlns='urn:xmpp:jingle:1'/></iq>"), &[Feature::Calls]),
            (
                opaque(
                    "<iq><jingle xmlns='urn:xmpp:jingle:1'><d xmlns='urn:xmpp:jingle:apps:file-transfer:5'/></jingle></iq>",
                ),
                &[Feature::Files],
            ),
            (opaque("<iq><vCard xmlns='vcard-temp'/></iq>"), &[Feature::Directory]),
            (opaque("<iq><jingle xmlns='urn:xmpp:&#106;ingle:1'/></iq>"), all),
        ] {
            let address = model::Address::parse("a@a.example").unwrap();
            let envelope = Envelope {
                id: model::EnvelopeId(1),
                at: model::Timestamp(0),
                origin: model::Origin::server(),
                from: address.clone().into(),
                to: address.into(),
                hops: 1,
                event: event.clone(),
            };
            assert_eq!(features(&envelope), uses, "{event:?}");
        }
    }
}

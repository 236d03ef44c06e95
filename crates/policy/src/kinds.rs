//! What feature something is a use of.

use crate::content::{decode, end_of_tag};
use crate::{Feature, Features};
use aho_corasick::{AhoCorasick, MatchKind};
use memchr::memmem;
use model::{Dialect, Envelope, Event, Message, Original, ReceiptKind, lossy};
use std::sync::LazyLock;

/// What an envelope uses; nothing for what only keeps the rest going (service discovery, pings, errors).
pub fn features(envelope: &Envelope) -> Features {
    match &envelope.event {
        Event::Message(message) => used(message).and(Feature::Im),
        Event::Composing(_) => Feature::Typing.into(),
        // That something did not arrive must be told whatever was agreed; words about it are words.
        event @ Event::Receipt(receipt) if matches!(receipt.kind, ReceiptKind::Failed(_)) => {
            if event.is_failure_with_words() { Feature::Im.into() } else { Features::default() }
        }
        Event::Receipt(_) => Feature::Receipts.into(),
        Event::Publish(_) | Event::Subscribe(_) | Event::Authorize(_) | Event::Notify(_) => {
            Feature::Presence.into()
        }
        Event::Opaque(opaque) => told(&opaque.original).without(Feature::E2e),
        Event::Call(_) => Feature::Calls.into(),
    }
}

/// Words that tell what something is about: namespaces of XMPP, media types of SIP. Each that stands there counts, so that
/// none hides behind another.
const TELLING: &[(&str, Feature)] = &[
    // Only the addressee can read it: OMEMO, OpenPGP (XEP-0373, XEP-0027), RFC 3923, MLS, XEP-0380.
    ("eu.siacs.conversations.axolotl", Feature::E2e),
    ("urn:xmpp:omemo:", Feature::E2e),
    ("urn:xmpp:openpgp:", Feature::E2e),
    ("jabber:x:encrypted", Feature::E2e),
    ("urn:ietf:params:xml:ns:xmpp-e2e", Feature::E2e),
    ("urn:xmpp:mls", Feature::E2e),
    ("urn:xmpp:eme:", Feature::E2e),
    // Files within (XEP-0231), behind a link (XEP-0066, XEP-0385, XEP-0447) or on a way of their own.
    ("urn:xmpp:bob", Feature::Files),
    ("jabber:x:oob", Feature::Files),
    ("jabber:iq:oob", Feature::Files),
    ("urn:xmpp:sims:", Feature::Files),
    ("urn:xmpp:sfs:", Feature::Files),
    ("urn:xmpp:http:upload", Feature::Files),
    (JINGLE_FILES, Feature::Files),
    ("http://jabber.org/protocol/si", Feature::Files),
    ("http://jabber.org/protocol/bytestreams", Feature::Files),
    ("http://jabber.org/protocol/ibb", Feature::Files),
    ("urn:xmpp:jingle:apps:rtp", Feature::Calls),
    (JINGLE, Feature::Calls),
    ("urn:xmpp:call", Feature::Calls),
    ("application/sdp", Feature::Calls),
    ("http://jabber.org/protocol/muc", Feature::Rooms),
    ("jabber:x:conference", Feature::Rooms),
    ("urn:xmpp:mix", Feature::Rooms),
    ("jabber:iq:search", Feature::Directory),
    ("vcard-temp", Feature::Directory),
    ("urn:ietf:params:xml:ns:vcard-4.0", Feature::Directory),
];

/// Sessions of any kind (XEP-0166, XEP-0353), and those that carry a file (XEP-0234).
const JINGLE: &str = "urn:xmpp:jingle";
const JINGLE_FILES: &str = "urn:xmpp:jingle:apps:file-transfer";

/// What a rendering says it is about. Every message passes here: one look for the words, and one for what hides them.
fn told(original: &Original) -> Features {
    static WORDS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
        // Of several ways of matching this one has the search by vector instructions.
        let words = TELLING.iter().map(|(word, _)| word);
        AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(words).ok()
    });
    // What cannot be looked into may be anything.
    let Some(words) = &*WORDS else { return Features::ALL };
    let (rendering, is_xml) = (&original.bytes[..], original.dialect == Dialect::Xmpp);
    let spelled = if is_xml { spelled(rendering) } else { String::new() };
    let (mut all, mut session, mut file) = (Features::default(), false, false);
    for text in [rendering, spelled.as_bytes()] {
        // Service discovery names namespaces without using them, and so do people.
        for found in words.find_iter(text).filter(|it| !is_xml || is_declared(&text[..it.start()])) {
            match TELLING[found.pattern().as_usize()] {
                (JINGLE, _) => session = true,
                (word, feature) => {
                    file |= word == JINGLE_FILES;
                    all = all.and(feature);
                }
            }
        }
    }
    // A session that is not about a file is a call, or part of one.
    if session && !file { all.and(Feature::Calls) } else { all }
}

/// Does a namespace begin behind this, as far as one tag tells?
fn is_declared(before: &[u8]) -> bool {
    let Some((b'\'' | b'"', before)) = before.split_last() else { return false };
    let Some((b'=', before)) = before.trim_ascii_end().split_last() else { return false };
    let name = before.trim_ascii_end();
    let begins = name.iter().rposition(|b| b.is_ascii_whitespace() || *b == b'/').map_or(0, |at| at + 1);
    name[begins..].starts_with(b"xmlns")
}

/// The tags that have a character reference in them, which spells out a name another way, as they are meant.
fn spelled(rendering: &[u8]) -> String {
    static REFERENCE: LazyLock<memmem::Finder> = LazyLock::new(|| memmem::Finder::new("&#"));
    let mut all = String::new();
    if REFERENCE.find(rendering).is_none() {
        return all;
    }
    let text = lossy(rendering);
    let mut rest = &*text;
    while let Some(at) = rest.find('<') {
        let end = end_of_tag(&rest[at..]).map_or(rest.len(), |end| at + end);
        let tag = &rest[at..end];
        if tag.contains("&#") && !tag.starts_with("<![") {
            decode(tag, &mut all);
        }
        rest = &rest[end..];
    }
    all
}

/// Media types that only the addressee can read.
const SEALED_TYPES: &[&str] = &["application/pkcs7-mime", "application/pgp-encrypted", "multipart/encrypted"];

/// What is encrypted within a text: OTR, wherever it stands, and OpenPGP (RFC 9580 section 6.2).
const SEALED: &[&str] = &["?OTR", "-----BEGIN PGP MESSAGE-----"];

/// What a message uses beside words.
fn used(message: &Message) -> Features {
    static MARKS: LazyLock<Vec<memmem::Finder>> =
        LazyLock::new(|| SEALED.iter().map(|mark| memmem::Finder::new(*mark)).collect());
    let mut all = message.original.as_ref().map_or_else(Features::default, told);
    for part in &message.parts {
        let is = |kind: &str| part.mime.get(..kind.len()).is_some_and(|it| it.eq_ignore_ascii_case(kind));
        if !is("text/") {
            all = all.and(Feature::Files);
        }
        if SEALED_TYPES.iter().any(|kind| is(kind))
            || MARKS.iter().any(|mark| mark.find(&part.body).is_some())
        {
            all = all.and(Feature::E2e);
        }
    }
    all
}

/// Is it encrypted between the people themselves? Who only writes about it is taken for encrypted as well, which costs
/// less than the other mistake; what can be read is read all the same.
pub fn is_encrypted(message: &Message) -> bool {
    used(message).contains(&Feature::E2e)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Part;

    #[test]
    fn references_hide_no_name_and_writing_one_is_no_crime() {
        for (rendering, sealed) in [
            ("<message><body>a &#233; b</body></message>", false),
            ("<message><x xmlns='&#117;rn:xmpp:omemo:2'/></message>", true),
            ("<message><body>&#233;</body><x xmlns='&#117;rn:xmpp:omemo:2'/></message>", true),
            ("<message><body>&#233; &#233;</body><x xmlns='urn:xmpp:mls:0'/></message>", true),
            ("<message><body>a &lt; &#62; b</body></message>", false),
            ("<message><x a='>' xmlns='urn:xmpp:&#x6F;memo:2'/></message>", true),
            ("<message><x title='caf&#233;'/></message>", false),
            ("<message><body>urn:xmpp:&#x6F;memo:2</body></message>", false),
            ("<message><body>'urn:xmpp:omemo:2' and xmlns='urn:xmpp:omemo:2'</body></message>", true),
            ("<message><body>see \"urn:xmpp:omemo:2\"</body></message>", false),
            ("<message><a:x xmlns:a = \"urn:xmpp:omemo:2\"/></message>", true),
        ] {
            let original = Original { dialect: Dialect::Xmpp, bytes: rendering.as_bytes().to_vec().into() };
            assert_eq!(told(&original).contains(&Feature::E2e), sealed, "{rendering}");
        }
    }

    #[test]
    fn nothing_hides_behind_something_else() {
        let rendered = |xml: &'static str| {
            used(&Message {
                original: Some(Original { dialect: Dialect::Xmpp, bytes: xml.into() }),
                parts: vec![Part::text("x", None)],
                ..Message::default()
            })
        };
        let written =
            |text: &'static str| used(&Message { parts: vec![Part::text(text, None)], ..Message::default() });
        for (used, uses) in [
            (
                rendered("<message><propose xmlns='urn:xmpp:jingle-message:0'/></message>"),
                &[Feature::Calls][..],
            ),
            (rendered("<message><x xmlns='jabber:x:conference'/></message>"), &[Feature::Rooms]),
            (rendered("<message><data xmlns='urn:xmpp:bob'/></message>"), &[Feature::Files]),
            (rendered("<message><x xmlns='jabber:x&#58;oob'/></message>"), &[Feature::Files]),
            (written(" ?OTR:AAMD"), &[Feature::E2e]),
            (written("hello\n-----BEGIN PGP MESSAGE-----\n"), &[Feature::E2e]),
            (written("hello"), &[]),
        ] {
            assert_eq!(used.iter().collect::<Vec<_>>(), uses);
        }
    }

    fn opaque(text: &'static str) -> Event {
        let original = Original { dialect: Dialect::Xmpp, bytes: text.into() };
        Event::Opaque(model::Opaque { original, wants_answer: true })
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
            (
                opaque(
                    "<iq type='result'><query xmlns='http://jabber.org/protocol/disco#info'>\
                     <feature var='urn:xmpp:jingle:1'/><feature var='http://jabber.org/protocol/muc'/></query></iq>",
                ),
                &[],
            ),
            (opaque("<iq><jingle xmlns='urn:xmpp:&#106;ingle:1'/></iq>"), &[Feature::Calls]),
            (
                opaque("<iq><x xmlns='jabber:x:oob'/><jingle xmlns='urn:xmpp:jingle:1'/></iq>"),
                &[Feature::Files, Feature::Calls],
            ),
            (
                opaque(
                    "<iq><jingle xmlns='urn:xmpp:jingle:1'><d xmlns='urn:xmpp:jingle:apps:rtp:1'/>\
                     <d xmlns='urn:xmpp:jingle:apps:file-transfer:5'/></jingle></iq>",
                ),
                &[Feature::Files, Feature::Calls],
            ),
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
            assert_eq!(features(&envelope).iter().collect::<Vec<_>>(), uses, "{event:?}");
        }
    }
}

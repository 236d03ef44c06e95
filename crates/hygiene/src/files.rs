//! The files within what people send.

use crate::elements::all_named;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use model::{Envelope, Event};
use std::borrow::Cow;

/// Encoders differ about the end, and we look into what others would decode.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The namespace of bits of binary.
const BITS: &str = "urn:xmpp:bob";

/// Are there any? Quick.
pub(crate) fn has_files(envelope: &Envelope) -> bool {
    match &envelope.event {
        Event::Message(message) => {
            message.parts.iter().any(|part| !is_text(&part.mime))
                || message.original.as_ref().is_some_and(|original| has_data(&original.bytes))
        }
        Event::Opaque(opaque) => has_data(&opaque.original.bytes),
        _ => false,
    }
}

/// A file, or why there is none to look into.
pub(crate) type Held<'a> = Result<Cow<'a, [u8]>, Unreadable>;

/// It is said to be a file, and others may read what we cannot.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

/// All of them.
pub(crate) fn files(envelope: &Envelope) -> Vec<Held<'_>> {
    let mut all = Vec::new();
    match &envelope.event {
        Event::Message(message) => {
            let parts = message.parts.iter().filter(|part| !is_text(&part.mime));
            all.extend(parts.map(|part| Ok(Cow::Borrowed(&part.body[..]))));
            if let Some(original) = &message.original {
                data(&original.bytes, &mut all);
            }
        }
        Event::Opaque(opaque) => data(&opaque.original.bytes, &mut all),
        _ => {}
    }
    all
}

fn is_text(mime: &str) -> bool {
    mime.get(..5).is_some_and(|kind| kind.eq_ignore_ascii_case("text/"))
}

fn has_data(bytes: &[u8]) -> bool {
    bytes.starts_with(b"<") && memchr::memmem::find(bytes, b"data").is_some()
}

/// What stands in `<data/>`: bits of binary (XEP-0231) and in-band bytestreams (XEP-0047).
fn data(bytes: &[u8], all: &mut Vec<Held<'_>>) {
    for (element, is_bits) in all_named(bytes, "data", BITS) {
        let plain: String = element.text.chars().filter(|c| !c.is_whitespace()).collect();
        let file = LENIENT.decode(plain).ok();
        let is_readable = file.is_some() && !element.has_children;
        all.extend(file.filter(|file| !file.is_empty()).map(|file| Ok(Cow::Owned(file))));
        // Data of other kinds need not be Base64.
        if !is_readable && is_bits {
            all.push(Err(Unreadable));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_however_it_is_spelt() {
        let bob = |open: &str, inside: &str| format!("<message><data {open}>{inside}</data></message>");
        let ours = "xmlns='urn:xmpp:bob' type='text/plain'";
        for (text, wanted) in [
            (bob(ours, "RUlD QVI="), vec![Ok(&b"EICAR"[..])]),
            (bob(ours, "<![CDATA[RUlDQVI=]]>"), vec![Ok(b"EICAR")]),
            (bob(ours, "&#82;UlD&#x51;VI&#61;"), vec![Ok(b"EICAR")]),
            (bob("xmlns='urn:xmpp:bob' cid='a>b'", "RUlDQVI="), vec![Ok(b"EICAR")]),
            ("<iq><x:data xmlns:x='urn:xmpp:bob'>RUlDQVI</x:data></iq>".to_owned(), vec![Ok(b"EICAR")]),
            (bob("xmlns='http://jabber.org/protocol/ibb' seq='0'", "RUlDQVI="), vec![Ok(b"EICAR")]),
            (bob(ours, "RUlD!QVI="), vec![Err(Unreadable)]),
            (bob(ours, "RUlDQVI=<x>RUlD</x>"), vec![Ok(b"EICAR"), Err(Unreadable)]),
            (bob("xmlns='urn:example:other'", "no Base64!"), vec![]),
            ("<iq><data xmlns='urn:xmpp:bob' cid='x'/></iq>".to_owned(), vec![]),
            ("<message><body>data</body></message>".to_owned(), vec![]),
        ] {
            let mut all = Vec::new();
            data(text.as_bytes(), &mut all);
            let wanted: Vec<Held<'_>> = wanted.into_iter().map(|file| file.map(Cow::Borrowed)).collect();
            assert_eq!(all, wanted, "{text}");
        }
    }
}

//! The files within what people send.

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

/// All of them.
pub(crate) fn files(envelope: &Envelope) -> Vec<Cow<'_, [u8]>> {
    let mut all = Vec::new();
    match &envelope.event {
        Event::Message(message) => {
            let parts = message.parts.iter().filter(|part| !is_text(&part.mime));
            all.extend(parts.map(|part| Cow::Borrowed(&part.body[..])));
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
fn data(bytes: &[u8], all: &mut Vec<Cow<'_, [u8]>>) {
    if !has_data(bytes) {
        return;
    }
    let text = String::from_utf8_lossy(bytes);
    let mut rest = &*text;
    while let Some(at) = rest.find("data") {
        rest = &rest[at + 4..];
        let Some((_, inner)) = rest.split_once('>') else { return };
        let inner = inner.split('<').next().unwrap_or_default();
        let plain: String = inner.chars().filter(|c| !c.is_whitespace()).collect();
        if let Ok(file) = LENIENT.decode(plain)
            && !file.is_empty()
        {
            all.push(Cow::Owned(file));
        }
    }
}

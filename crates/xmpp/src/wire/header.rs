//! The XML declaration and the stream header, RFC 6120 sections 4.7 and 11.4 to 11.6.

use super::names::Binding;
use super::part::Attr;
use super::tag::{Attrs, Opened};
use super::text::unescape;
use super::{CLIENT, Condition, SERVER, STREAMS};

/// What a peer said in its stream header (RFC 6120 section 4.7).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The domain it wants to talk to.
    pub to: Option<String>,
    /// Who it says it is; proves nothing.
    pub from: Option<String>,
    /// What the server calls the stream.
    pub id: Option<String>,
    /// `version`, as major and minor number; (0, 0) when it is absent.
    pub version: (u16, u16),
    /// Default language of what follows.
    pub lang: Option<String>,
    /// The default namespace: `jabber:client` or `jabber:server`.
    pub content: String,
}

/// Checks an XML declaration, from `<?` to `?>`.
pub(crate) fn declaration(bytes: &[u8]) -> Result<(), Condition> {
    let Some(body) =
        bytes.strip_prefix(b"<?xml").filter(|b| matches!(b.first(), Some(b' ' | b'\t' | b'\r' | b'\n')))
    else {
        return Err(Condition::RestrictedXml);
    };
    let body = &body[..body.len() - 2];
    if body.iter().any(|b| matches!(b, b'<' | b'>' | b'&' | 0x80..)) {
        return Err(Condition::NotWellFormed);
    }
    let mut version = false;
    let mut rest = Attrs::of(&[]);
    for (i, (name, value)) in by_ref(&mut rest, body).enumerate() {
        match (i, name) {
            (0, b"version") if value == b"1.0" => version = true,
            (_, b"encoding") if version => {
                if !value.eq_ignore_ascii_case(b"utf-8") {
                    return Err(Condition::UnsupportedEncoding);
                }
            }
            (_, b"standalone") if version && matches!(value, b"yes" | b"no") => {}
            _ => return Err(Condition::NotWellFormed),
        }
    }
    let clean = rest.rest().iter().all(|b| b.is_ascii_whitespace());
    if version && clean { Ok(()) } else { Err(Condition::NotWellFormed) }
}

fn by_ref<'a, 'b>(slot: &'b mut Attrs<'a>, body: &'a [u8]) -> &'b mut Attrs<'a> {
    *slot = Attrs::of(body);
    slot
}

/// Reads the header out of its start tag.
pub(crate) fn read(win: &[u8], tag: &Opened, attrs: &[Attr]) -> Result<(Header, Vec<Binding>), Condition> {
    let mut bindings = Vec::new();
    let mut header = Header::default();
    for attr in attrs {
        let text = unescape(attr.value.of(win));
        let name = attr.name.of(win);
        if attr.declares {
            let prefix = name.strip_prefix(b"xmlns:").unwrap_or(b"");
            let raw = String::from_utf8_lossy(attr.value.of(win));
            // Stanzas are the same on both kinds of stream (RFC 6120 section 4.8.3): they are read, kept and passed on
            // as if they had come from a client.
            let raw = if raw == SERVER { CLIENT.into() } else { raw };
            if prefix.is_empty() {
                header.content = text.into_owned();
            }
            bindings.push(Binding { prefix: String::from_utf8_lossy(prefix).into(), name: raw.into() });
            continue;
        }
        match name {
            b"to" => header.to = Some(text.into_owned()),
            b"from" => header.from = Some(text.into_owned()),
            b"id" => header.id = Some(text.into_owned()),
            b"xml:lang" => header.lang = Some(text.into_owned()),
            b"version" => header.version = version(&text).ok_or(Condition::UnsupportedVersion)?,
            _ => {}
        }
    }
    if tag.empty {
        return Err(Condition::BadFormat);
    }
    if tag.ns.name(win, &[]) != STREAMS.as_bytes() {
        return Err(Condition::InvalidNamespace);
    }
    if tag.local.of(win) != b"stream" {
        return Err(Condition::BadFormat);
    }
    Ok((header, bindings))
}

fn version(text: &str) -> Option<(u16, u16)> {
    let (major, minor) = text.trim().split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

//! JIDs (RFC 7622) and the neutral addresses they stand for.
//!
//! A JID's localpart may hold XEP-0106 escapes; an [`Address`] holds the name itself. Both directions live here,
//! and nowhere else in the door is a JID taken apart.

use model::{Address, Device, Endpoint};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The text is not a JID (RFC 7622 section 3); answered with `jid-malformed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The longest part, in bytes (RFC 7622 section 3.1).
const MAX_PART: usize = 1023;

/// Reads a bare or full JID.
pub fn parse(text: &str) -> Result<Endpoint, Malformed> {
    let (bare, resource) = match text.split_once('/') {
        Some((bare, resource)) => (bare, Some(resource)),
        None => (text, None),
    };
    let address = match bare.split_once('@') {
        Some((local, domain)) => address(local, domain)?,
        None => Address::new("", &domain(bare)?).map_err(|_| Malformed)?,
    };
    let device = resource.map(device).transpose()?;
    Ok(Endpoint { address, device })
}

/// The address of a localpart and a domainpart, both as they stand in a JID.
pub fn address(local: &str, domainpart: &str) -> Result<Address, Malformed> {
    // Nearly every address arrives as it is stored.
    if local.len() <= MAX_PART
        && is_settled(local, b"._-+")
        && is_settled(domainpart, b".-")
        && plain_labels(domainpart)
    {
        return Address::new(local, domainpart).map_err(|_| Malformed);
    }
    let local = localpart(local)?;
    let user = unescape(&local);
    if user.starts_with(' ') || user.ends_with(' ') {
        return Err(Malformed);
    }
    Address::new(&user, &domain(domainpart)?).map_err(|_| Malformed)
}

/// Lower-case letters, digits and a few signs only: nothing to map, to unescape or to refuse.
fn is_settled(text: &str, signs: &[u8]) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || signs.contains(&b))
}

/// No label that needs a second look: empty, too long, with a hyphen at an end or in A-label form.
fn plain_labels(domain: &str) -> bool {
    domain.len() <= MAX_PART
        && domain.split('.').all(|l| {
            let bytes = l.as_bytes();
            matches!(bytes, [first, .., last] if *first != b'-' && *last != b'-')
                && l.len() <= 63
                && !l.starts_with("xn--")
        })
}

/// A resourcepart (RFC 7622 section 3.4): the OpaqueString profile, tolerant towards symbols.
pub fn device(resource: &str) -> Result<Device, Malformed> {
    if resource.is_ascii() {
        return Device::new(resource).map_err(|_| Malformed);
    }
    let mapped: String = resource.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).nfc().collect();
    Device::new(&mapped).map_err(|_| Malformed)
}

/// A localpart (RFC 7622 section 3.3): lower case, NFC, no forbidden character; escapes stay.
fn localpart(text: &str) -> Result<String, Malformed> {
    if text.is_empty() || text.len() > MAX_PART {
        return Err(Malformed);
    }
    let forbidden =
        |c: char| matches!(c, '\0'..=' ' | '"' | '&' | '\'' | '/' | ':' | '<' | '>' | '@' | '\x7f');
    if text.is_ascii() {
        if text.chars().any(forbidden) {
            return Err(Malformed);
        }
        return Ok(text.to_ascii_lowercase());
    }
    let mapped: String = text.chars().flat_map(width).flat_map(char::to_lowercase).nfc().collect();
    // What remains must be a letter, a digit or a mark in canonical form: the PRECIS IdentifierClass, as near as
    // the Unicode properties of the standard library come to it.
    let letter = |c: char| c.is_ascii() || c.is_alphanumeric() || is_combining_mark(c);
    if mapped.len() > MAX_PART
        || mapped.chars().any(|c| forbidden(c) || !letter(c))
        || !mapped.nfkc().eq(mapped.chars())
    {
        return Err(Malformed);
    }
    Ok(mapped)
}

/// The width mapping rule of RFC 8265 section 3.3.
fn width(c: char) -> impl Iterator<Item = char> {
    let wide = matches!(c, '\u{ff01}'..='\u{ffef}');
    let (plain, mapped) = if wide { (None, Some(std::iter::once(c).nfkc())) } else { (Some(c), None) };
    plain.into_iter().chain(mapped.into_iter().flatten())
}

/// A domainpart (RFC 7622 section 3.2): lower case, U-labels, no trailing dot.
pub fn domain(text: &str) -> Result<String, Malformed> {
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.is_empty() || text.len() > MAX_PART {
        return Err(Malformed);
    }
    if let Some(inner) = text.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or(Malformed)?;
        let ip: std::net::Ipv6Addr = inner.parse().map_err(|_| Malformed)?;
        return Ok(format!("[{ip}]"));
    }
    let plain = text.is_ascii()
        && !text.split('.').any(|l| l.get(..4).is_some_and(|p| p.eq_ignore_ascii_case("xn--")));
    let lower = if plain {
        text.to_ascii_lowercase()
    } else {
        let (unicode, result) = idna::domain_to_unicode(text);
        result.map_err(|_| Malformed)?;
        unicode
    };
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 252
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.chars().all(|c| !c.is_ascii() || c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    if plain && lower.split('.').any(|l| l.len() > 63) || !lower.split('.').all(label) {
        return Err(Malformed);
    }
    Ok(lower)
}

/// The ten characters of XEP-0106 and their codes.
const ESCAPES: [(char, &str); 10] = [
    (' ', "20"),
    ('"', "22"),
    ('&', "26"),
    ('\'', "27"),
    ('/', "2f"),
    (':', "3a"),
    ('<', "3c"),
    ('>', "3e"),
    ('@', "40"),
    ('\\', "5c"),
];

/// XEP-0106 section 4.2.
fn unescape(local: &str) -> String {
    let mut out = String::with_capacity(local.len());
    let mut rest = local;
    while let Some(i) = rest.find('\\') {
        out.push_str(&rest[..i]);
        rest = &rest[i + 1..];
        match ESCAPES.iter().find(|(_, code)| rest.starts_with(code)) {
            Some((c, code)) => {
                out.push(*c);
                rest = &rest[code.len()..];
            }
            None => out.push('\\'),
        }
    }
    out.push_str(rest);
    out
}

/// Appends a user part as a localpart (XEP-0106 section 4.1).
fn escape(user: &str, out: &mut String) {
    for (i, c) in user.char_indices() {
        match ESCAPES.iter().find(|(plain, _)| *plain == c) {
            // A backslash is escaped only where it would otherwise read as an escape.
            Some(('\\', _)) if !ESCAPES.iter().any(|(_, code)| user[i + 1..].starts_with(code)) => {
                out.push(c)
            }
            Some((_, code)) => {
                out.push('\\');
                out.push_str(code);
            }
            None => out.push(c),
        }
    }
}

/// The bare JID of an address.
pub fn bare(address: &Address) -> String {
    let mut out = String::with_capacity(address.as_str().len() + 4);
    write_bare(address, &mut out);
    out
}

fn write_bare(address: &Address, out: &mut String) {
    if let Some(user) = address.user() {
        escape(user, out);
        out.push('@');
    }
    out.push_str(address.domain());
}

/// The JID of an endpoint: bare, or full where it names a device.
pub fn text(endpoint: &Endpoint) -> String {
    let mut out = String::with_capacity(endpoint.address.as_str().len() + 32);
    write_bare(&endpoint.address, &mut out);
    if let Some(device) = &endpoint.device {
        out.push('/');
        out.push_str(device.as_str());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jids_are_normalised() {
        for (given, wanted) in [
            ("Romeo@Example.NET/Orchard", "romeo@example.net/Orchard"),
            ("example.net.", "example.net"),
            ("example.net/a/b@c", "example.net/a/b@c"),
            ("stra\u{df}e@example.com", "stra\u{df}e@example.com"),
            ("\u{3a3}@example.com/\u{1f600}", "\u{3c3}@example.com/\u{1f600}"),
            ("xn--bcher-kva.example", "b\u{fc}cher.example"),
            ("B\u{dc}CHER.example", "b\u{fc}cher.example"),
            ("\u{ff41}@example.com", "a@example.com"),
            ("cafe\u{301}@example.com", "caf\u{e9}@example.com"),
            ("a@[::1]", "a@[::1]"),
            ("space\\20cadet@example.com", "space\\20cadet@example.com"),
            ("a\\5c20b@example.com", "a\\5c20b@example.com"),
            ("a\\5b@example.com", "a\\5b@example.com"),
            ("d\\27artagnan\\40home@example.com", "d\\27artagnan\\40home@example.com"),
        ] {
            assert_eq!(parse(given).map(|e| text(&e)).as_deref(), Ok(wanted), "{given}");
        }
    }

    #[test]
    fn addresses_are_unescaped() {
        assert_eq!(
            parse("d\\27artagnan\\40home@example.com").unwrap().address.user(),
            Some("d'artagnan@home")
        );
        assert_eq!(parse("a\\5c20b@example.com").unwrap().address.user(), Some("a\\20b"));
    }

    #[test]
    fn what_rfc_7622_forbids_is_refused() {
        for bad in [
            "",
            "@example.com",
            "a@",
            "a@b@c",
            "/r",
            "a@b/",
            "\"a\"@b",
            "a b@c",
            "a'@b",
            "a:b@c",
            "a<@b",
            "a&b@c",
            "a@b c",
            "a@-b",
            "a@b..c",
            "a@b:5222",
            "\\20a@b",
            "a\u{2028}@b",
            "henry\u{2163}@b",
            "\u{265a}@b",
            "a@b/\u{7}",
            "a\u{ad}@b",
            "a@[::z]",
            "a@xn--\u{7}",
        ] {
            assert_eq!(parse(bad), Err(Malformed), "{bad:?}");
        }
        assert_eq!(parse(&format!("{}@b", "a".repeat(1024))), Err(Malformed));
        assert!(parse(&format!("{}@b", "a".repeat(1023))).is_ok());
    }
}

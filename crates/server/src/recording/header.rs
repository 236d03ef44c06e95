//! SIP headers without names: what is not known to be harmless is masked.

use super::cast::{Cast, masked};
use std::fmt::Write as _;

/// Name in lower case and in full, and value, of each header; folded lines are joined.
pub(super) fn lines(head: &str) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for line in head.split("\r\n") {
        if let (true, Some((_, value))) = (line.starts_with([' ', '\t']), all.last_mut()) {
            value.push(' ');
            value.push_str(line.trim());
        } else if let Some((name, value)) = line.split_once(':') {
            let name = name.trim().to_ascii_lowercase();
            let name = match name.as_str() {
                "v" => "via",
                "f" => "from",
                "t" => "to",
                "m" => "contact",
                "i" => "call-id",
                "l" => "content-length",
                "c" => "content-type",
                "o" => "event",
                "k" => "supported",
                "e" => "content-encoding",
                "s" => "subject",
                other => other,
            };
            all.push((name.to_owned(), value.trim().to_owned()));
        }
    }
    all
}

/// `call-id` as it is usually written.
pub(super) fn spelled(name: &str) -> String {
    let word = |w: &str| match w {
        "id" | "sip" | "cseq" if w != "cseq" => w.to_ascii_uppercase(),
        "cseq" => "CSeq".to_owned(),
        "etag" => "ETag".to_owned(),
        _ => w.chars().enumerate().map(|(n, c)| if n == 0 { c.to_ascii_uppercase() } else { c }).collect(),
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}

/// A request line or status line.
pub(super) fn first_line(line: &str, cast: &mut Cast) -> String {
    let words: Vec<&str> = line.splitn(3, ' ').collect();
    match words.as_slice() {
        [version @ "SIP/2.0", code, ..] => format!("{version} {} Answer", cast.word(code)),
        [method, target, version] => {
            format!("{} {} {}", cast.word(method), uri(target, cast), cast.word(version))
        }
        _ => masked(line),
    }
}

/// The value of a header.
pub(super) fn value(name: &str, value: &str, cast: &mut Cast) -> String {
    match name {
        "via" => {
            split(value, ',').into_iter().map(|via| self::via(&via, cast)).collect::<Vec<_>>().join(", ")
        }
        "from"
        | "to"
        | "contact"
        | "route"
        | "record-route"
        | "path"
        | "p-preferred-identity"
        | "p-asserted-identity"
        | "reply-to"
        | "refer-to" => addresses(value, cast),
        "call-id" => call_id(value, cast),
        "sip-if-match" | "sip-etag" => cast.id(value),
        "cseq" | "max-forwards" | "expires" | "min-expires" | "content-length" | "event" | "accept"
        | "supported" | "require" | "proxy-require" | "allow" | "allow-events" | "subscription-state"
        | "mime-version" | "content-encoding" | "accept-encoding" => cast.word(value),
        "content-type" | "content-disposition" => typed(value, cast),
        // Its requests are paced.
        "user-agent" if value.starts_with("Purple/") => format!("Purple/{}", masked(&value[7..])),
        _ => masked(value),
    }
}

/// A type, or what is to be done with a body, without the name of a file.
pub(super) fn typed(value: &str, cast: &mut Cast) -> String {
    let mut parts = split(value, ';').into_iter();
    let mut out = cast.word(parts.next().unwrap_or_default().trim());
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((&part, ""));
        let name = name.trim();
        let _ = match name.to_ascii_lowercase().as_str() {
            "boundary" => write!(out, ";{name}={}", requoted(value.trim(), |live| cast.id(live))),
            "charset" | "handling" => write!(out, ";{name}={}", cast.word(value.trim())),
            _ => write!(out, ";{}={}", masked(name), masked(value.trim())),
        };
    }
    out
}

/// The boundary of a type of several parts.
pub(super) fn boundary(mime: &str) -> Option<String> {
    split(mime, ';').into_iter().find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// Another value, between quotation marks if the one was.
fn requoted(value: &str, other: impl FnOnce(&str) -> String) -> String {
    match value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) {
        Some(inner) => format!("\"{}\"", other(inner)),
        None => other(value),
    }
}

fn call_id(value: &str, cast: &mut Cast) -> String {
    if let Some(known) = cast.known_id(value) {
        return known.to_owned();
    }
    match value.split_once('@') {
        Some((id, host)) => format!("{}@{}", cast.id(id), cast.host(host)),
        None => cast.id(value),
    }
}

fn via(value: &str, cast: &mut Cast) -> String {
    let mut parts = split(value.trim(), ';').into_iter();
    let first = parts.next().unwrap_or_default();
    let (protocol, host) = first.rsplit_once(' ').unwrap_or((&first, ""));
    let host = cast.host(host.trim());
    format!("{} {host}{}", cast.word(protocol), params(parts, cast))
}

/// A list of addresses with names and parameters.
pub(super) fn addresses(value: &str, cast: &mut Cast) -> String {
    let one = |text: String| address(text.trim(), cast);
    split(value, ',').into_iter().map(one).collect::<Vec<_>>().join(", ")
}

fn address(text: &str, cast: &mut Cast) -> String {
    if text == "*" {
        return text.to_owned();
    }
    if let Some((name, rest)) = bracket(text) {
        let (inner, rest) = rest.split_once('>').unwrap_or((rest, ""));
        let name = match name.trim() {
            "" => String::new(),
            name => format!("\"{}\" ", "x".repeat(name.trim_matches('"').len())),
        };
        let inner = uri(inner, cast);
        return format!("{name}<{inner}>{}", params(split(rest, ';').into_iter().skip(1), cast));
    }
    let mut parts = split(text, ';').into_iter();
    let first = parts.next().unwrap_or_default();
    format!("{}{}", uri(first.trim(), cast), params(parts, cast))
}

/// What is before the bracket of an address, and what is behind it.
fn bracket(text: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '<' if !quoted => return Some((&text[..at], &text[at + 1..])),
            ';' if !quoted => return None,
            _ => {}
        }
    }
    None
}

/// A URI with its parameters.
pub(super) fn uri(text: &str, cast: &mut Cast) -> String {
    let Some((scheme, rest)) = text.split_once(':') else { return masked(text) };
    if !["sip", "sips", "im", "pres"].contains(&scheme.to_ascii_lowercase().as_str()) {
        return format!("{}:{}", cast.word(scheme), masked(rest));
    }
    let rest = rest.split_once('?').map_or(rest, |(rest, _)| rest);
    let mut parts = split(rest, ';').into_iter();
    let first = parts.next().unwrap_or_default();
    let who = match first.rsplit_once('@') {
        Some((user, host)) => {
            let user = user.split_once(':').map_or(user, |(user, _)| user);
            format!("{}@{}", cast.user(user), cast.host(host))
        }
        None => cast.host(&first),
    };
    format!("{scheme}:{who}{}", params(parts, cast))
}

fn params(all: impl Iterator<Item = String>, cast: &mut Cast) -> String {
    let one = |param: String| match param.trim().split_once('=') {
        None => format!(";{}", cast.word(param.trim())),
        Some((name, value)) => {
            let (name, value) = (name.trim(), value.trim());
            let shown = match name.to_ascii_lowercase().as_str() {
                "tag" | "branch" => cast.id(value),
                "gr" => cast.device(value),
                "received" | "maddr" => cast.host(value),
                "rport" => cast.port(value),
                "+sip.instance" => format!("\"{}\"", cast.instance(value.trim_matches('"'))),
                "expires" | "q" | "transport" | "reg-id" | "method" | "user" | "ttl" => cast.word(value),
                _ => "x".repeat(value.len()),
            };
            format!(";{}={shown}", cast.word(name))
        }
    };
    all.map(one).collect()
}

/// Splits outside quotes and brackets.
fn split(text: &str, at: char) -> Vec<String> {
    let (mut all, mut quoted, mut inside) = (vec![String::new()], false, false);
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '<' if !quoted => inside = true,
            '>' if !quoted => inside = false,
            _ => {}
        }
        if c == at && !quoted && !inside {
            all.push(String::new());
        } else if let Some(last) = all.last_mut() {
            last.push(c);
        }
    }
    all
}

/// One part of digest credentials.
pub(super) fn digest_part(value: &str, name: &str) -> Option<String> {
    let value = value.trim_start().split_once(' ')?.1;
    split(value, ',').into_iter().find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_places_are_others() {
        let mut cast = Cast::new(&["acme.test".into()], ["example.net", "example.com"]);
        for (name, live, shown) in [
            ("from", "\"Bob B.\" <sip:bob@acme.test>;tag=17", "\"xxxxxx\" <sip:juliet@example.net>;tag=17"),
            ("to", "sip:BOB@acme.test;tag=a;secret=bob", "sip:juliet@example.net;tag=a;secret=xxx"),
            (
                "contact",
                "<sip:bob@10.1.2.3:5062;ob>;+sip.instance=\"<urn:uuid:1-2>\";expires=60",
                "<sip:juliet@192.0.2.1:5062;ob>;+sip.instance=\"<urn:uuid:00000000-0000-4000-8000-000000000001>\";expires=60",
            ),
            (
                "via",
                "SIP/2.0/UDP 10.1.2.3:5062;rport;branch=z9hG4bK1, SIP/2.0/TCP pc.acme.test",
                "SIP/2.0/UDP 192.0.2.1:5062;rport;branch=z9hG4bK1, SIP/2.0/TCP elsewhere1.example",
            ),
            ("call-id", "77@10.1.2.3", "77@192.0.2.1"),
            ("user-agent", "Bob's phone", "xxxxx xxxxx"),
            ("event", "presence", "presence"),
        ] {
            assert_eq!(value(name, live, &mut cast), shown, "{name}");
        }
        assert_eq!(
            first_line("MESSAGE sip:bob:pw@acme.test SIP/2.0", &mut cast),
            "MESSAGE sip:juliet@example.net SIP/2.0"
        );
        assert_eq!(
            (spelled("call-id"), spelled("sip-if-match"), spelled("cseq")),
            ("Call-ID".into(), "SIP-If-Match".into(), "CSeq".into())
        );
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics_and_no_name_is_told(text in "[ -~é\\r\\n\\t]{0,120}", tags in "[<>/a-c =:'\"&;é?!]{0,80}") {
            let mut cast = Cast::new(&["acme.test".into()], ["example.net", "example.com"]);
            for (name, _) in lines(&text) {
                spelled(&name);
            }
            for name in ["via", "from", "contact", "call-id", "event", "x"] {
                let shown = value(name, &format!("{text} <sip:gustav@acme.test>;tag={text}"), &mut cast);
                proptest::prop_assert!(!shown.contains("acme"), "{}", shown);
            }
            first_line(&text, &mut cast);
            digest_part(&text, "nonce");
            for text in [text, tags] {
                super::super::xml::item(&text);
                super::super::xml::redacted(&text, &mut cast);
            }
        }
    }
}

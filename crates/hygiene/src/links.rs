//! The links of a text, as a client would follow them and not as they are written.

use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use url::Url;

/// Where a link leads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Link {
    /// The host: lower case, in its ASCII form (RFC 5890), without a dot at its end; an IPv4 address with four numbers.
    pub host: String,
    /// Path and query, decoded, without a slash at the end; empty where there is none.
    pub path: String,
}

/// How far links within links are followed, and so much of each is read once there are many.
const DEPTH: usize = 2;
const MANY: usize = 8;
const SHORT: usize = 512;
const LONG: usize = 4096;

/// Schemes that clients make links of with or without slashes after them; those with a wrong spelling people write on purpose.
const SCHEMES: &[&str] = &["http", "https", "hxxp", "hxxps", "ftp"];

/// Every link in a text.
pub(crate) fn links(text: &str) -> Vec<Link> {
    let mut found = Vec::new();
    // What is nowhere near a host name is not looked at twice.
    if text.contains(['.', '。', '．', '｡', ':']) {
        search(&policy::clean(text), 0, &mut found);
    }
    found
}

/// Ends of host names that clients make links of without being told.
const COMMON: &[&str] = &[
    "app", "biz", "br", "cc", "click", "cn", "club", "co", "com", "de", "dev", "eu", "example", "fr", "icu",
    "info", "io", "link", "live", "ly", "me", "mobi", "net", "online", "org", "pro", "ru", "shop", "site",
    "store", "su", "tk", "to", "top", "tv", "uk", "us", "vip", "win", "work", "xyz",
];

/// Does a text lead somewhere, as a client shows it: a link with a scheme, or a host name that has a path or is of a common kind?
pub fn leads_somewhere(text: &str) -> bool {
    if !text.contains(['.', '。', '．', '｡', ':']) {
        return false;
    }
    let text = policy::clean(text);
    let ends = |c: char| c.is_whitespace() || c.is_control() || "<>\"`{}|^".contains(c);
    let is_common = |host: &str| {
        let (name, end) = host.rsplit_once('.').unwrap_or_default();
        COMMON.contains(&end) && !name.bytes().all(|b| b.is_ascii_digit())
    };
    text.split(ends).filter(|token| token.contains(['.', '\u{3002}', ':'])).any(|token| {
        with_scheme(token, &mut Vec::new())
            || token
                .split(|c| "()[],;'*=!".contains(c))
                .filter_map(bare)
                .any(|link| !link.path.is_empty() || link.host.starts_with("www.") || is_common(&link.host))
    })
}

fn search(text: &str, depth: usize, found: &mut Vec<Link>) {
    let ends = |c: char| c.is_whitespace() || c.is_control() || "<>\"`{}|^".contains(c);
    for token in text.split(ends) {
        if !token.contains(['.', '\u{3002}', ':']) {
            continue;
        }
        if !with_scheme(token, found) {
            token.split(|c| "()[],;'*=!".contains(c)).filter_map(bare).for_each(|link| found.push(link));
        }
        if depth < DEPTH && token.contains('%') {
            let inner = percent_decode_str(token).decode_utf8_lossy();
            if inner != token {
                search(&inner, depth + 1, found);
            }
        }
    }
}

/// Links that say that they are some. A link may hold another one.
fn with_scheme(token: &str, found: &mut Vec<Link>) -> bool {
    let mut count = 0;
    for (at, _) in token.match_indices(':') {
        let before = &token.as_bytes()[..at];
        let len = before.iter().rev().take(12).take_while(|b| b.is_ascii_alphanumeric()).count();
        let scheme = &token[at - len..at];
        let rest = &token[at + 1..];
        let slashes = rest.starts_with("//");
        let usual = SCHEMES.iter().any(|usual| scheme.eq_ignore_ascii_case(usual));
        if len == 0 || !(usual || slashes) {
            continue;
        }
        count += 1;
        let rest = rest.trim_start_matches(['/', '\\']);
        found.extend(normal(cut(rest, if count > MANY { SHORT } else { LONG })));
    }
    count > 0
}

/// Host names that clients make links of by themselves.
fn bare(piece: &str) -> Option<Link> {
    let piece = piece.trim_end_matches(['.', ':', '?']);
    let (authority, rest) = match piece.find(['/', '?', '#', '\\']) {
        Some(at) => piece.split_at(at),
        None => (piece, ""),
    };
    // Somebody's address is no link.
    let host = match authority.rsplit_once('@') {
        Some(_) if rest.is_empty() => return None,
        Some((_, host)) => host,
        None => authority,
    };
    let host = host.split(':').next().unwrap_or_default();
    let last = host.rsplit(['.', '\u{3002}']).next().unwrap_or_default();
    let is_address = host.split('.').count() == 4 && host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let is_name = host.contains(['.', '\u{3002}'])
        && last.chars().count() > 1
        && !last.starts_with(|c: char| c.is_ascii_digit())
        && host.chars().all(|c| c.is_alphanumeric() || "-._%\u{3002}".contains(c));
    (is_name || is_address).then(|| normal(cut(piece, LONG))).flatten()
}

fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// A link without its scheme: as the URL standard, and so every browser, reads it.
pub(crate) fn normal(rest: &str) -> Option<Link> {
    let rest = rest.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '\'', '*', ']', '"']);
    match Url::parse(&format!("http://{rest}")) {
        Ok(url) => {
            let host = host(url.host_str()?);
            let path = collapsed(&percent_decode_str(url.path()).decode_utf8_lossy());
            let query = url.query().map(|query| percent_decode_str(query).decode_utf8_lossy());
            let path = query.map_or(path.clone(), |query| format!("{path}?{query}"));
            (!host.is_empty()).then_some(Link { host, path })
        }
        // What no browser follows may still be followed by something else.
        Err(_) => {
            let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
            let named = authority.rsplit('@').next().unwrap_or_default();
            let host = host(&named.split(':').next().unwrap_or_default().to_lowercase());
            (!host.is_empty()).then_some(Link { host, path: String::new() })
        }
    }
}

/// A host without what cannot be of it.
fn host(text: &str) -> String {
    if text.starts_with('[') {
        return text.to_owned();
    }
    let end = text.find(|c: char| !(c.is_alphanumeric() || "-._".contains(c))).unwrap_or(text.len());
    text[..end].trim_matches('.').to_owned()
}

/// A path with single slashes and none at its end.
fn collapsed(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for c in path.chars() {
        if c != '/' || !out.ends_with('/') {
            out.push(c);
        }
    }
    out.truncate(out.trim_end_matches('/').len());
    out
}

/// A host as people read it.
pub(crate) fn shown(host: &str) -> Cow<'_, str> {
    if host.contains("xn--") { Cow::Owned(idna::domain_to_unicode(host).0) } else { Cow::Borrowed(host) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_somewhere() {
        for (text, leads) in [
            ("look: https://evil.test", true),
            ("hxxp://evil", true),
            ("evil.com", true),
            ("go to EVIL.example, now", true),
            ("www.evil.test", true),
            ("evil.test/pic", true),
            ("evil。com", true),
            ("http:\\\\evil.test", true),
            ("Hello.How are you?", false),
            ("I sent readme.txt, e.g. at 12:30, version 1.2.3.4", false),
            ("write to nurse@example.com", false),
            ("", false),
        ] {
            assert_eq!(leads_somewhere(text), leads, "{text}");
        }
    }

    fn all(text: &str) -> Vec<String> {
        links(text).into_iter().map(|link| format!("{}{}", link.host, link.path)).collect()
    }

    #[test]
    fn a_link_is_what_is_followed() {
        for (text, wanted) in [
            ("see http://evil.example/a.", "evil.example/a"),
            ("HTTPS://EVIL.Example:8443/A/?b=c#d", "evil.example/A?b=c"),
            ("http://bank.example@evil.example/", "evil.example"),
            ("http://bank.example%2Flogin@evil.example", "evil.example"),
            ("http:\\\\evil.example\\a", "evil.example/a"),
            ("http:evil.example", "evil.example"),
            ("http:///evil.example/x/../a//b/", "evil.example/a/b"),
            ("http://%65vil.example/%61", "evil.example/a"),
            ("http://evil.example./", "evil.example"),
            ("http://3221226219/a", "192.0.2.235/a"),
            ("http://0xC0.0.2.0353/", "192.0.2.235"),
            ("http://bücher.example", "xn--bcher-kva.example"),
            ("http://evil。example/", "evil.example"),
            ("ｈｔｔｐ://evil．example", "evil.example"),
            ("http://ev\u{200b}il.exam\u{ad}ple", "evil.example"),
            ("(www.evil.example)", "www.evil.example"),
            ("go to evil.example/a, please", "evil.example/a"),
            ("[x](http://evil.example)more", "evil.example"),
            ("javascript://evil.example", "evil.example"),
            ("http://[2001:db8::1]/a", "[2001:db8::1]/a"),
        ] {
            assert_eq!(all(text).first().map(String::as_str), Some(wanted), "{text}");
        }
    }

    #[test]
    fn links_within_links_are_found() {
        for text in [
            "https://ok.example/?u=http://evil.example/a",
            "https://ok.example/?u=http%3A%2F%2Fevil.example%2Fa",
            "https://ok.example/?u=http%253A%252F%252Fevil.example%252Fa",
        ] {
            assert!(all(text).contains(&"evil.example/a".to_owned()), "{text}: {:?}", all(text));
        }
    }

    #[test]
    fn words_are_no_links() {
        for text in ["one. two", "10:30", "v1.2", "anna@evil.example", "wait...", "http://", ":::", "a:b"] {
            assert!(all(text).is_empty(), "{text}: {:?}", all(text));
        }
    }
}

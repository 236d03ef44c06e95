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
/// No name of a host is longer (RFC 1035 section 2.3.4): what is leads nowhere.
const HOST: usize = 253;

/// Schemes that clients make links of with or without slashes after them; those with a wrong spelling people write on purpose.
const SCHEMES: &[&str] = &["http", "https", "hxxp", "hxxps", "ftp"];

/// Every link in a text.
pub(crate) fn links(text: &str) -> Vec<Link> {
    let mut found = Vec::new();
    // What is nowhere near a host name is not looked at twice.
    if text.contains(['.', '。', '．', '｡', ':']) {
        // A control character ends a link, though no reader sees it.
        text.split(char::is_control).for_each(|piece| search(&policy::clean(piece), 0, &mut found));
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
    let ends = |c: char| c.is_whitespace() || "<>\"`{}|^".contains(c);
    let is_common = |host: &str| {
        let (name, end) = host.rsplit_once('.').unwrap_or_default();
        COMMON.contains(&end) && !name.bytes().all(|b| b.is_ascii_digit())
    };
    let leads = |token: &str| {
        with_scheme(token, &mut Vec::new())
            || token
                .split(|c| "()[],;'*=!".contains(c))
                .filter_map(bare)
                .any(|link| !link.path.is_empty() || link.host.starts_with("www.") || is_common(&link.host))
    };
    text.split(char::is_control)
        .map(policy::clean)
        .any(|piece| piece.split(ends).filter(|token| token.contains(['.', '\u{3002}', ':'])).any(leads))
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
                search(&policy::clean(&inner), depth + 1, found);
            }
        }
    }
}

/// Links that say that they are some. A link may hold another one.
fn with_scheme(token: &str, found: &mut Vec<Link>) -> bool {
    let (mut count, mut authority) = (0, Authority::default());
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
        let rest = &token[authority.host(token, token.len() - rest.len())..];
        found.extend(normal(cut(rest, if count > MANY { SHORT } else { LONG })));
    }
    count > 0
}

/// The part of a link before its path, of links within a text from left to right: each byte is looked at once.
#[derive(Default)]
struct Authority {
    end: usize,
    /// Behind the last `@` before the end.
    host: usize,
}

impl Authority {
    /// Where the host begins of the link that begins here: what stands before an `@` may be as long as anybody likes.
    fn host(&mut self, text: &str, from: usize) -> usize {
        if from >= self.end {
            self.end = text[from..].find(['/', '?', '#', '\\']).map_or(text.len(), |at| from + at);
            self.host = text[from..self.end].rfind('@').map_or(from, |at| from + at + 1);
        }
        self.host.max(from)
    }
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
    let named = &piece[authority.len() - authority.rsplit('@').next().unwrap_or_default().len()..];
    (is_name || is_address).then(|| normal(cut(named, LONG))).flatten()
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
            fits(&host).then_some(Link { host, path })
        }
        // What no browser follows may still be followed by something else.
        Err(_) => {
            let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
            let named = authority.rsplit('@').next().unwrap_or_default();
            let host = host(&named.split(':').next().unwrap_or_default().to_lowercase());
            fits(&host).then_some(Link { host, path: String::new() })
        }
    }
}

fn fits(host: &str) -> bool {
    (1..=HOST).contains(&host.len())
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
    fn what_is_too_long_leads_nowhere_and_hides_nothing() {
        for text in [
            "http://".to_owned() + &"a.".repeat(2_000) + "example",
            "a.".repeat(2_000) + "example",
            "http://".to_owned() + &"a.".repeat(3_000) + "example",
            format!("http://{}.example", "a".repeat(4_000)),
        ] {
            assert!(all(&text).is_empty(), "{text}: {:?}", all(&text));
        }
        for text in [
            format!("http://{}@evil.example/x", "a".repeat(5_000)),
            format!("http://{}@evil.example/x", "a:b@".repeat(5_000)),
            format!("{}@evil.example/x", "a".repeat(5_000)),
            format!("http://{}evil.example/x", "%C2%AD".repeat(3_000)),
        ] {
            assert!(all(&text).contains(&"evil.example/x".to_owned()), "{text}: {:?}", all(&text));
        }
        // A name of full length is one.
        let long =
            format!("{}.example", ["a".repeat(61), "b".repeat(61), "c".repeat(61), "d".repeat(59)].join("."));
        assert_eq!((long.len(), all(&format!("http://{long}/"))), (253, vec![long.clone()]));
        assert!(all(&format!("http://x{long}/")).is_empty());
    }

    #[test]
    fn links_end_where_nobody_sees_it() {
        for text in ["http://evil.example\u{7f}x", "http://evil.example\u{85}x", "evil.example\u{9f}x"] {
            assert_eq!(all(text).first().map(String::as_str), Some("evil.example"), "{text:?}");
            assert!(leads_somewhere(text), "{text:?}");
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

//! Links: where they stand in a text, and the normal form in which those that lead to the same place are equal.

use std::borrow::Cow;

/// Query parameters that say where a reader came from, and nothing else.
const TRACKING: &[&str] =
    &["fbclid", "gclid", "dclid", "msclkid", "igshid", "mc_cid", "mc_eid", "yclid", "ref", "si", "spm"];

/// Longer links are looked at to here only.
const LONGEST: usize = 2_048;

/// A link in both its forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    /// Its host.
    pub host: String,
    /// Host, path and query, in one spelling.
    pub exact: String,
    /// The same with what looks made for one recipient as `*`, and without the query's values. `None` where that is no
    /// other link.
    pub folded: Option<String>,
}

/// Every link of a text, at most `most`. `skip` hears what stands between them.
pub(crate) fn links(text: &str, most: usize, mut between: impl FnMut(&str)) -> Vec<Link> {
    let mut found = Vec::new();
    // Every link has one of these, and most texts have none.
    if memchr::memchr3(b'/', b'?', b'\\', text.as_bytes()).is_none() {
        between(text);
        return found;
    }
    let mut plain = 0;
    let mut at = 0;
    // And a dot or a colon.
    while found.len() < most
        && let Some(mark) = memchr::memchr2(b'.', b':', &text.as_bytes()[at..]).map(|i| at + i)
    {
        let begin = text[..mark].rfind(is_border).map_or(0, |i| i + border_len(text, i)).max(plain);
        let end = text[mark..].find(is_border).map_or(text.len(), |i| mark + i);
        let word = &text[begin..end];
        let may_be = memchr::memchr3(b'/', b'?', b'\\', word.as_bytes()).is_some();
        let read = if may_be { read_all(word) } else { [None, None] };
        if read.iter().any(Option::is_some) {
            between(&text[plain..begin]);
            plain = end;
            found.extend(read.into_iter().flatten());
        }
        at = end.max(mark + 1);
    }
    between(&text[plain..]);
    found
}

fn is_border(c: char) -> bool {
    c.is_whitespace() || matches!(c, '<' | '>' | '"' | '\'' | '`' | '|' | '{' | '}' | '«' | '»' | '“' | '”')
}

fn border_len(text: &str, at: usize) -> usize {
    text[at..].chars().next().map_or(1, char::len_utf8)
}

/// Reads one word as a link.
pub(crate) fn read(word: &str) -> Option<Link> {
    read_all(word).into_iter().flatten().next()
}

/// A word as the link that it begins with, and as the one that begins within it.
fn read_all(word: &str) -> [Option<Link>; 2] {
    let word = word.trim_start_matches(['(', '[', ',', '.', ';', ':', '!', '?']);
    let word = word.trim_end_matches([')', ']', ',', '.', ';', ':', '!', '?']);
    let mut end = word.len().min(LONGEST);
    while !word.is_char_boundary(end) {
        end -= 1;
    }
    let word = &word[..end];
    match scheme(word) {
        Scheme::At(at, rest) => {
            let before = word[..at].contains(['/', '?', '#', '\\']);
            [if before { place(word, false) } else { None }, place(rest, true)]
        }
        Scheme::None => [place(word, false), None],
        Scheme::Other => [None, None],
    }
}

/// Reads what follows the scheme of a link, or a link without one.
fn place(rest: &str, schemed: bool) -> Option<Link> {
    let authority_end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(authority_end);
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| if schemed { host } else { "" });
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => (host, port),
        Some((host, "")) => (host, ""),
        _ => (authority, ""),
    };
    let host = followed(host);
    let host = host.strip_prefix("www.").unwrap_or(&host);
    let tail = tail.split('#').next().unwrap_or_default();
    if !is_host(host, schemed, !tail.is_empty()) {
        return None;
    }
    let port = match port {
        "" | "80" | "443" | "21" => String::new(),
        port => format!(":{port}"),
    };
    let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
    let path = decoded(path).replace('\\', "/").to_lowercase();
    let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty() && *s != ".").collect();
    let query = decoded(query).to_lowercase();
    let mut pairs: Vec<(&str, &str)> = query
        .split(['&', ';'])
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .filter(|(key, _)| !key.starts_with("utm_") && !TRACKING.contains(key))
        .collect();
    pairs.sort_unstable();
    let mut exact = format!("{host}{port}/{}", segments.join("/"));
    for (at, (key, value)) in pairs.iter().enumerate() {
        exact += if at == 0 { "?" } else { "&" };
        exact += key;
        exact += "=";
        exact += value;
    }
    let mut folded = format!("{}{port}", folded_host(host));
    for segment in &segments {
        folded.push('/');
        folded += if is_token(segment) { "*" } else { segment };
    }
    if segments.is_empty() {
        folded.push('/');
    }
    for (at, (key, value)) in pairs.iter().enumerate() {
        folded += if at == 0 { "?" } else { "&" };
        // A bare word is a value as well.
        folded += if value.is_empty() { "*" } else { key };
        folded += "=";
    }
    let folded = (folded != exact).then_some(folded);
    Some(Link { host: host.to_owned(), exact, folded })
}

/// A host as a browser follows it: decoded, in ASCII (UTS #46), an IPv4 address with four numbers however it was written.
fn followed(host: &str) -> String {
    let host = host.trim_end_matches('.');
    let usual = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'-';
    let last = host.rsplit('.').next().unwrap_or_default();
    if host.bytes().all(usual) && !last.starts_with(|c: char| c.is_ascii_digit()) {
        return host.to_ascii_lowercase();
    }
    // What no browser follows may still be followed by something else.
    url::Host::parse(host).map_or_else(
        |_| decoded(host).to_lowercase(),
        |host| host.to_string().trim_end_matches('.').to_owned(),
    )
}

/// The scheme of a link.
enum Scheme<'a> {
    /// It ends here, and this follows.
    At(usize, &'a str),
    /// There is none.
    None,
    /// It leads nowhere.
    Other,
}

/// Browsers take a backslash for a slash, and do without either after a scheme that they know.
fn scheme(word: &str) -> Scheme<'_> {
    const KNOWN: [&str; 5] = ["http", "https", "ftp", "hxxp", "hxxps"];
    let mut unknown = false;
    for (at, _) in word.match_indices(':') {
        let (before, after) = (&word[..at], &word[at + 1..]);
        // Whatever stands before it without a space: "look:http://...".
        let name = before.rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        if KNOWN.iter().any(|known| name.eq_ignore_ascii_case(known)) {
            return Scheme::At(at, after.trim_start_matches(['/', '\\']));
        }
        unknown |= after.starts_with("//");
    }
    if unknown { Scheme::Other } else { Scheme::None }
}

fn is_host(host: &str, schemed: bool, has_path: bool) -> bool {
    let good =
        |label: &str| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || "-_".contains(c));
    if host.starts_with('[') {
        return schemed && host.ends_with(']');
    }
    if host.is_empty() || !host.split('.').all(good) {
        return false;
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    let named = host.contains('.')
        && last.len() >= 2
        && (last.bytes().all(|b| b.is_ascii_alphabetic()) || last.starts_with("xn--"));
    // Without a scheme it must look like one: a name with a path.
    schemed || (named && has_path)
}

/// The same with labels below the registered name that look made by a machine as `*`.
fn folded_host(host: &str) -> String {
    let labels: Vec<&str> = host.split('.').collect();
    let own = labels.len().saturating_sub(2);
    let fold = |(at, label): (usize, &str)| {
        let made = at < own && is_token(label);
        if made { "*".to_owned() } else { label.to_owned() }
    };
    labels.into_iter().enumerate().map(fold).collect::<Vec<_>>().join(".")
}

/// Does it look made by a machine: long, or digits among letters, or a number?
pub(crate) fn is_token(word: &str) -> bool {
    let stem = word.split('.').next().unwrap_or(word);
    let digits = stem.bytes().filter(u8::is_ascii_digit).count();
    let letters = stem.chars().filter(|c| c.is_alphabetic()).count();
    let len = stem.chars().count();
    let one_word = !stem.contains(['-', '_', ' ', '+']);
    (digits >= 4 && letters == 0)
        || (digits >= 2 && letters >= 2 && len >= 6 && one_word)
        || (len >= 20 && one_word)
}

/// Without percent-encoding, however often it was applied.
fn decoded(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for _ in 0..3 {
        if !text.contains('%') {
            break;
        }
        let bytes = text.as_bytes();
        let mut out = Vec::with_capacity(bytes.len());
        let mut at = 0;
        while at < bytes.len() {
            let hex = |i: usize| bytes.get(i).and_then(|b| char::from(*b).to_digit(16));
            match (bytes[at], hex(at + 1), hex(at + 2)) {
                (b'%', Some(high), Some(low)) => {
                    out.push(u8::try_from(high * 16 + low).unwrap_or(b'%'));
                    at += 3;
                }
                (byte, ..) => {
                    out.push(byte);
                    at += 1;
                }
            }
        }
        text = Cow::Owned(String::from_utf8_lossy(&out).into_owned());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(text: &str) -> Option<String> {
        read(text).map(|link| link.exact)
    }

    #[test]
    fn what_leads_to_the_same_place_is_equal() {
        for same in [
            "http://evil.example/omg.php",
            "HTTPS://EVIL.example:443/omg.php",
            "http://www.evil.example./omg.php",
            "evil.example/omg.php",
            "http://evil.example/%6f%6Dg.php#top",
            "http://evil.example/%256fmg.php",
            "http://evil.example//./omg.php?utm_source=im&fbclid=abc",
            "http://user:pw@evil.example:80/omg.php",
            "(http://evil.example/omg.php),",
            "look:http://evil.example/OMG.php",
            "http:\\\\evil.example\\omg.php",
            "http:///evil.example/omg.php",
            "http:evil.example/omg.php",
            "http://%65vil.example/omg.php",
            "http://evil。example/omg.php",
        ] {
            assert_eq!(exact(same).as_deref(), Some("evil.example/omg.php"), "{same}");
        }
        for same in
            ["http://3221226219/a", "http://0xC0.0.2.0353/a", "http://192.0.2.235/a", "http:192.0.747/%61"]
        {
            assert_eq!(exact(same).as_deref(), Some("192.0.2.235/a"), "{same}");
        }
        for same in [
            "http://bücher.example/a",
            "http://xn--bcher-kva.example/a",
            "BÜCHER.example/a",
            "http://b%C3%BCcher．example/a",
        ] {
            assert_eq!(exact(same).as_deref(), Some("xn--bcher-kva.example/a"), "{same}");
        }
        assert_eq!(exact("пример.рф/a"), exact("http://xn--e1afmkfd.xn--p1ai/a"));
        assert_eq!(exact("http://[2001:DB8:0::1]/a"), exact("http://[2001:db8::1]/a"));
        assert_eq!(exact("http://ev_il.example/a").as_deref(), Some("ev_il.example/a"));
        assert_eq!(exact("http://h.example?b=2&a=1"), exact("http://h.example/?a=1&b=2"));
        assert_ne!(exact("http://h.example/?a=1"), exact("http://h.example/?a=2"));
    }

    #[test]
    fn links_made_for_one_recipient_have_one_folded_form() {
        let folded = |text: &str| read(text).and_then(|link| link.folded);
        for (one, other) in [
            ("http://evil.example/pic?id=7", "http://evil.example/pic?id=8"),
            ("http://evil.example/a8f3k2/pic", "http://evil.example/zz81kk9/pic"),
            ("http://x9k2m4.evil.example/pic", "http://a7bb31.evil.example/pic"),
            ("http://evil.example/p/20051234.jpg", "http://evil.example/p/99887766.jpg"),
            ("http://evil.example/?bob@example.com12", "http://evil.example/?eve99@example.com"),
        ] {
            assert_eq!(folded(one), folded(other), "{one}");
            assert!(folded(one).is_some(), "{one}");
        }
        assert_eq!(folded("http://news.example/politics/today"), None);
        assert_ne!(folded("http://a.example/?id=1"), folded("http://b.example/?id=1"));
    }

    #[test]
    fn a_text_gives_its_links_and_the_rest() {
        let mut rest = String::new();
        let found =
            links("see http://a.example/x, b.example/y and nothing.else or 3.5 at 12:30", 8, |text| {
                rest += text;
            });
        let exact: Vec<_> = found.iter().map(|l| l.exact.as_str()).collect();
        assert_eq!(exact, ["a.example/x", "b.example/y"]);
        assert_eq!(rest, "see   and nothing.else or 3.5 at 12:30");
        for none in
            ["", ".", ":", "://", "http://", "a:b", "e.g./i.e.", "../etc", "é.é", "mailto:a@b.example"]
        {
            assert_eq!(links(none, 8, |_| ()), [], "{none}");
        }
        for word in ["www.evil.example/omg?x=http:r4nd.example", "evil.example/omg?x=http://r4nd.example/a"] {
            let hosts: Vec<_> = links(word, 8, |_| ()).into_iter().map(|link| link.host).collect();
            assert_eq!(hosts, ["evil.example", "r4nd.example"], "{word}");
        }
        assert_eq!(links("«http://a.example/é»", 8, |_| ())[0].exact, "a.example/é");
    }
}

//! Links to what was uploaded here, in texts.

/// The ids and secrets of all files that a text links to. `url` is how our links begin.
pub(crate) fn keys<'a>(text: &'a str, url: &str) -> Vec<&'a str> {
    let Some(host) = url.split("://").nth(1).filter(|rest| !rest.is_empty()) else { return Vec::new() };
    let (host, path) = host.split_at(host.find('/').unwrap_or(host.len()));
    let mut found = Vec::new();
    let mut rest = text;
    // Names of hosts have no case, paths do.
    while let Some(at) = find(rest.as_bytes(), host.as_bytes()) {
        rest = &rest[at + host.len()..];
        let Some(key) = rest.strip_prefix(path).and_then(|rest| rest.strip_prefix("/f/")) else { continue };
        let end = key.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).unwrap_or(key.len());
        found.push(&key[..end]);
    }
    found
}

fn find(text: &[u8], name: &[u8]) -> Option<usize> {
    let first = [name.first()?.to_ascii_lowercase(), name.first()?.to_ascii_uppercase()];
    let mut from = 0;
    while let Some(at) = text[from..].iter().position(|b| first.contains(b)).map(|at| from + at) {
        if text.get(at..at + name.len())?.eq_ignore_ascii_case(name) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_wherever_they_stand() {
        let url = "https://files.example.com:5443/up";
        for (text, wanted) in [
            ("https://files.example.com:5443/up/f/abc-def/cat.jpg", vec!["abc-def"]),
            ("see HTTPS://Files.Example.COM:5443/up/f/abc-def, or not", vec!["abc-def"]),
            ("files.example.com:5443/up/f/a-b files.example.com:5443/up/f/c-d/", vec!["a-b", "c-d"]),
            ("https://files.example.com:5443/other/f/abc", vec![]),
            ("files.example.com:544", vec![]),
            ("héllo, nothing here", vec![]),
        ] {
            assert_eq!(keys(text, url), wanted, "{text}");
        }
        assert_eq!(keys("https://h/f/x-y", "https://h"), ["x-y"]);
    }
}

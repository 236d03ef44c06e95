//! XML without what people said: element names, namespaces and protocol words stay, the rest is masked.

use super::cast::{Cast, masked};

/// One thing a client sends on its stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// More is to come.
    Partial,
    /// White space, a header, an element or the end of the stream.
    Whole(&'a str),
    /// Not XML that we could read.
    Broken,
}

/// Cuts the first item off a stream.
pub(super) fn item(text: &str) -> Item<'_> {
    let blank = text.len() - text.trim_start().len();
    if blank > 0 {
        return Item::Whole(&text[..blank]);
    }
    let (mut at, mut depth) = (0, 0usize);
    loop {
        let rest = &text[at..];
        let Some(open) = rest.find('<') else { return Item::Partial };
        if depth == 0 && !rest[..open].trim().is_empty() {
            return Item::Broken;
        }
        let Some(end) = end_of_tag(&rest[open..]) else { return Item::Partial };
        let tag = &rest[open..open + end];
        at += open + end;
        if tag.starts_with("<!") {
            return Item::Broken;
        }
        if tag.starts_with("<?") {
            continue;
        }
        if let Some(name) = tag.strip_prefix("</") {
            if depth == 0 {
                return if name.starts_with("stream:stream") {
                    Item::Whole(&text[..at])
                } else {
                    Item::Broken
                };
            }
            depth -= 1;
        } else if tag.starts_with("<stream:stream") {
            return Item::Whole(&text[..at]);
        } else if !tag.ends_with("/>") {
            depth += 1;
        }
        if depth == 0 {
            return Item::Whole(&text[..at]);
        }
    }
}

fn end_of_tag(tag: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in tag.char_indices() {
        match (quote, c) {
            (None, '>') => return Some(at + 1),
            (None, '\'' | '"') => quote = Some(c),
            (Some(q), c) if q == c => quote = None,
            _ => {}
        }
    }
    None
}

/// The text of an XML piece that may be shown.
pub(super) fn redacted(text: &str, cast: &mut Cast) -> String {
    let (mut out, mut rest, mut name) = (String::new(), text, String::new());
    while let Some(open) = rest.find('<') {
        content(&rest[..open], &name, cast, &mut out);
        let end = end_of_tag(&rest[open..]).unwrap_or(rest.len() - open);
        let tag = &rest[open..open + end];
        rest = &rest[open + end..];
        if tag.starts_with("<?") {
            out.push_str("<?xml version='1.0'?>");
        } else if tag.starts_with("</") {
            name.clear();
            out.push_str(&cast.word(tag));
        } else if !tag.starts_with("<!") {
            name = start(tag, cast, &mut out);
        }
    }
    content(rest, &name, cast, &mut out);
    out
}

/// Text between tags.
fn content(text: &str, name: &str, cast: &mut Cast, out: &mut String) {
    match name {
        _ if text.trim().is_empty() => out.push_str(text),
        "show" | "priority" | "basic" | "state" | "refresh" => out.push_str(&cast.word(text)),
        "resource" => out.push_str(&cast.device(text)),
        _ => out.push_str(&masked(&unescaped(text))),
    }
}

fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        plain.push('x');
        rest = rest[at..].split_once(';').map_or("", |(_, rest)| rest);
    }
    plain + rest
}

/// A start tag; the local name of its element.
fn start(tag: &str, cast: &mut Cast, out: &mut String) -> String {
    let inner = tag.trim_start_matches('<').trim_end_matches('>');
    let (inner, end) = inner.strip_suffix('/').map_or((inner, ">"), |inner| (inner, "/>"));
    let split = inner.find(|c: char| c.is_ascii_whitespace()).unwrap_or(inner.len());
    let (name, mut rest) = inner.split_at(split);
    out.push('<');
    out.push_str(&cast.word(name));
    while let Some((key, after)) = rest.split_once('=') {
        let (key, after) = (key.trim(), after.trim_start());
        let Some(quote) = after.chars().next().filter(|c| matches!(c, '\'' | '"')) else { break };
        let Some((value, more)) = after[1..].split_once(quote) else { break };
        rest = more;
        let (value, key) = (attribute(key, value, cast), cast.word(key));
        out.push_str(&format!(" {key}={quote}{value}{quote}"));
    }
    out.push_str(end);
    name.rsplit(':').next().unwrap_or(name).to_owned()
}

fn attribute(key: &str, value: &str, cast: &mut Cast) -> String {
    match key {
        "from" | "to" | "jid" | "by" => cast.jid(value),
        "entity" => match value.split_once(':') {
            Some((scheme @ ("sip" | "sips" | "pres" | "im"), rest)) => format!("{scheme}:{}", cast.jid(rest)),
            _ => masked(&unescaped(value)),
        },
        "id" | "previd" => cast.id(value),
        "version" | "xml:lang" | "type" | "mechanism" | "h" | "max" | "resume" | "subscription" | "ask"
        | "code" => cast.word(value),
        key if key == "xmlns" || key.starts_with("xmlns:") => cast.word(value),
        _ => masked(&unescaped(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_cut_at_its_elements() {
        let header = "<?xml version='1.0'?><stream:stream to='a>b'>";
        assert_eq!(item(&format!("{header}<a/>")), Item::Whole(header));
        assert_eq!(item("<a><b>x</b><c/></a><d/>"), Item::Whole("<a><b>x</b><c/></a>"));
        assert_eq!(item(" \n<a/>"), Item::Whole(" \n"));
        assert_eq!(item("</stream:stream>"), Item::Whole("</stream:stream>"));
        assert_eq!(item("<a><b x='"), Item::Partial);
        assert_eq!(item("<?xml version='1.0'?>"), Item::Partial);
        assert_eq!(
            (item("text"), item("oops<a/>"), item("</b>")),
            (Item::Partial, Item::Broken, Item::Broken)
        );
    }

    #[test]
    fn what_people_say_is_gone() {
        let mut cast = Cast::new(&["acme.test".into()], ["example.com", "example.org"]);
        let said = "<message to='Bob@acme.test/his desk' id='m1' nick='Bobby'><body>für &amp; wider</body><show>away</show></message>";
        let shown = "<message to='juliet@example.com/balcony' id='m1' nick='xxxxx'><body>xéx x xxxxx</body><show>away</show></message>";
        assert_eq!(redacted(said, &mut cast), shown);
        assert_eq!(
            redacted("<iq id='bob-7' to='BOB@else.test'/>", &mut cast),
            "<iq id='id1' to='juliet@elsewhere1.example'/>".replace("id1", &cast.id("bob-7"))
        );
    }
}

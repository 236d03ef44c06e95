//! The texts of an envelope: all that a person can have written, wherever it stands.

use model::{Event, Original, Part, ReceiptKind, lossy};
use std::borrow::Cow;

/// Attributes that people write into, or read.
const WRITTEN: &[&str] = &[
    "alt",
    "desc",
    "description",
    "filename",
    "href",
    "label",
    "name",
    "nick",
    "reason",
    "src",
    "title",
    "uri",
    "url",
    "value",
];

/// Elements that stand within a word and do not end it.
const INLINE: &[&str] =
    &["a", "b", "big", "code", "em", "font", "i", "s", "small", "span", "strong", "sub", "sup", "tt", "u"];

/// Bytes of the longest reference that a door lets through, without `&` and `;`: digits may have zeros before them.
const LONGEST_REFERENCE: usize = 13;

/// Every text of an event: bodies, subjects, notes, and what stands beside them in its sender's rendering, without the
/// markup between.
pub fn texts(event: &Event) -> Vec<Cow<'_, str>> {
    let mut all = Vec::new();
    match event {
        Event::Message(message) => match markup_of(&message.original) {
            // The rendering holds subject, bodies and all that stands beside them.
            Some(text) => all.push(text),
            None => {
                all.extend(message.subject.as_deref().map(Cow::Borrowed));
                all.extend(message.parts.iter().filter_map(of_part));
            }
        },
        Event::Receipt(receipt) => {
            all.extend(markup_of(&receipt.original));
            if let ReceiptKind::Failed(refusal) = &receipt.kind {
                all.extend(refusal.text.as_deref().map(Cow::Borrowed));
            }
        }
        Event::Composing(composing) => all.extend(markup_of(&composing.original)),
        Event::Publish(publish) => {
            for tuple in &publish.tuples {
                all.extend(tuple.notes.iter().map(|(_, note)| Cow::Borrowed(note.as_str())));
                all.extend(markup_of(&tuple.original));
            }
        }
        Event::Subscribe(subscribe) => {
            all.extend(subscribe.note.as_deref().map(Cow::Borrowed));
            all.extend(markup_of(&subscribe.original));
        }
        Event::Authorize(authorize) => all.extend(markup_of(&authorize.original)),
        Event::Opaque(opaque) => all.push(markup(&opaque.original.bytes)),
        // People read nothing of a call's set-up; whether there may be one, features say.
        Event::Notify(_) | Event::Call(_) => {}
    }
    all
}

fn markup_of(original: &Option<Original>) -> Option<Cow<'_, str>> {
    let original = original.as_ref()?;
    // What is no markup has its parts beside it.
    original.bytes.starts_with(b"<").then(|| markup(&original.bytes))
}

pub(super) fn of_part(part: &Part) -> Option<Cow<'_, str>> {
    let mime = part.mime.to_ascii_lowercase();
    if mime.starts_with("text/html") || mime.contains("xml") {
        return Some(markup(&part.body));
    }
    mime.starts_with("text/").then(|| lossy(&part.body))
}

/// What stands between the tags of XML or HTML, and in those attributes that people write into. Whatever is no markup
/// comes out as it went in.
pub fn markup(bytes: &[u8]) -> Cow<'_, str> {
    let text = lossy(bytes);
    if memchr::memchr2(b'<', b'&', text.as_bytes()).is_none() {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut aside = String::new();
    let mut rest = &*text;
    while let Some(at) = memchr::memchr(b'<', rest.as_bytes()) {
        decode(&rest[..at], &mut out);
        // Nobody sees a comment, so it does not end a word either.
        if let Some(comment) = rest[at..].strip_prefix("<!--") {
            let (inside, after) = comment.split_once("-->").unwrap_or((comment, ""));
            aside.push_str(inside);
            aside.push('\n');
            rest = after;
            continue;
        }
        let end = end_of_tag(&rest[at..]).map_or(rest.len(), |end| at + end);
        let tag = &rest[at + 1..end];
        let tag = tag.strip_suffix('>').unwrap_or(tag);
        if let Some(data) = tag.strip_prefix("![CDATA[") {
            out.push_str(data.trim_end_matches("]]"));
        } else {
            let name = tag.trim_start_matches('/');
            let end_of_name = name.bytes().position(|b| !b.is_ascii_alphanumeric()).unwrap_or(name.len());
            let name = &name[..end_of_name];
            if !INLINE.iter().any(|inline| name.eq_ignore_ascii_case(inline)) && !out.ends_with('\n') {
                out.push('\n');
            }
            // Most tags have none.
            if memchr::memchr(b'=', tag.as_bytes()).is_some() {
                attributes(&tag[tag.find(char::is_whitespace).unwrap_or(tag.len())..], &mut aside);
            }
        }
        rest = &rest[end..];
    }
    decode(rest, &mut out);
    if !aside.is_empty() {
        out.push('\n');
        out.push_str(&aside);
    }
    Cow::Owned(out)
}

/// Where the tag ends that the text begins with: not within quotes.
fn end_of_tag(text: &str) -> Option<usize> {
    if text.starts_with("<![CDATA[") {
        return text.find("]]>").map(|at| at + 3);
    }
    let bytes = text.as_bytes();
    let mut from = 1;
    // From one quote to its end, until the tag ends outside of all.
    while let Some(at) = bytes.get(from..).and_then(|rest| memchr::memchr3(b'>', b'"', b'\'', rest)) {
        let at = from + at;
        if bytes[at] == b'>' {
            return Some(at + 1);
        }
        from = at + 2 + memchr::memchr(bytes[at], &bytes[at + 1..])?;
    }
    None
}

fn attributes(mut rest: &str, out: &mut String) {
    while let Some(equals) = memchr::memchr(b'=', rest.as_bytes()) {
        let (name, after) = (rest[..equals].trim(), rest[equals + 1..].trim_start());
        let Some(quote) = after.bytes().next().filter(|b| matches!(b, b'"' | b'\'')) else { return };
        let Some(end) = memchr::memchr(quote, &after.as_bytes()[1..]) else { return };
        let (value, left) = (&after[1..=end], &after[end + 2..]);
        if WRITTEN.iter().any(|written| name.eq_ignore_ascii_case(written)) {
            decode(value, out);
            out.push('\n');
        }
        rest = left;
    }
}

/// Resolves the references that XML has, and numbers.
fn decode(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'&', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let (name, after) = match rest[at + 1..].split_once(';') {
            Some((name, after)) if name.len() <= LONGEST_REFERENCE => (name, after),
            _ => {
                out.push('&');
                rest = &rest[at + 1..];
                continue;
            }
        };
        let number = name.strip_prefix('#').and_then(|number| match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => number.parse().ok(),
        });
        let meant = match name {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            "nbsp" => Some(' '),
            "shy" => Some('\u{ad}'),
            "zwnj" => Some('\u{200c}'),
            _ => number.and_then(char::from_u32),
        };
        match meant {
            Some(meant) => out.push(meant),
            None => {
                out.push('&');
                out.push_str(name);
                out.push(';');
            }
        }
        rest = after;
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_wrote_comes_out_of_markup() {
        for (given, wanted) in [
            ("plain 1 > 0", "plain 1 > 0"),
            ("<m id='4111'><body>a &amp; b</body></m>", "\na & b\n"),
            ("<body>&#x0000000066;alcon</body>", "\nfalcon\n"),
            ("<m><body>fal<b>con</b></body><x>y</x></m>", "\nfalcon\ny\n"),
            ("<a href='http://x/?a&amp;b' id='no'>t</a>", "t\nhttp://x/?a&b\n"),
            ("f&#97;lc&#x6f;n", "falcon"),
            ("a < b", "a \n"),
            ("AT&T & co", "AT&T & co"),
            ("<![CDATA[a<b]]>", "a<b"),
            ("<x title='a>b'>c</x>", "\nc\n\na>b\n"),
        ] {
            assert_eq!(markup(given.as_bytes()), wanted, "{given}");
        }
    }
}

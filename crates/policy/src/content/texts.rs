//! The texts of an envelope: all that a person can have written, wherever it stands.

use super::heads::heads;
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

/// Those of them that lead somewhere.
const LEADING: &[&str] = &["href", "src", "uri", "url"];

/// Elements that stand within a word and do not end it.
const INLINE: &[&str] = &[
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "del", "dfn", "em", "font", "i", "ins",
    "kbd", "label", "mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time",
    "tt", "u", "var", "wbr",
];

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
                all.extend(message.parts.iter().flat_map(of_part));
                all.extend(heads(message).into_iter().map(Cow::Owned));
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

/// What a part says; of HTML also what those read who get it without the markup, where that is something else.
pub(super) fn of_part(part: &Part) -> impl Iterator<Item = Cow<'_, str>> {
    let mime = part.mime.to_ascii_lowercase();
    let is_html = mime.starts_with("text/html") || mime.contains("xhtml");
    let first = match () {
        () if is_html || mime.contains("xml") => Some(markup(&part.body)),
        () if mime.starts_with("text/") => Some(lossy(&part.body)),
        // Whatever its type is called, words can be read.
        () => is_readable(&part.body).then(|| lossy(&part.body)),
    };
    let without = is_html.then(|| Cow::Owned(markup::html::plain(&lossy(&part.body))));
    let without = without.filter(|it| !first.as_ref().is_some_and(|first| says(first, it)));
    first.into_iter().chain(without)
}

/// Is most of it text, even if some is not?
fn is_readable(body: &[u8]) -> bool {
    let text = |b: &&u8| matches!(b, b' '..=b'~' | b'\t' | b'\n' | b'\r');
    std::str::from_utf8(body).is_ok() || body.iter().filter(text).count() * 8 > body.len() * 7
}

/// Does one say all that the other does, however it is broken into lines?
fn says(one: &str, other: &str) -> bool {
    let words = |text: &str| format!(" {} ", text.split_whitespace().collect::<Vec<_>>().join(" "));
    words(one).contains(&words(other))
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
        let begins = rest[at + 1..].chars().next();
        if !begins.is_some_and(|c| c.is_alphabetic() || matches!(c, '/' | '!' | '?' | '_' | ':')) {
            // No tag begins like this.
            out.push('<');
            rest = &rest[at + 1..];
            continue;
        }
        // Nobody sees a comment, so it does not end a word either.
        if let Some(comment) = rest[at..].strip_prefix("<!--") {
            let (inside, after) = comment.split_once("-->").unwrap_or((comment, ""));
            aside.push_str(inside);
            aside.push('\n');
            rest = after;
            continue;
        }
        // Where a quotation mark has no other, some take the first `>` for the end.
        let close = || memchr::memchr(b'>', &rest.as_bytes()[at..]).map(|end| end + 1);
        let end = end_of_tag(&rest[at..]).or_else(close).map_or(rest.len(), |end| at + end);
        let tag = &rest[at + 1..end];
        if !(tag.ends_with('>') && begins.is_some_and(|c| c.is_ascii())) {
            // XML has such names and HTML has not, and some show a tag that does not end.
            decode(tag, &mut aside);
            aside.push('\n');
        }
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
pub(crate) fn end_of_tag(text: &str) -> Option<usize> {
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

/// As HTML has them, too: without quotation marks, without values.
fn attributes(mut rest: &str, out: &mut String) {
    while let Some(equals) = memchr::memchr(b'=', rest.as_bytes()) {
        let (name, after) = (rest[..equals].trim_end(), rest[equals + 1..].trim_start());
        let name = name.rsplit(|c: char| c.is_whitespace() || c == '/').next().unwrap_or_default();
        let quote = after.bytes().next().filter(|b| matches!(b, b'"' | b'\''));
        let (value, left) = match quote {
            Some(quote) => match memchr::memchr(quote, &after.as_bytes()[1..]) {
                Some(end) => (&after[1..=end], &after[end + 2..]),
                None => (&after[1..], ""),
            },
            None => after.split_at(after.find(char::is_whitespace).unwrap_or(after.len())),
        };
        if WRITTEN.iter().any(|written| name.eq_ignore_ascii_case(written)) {
            let begun = out.len();
            decode(value, out);
            if LEADING.iter().any(|leading| name.eq_ignore_ascii_case(leading)) {
                // As a browser reads a URL (WHATWG URL, section 4.4).
                let link = out.split_off(begun);
                out.extend(link.chars().filter(|c| !matches!(c, '\t' | '\n' | '\r')));
            }
            out.push('\n');
        }
        rest = left;
    }
}

/// Resolves the references that XML has, numbers, and those of HTML for what stands in addresses; the `;` may be missing.
pub(crate) fn decode(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'&', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let number = rest.strip_prefix('#');
        let digits = number.unwrap_or(rest);
        let (digits, base) = match digits.strip_prefix(['x', 'X']).filter(|_| number.is_some()) {
            Some(hex) => (hex, 16),
            None => (digits, 10),
        };
        let is_part = |b: u8| match (number, base) {
            (Some(_), 16) => b.is_ascii_hexdigit(),
            (Some(_), _) => b.is_ascii_digit(),
            (None, _) => b.is_ascii_alphanumeric(),
        };
        let end = digits.bytes().position(|b| !is_part(b)).unwrap_or(digits.len());
        let (name, after) = digits.split_at(end);
        let meant = match number {
            Some(_) if name.is_empty() => None,
            // Any number of zeros may stand before.
            Some(_) => match name.trim_start_matches('0') {
                "" => Some('\0'),
                name => u32::from_str_radix(name, base).ok().and_then(char::from_u32),
            },
            None => NAMED.iter().find(|(it, _)| *it == name).map(|(_, meant)| *meant),
        };
        match meant {
            Some(meant) => {
                out.push(meant);
                rest = after.strip_prefix(';').unwrap_or(after);
            }
            None => out.push('&'),
        }
    }
    out.push_str(rest);
}

const NAMED: [(&str, char); 22] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", ' '),
    ("shy", '\u{ad}'),
    ("zwnj", '\u{200c}'),
    ("zwj", '\u{200d}'),
    ("ZeroWidthSpace", '\u{200b}'),
    ("period", '.'),
    ("colon", ':'),
    ("sol", '/'),
    ("bsol", '\\'),
    ("commat", '@'),
    ("lowbar", '_'),
    ("hyphen", '-'),
    ("dash", '-'),
    ("num", '#'),
    ("percnt", '%'),
    ("Tab", '\t'),
    ("NewLine", '\n'),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_is_also_read_as_those_get_it_who_cannot_show_it() {
        let html = |body: &'static str| Part {
            mime: "text/html".into(),
            lang: None,
            body: body.as_bytes().to_vec().into(),
        };
        for hidden in ["<p x=\">falcon\">", "fal<p>con", "fal<y></y>con", "<p x='>falcon", "<!-- > falcon"] {
            let part = html(hidden);
            assert!(of_part(&part).any(|text| text.contains("falcon")), "{hidden}");
        }
        assert_eq!(of_part(&html("<p>one</p><p>two <b>three</b></p>")).count(), 1, "it is said once");
    }

    #[test]
    fn what_people_wrote_comes_out_of_markup() {
        for (given, wanted) in [
            ("plain 1 > 0", "plain 1 > 0"),
            ("<m id='4111'><body>a &amp; b</body></m>", "\na & b\n"),
            ("<body>&#x0000000066;alcon</body>", "\nfalcon\n"),
            ("<m><body>fal<b>con</b></body><x>y</x></m>", "\nfalcon\ny\n"),
            ("<a href='http://x/?a&amp;b' id='no'>t</a>", "t\nhttp://x/?a&b\n"),
            ("f&#97;lc&#x6f;n", "falcon"),
            ("a < b", "a < b"),
            ("I <3 you falcon", "I <3 you falcon"),
            ("<p x='>4111 1111 http://evil.example/", "\n4111 1111 http://evil.example/"),
            ("<a href=http://evil.example/x>t</a>", "t\nhttp://evil.example/x\n"),
            ("<a download href=\"http://evil.example/\">t</a>", "t\nhttp://evil.example/\n"),
            ("<a href='ht&#10;tp://ev\til.example/'>t</a>", "t\nhttp://evil.example/\n"),
            ("f&#97lcon evil&period;example &#x0000000000000000000066;", "falcon evil.example f"),
            ("fal<cite>con</cite>", "falcon"),
            ("a <falcon", "a \n\nfalcon\n"),
            ("<\u{e9}falcon>x", "\nx\n\u{e9}falcon>\n"),
            ("AT&T & co", "AT&T & co"),
            ("<![CDATA[a<b]]>", "a<b"),
            ("<x title='a>b'>c</x>", "\nc\n\na>b\n"),
        ] {
            assert_eq!(markup(given.as_bytes()), wanted, "{given}");
        }
    }
}

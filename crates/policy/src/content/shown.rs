//! What whoever gets a message may be shown, as one text. A client chooses among bodies by language, or prefers markup to plain
//! text: whoever looks at a message for others must see what any of them shows.

use super::texts::of_part;
use model::{Message, Part};
use std::borrow::Cow;
use std::fmt::Write as _;

/// All that a message's bodies say: the first, and of each other what it says besides, behind its language or `also`.
pub fn shown(message: &Message) -> Cow<'_, str> {
    let mut bodies = message.parts.iter().flat_map(|part| of_part(part).map(move |text| (part, text)));
    let Some((_, first)) = bodies.next() else { return Cow::Borrowed("") };
    // Most have one.
    let mut rest = bodies.peekable();
    if rest.peek().is_none() {
        return first;
    }
    let (mut all, mut said) = (first.trim().to_owned(), format!(" {} ", squeezed(&first)));
    for (part, text) in rest {
        let is_new = |line: &str| !line.is_empty() && !said.contains(&format!(" {line} "));
        if text.lines().map(squeezed).any(|line| is_new(&line)) {
            let _ = write!(all, "\n[{}] {}", label(part), text.trim());
            let _ = write!(said, "{} ", squeezed(&text));
        }
    }
    Cow::Owned(all)
}

fn label(part: &Part) -> &str {
    part.lang.as_deref().unwrap_or("also")
}

/// With single blanks.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use compact_str::CompactString;

    #[test]
    fn no_body_hides_behind_another() {
        let text =
            |text: &str, lang: Option<&str>| Part::text(text.to_owned(), lang.map(CompactString::from));
        let html = |body: &str| Part { mime: "text/html".into(), ..text(body, None) };
        let file = Part { mime: "image/png".into(), lang: None, body: b"\x89PNG"[..].into() };
        let note = Part { mime: "application/x-note".into(), ..text("x", None) };
        for (parts, wanted) in [
            (vec![], ""),
            (vec![text("Lunch?", None)], "Lunch?"),
            (vec![html("<b>Lunch</b>?")], "Lunch?"),
            (
                vec![text("Lunch?", None), text("Falcon startet am 3.", Some("de"))],
                "Lunch?\n[de] Falcon startet am 3.",
            ),
            (
                vec![
                    text("See  http://x for more", None),
                    html("See <a href='http://x'>http://x</a> for more"),
                ],
                "See  http://x for more",
            ),
            (vec![text("Falconry is fun", None), html("<p>Falcon</p>")], "Falconry is fun\n[also] Falcon"),
            (vec![file, text("a", None), text("a", Some("en"))], "a"),
            (vec![text("a", None), note], "a\n[also] x"),
        ] {
            let message = Message { parts, ..Message::default() };
            assert_eq!(shown(&message).trim(), wanted);
        }
    }
}

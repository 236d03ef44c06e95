//! What stands beside the text in an XMPP client's rendering of a message, and means something to a reader.

use memchr::memmem;
use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;

/// Message correction (XEP-0308).
const CORRECT: &str = "urn:xmpp:message-correct:0";
/// Message retraction (XEP-0424), in its versions.
const RETRACT: &str = "urn:xmpp:message-retract:";
/// The wrapper of its first version (XEP-0422).
const FASTEN: &str = "urn:xmpp:fasten:0";
/// Message reactions (XEP-0444).
const REACTIONS: &str = "urn:xmpp:reactions:0";
/// Links of files (XEP-0066).
const LINK: &str = "jabber:x:oob";
/// Small files within a message (XEP-0231).
const DATA: &str = "urn:xmpp:bob";

/// What a message does to an earlier one, which it names as that one's sender did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Turn {
    #[default]
    None,
    Edit(String),
    Retract(String),
    React(String, Vec<String>),
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Beside {
    pub turn: Turn,
    pub links: Vec<String>,
    /// Media type and Base64.
    pub data: Vec<(String, String)>,
}

/// Reads it as far as it is well-formed.
pub(crate) fn read(stanza: &[u8]) -> Beside {
    let mut beside = Beside::default();
    let any = [CORRECT, RETRACT, REACTIONS, LINK, DATA];
    if !any.iter().any(|ns| memmem::find(stanza, ns.as_bytes()).is_some()) {
        return beside;
    }
    let Ok(text) = std::str::from_utf8(stanza) else { return beside };
    let mut reader = NsReader::from_str(text);
    let (mut depth, mut fastened, mut text, mut wanted) = (0, None, String::new(), false);
    loop {
        let Ok((ns, event)) = reader.read_resolved_event() else { return beside };
        let (element, is_empty) = match &event {
            Event::Start(element) => (Some(element), false),
            Event::Empty(element) => (Some(element), true),
            _ => (None, false),
        };
        if let Some(element) = element {
            let ResolveResult::Bound(ns) = ns else {
                depth += u32::from(!is_empty);
                continue;
            };
            let ns = ns.into_inner().to_owned();
            wanted = false;
            match (ns.as_str(), element.local_name().as_ref()) {
                (CORRECT, "replace") if depth == 1 => beside.turn = Turn::Edit(attribute(element, "id")),
                (FASTEN, "apply-to") if depth == 1 => fastened = Some(attribute(element, "id")),
                (ns, "retract") if ns.starts_with(RETRACT) && (depth == 1 || fastened.is_some()) => {
                    let own = attribute(element, "id");
                    beside.turn = Turn::Retract(fastened.take().unwrap_or(own));
                }
                (REACTIONS, "reactions") if depth == 1 => {
                    beside.turn = Turn::React(attribute(element, "id"), Vec::new());
                }
                (REACTIONS, "reaction") | (LINK, "url") => wanted = true,
                (DATA, "data") if depth == 1 => {
                    beside.data.push((attribute(element, "type"), String::new()));
                    wanted = true;
                }
                _ => {}
            }
            text.clear();
            depth += u32::from(!is_empty);
            continue;
        }
        match event {
            Event::Text(piece) if wanted => text.push_str(&piece.xml10_content()),
            Event::GeneralRef(name) if wanted => text.push_str(&reference(&name.into_inner())),
            Event::End(element) => {
                depth = depth.saturating_sub(1);
                if wanted {
                    let said = std::mem::take(&mut text);
                    match (element.local_name().as_ref(), &mut beside.turn) {
                        ("reaction", Turn::React(_, all)) => all.push(said),
                        ("url", _) => beside.links.push(said),
                        ("data", _) => {
                            if let Some(last) = beside.data.last_mut() {
                                last.1 = said;
                            }
                        }
                        _ => {}
                    }
                    wanted = false;
                }
            }
            Event::Eof => return beside,
            _ => {}
        }
    }
}

/// A reference of XML, resolved.
fn reference(name: &str) -> String {
    let number = name.strip_prefix('#').and_then(|n| match n.strip_prefix('x') {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => n.parse().ok(),
    });
    match (name, number.and_then(char::from_u32)) {
        (_, Some(c)) => c.to_string(),
        ("amp", _) => "&".into(),
        ("lt", _) => "<".into(),
        ("gt", _) => ">".into(),
        ("quot", _) => "\"".into(),
        ("apos", _) => "'".into(),
        _ => format!("&{name};"),
    }
}

fn attribute(element: &BytesStart<'_>, name: &str) -> String {
    let found = element.attributes().flatten().find(|attribute| attribute.key.as_ref() == name);
    let value = found.map(|attribute| attribute.value).unwrap_or_default();
    quick_xml::escape::unescape(&value).map(|value| value.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_is_found() {
        let turn = |inside: &str| {
            read(format!("<message xmlns='jabber:client' id='m'>{inside}</message>").as_bytes())
        };
        let of = |beside: Beside| beside.turn;
        let edit = "<body>b</body><replace id='a&amp;1' xmlns='urn:xmpp:message-correct:0'/>";
        assert_eq!(of(turn(edit)), Turn::Edit("a&1".into()));
        let old = "<apply-to id='m1' xmlns='urn:xmpp:fasten:0'><retract xmlns='urn:xmpp:message-retract:0'/></apply-to>";
        assert_eq!(of(turn(old)), Turn::Retract("m1".into()));
        assert_eq!(
            of(turn("<retract id='m2' xmlns='urn:xmpp:message-retract:1'/>")),
            Turn::Retract("m2".into())
        );
        let react = "<reactions id='m3' xmlns='urn:xmpp:reactions:0'><reaction>👍</reaction><reaction>&lt;3</reaction></reactions>";
        assert_eq!(of(turn(react)), Turn::React("m3".into(), vec!["👍".into(), "<3".into()]));
        // Within somebody else's message it means nothing.
        let quoted = "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><replace id='x' xmlns='urn:xmpp:message-correct:0'/></message></forwarded>";
        assert_eq!(of(turn(quoted)), Turn::None);
        let files = turn(
            "<x xmlns='jabber:x:oob'><url>https://h/a?b&amp;c</url></x><data xmlns='urn:xmpp:bob' type='image/png' cid='c'>aGk=</data>",
        );
        assert_eq!(files.links, ["https://h/a?b&c"]);
        assert_eq!(files.data, [("image/png".to_owned(), "aGk=".to_owned())]);
        assert_eq!(turn("<replace id='x' xmlns='urn:xmpp:message-correct:0'><").turn, Turn::Edit("x".into()));
    }
}

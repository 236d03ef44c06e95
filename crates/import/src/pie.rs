//! The portable format for servers (XEP-0227): archived messages, and those that waited for somebody. Read as a stream.

use crate::element::{CLIENT, Element, Node};
use crate::{Bad, Said};
use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// Elements within one another, at most.
const DEEPEST: usize = 64;
/// Whatever is longer is no message.
const LONGEST: usize = 4 << 20;
/// Delayed delivery (XEP-0203): when it was said.
const DELAY: &str = "urn:xmpp:delay";

pub(crate) fn read(
    path: &Path,
    hear: &mut dyn FnMut(Result<Said, Bad>) -> Result<(), Bad>,
) -> Result<(), Bad> {
    let wrong = |why: &dyn std::fmt::Display| Bad::new(path.display(), why);
    let file = File::open(path).map_err(|e| wrong(&e))?;
    let mut text = String::new();
    BufReader::new(file).read_to_string(&mut text).map_err(|e| wrong(&e))?;
    let mut reader = NsReader::from_str(&text);
    let (mut host, mut user, mut depth, mut is_data) = (String::new(), String::new(), 0, false);
    loop {
        let at = usize::try_from(reader.buffer_position()).unwrap_or(0);
        let line = || text.as_bytes()[..at.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1;
        let (ns, event) = reader
            .read_resolved_event()
            .map_err(|e| Bad::new(format!("{}:{}", path.display(), line()), e))?;
        let start = match &event {
            Event::Start(start) => start,
            Event::Empty(start) if depth > 2 && start.local_name().as_ref() == "message" => {
                let place = format!("{}:{} ({user}@{host})", path.display(), line());
                hear(said(&element(start, bound(&ns)), &place).map_err(|why| Bad::new(&place, why)))?;
                continue;
            }
            Event::End(_) => {
                depth -= 1;
                continue;
            }
            Event::Eof if is_data => return Ok(()),
            Event::Eof => return Err(wrong(&"this is no <server-data/> of XEP-0227")),
            Event::DocType(_) => return Err(wrong(&"a document type is not read")),
            _ => continue,
        };
        let ns = bound(&ns);
        match start.local_name().as_ref() {
            "server-data" => is_data = true,
            "host" => host = attribute(start, "jid"),
            "user" => user = attribute(start, "name"),
            "result" | "message" if depth > 2 => {
                let place = format!("{}:{} ({user}@{host})", path.display(), line());
                let start = start.clone().into_owned();
                let outer = element(&start, ns);
                let whole = rest(&mut reader, outer, 0).map_err(|why| Bad::new(&place, why))?;
                hear(said(&whole, &place).map_err(|why| Bad::new(&place, why)))?;
                continue;
            }
            _ => {}
        }
        depth += 1;
    }
}

fn bound(ns: &ResolveResult<'_>) -> String {
    match ns {
        ResolveResult::Bound(ns) => ns.into_inner().to_owned(),
        _ => String::new(),
    }
}

fn attribute(start: &BytesStart<'_>, name: &str) -> String {
    let found = start.attributes().flatten().find(|attribute| attribute.key.as_ref() == name);
    let value = found.map(|attribute| attribute.value).unwrap_or_default();
    quick_xml::escape::unescape(&value).map(|value| value.into_owned()).unwrap_or_default()
}

fn element(start: &BytesStart<'_>, ns: String) -> Element {
    let mut element = Element::new(start.local_name().as_ref(), &ns);
    for attribute in start.attributes().flatten() {
        let key: &str = attribute.key.as_ref();
        if key == "xmlns" || (key.contains(':') && key != "xml:lang") {
            continue;
        }
        let value = quick_xml::escape::unescape(&attribute.value).map(|v| v.into_owned()).unwrap_or_default();
        element.attrs.push((key.to_owned(), value));
    }
    element
}

/// The content of an element that has begun.
fn rest(reader: &mut NsReader<&[u8]>, mut outer: Element, depth: usize) -> Result<Element, String> {
    if depth > DEEPEST {
        return Err("elements too deep within one another".into());
    }
    let begun = reader.buffer_position();
    loop {
        let (ns, event) = reader.read_resolved_event().map_err(|e| e.to_string())?;
        let ns = bound(&ns);
        match event {
            Event::Start(start) => {
                let inner = element(&start, ns);
                let inner = rest(reader, inner, depth + 1)?;
                outer.nodes.push(Node::Element(inner));
            }
            Event::Empty(start) => outer.nodes.push(Node::Element(element(&start, ns))),
            Event::End(_) => return Ok(outer),
            Event::Text(text) => outer.nodes.push(Node::Text(text.xml10_content().into_owned())),
            Event::CData(text) => outer.nodes.push(Node::Text(text.into_inner().into_owned())),
            Event::GeneralRef(name) => {
                let named =
                    |name: &str| quick_xml::escape::unescape(&format!("&{name};")).map(|t| t.into_owned());
                outer.nodes.push(Node::Text(named(&name.into_inner()).unwrap_or_default()));
            }
            Event::Eof => return Err("the file ends within it".into()),
            _ => {}
        }
        if reader.buffer_position() - begun > LONGEST as u64 {
            return Err("it is too long for a message".into());
        }
    }
}

/// An archived message in its wrapping, or one that waited, with its delay.
fn said(outer: &Element, place: &str) -> Result<Said, String> {
    let forwarded = outer.child("forwarded");
    let stanza = match forwarded {
        Some(forwarded) => forwarded.child("message").ok_or("nothing is forwarded")?,
        None if outer.name == "message" => outer,
        None => return Err("this holds no message".into()),
    };
    let around = forwarded.unwrap_or(stanza);
    let delay =
        around.children().chain(stanza.children()).find(|child| child.name == "delay" && child.ns == DELAY);
    let stamp = delay.and_then(|delay| delay.attr("stamp")).ok_or("it has no time")?;
    let at = crate::jsonl::time(stamp).ok_or_else(|| format!("{stamp:?} is no time"))?;
    let mut stanza = stanza.clone();
    stanza.ns = CLIENT.to_owned();
    Said::new(at, &stanza, place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_and_what_waited_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("host.xml");
        std::fs::write(
            &file,
            "<server-data xmlns='urn:xmpp:pie:0'><host jid='capulet.example'>\n<user name='juliet'>\
             <query xmlns='jabber:iq:roster'/>\
             <offline-messages><message xmlns='jabber:client' from='romeo@montague.example/o' to='juliet@capulet.example'><body>a &amp; b &lt;3</body>\
             <delay xmlns='urn:xmpp:delay' stamp='2023-11-14T22:13:20Z'/></message>\n<message xmlns='jabber:client' from='x@y' to='z@y'/></offline-messages>\
             <archive xmlns='urn:xmpp:pie:0#mam'><result xmlns='urn:xmpp:mam:2' id='7'><forwarded xmlns='urn:xmpp:forward:0'>\
             <delay xmlns='urn:xmpp:delay' stamp='2023-11-14T23:13:20.250+01:00'/><message xmlns='jabber:client' from='juliet@capulet.example' \
             to='romeo@montague.example' id='m'><body>c</body><x xmlns='u:v' k=\"'\"/></message></forwarded></result></archive></user></host></server-data>",
        )
        .unwrap();
        let mut all = Vec::new();
        read(&file, &mut |said| {
            all.push(said);
            Ok(())
        })
        .unwrap();
        assert_eq!(all.len(), 3, "{all:?}");
        assert!(all[0].as_ref().unwrap().stanza.contains("<body>a &amp; b &lt;3</body>"), "{all:?}");
        let bad = all[1].as_ref().unwrap_err().to_string();
        assert!(bad.contains("host.xml:3 (juliet@capulet.example): it has no time"), "{bad}");
        let last = all[2].as_ref().unwrap();
        assert_eq!(last.at, 1_700_000_000_250);
        assert!(
            last.stanza.ends_with("<body>c</body><x xmlns='u:v' k='&apos;'/></message>"),
            "{}",
            last.stanza
        );
    }
}

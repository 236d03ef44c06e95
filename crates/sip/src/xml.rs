//! A small XML reader for bodies: one tree, bounded in size, depth and number of nodes, without DTDs.

use markup::xml::can_hold;
use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;

const MAX_BYTES: usize = 64 * 1024;
const MAX_DEPTH: usize = 16;
const MAX_NODES: usize = 2000;

/// One element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// Local name.
    pub name: String,
    /// Namespace, empty for none.
    pub ns: String,
    /// Attributes by qualified name; declarations of namespaces left out.
    pub attrs: Vec<(String, String)>,
    /// Child elements, in order.
    pub nodes: Vec<Node>,
    /// All character data directly inside.
    pub text: String,
}

impl Node {
    /// The first child of a local name, whatever its namespace: senders are careless about them.
    pub fn child(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|n| n.name == name)
    }

    /// One attribute.
    pub fn attr(&self, name: &str) -> Option<&str> {
        self.attrs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// Reads a document. `None` if it is not well-formed or goes over a limit.
pub fn parse(bytes: &[u8]) -> Option<Node> {
    if bytes.len() > MAX_BYTES {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    if !text.chars().all(can_hold) {
        return None;
    }
    let mut reader = NsReader::from_str(text.trim_start_matches('\u{feff}').trim());
    let mut open: Vec<Node> = Vec::new();
    let mut count = 0;
    loop {
        let (ns, event) = reader.read_resolved_event().ok()?;
        let ns = match ns {
            ResolveResult::Bound(ns) => ns.into_inner().to_owned(),
            _ => String::new(),
        };
        let closed = match event {
            Event::Start(start) => {
                count += 1;
                if open.len() >= MAX_DEPTH || count > MAX_NODES {
                    return None;
                }
                open.push(element(&start, ns)?);
                None
            }
            Event::Empty(start) => {
                count += 1;
                if count > MAX_NODES {
                    return None;
                }
                Some(element(&start, ns)?)
            }
            Event::End(_) => Some(open.pop()?),
            Event::Text(t) => {
                if let Some(node) = open.last_mut() {
                    node.text.push_str(&t.xml10_content());
                }
                None
            }
            Event::CData(t) => {
                open.last_mut()?.text.push_str(&t.into_inner());
                None
            }
            Event::GeneralRef(r) => {
                let c = match r.resolve_char_ref().ok()? {
                    Some(c) if !can_hold(c) => return None,
                    Some(c) => c,
                    None => match &*r.into_inner() {
                        "lt" => '<',
                        "gt" => '>',
                        "amp" => '&',
                        "apos" => '\'',
                        "quot" => '"',
                        _ => return None,
                    },
                };
                open.last_mut()?.text.push(c);
                None
            }
            // Entity bombs live in here.
            Event::DocType(_) => return None,
            Event::Eof => return None,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => None,
        };
        if let Some(node) = closed {
            match open.last_mut() {
                Some(parent) => parent.nodes.push(node),
                None => return Some(node),
            }
        }
    }
}

fn element(start: &BytesStart<'_>, ns: String) -> Option<Node> {
    let mut attrs = Vec::new();
    for a in start.attributes() {
        let a = a.ok()?;
        if a.key.as_namespace_binding().is_some() {
            continue;
        }
        let value = quick_xml::escape::unescape(&a.value).ok()?.into_owned();
        attrs.push((a.key.as_ref().to_owned(), value));
    }
    Some(Node {
        name: start.local_name().as_ref().to_owned(),
        ns,
        attrs,
        nodes: Vec::new(),
        text: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_read_with_entities_and_namespaces() {
        let n = parse(b"<?xml version='1.0'?><!-- c --><a xmlns='u:1' k='&lt;x'><p:b xmlns:p='u:2'>1 &amp; &#x32;<![CDATA[<3>]]></p:b><c/></a>").unwrap();
        assert_eq!((n.name.as_str(), n.ns.as_str(), n.attr("k")), ("a", "u:1", Some("<x")));
        let b = n.child("b").unwrap();
        assert_eq!((b.ns.as_str(), b.text.as_str()), ("u:2", "1 & 2<3>"));
        assert!(n.child("c").is_some());
    }

    #[test]
    fn hostile_documents_are_refused() {
        let deep = "<a>".repeat(100);
        let wide = format!("<a>{}</a>", "<b/>".repeat(3000));
        let big = format!("<a>{}</a>", "x".repeat(70_000));
        for bad in [
            "",
            "<a>",
            "<a></b>",
            "text",
            "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
            "<a>&x;</a>",
            "<a b=c/>",
            &deep,
            &wide,
            &big,
        ] {
            assert!(parse(bad.as_bytes()).is_none(), "{}", &bad[..bad.len().min(40)]);
        }
        assert!(parse(b"\xff<a/>").is_none());
    }

    #[test]
    fn what_we_write_is_read_back() {
        let text = "<&>\"' \u{1}ü\r\n\t";
        let n = parse(format!("<a k=\"{0}\">{0}</a>", markup::xml::escaped(text)).as_bytes()).unwrap();
        assert_eq!(n.text, "<&>\"' \u{fffd}ü\r\n\t");
        assert_eq!(n.attr("k"), Some("<&>\"' \u{fffd}ü\r\n\t"));
    }
}

//! An element of XML, as far as history needs it.

use std::fmt::Write as _;

/// A piece of an element's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Another element.
    Element(Element),
    /// Text.
    Text(String),
}

/// An element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    /// Its local name.
    pub name: String,
    /// Its namespace; empty: that of the element around it.
    pub ns: String,
    /// Its attributes.
    pub attrs: Vec<(String, String)>,
    /// Its content.
    pub nodes: Vec<Node>,
}

/// The namespace of clients' stanzas.
pub(crate) const CLIENT: &str = "jabber:client";

impl Element {
    /// One without content.
    pub fn new(name: &str, ns: &str) -> Self {
        Self { name: name.to_owned(), ns: ns.to_owned(), ..Self::default() }
    }

    /// The same with an attribute.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.attrs.push((name.to_owned(), value.into()));
        self
    }

    /// The same with text.
    #[must_use]
    pub fn saying(mut self, text: impl Into<String>) -> Self {
        self.nodes.push(Node::Text(text.into()));
        self
    }

    /// The same with an element in it.
    #[must_use]
    pub fn holding(mut self, element: Element) -> Self {
        self.nodes.push(Node::Element(element));
        self
    }

    /// An attribute.
    pub fn attr(&self, name: &str) -> Option<&str> {
        self.attrs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The elements in it.
    pub fn children(&self) -> impl Iterator<Item = &Element> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The first element in it of this name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children().find(|child| child.name == name)
    }

    /// The text directly in it.
    pub fn text(&self) -> String {
        let texts = self.nodes.iter().filter_map(|node| match node {
            Node::Text(text) => Some(text.as_str()),
            Node::Element(_) => None,
        });
        texts.collect()
    }

    /// Can everybody read it? Names in XMPP are ASCII, whatever else a file holds would end up between the tags; and a
    /// namespace with a space ends the stream of whoever reads with expat.
    pub(crate) fn is_sound(&self) -> bool {
        is_name(&self.name) && !self.ns.contains(|c: char| c.is_whitespace() || c.is_control())
    }

    /// As XML, within this namespace.
    pub fn to_xml(&self, around: &str) -> String {
        let mut out = String::new();
        self.write(around, true, &mut out);
        out
    }

    fn write(&self, around: &str, outermost: bool, out: &mut String) {
        let ns = if self.ns.is_empty() { around } else { &self.ns };
        let _ = write!(out, "<{}", self.name);
        if ns != around || outermost {
            out.push_str(" xmlns='");
            markup::xml::attribute(ns, out);
            out.push('\'');
        }
        for (name, value) in &self.attrs {
            let _ = write!(out, " {name}='");
            markup::xml::attribute(value, out);
            out.push('\'');
        }
        if self.nodes.is_empty() {
            out.push_str("/>");
            return;
        }
        out.push('>');
        for node in &self.nodes {
            match node {
                Node::Element(element) => element.write(ns, false, out),
                Node::Text(text) => markup::xml::text(text, out),
            }
        }
        let _ = write!(out, "</{}>", self.name);
    }
}

/// A name of XML, as far as XMPP has any.
pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_the_same() {
        let said = Element::new("body", CLIENT).with("title", "a'\"<").saying("b\r\n&\u{1}]]>");
        assert_eq!(
            said.to_xml(CLIENT),
            "<body xmlns='jabber:client' title='a&apos;&quot;&lt;'>b&#13;\n&amp;\u{fffd}]]&gt;</body>"
        );
    }
}

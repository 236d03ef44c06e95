//! A flat, read-only tree over the bytes of one element. Built only where the server is the addressee or a
//! translation must look inside; everything else lives on the index.

use std::borrow::Cow;

use super::names::{Binding, Bindings, Scope};
use super::span::Span;
use super::stanza::Stanza;
use super::tag::Attrs;
use super::text::{content, tag_end, unescape};

/// More elements than this in one stanza the server itself will not read.
const NODES: usize = 8192;

#[derive(Clone, Copy, Debug)]
struct Node {
    name: Span,
    ns: Scope,
    whole: Span,
    inner: Span,
    /// The node behind this one's last descendant.
    next: u32,
}

/// The elements of one stanza in document order.
#[derive(Debug)]
pub struct Tree<'a> {
    bytes: &'a [u8],
    header: &'a [Binding],
    nodes: Vec<Node>,
}

impl<'a> Tree<'a> {
    /// Reads a stanza the scanner has approved. `None`: more elements than the server will read.
    pub fn of(stanza: &Stanza<'a>) -> Option<Tree<'a>> {
        Tree::read(stanza.bytes(), stanza.header())
    }

    /// Reads one element that has been validated before.
    pub fn read(bytes: &'a [u8], header: &'a [Binding]) -> Option<Tree<'a>> {
        let mut tree = Tree { bytes, header, nodes: Vec::new() };
        let mut bindings = Bindings::default();
        // Open elements: node, and how many bindings were in force before it.
        let mut open: Vec<(usize, usize)> = Vec::new();
        let mut at = 0;
        while let Some(i) = bytes[at..].iter().position(|b| *b == b'<') {
            let from = at + i;
            let rest = &bytes[from..];
            if rest.starts_with(b"<![CDATA[") {
                at = from + rest.windows(3).position(|w| w == b"]]>")? + 3;
                continue;
            }
            let end = from + tag_end(rest);
            if rest.get(1) == Some(&b'/') {
                let (n, before) = open.pop()?;
                bindings.truncate(before);
                let next = tree.nodes.len() as u32;
                let node = &mut tree.nodes[n];
                node.inner.len = from as u32 - node.inner.at;
                node.whole.len = end as u32 - node.whole.at;
                node.next = next;
            } else {
                let before = bindings.len();
                tree.begin(from, end, &mut bindings)?;
                if rest[..end - from].ends_with(b"/>") {
                    bindings.truncate(before);
                } else {
                    open.push((tree.nodes.len() - 1, before));
                }
            }
            at = end;
            if open.is_empty() {
                break;
            }
        }
        (open.is_empty() && !tree.nodes.is_empty()).then_some(tree)
    }

    fn begin(&mut self, from: usize, end: usize, bindings: &mut Bindings) -> Option<()> {
        if self.nodes.len() >= NODES {
            return None;
        }
        let before = bindings.len();
        let tag = &self.bytes[from..end];
        for (name, value) in Attrs::of(tag) {
            let prefix = match name.strip_prefix(b"xmlns") {
                Some([]) => &name[..0],
                Some([b':', prefix @ ..]) => prefix,
                _ => continue,
            };
            let span = |part: &[u8]| {
                let at = part.as_ptr() as usize - self.bytes.as_ptr() as usize;
                Span::new(at, at + part.len())
            };
            bindings.declare(self.bytes, span(prefix), span(value), before).ok()?;
        }
        let stop = tag[1..].iter().position(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n' | b'/' | b'>'))? + 1;
        let colon = tag[1..stop].iter().position(|b| *b == b':');
        let (prefix, local) = match colon {
            Some(c) => (&tag[1..1 + c], Span::new(from + c + 2, from + stop)),
            None => (&tag[..0], Span::new(from + 1, from + stop)),
        };
        let ns = bindings.resolve(self.bytes, prefix, self.header)?;
        let next = self.nodes.len() as u32 + 1;
        self.nodes.push(Node {
            name: local,
            ns,
            whole: Span::new(from, end),
            inner: Span::new(end, end),
            next,
        });
        Some(())
    }

    /// The outermost element.
    pub fn root(&self) -> Element<'a, '_> {
        Element { tree: self, at: 0 }
    }
}

/// One element of a [`Tree`].
#[derive(Clone, Copy, Debug)]
pub struct Element<'a, 't> {
    tree: &'t Tree<'a>,
    at: usize,
}

impl<'a, 't> Element<'a, 't> {
    fn node(&self) -> &'t Node {
        &self.tree.nodes[self.at]
    }

    /// The name without prefix.
    pub fn name(&self) -> &'a [u8] {
        self.node().name.of(self.tree.bytes)
    }

    /// The namespace name.
    pub fn ns(&self) -> &'t [u8] {
        self.node().ns.name(self.tree.bytes, self.tree.header)
    }

    /// Is it this element?
    pub fn is(&self, name: &str, ns: &str) -> bool {
        self.name() == name.as_bytes() && self.ns() == ns.as_bytes()
    }

    /// An attribute by its qualified name.
    pub fn attr(&self, name: &str) -> Option<Cow<'a, str>> {
        Attrs::raw(self.raw(), name.as_bytes()).map(unescape)
    }

    /// Its own character data.
    pub fn text(&self) -> Cow<'a, str> {
        content(self.inner())
    }

    /// The bytes between its tags.
    pub fn inner(&self) -> &'a [u8] {
        self.node().inner.of(self.tree.bytes)
    }

    /// All its bytes.
    pub fn raw(&self) -> &'a [u8] {
        self.node().whole.of(self.tree.bytes)
    }

    /// Its direct children.
    pub fn children(&self) -> impl Iterator<Item = Element<'a, 't>> + use<'a, 't> {
        let tree = self.tree;
        let end = self.node().next as usize;
        let mut at = self.at + 1;
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let child = Element { tree, at };
            at = child.node().next as usize;
            Some(child)
        })
    }

    /// The first direct child with this name and namespace.
    pub fn child(&self, name: &str, ns: &str) -> Option<Element<'a, 't>> {
        self.children().find(|c| c.is(name, ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_knows_its_children_and_namespaces() {
        let xml = b"<iq id='1' xmlns='jabber:client' xmlns:r='jabber:iq:roster'><r:query ver='a&amp;b'>\
            <r:item jid='x@y'><r:group>A<![CDATA[<&]]></r:group></r:item><r:item jid='z'/></r:query><x xmlns=''/></iq>";
        let tree = Tree::read(xml, &[]).unwrap();
        let root = tree.root();
        assert!(root.is("iq", "jabber:client"));
        let query = root.child("query", "jabber:iq:roster").unwrap();
        assert_eq!(query.attr("ver").unwrap(), "a&b");
        let items: Vec<_> = query.children().filter_map(|i| i.attr("jid")).collect();
        assert_eq!(items, ["x@y", "z"]);
        let group = query.children().next().unwrap().children().next().unwrap();
        assert_eq!(group.text(), "A<&");
        assert!(root.child("x", "").is_some());
    }
}

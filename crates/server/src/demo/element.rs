//! Just enough XML for a client that trusts its server's well-formedness: streams cut into elements, elements read
//! into trees. Names are local names; what namespace an element is in shows in its `xmlns`.

/// An element with everything in it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Element {
    /// Local name.
    pub name: String,
    attrs: Vec<(String, String)>,
    /// Its own text.
    pub text: String,
    /// Its children.
    pub children: Vec<Element>,
}

impl Element {
    /// An attribute, or nothing.
    pub fn attr(&self, name: &str) -> &str {
        self.attrs.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }

    /// The first child of this name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|c| c.name == name)
    }

    /// The text of the first child of this name, or nothing.
    pub fn text_of(&self, name: &str) -> &str {
        self.child(name).map_or("", |c| c.text.trim())
    }

    /// The first element of this name at any depth, itself included.
    pub fn find(&self, name: &str) -> Option<&Element> {
        if self.name == name {
            return Some(self);
        }
        self.children.iter().find_map(|c| c.find(name))
    }
}

/// Reads what stands at the front of a stream and says how many bytes that took: an element, an opening
/// `stream:stream` (without children), or the closing one (named `/stream`). `None` while it is not all there.
pub fn cut(bytes: &[u8]) -> Option<(Element, usize)> {
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        // The rest of a character is still to come.
        Err(e) => std::str::from_utf8(&bytes[..e.valid_up_to()]).ok()?,
    };
    let mut at = 0;
    loop {
        let rest = &valid[at..];
        let start = rest.find('<')?;
        let rest = &rest[start..];
        at += start;
        if rest.starts_with("<?") {
            at += rest.find("?>")? + 2;
        } else if rest.starts_with("</") {
            let end = rest.find('>')? + 1;
            return Some((Element { name: "/stream".into(), ..Element::default() }, at + end));
        } else if rest.starts_with("<stream:stream") {
            let (element, _, used) = opening(rest)?;
            return Some((element, at + used));
        } else {
            let (element, used) = whole(rest)?;
            return Some((element, at + used));
        }
    }
}

/// A whole element.
fn whole(text: &str) -> Option<(Element, usize)> {
    let (mut element, closed, mut at) = opening(text)?;
    if closed {
        return Some((element, at));
    }
    loop {
        let rest = text.get(at..)?;
        let next = rest.find('<')?;
        element.text.push_str(&unescape(&rest[..next]));
        at += next;
        let rest = &rest[next..];
        if rest.starts_with("</") {
            return Some((element, at + rest.find('>')? + 1));
        }
        let (child, used) = whole(rest)?;
        element.children.push(child);
        at += used;
    }
}

/// A start tag: the element, whether it is empty, and its length.
fn opening(text: &str) -> Option<(Element, bool, usize)> {
    let mut quote = None;
    let end = text.char_indices().find(|(_, c)| match (quote, *c) {
        (None, '>') => true,
        (None, '"' | '\'') => {
            quote = Some(*c);
            false
        }
        (Some(q), c) if q == c => {
            quote = None;
            false
        }
        _ => false,
    })?;
    let inner = text[1..end.0].trim_end();
    let (inner, closed) = match inner.strip_suffix('/') {
        Some(inner) => (inner, true),
        None => (inner, false),
    };
    let name_end = inner.find(char::is_whitespace).unwrap_or(inner.len());
    let mut element = Element { name: local(&inner[..name_end]), ..Element::default() };
    let mut rest = inner[name_end..].trim_start();
    while let Some((name, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let quote = after.chars().next()?;
        let (value, next) = after[1..].split_once(quote)?;
        element.attrs.push((name.trim().to_owned(), unescape(value)));
        rest = next.trim_start();
    }
    Some((element, closed, end.0 + 1))
}

fn local(name: &str) -> String {
    name.rsplit(':').next().unwrap_or(name).to_owned()
}

fn unescape(text: &str) -> String {
    let mut out = text.to_owned();
    // The ampersand last, or what it protects would be resolved twice.
    for (entity, plain) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")] {
        if out.contains(entity) {
            out = out.replace(entity, plain);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_cut_and_wait_for_the_rest() {
        let stream = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' id=\"a>b\"><stream:features>\
            <m><v>A</v><v>B</v></m><e/></stream:features>\n<message from='a@b' to = 'c'><body>&lt;ü&amp;lt;</body></message>\
            </stream:stream>";
        let mut names = Vec::new();
        let mut rest = stream.as_bytes();
        while !rest.is_empty() {
            let (element, used) = cut(rest).unwrap();
            for short in 0..used {
                assert_eq!(cut(&rest[..short]), None);
            }
            names.push(element.name.clone());
            if element.name == "message" {
                assert_eq!((element.attr("from"), element.attr("to"), element.attr("id")), ("a@b", "c", ""));
                assert_eq!(element.text_of("body"), "<ü&lt;");
            }
            if element.name == "features" {
                assert_eq!(element.child("m").unwrap().children.len(), 2);
                assert_eq!(element.find("v").unwrap().text, "A");
            }
            rest = &rest[used..];
        }
        assert_eq!(names, ["stream", "features", "message", "/stream"]);
    }
}

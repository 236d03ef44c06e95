//! Writing XML: escaping and a builder that cannot leave a tag open.

/// Appends character data. Characters XML forbids become U+FFFD: what a foreign network let through must not end
/// a client's stream.
pub fn escape_text(text: &str, out: &mut Vec<u8>) {
    escape(text, out, |b| match b {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'\r' => Some("&#13;"),
        _ => None,
    });
}

/// Appends an attribute value; fits both kinds of quote.
pub fn escape_attr(text: &str, out: &mut Vec<u8>) {
    escape(text, out, |b| match b {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'\'' => Some("&apos;"),
        b'"' => Some("&quot;"),
        b'\t' => Some("&#9;"),
        b'\n' => Some("&#10;"),
        b'\r' => Some("&#13;"),
        _ => None,
    });
}

/// Appends an already escaped value, fit for single quotes.
pub(crate) fn escape_attr_bytes(raw: &[u8], out: &mut Vec<u8>) {
    for &b in raw {
        match b {
            b'\'' => out.extend_from_slice(b"&apos;"),
            _ => out.push(b),
        }
    }
}

fn escape(text: &str, out: &mut Vec<u8>, special: impl Fn(u8) -> Option<&'static str>) {
    let bytes = text.as_bytes();
    let mut from = 0;
    let mut i = 0;
    while i < bytes.len() {
        let b = bytes[i];
        let (code, len) = match b {
            0..=0x1f if !matches!(b, b'\t' | b'\n' | b'\r') => ("\u{fffd}", 1),
            0xef if bytes[i..].starts_with("\u{fffe}".as_bytes())
                || bytes[i..].starts_with("\u{ffff}".as_bytes()) =>
            {
                ("\u{fffd}", 3)
            }
            _ => match special(b) {
                Some(code) => (code, 1),
                None => {
                    i += 1;
                    continue;
                }
            },
        };
        out.extend_from_slice(&bytes[from..i]);
        out.extend_from_slice(code.as_bytes());
        i += len;
        from = i;
    }
    out.extend_from_slice(&bytes[from..]);
}

/// Builds one element into a byte buffer.
///
/// `open` and `attr` write a start tag, `text`, `raw` and nested `open`s its content, `end` its end. `finish`
/// closes whatever is open, so the result is always well formed.
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
    stack: Vec<&'static str>,
    in_tag: bool,
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Writer {
        Writer::default()
    }

    /// Begins an element.
    pub fn open(&mut self, name: &'static str) -> &mut Self {
        self.leave_tag();
        self.out.push(b'<');
        self.out.extend_from_slice(name.as_bytes());
        self.stack.push(name);
        self.in_tag = true;
        self
    }

    /// Begins an element in a namespace of its own.
    pub fn open_ns(&mut self, name: &'static str, ns: &str) -> &mut Self {
        self.open(name).attr("xmlns", ns)
    }

    /// Adds an attribute to the start tag just begun.
    pub fn attr(&mut self, name: &str, value: &str) -> &mut Self {
        if self.in_tag {
            self.out.push(b' ');
            self.out.extend_from_slice(name.as_bytes());
            self.out.extend_from_slice(b"='");
            escape_attr(value, &mut self.out);
            self.out.push(b'\'');
        }
        self
    }

    /// Adds an attribute if there is a value.
    pub fn attr_if(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.attr(name, value),
            None => self,
        }
    }

    /// Adds character data.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.leave_tag();
        escape_text(text, &mut self.out);
        self
    }

    /// Adds bytes that are well-formed content already.
    pub fn raw(&mut self, xml: &[u8]) -> &mut Self {
        if !xml.is_empty() {
            self.leave_tag();
            self.out.extend_from_slice(xml);
        }
        self
    }

    /// Ends the innermost element.
    pub fn end(&mut self) -> &mut Self {
        if let Some(name) = self.stack.pop() {
            if self.in_tag {
                self.out.extend_from_slice(b"/>");
                self.in_tag = false;
            } else {
                self.out.extend_from_slice(b"</");
                self.out.extend_from_slice(name.as_bytes());
                self.out.push(b'>');
            }
        }
        self
    }

    /// An element with nothing but text in it.
    pub fn leaf(&mut self, name: &'static str, text: &str) -> &mut Self {
        self.open(name);
        if !text.is_empty() {
            self.text(text);
        }
        self.end()
    }

    /// An empty element in a namespace of its own.
    pub fn empty_ns(&mut self, name: &'static str, ns: &str) -> &mut Self {
        self.open_ns(name, ns).end()
    }

    fn leave_tag(&mut self) {
        if self.in_tag {
            self.out.push(b'>');
            self.in_tag = false;
        }
    }

    /// Closes what is open and gives the bytes.
    pub fn finish(&mut self) -> Vec<u8> {
        while !self.stack.is_empty() {
            self.end();
        }
        std::mem::take(&mut self.out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_well_formed() {
        let mut w = Writer::new();
        w.open("iq")
            .attr("id", "a'b\"<>&\n")
            .open_ns("query", "urn:x")
            .leaf("a", "]]>\u{1}\u{ffff}\r")
            .leaf("b", "");
        assert_eq!(
            String::from_utf8(w.finish()).unwrap(),
            "<iq id='a&apos;b&quot;&lt;&gt;&amp;&#10;'><query xmlns='urn:x'><a>]]&gt;\u{fffd}\u{fffd}&#13;</a><b/></query></iq>"
        );
    }
}

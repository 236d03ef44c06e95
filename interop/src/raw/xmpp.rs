//! An XMPP client that says exactly what it is told to.

use std::path::Path;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Wire;
use crate::{DOMAIN, PASSWORD, SOON, at, parts};

/// The stream header of a sound client.
pub const OPEN: &str = "<?xml version='1.0'?><stream:stream to='example.com' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";

/// A stream.
pub struct Xmpp {
    /// The connection below.
    pub wire: Wire,
    /// The full address, once bound.
    pub jid: String,
    /// The domain that it speaks to.
    pub domain: String,
}

impl Xmpp {
    /// A stream on this connection, with nothing said.
    #[must_use]
    pub fn on(wire: Wire) -> Self {
        Self { wire, jid: String::new(), domain: DOMAIN.into() }
    }

    /// Connect with TLS, open the stream and take the features.
    ///
    /// # Panics
    /// If the server does not answer as it should.
    #[must_use]
    pub fn open(port: u16, ca: &Path) -> Self {
        let mut client = Self::on(Wire::tls(port, ca));
        client.reopen();
        client
    }

    /// Send a stream header, and take header and features of the server.
    ///
    /// # Panics
    /// If they do not come.
    pub fn reopen(&mut self) {
        self.wire.send(OPEN.replace(DOMAIN, &self.domain));
        self.expect("<stream:stream");
        self.expect("<stream:features");
    }

    /// Log in, without binding.
    ///
    /// # Panics
    /// If the server refuses.
    #[must_use]
    pub fn logged_in(port: u16, ca: &Path, user: &str) -> Self {
        let (name, domain) = parts(user);
        let mut client = Self::on(Wire::tls(port, ca));
        client.domain = domain.into();
        client.reopen();
        client.wire.send(auth("PLAIN", &plain(name, PASSWORD)));
        client.expect("<success");
        client.reopen();
        client
    }

    /// Log in, bind the resource, and be available.
    ///
    /// # Panics
    /// If the server refuses.
    #[must_use]
    pub fn online(port: u16, ca: &Path, user: &str, resource: &str) -> Self {
        let mut client = Self::logged_in(port, ca, user);
        client.bind(user, resource);
        client.wire.send("<presence/>");
        // What waited for the user may come before the fence: it is for whoever asked for this client.
        let early = client.fence().into_iter().filter(|element| element.starts_with("<message"));
        let early: Vec<u8> = early.flat_map(String::into_bytes).collect();
        client.wire.heard.splice(..0, early);
        client
    }

    /// Bind the resource.
    ///
    /// # Panics
    /// If the server refuses.
    pub fn bind(&mut self, user: &str, resource: &str) {
        self.wire.send(format!(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource></bind></iq>"
        ));
        let answer = self.expect("<iq");
        self.jid = format!("{}/{resource}", at(user));
        assert!(answer.contains(&self.jid), "bound otherwise: {answer}");
    }

    /// Everything said before is done when this returns. The elements that came first are returned.
    ///
    /// # Panics
    /// If the server does not answer.
    pub fn fence(&mut self) -> Vec<String> {
        let to = &self.domain;
        self.wire.send(format!("<iq type='get' id='fence' to='{to}'><ping xmlns='urn:xmpp:ping'/></iq>"));
        let mut before = Vec::new();
        loop {
            let element = self.next(Instant::now() + SOON).expect("the server answers a ping");
            if element.starts_with("<iq") && attribute(&element, "id").as_deref() == Some("fence") {
                return before;
            }
            before.push(element);
        }
    }

    /// The next element at the top of the stream, or a stream header; `None` when none comes.
    pub fn next(&mut self, deadline: Instant) -> Option<String> {
        loop {
            if let Some(length) = first(&self.wire.heard) {
                let bytes: Vec<u8> = self.wire.heard.drain(..length).collect();
                let text = String::from_utf8(bytes).expect("the server writes UTF-8");
                let text = text.trim_start();
                if text.starts_with("<?") || text.is_empty() {
                    continue;
                }
                return Some(text.to_owned());
            }
            if !self.wire.read(deadline) {
                return None;
            }
        }
    }

    /// Take elements up to the first that starts so.
    ///
    /// # Panics
    /// If none comes in time.
    pub fn expect(&mut self, start: &str) -> String {
        let mut seen = Vec::new();
        while let Some(element) = self.next(Instant::now() + SOON) {
            if element.starts_with(start) {
                return element;
            }
            seen.push(element);
        }
        panic!("no {start} came, but {seen:?}");
    }
}

/// A SASL request.
#[must_use]
pub fn auth(mechanism: &str, message: &[u8]) -> String {
    format!(
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>{}</auth>",
        STANDARD.encode(message)
    )
}

/// The message of PLAIN.
#[must_use]
pub fn plain(user: &str, password: &str) -> Vec<u8> {
    format!("\0{user}\0{password}").into_bytes()
}

/// An attribute of the outermost tag. The server's values hold no quotes.
#[must_use]
pub fn attribute(element: &str, name: &str) -> Option<String> {
    let tag = element.split('>').next()?;
    let (_, rest) = tag.split_once(&format!(" {name}="))?;
    let quote = rest.chars().next()?;
    rest[1..].split(quote).next().map(str::to_owned)
}

/// The text of the first child of that name.
#[must_use]
pub fn text_of(element: &str, child: &str) -> Option<String> {
    let (_, rest) = element.split_once(&format!("<{child}>"))?;
    rest.split_once(&format!("</{child}>")).map(|(text, _)| text.to_owned())
}

/// The length of the first whole thing in a well-formed stream: white space, a declaration, a header, an element or the
/// end. No validation: what a server writes is checked by the real clients.
fn first(bytes: &[u8]) -> Option<usize> {
    let start = bytes.iter().position(|b| !b.is_ascii_whitespace())?;
    let rest = &bytes[start..];
    if rest.starts_with(b"<?") || rest.starts_with(b"<stream:stream") || rest.starts_with(b"</") {
        return tag_end(rest, 0).map(|end| start + end);
    }
    let (mut at, mut depth) = (0, 0_usize);
    loop {
        at += rest[at..].iter().position(|b| *b == b'<')?;
        let end = tag_end(rest, at)?;
        match (rest[at + 1], rest[end - 2]) {
            (b'/', _) => depth -= 1,
            (_, b'/') => {}
            _ => depth += 1,
        }
        at = end;
        if depth == 0 {
            return Some(start + end);
        }
    }
}

/// Where the tag at `at` ends, quotes respected.
fn tag_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut quote = 0;
    for (i, &b) in bytes.iter().enumerate().skip(at) {
        match b {
            b'"' | b'\'' if quote == 0 => quote = b,
            b if b == quote => quote = 0,
            b'>' if quote == 0 => return Some(i + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::first;

    #[test]
    fn elements_are_found() {
        for (stream, length) in [
            ("<a/>x", Some(4)),
            (" <a b='>'><a>t</a></a><c/>", Some(22)),
            ("<?xml version='1.0'?><stream:stream>", Some(21)),
            ("</stream:stream>", Some(16)),
            ("<a><b></b>", None),
            ("<a b='", None),
            ("", None),
        ] {
            assert_eq!(first(stream.as_bytes()), length, "{stream}");
        }
    }
}

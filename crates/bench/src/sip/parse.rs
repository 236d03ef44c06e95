//! Just enough SIP to frame messages and find the headers that transactions need.

use memchr::{memchr, memmem};

/// A message, cut into the parts this client looks at. Values are trimmed.
#[derive(Debug, Default)]
pub struct Message<'a> {
    /// Request or status line.
    pub first: &'a [u8],
    /// Whole Via lines in order, for copying.
    pub vias: Vec<&'a [u8]>,
    /// From.
    pub from: &'a [u8],
    /// To.
    pub to: &'a [u8],
    /// Call-ID.
    pub call_id: &'a [u8],
    /// CSeq.
    pub cseq: &'a [u8],
    /// All header lines together.
    pub head: &'a [u8],
    /// The body.
    pub body: &'a [u8],
}

/// How long the message at the start of a stream's buffer is, once it is complete; leading line ends count.
pub fn frame(b: &[u8]) -> Option<usize> {
    let skip = b.iter().take_while(|c| matches!(c, b'\r' | b'\n')).count();
    if skip == b.len() {
        return None;
    }
    let head = skip + memmem::find(&b[skip..], b"\r\n\r\n")? + 4;
    let body = lines(&b[skip..head])
        .find_map(|l| value(l, "content-length", b'l'))
        .and_then(|v| std::str::from_utf8(v).ok()?.parse::<usize>().ok())
        .unwrap_or(0);
    (b.len() >= head + body).then_some(head + body)
}

fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = head;
    std::iter::from_fn(move || {
        let end = memchr(b'\n', rest)?;
        let line = &rest[..end];
        rest = &rest[end + 1..];
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    })
}

/// The line's value if its name is `name` or the one-letter form.
fn value<'a>(line: &'a [u8], name: &str, short: u8) -> Option<&'a [u8]> {
    let colon = if line.get(1) == Some(&b':') && line[0].eq_ignore_ascii_case(&short) {
        1
    } else if line.len() > name.len()
        && line[..name.len()].eq_ignore_ascii_case(name.as_bytes())
        && let Some(colon) = line[name.len()..].iter().position(|c| *c != b' ')
        && line[name.len() + colon] == b':'
    {
        name.len() + colon
    } else {
        return None;
    };
    Some(line[colon + 1..].trim_ascii())
}

impl<'a> Message<'a> {
    /// Cuts a whole message.
    pub fn parse(b: &'a [u8]) -> Option<Self> {
        let skip = b.iter().take_while(|c| matches!(c, b'\r' | b'\n')).count();
        let b = &b[skip..];
        let end = memmem::find(b, b"\r\n\r\n")? + 2;
        let mut all = lines(&b[..end]);
        let first = all.next()?;
        let mut m = Message { first, head: &b[first.len() + 2..end], body: &b[end + 2..], ..Self::default() };
        for line in all {
            match line.first()?.to_ascii_lowercase() {
                b'v' if value(line, "via", b'v').is_some() => m.vias.push(line),
                b'f' => m.from = value(line, "from", b'f').unwrap_or(m.from),
                b't' => m.to = value(line, "to", b't').unwrap_or(m.to),
                b'c' => {
                    if let Some(v) = value(line, "call-id", b'i') {
                        m.call_id = v;
                    } else if let Some(v) = value(line, "cseq", 0) {
                        m.cseq = v;
                    }
                }
                b'i' => m.call_id = value(line, "call-id", b'i').unwrap_or(m.call_id),
                _ => {}
            }
        }
        Some(m)
    }

    /// The status code, if this is a response.
    pub fn code(&self) -> Option<u16> {
        let rest = self.first.strip_prefix(b"SIP/2.0 ")?;
        std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok()
    }

    /// The method, if this is a request.
    pub fn method(&self) -> &'a [u8] {
        &self.first[..memchr(b' ', self.first).unwrap_or(0)]
    }

    /// The branch of the topmost Via.
    pub fn branch(&self) -> &'a [u8] {
        let Some(via) = self.vias.first() else { return b"" };
        let Some(at) = memmem::find(via, b"branch=") else { return b"" };
        let rest = &via[at + 7..];
        let end = rest.iter().position(|c| matches!(c, b';' | b',' | b' ' | b'\t')).unwrap_or(rest.len());
        &rest[..end]
    }

    /// All values of a header.
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &'a str> {
        lines(self.head).filter_map(move |l| std::str::from_utf8(value(l, name, 0)?).ok())
    }

    /// Appends the response `status` to this request.
    pub fn respond(&self, status: &str, tag: &str, out: &mut Vec<u8>) {
        let mut put = |parts: &[&[u8]]| parts.iter().for_each(|p| out.extend_from_slice(p));
        put(&[b"SIP/2.0 ", status.as_bytes(), b"\r\n"]);
        self.vias.iter().for_each(|via| put(&[via, b"\r\n"]));
        put(&[b"From: ", self.from, b"\r\nTo: ", self.to]);
        if memmem::find(self.to, b";tag=").is_none() {
            put(&[b";tag=", tag.as_bytes()]);
        }
        put(&[b"\r\nCall-ID: ", self.call_id, b"\r\nCSeq: ", self.cseq, b"\r\nContent-Length: 0\r\n\r\n"]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = "\r\n\r\nMESSAGE sip:b@c SIP/2.0\r\nVia: SIP/2.0/TCP p;branch=z9hG4bK1;rport\r\n\
        v: SIP/2.0/TCP q;branch=z9hG4bK2\r\nf: <sip:a@c>;tag=1\r\nTo : <sip:b@c>\r\ni: id@x\r\nCSeq: 3 MESSAGE\r\n\
        Content-Type: text/plain\r\nl: 5\r\n\r\nhello";

    #[test]
    fn frames_only_whole_messages() {
        let two = format!("{REQUEST}SIP/2.0 200 OK\r\n\r\n");
        assert_eq!(frame(two.as_bytes()), Some(REQUEST.len()));
        for cut in 0..REQUEST.len() {
            assert_eq!(frame(&REQUEST.as_bytes()[..cut]), None);
        }
        assert_eq!(frame(b"SIP/2.0 200 OK\r\n\r\n"), Some(18));
    }

    #[test]
    fn finds_headers_and_answers() {
        let m = Message::parse(REQUEST.as_bytes()).unwrap();
        assert_eq!((m.method(), m.code(), m.body), (&b"MESSAGE"[..], None, &b"hello"[..]));
        assert_eq!((m.branch(), m.vias.len()), (&b"z9hG4bK1"[..], 2));
        let mut out = Vec::new();
        m.respond("200 OK", "t9", &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP p;branch=z9hG4bK1;rport\r\nv: SIP/2.0/TCP q;branch=z9hG4bK2\r\n\
             From: <sip:a@c>;tag=1\r\nTo: <sip:b@c>;tag=t9\r\nCall-ID: id@x\r\nCSeq: 3 MESSAGE\r\nContent-Length: 0\r\n\r\n"
        );
        let r =
            Message::parse(b"SIP/2.0 401 No\r\nWWW-Authenticate: A\r\nwww-authenticate: B\r\n\r\n").unwrap();
        assert_eq!(r.code(), Some(401));
        assert_eq!(r.headers("www-authenticate").collect::<Vec<_>>(), ["A", "B"]);
    }
}

//! Where one message ends and the next begins (RFC 3261 18.3, 7.5; RFC 5626 3.5.1).
//!
//! The framer cuts exactly one message out of the stream and only then shows it to the parser. So every message
//! owns its own allocation (a kept Call-ID pins a few hundred bytes, not a whole read), good messages before a bad
//! one are delivered, and the head of a bad one is at hand for an answer.

use bytes::{Buf, Bytes, BytesMut};

use super::reply::ReplyHead;
use super::unit::Unit;
use super::{MAX_MESSAGE, MAX_PIECE, limits};

/// Something wrong with what the peer sent.
#[derive(Debug)]
pub struct Fault {
    /// For the log; never quotes the peer.
    pub what: &'static str,
    /// The status to answer with.
    pub status: u16,
    /// The head of that answer, where the message could be read that far.
    pub reply: Option<Box<ReplyHead>>,
    /// Framing is lost: a stream must be closed, for guessing where the next message starts is how a body
    /// becomes a request.
    pub fatal: bool,
}

impl Fault {
    pub(super) fn soft(what: &'static str, status: u16, reply: Option<ReplyHead>) -> Self {
        Self { what, status, reply: reply.map(Box::new), fatal: false }
    }
    pub(super) fn silent(what: &'static str) -> Self {
        Self { what, status: 400, reply: None, fatal: false }
    }
    fn fatal(what: &'static str, status: u16, head: &[u8]) -> Self {
        Self { what, status, reply: ReplyHead::salvage(head).map(Box::new), fatal: true }
    }
}

/// What came out of a piece of a stream.
#[derive(Debug)]
pub enum Framed {
    /// One whole message.
    Unit(Unit),
    /// CRLF CRLF between messages: answer with one CRLF (RFC 5626 3.5.1).
    Ping,
    /// A message that cannot be used.
    Fault(Fault),
}

/// Frames one stream. Holds at most one partial message.
#[derive(Debug, Default)]
pub struct Framer {
    buf: BytesMut,
    scanned: usize,
    /// Length of head plus body once the head has been seen.
    total: Option<(usize, usize)>,
    lost: bool,
}

impl Framer {
    /// Takes bytes in pieces of any size and returns everything they completed, in order.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Framed> {
        let mut out = Vec::new();
        for piece in bytes.chunks(MAX_PIECE) {
            if self.lost {
                break;
            }
            self.buf.extend_from_slice(piece);
            while let Some(framed) = self.next() {
                if let Framed::Fault(Fault { fatal: true, .. }) = framed {
                    self.lost = true;
                    self.buf = BytesMut::new();
                }
                out.push(framed);
                if self.lost {
                    break;
                }
            }
        }
        // An idle connection keeps no buffer.
        if self.buf.is_empty() && self.buf.capacity() > 0 {
            self.buf = BytesMut::new();
        }
        out
    }

    /// Whether a message has begun and not ended: its sender must not take for ever.
    pub fn is_partial(&self) -> bool {
        !self.buf.is_empty() && self.buf[..] != b"\r\n"[..]
    }

    fn next(&mut self) -> Option<Framed> {
        let (head, total) = match self.total {
            Some(t) => t,
            None => {
                if let Some(ping) = self.skip_blank() {
                    return Some(ping);
                }
                let from = self.scanned.min(self.buf.len());
                let Some(at) = find(&self.buf[from..], b"\r\n\r\n") else {
                    self.scanned = self.buf.len().saturating_sub(3);
                    if self.buf.len() > MAX_MESSAGE {
                        return Some(Framed::Fault(Fault::fatal("head too large", 400, &self.buf)));
                    }
                    return None;
                };
                let head = from + at + 4;
                let length = match content_length(&self.buf[..head - 2]) {
                    Ok(n) => n,
                    Err(what) => return Some(Framed::Fault(Fault::fatal(what, 400, &self.buf[..head]))),
                };
                if length > MAX_MESSAGE || head + length > MAX_MESSAGE {
                    return Some(Framed::Fault(Fault::fatal("message too large", 413, &self.buf[..head])));
                }
                self.total = Some((head, head + length));
                (head, head + length)
            }
        };
        if self.buf.len() < total {
            return None;
        }
        let message = Bytes::copy_from_slice(&self.buf[..total]);
        self.buf.advance(total);
        self.total = None;
        self.scanned = 0;
        Some(match sipx_sip::parse_datagram(message.clone(), &limits()) {
            // The parser has the last word about the length: two opinions are a smuggling attempt.
            Ok(m) if m.body().len() == total - head => match Unit::check(m) {
                Ok(unit) => Framed::Unit(unit),
                Err(fault) => Framed::Fault(fault),
            },
            Ok(_) => Framed::Fault(Fault::fatal("ambiguous length", 400, &message[..head])),
            Err(_) => Framed::Fault(Fault::fatal("malformed message", 400, &message[..head])),
        })
    }

    /// Drops line ends between messages; two in a row are a keep-alive.
    fn skip_blank(&mut self) -> Option<Framed> {
        while self.buf.starts_with(b"\r\n") {
            if self.buf.starts_with(b"\r\n\r\n") {
                self.buf.advance(4);
                self.scanned = 0;
                return Some(Framed::Ping);
            }
            // One line end alone may be the first half of a ping, so it waits for the next bytes.
            if self.buf.len() < 4 && b"\r\n\r\n".starts_with(&self.buf[..]) {
                break;
            }
            self.buf.advance(2);
            self.scanned = 0;
        }
        None
    }
}

/// Reads one datagram (RFC 3261 18.3: what follows the body is noise). `None` for keep-alives and other blanks.
pub fn datagram(bytes: &[u8]) -> Option<Framed> {
    let mut bytes = bytes;
    while let Some(rest) = bytes.strip_prefix(b"\r\n") {
        bytes = rest;
    }
    // A single NUL is a common keep-alive of NAT-minded clients.
    if bytes.is_empty() || bytes == [0] || bytes.iter().all(|b| b.is_ascii_whitespace()) {
        return None;
    }
    let head = find(bytes, b"\r\n\r\n").map_or(bytes, |at| &bytes[..at + 4]);
    let soft = |what, status| Fault::soft(what, status, ReplyHead::salvage(head));
    if bytes.len() > MAX_MESSAGE {
        return Some(Framed::Fault(soft("message too large", 413)));
    }
    Some(match sipx_sip::parse_datagram(Bytes::copy_from_slice(bytes), &limits()) {
        Ok(m) => match Unit::check(m) {
            Ok(unit) => Framed::Unit(unit),
            Err(fault) => Framed::Fault(fault),
        },
        Err(_) => Framed::Fault(soft("malformed message", 400)),
    })
}

pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

/// The declared length. Stricter than it needs to be: exactly one field, digits only, CRLF line ends only. A stream
/// without it has no message boundary (RFC 3261 20.14).
fn content_length(head: &[u8]) -> Result<usize, &'static str> {
    let bare = |at: usize| match head[at] {
        b'\n' => at == 0 || head[at - 1] != b'\r',
        _ => head.get(at + 1) != Some(&b'\n'),
    };
    if memchr::memchr2_iter(b'\r', b'\n', head).any(bare) {
        return Err("bare line end");
    }
    let mut found = None;
    let mut at = 0;
    while at < head.len() {
        // A field ends at the first CRLF that is not followed by blank space.
        let mut end = at;
        loop {
            let Some(crlf) = find(&head[end..], b"\r\n") else {
                end = head.len();
                break;
            };
            end += crlf;
            if matches!(head.get(end + 2), Some(b' ' | b'\t')) {
                end += 2;
            } else {
                break;
            }
        }
        let line = &head[at..end];
        at = end + 2;
        let Some(colon) = line.iter().position(|&b| b == b':') else { continue };
        let name = line[..colon].trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"l") {
            if found.is_some() {
                return Err("two Content-Length fields");
            }
            let value = line[colon + 1..].trim_ascii();
            if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
                return Err("malformed Content-Length");
            }
            found = Some(
                value.iter().fold(0usize, |n, b| n.saturating_mul(10).saturating_add(usize::from(b - b'0'))),
            );
        }
    }
    found.ok_or("no Content-Length on a stream")
}

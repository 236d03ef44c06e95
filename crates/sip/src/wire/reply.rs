//! The head of an answer: what a response copies from its request (RFC 3261 8.2.6.2), with `received` and
//! `rport` filled in (RFC 3261 18.2.1, RFC 3581 4).

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use sipx_sip as sx;

use super::write::{Writer, clean, reason_phrase};

/// Owns its few bytes, so it can wait for the hub without holding the request or the read buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyHead {
    top: String,
    lower: Vec<String>,
    from: String,
    to: String,
    call_id: String,
    cseq: String,
    tagged: bool,
    /// The host of the top Via, as written.
    pub sent_by: String,
    /// The port of the top Via.
    pub sent_port: Option<u16>,
    /// The branch of the top Via, empty if there is none.
    pub branch: String,
    rport: bool,
    /// The parameters of the top Via could not be read and are left out: enough to say so, not to act on.
    pub(super) damaged: bool,
}

impl ReplyHead {
    /// Collects the head from header fields. `None` when the message cannot be answered: the top Via is missing or
    /// unreadable. What else is missing is left out of the answer (RFC 4475 3.3.1: "ideally" it is still answered).
    pub fn from_headers<'a>(fields: impl Iterator<Item = (&'a [u8], Cow<'a, [u8]>)>) -> Option<Self> {
        let (mut vias, mut from, mut to, mut call_id, mut cseq) = (Vec::new(), None, None, None, None);
        for (name, value) in fields {
            let is = |long: &str, short: &str| {
                name.eq_ignore_ascii_case(long.as_bytes()) || name.eq_ignore_ascii_case(short.as_bytes())
            };
            let slot = if is("via", "v") {
                vias.push(String::from_utf8_lossy(&value).into_owned());
                continue;
            } else if is("from", "f") {
                &mut from
            } else if is("to", "t") {
                &mut to
            } else if is("call-id", "i") {
                &mut call_id
            } else if is("cseq", "cseq") {
                &mut cseq
            } else {
                continue;
            };
            if slot.is_none() {
                *slot = Some(clean(&String::from_utf8_lossy(&value)).into_owned());
            }
        }
        let first = vias.first()?;
        let end = sx::headers::via::first_hop_end(first.as_bytes());
        let (top, rest) = (first.get(..end)?.trim(), first.get(end..)?);
        let bare = top.split(';').next().unwrap_or_default().trim();
        let (top, via, damaged) = match sx::Via::parse_one(top.as_bytes()) {
            Ok(via) => (top, via, false),
            Err(_) => (bare, sx::Via::parse_one(bare.as_bytes()).ok()?, true),
        };
        let mut lower = Vec::new();
        if let Some(rest) = rest.trim_start().strip_prefix(',') {
            lower.push(clean(rest.trim()).into_owned());
        }
        lower.extend(vias.iter().skip(1).map(|v| clean(v).into_owned()));
        let to: String = to.unwrap_or_default();
        let tagged = sx::Address::parse(to.as_bytes(), "To").ok().is_some_and(|a| a.tag().is_some());
        Some(Self {
            top: clean(top).into_owned(),
            lower,
            from: from.unwrap_or_default(),
            tagged,
            to,
            call_id: call_id.unwrap_or_default(),
            cseq: cseq.unwrap_or_default(),
            sent_by: String::from_utf8_lossy(&via.host.to_bytes()).into_owned(),
            sent_port: via.port,
            branch: via.branch().map(|b| String::from_utf8_lossy(b).into_owned()).unwrap_or_default(),
            rport: via.rport().is_some(),
            damaged,
        })
    }

    /// Reads what it can from a head that the parser refused, so that the sender hears why (RFC 3261 8.2.2, 18.3).
    pub(super) fn salvage(head: &[u8]) -> Option<Self> {
        // A line that was cut off says something else than its sender meant.
        let head = head.get(..=head.iter().rposition(|&b| b == b'\n')?)?;
        let mut lines: Vec<Vec<u8>> = Vec::new();
        for line in head.split(|&b| b == b'\n').take(2 * super::MAX_HEADERS) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            match (line.first(), lines.last_mut()) {
                (Some(b' ' | b'\t'), Some(last)) => {
                    last.push(b' ');
                    last.extend_from_slice(line.trim_ascii());
                }
                _ => lines.push(line.to_vec()),
            }
        }
        let start = lines.first()?;
        if start.get(..4).is_some_and(|s| s.eq_ignore_ascii_case(b"SIP/")) {
            return None;
        }
        // An ACK is never answered (RFC 3261 17.2.1).
        if start.starts_with(b"ACK ") {
            return None;
        }
        let fields = lines.iter().skip(1).filter_map(|l| {
            let colon = l.iter().position(|&b| b == b':')?;
            Some((l.get(..colon)?.trim_ascii(), Cow::Borrowed(l.get(colon + 1..)?.trim_ascii())))
        });
        Self::from_headers(fields)
    }

    /// Writes the source into the top Via: `received` always when it differs from what the sender wrote, `rport`
    /// when it was asked for. A `received` written by the sender itself is removed.
    pub fn seen_from(&mut self, source: SocketAddr) {
        let mut parts = Vec::new();
        let (mut quoted, mut start) = (false, 0);
        for (i, c) in self.top.char_indices() {
            match c {
                '"' => quoted = !quoted,
                ';' if !quoted => {
                    parts.push(self.top[start..i].trim());
                    start = i + 1;
                }
                _ => {}
            }
        }
        parts.push(self.top[start..].trim());
        let same = |part: &str, name: &str| {
            part.split('=').next().is_some_and(|n| n.trim().eq_ignore_ascii_case(name))
        };
        let mut out = parts.first().copied().unwrap_or_default().to_owned();
        for part in
            parts.iter().skip(1).filter(|p| !same(p, "received") && !same(p, "rport") && !p.is_empty())
        {
            out.push(';');
            out.push_str(part);
        }
        let ip = source.ip().to_canonical();
        if self.rport {
            out.push_str(&format!(";rport={}", source.port()));
        }
        if self.rport || self.sent_ip() != Some(ip) {
            out.push_str(&format!(";received={ip}"));
        }
        self.top = out;
    }

    fn sent_ip(&self) -> Option<IpAddr> {
        self.sent_by.trim_matches(['[', ']']).parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
    }

    /// Where a datagram answer goes. With `rport`, or from behind an address translation, to the source itself
    /// (RFC 3581 4); otherwise to the source address and the port that the sender wrote (RFC 3261 18.2.2).
    pub fn answer_to(&self, source: SocketAddr) -> SocketAddr {
        if self.rport || self.sent_ip() != Some(source.ip().to_canonical()) {
            source
        } else {
            SocketAddr::new(source.ip(), self.sent_port.unwrap_or(5060))
        }
    }

    /// Whether the top Via has this parameter without a value, such as `alias` (RFC 5923).
    pub fn has_via_flag(&self, name: &str) -> bool {
        super::Params::semicolons(&self.top).get(name).is_some()
    }

    /// The Via values below the top one: where the request has been before.
    pub fn hops_before(&self) -> impl Iterator<Item = &str> {
        self.lower.iter().flat_map(|line| super::split_list(line))
    }

    /// Whether the request was inside a dialog.
    pub fn has_to_tag(&self) -> bool {
        self.tagged
    }

    /// A short text that is the same for a retransmission and differs otherwise: the key for senders older than
    /// RFC 3261 (17.2.3), whose branch proves nothing.
    pub(crate) fn old_key(&self) -> String {
        format!("{}|{}|{}|{}", self.call_id, self.cseq, self.from, self.top)
    }

    /// Starts an answer that somebody else gave.
    pub(super) fn relay_head(&self, status: u16, reason: &str, to: &str) -> Writer {
        let mut w = Writer::response(status, reason);
        let mut block = String::with_capacity(256);
        for via in std::iter::once(&self.top).chain(&self.lower) {
            block.push_str("Via: ");
            block.push_str(via);
            block.push_str("\r\n");
        }
        let to = clean(to);
        for (name, value) in
            [("From", &*self.from), ("To", &*to), ("Call-ID", &self.call_id), ("CSeq", &self.cseq)]
        {
            block.push_str(name);
            block.push_str(": ");
            block.push_str(value);
            block.push_str("\r\n");
        }
        w.block(block.as_bytes());
        w
    }

    /// Starts an answer. `tag` completes the To of a request outside a dialog (RFC 3261 8.2.6.2).
    pub fn answer(&self, status: u16, tag: &str) -> Writer {
        self.answer_with(status, reason_phrase(status), tag)
    }

    /// The same with words of our own.
    pub fn answer_with(&self, status: u16, reason: &str, tag: &str) -> Writer {
        let mut w = Writer::response(status, reason);
        let mut block = String::with_capacity(256);
        for via in std::iter::once(&self.top).chain(&self.lower) {
            block.push_str("Via: ");
            block.push_str(via);
            block.push_str("\r\n");
        }
        for (name, value) in
            [("From", &self.from), ("To", &self.to), ("Call-ID", &self.call_id), ("CSeq", &self.cseq)]
        {
            if value.is_empty() {
                continue;
            }
            block.push_str(name);
            block.push_str(": ");
            block.push_str(value);
            if name == "To" && !self.tagged && status > 100 {
                block.push_str(";tag=");
                block.push_str(&clean(tag));
            }
            block.push_str("\r\n");
        }
        w.block(block.as_bytes());
        w
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(via: &str) -> ReplyHead {
        let text = format!(
            "MESSAGE sip:a@b SIP/2.0\r\nv: {via}\r\nVia: SIP/2.0/TCP far\r\nf: <sip:x@y>;tag=1\r\nt: <sip:a@b>\r\ni: c1\r\nCSeq: 7 MESSAGE\r\n"
        );
        ReplyHead::salvage(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_top_via_is_marked_with_where_it_came_from() {
        let from: SocketAddr = "192.0.2.9:4444".parse().unwrap();
        let table = [
            ("SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKx", ";branch=z9hG4bKx", "192.0.2.9:5070"),
            ("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx", ";branch=z9hG4bKx", "192.0.2.9:5060"),
            ("SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKx", ";branch=z9hG4bKx;received=192.0.2.9", "192.0.2.9:4444"),
            (
                "SIP/2.0/UDP h.example;rport;branch=z9hG4bKx",
                ";branch=z9hG4bKx;rport=4444;received=192.0.2.9",
                "192.0.2.9:4444",
            ),
            (
                "SIP/2.0/UDP h.example;received=1.2.3.4;rport;branch=z9hG4bKx",
                ";branch=z9hG4bKx;rport=4444;received=192.0.2.9",
                "192.0.2.9:4444",
            ),
        ];
        for (via, tail, to) in table {
            let mut h = head(via);
            h.seen_from(from);
            let text = String::from_utf8(h.answer(200, "t").finish(b"")).unwrap();
            let top = text.lines().nth(1).unwrap();
            assert!(top.ends_with(tail), "{via}: {top}");
            assert_eq!(h.answer_to(from), to.parse().unwrap(), "{via}");
            assert!(text.contains("Via: SIP/2.0/TCP far\r\n") && text.contains("To: <sip:a@b>;tag=t\r\n"));
        }
    }

    #[test]
    fn several_hops_on_one_line_stay_behind_the_first() {
        let mut h = head("SIP/2.0/UDP one;rport;branch=z9hG4bKx, SIP/2.0/UDP two");
        h.seen_from("192.0.2.9:1".parse().unwrap());
        let text = String::from_utf8(h.answer(400, "t").finish(b"")).unwrap();
        let vias: Vec<_> = text.lines().filter(|l| l.starts_with("Via")).collect();
        assert_eq!(
            vias,
            [
                "Via: SIP/2.0/UDP one;branch=z9hG4bKx;rport=1;received=192.0.2.9",
                "Via: SIP/2.0/UDP two",
                "Via: SIP/2.0/TCP far"
            ]
        );
    }

    #[test]
    fn what_is_missing_is_left_out() {
        let text = "X sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nTo: <sip:a@b>\r\nCSeq: 1 X\r\n";
        let answer = ReplyHead::salvage(text.as_bytes()).unwrap().answer(400, "t").finish(b"");
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.contains("\r\nTo: <sip:a@b>;tag=t\r\nCSeq: 1 X\r\n"), "{answer}");
        assert!(!answer.contains("From") && !answer.contains("Call-ID"), "{answer}");
    }

    #[test]
    fn what_cannot_be_answered_is_not() {
        for text in [
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a\r\nFrom: <sip:a@b>\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 X\r\n",
            "ACK sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nFrom: <sip:a@b>\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 ACK\r\n",
            "X sip:a SIP/2.0\r\nVia: broken\r\nFrom: <sip:a@b>\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 X\r\n",
            "X sip:a SIP/2.0\r\nFrom: <sip:a@b>\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 X\r\n",
            "",
        ] {
            assert!(ReplyHead::salvage(text.as_bytes()).is_none(), "{text}");
        }
    }
}

//! Parsers that nobody here wrote, asked about what ours read and what we write.

use ezk_sip_types::header::typed::{CSeq, CallID, FromTo, Via};
use ezk_sip_types::msg::{Line, MessageLine, PullParser};
use ezk_sip_types::parse::Parse as _;
use ezk_sip_types::{Headers, Name};
use rxml::Parse as _;

/// Is this one well-formed XML document?
pub fn xml(document: &[u8]) -> bool {
    let mut parser = rxml::Parser::new();
    let mut rest = document;
    loop {
        match parser.parse(&mut rest, true) {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

/// A stream that is read as it grows.
#[derive(Default)]
pub struct Stream(Option<rxml::Parser>);

impl Stream {
    /// Takes more of it. False where it is not well-formed. An XML declaration begins a new stream.
    pub fn take(&mut self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        while let Some(at) = rest.windows(5).skip(1).position(|w| w == b"<?xml") {
            let (before, behind) = rest.split_at(at + 1);
            if !self.take_one(before) {
                return false;
            }
            rest = behind;
        }
        self.take_one(rest)
    }

    fn take_one(&mut self, bytes: &[u8]) -> bool {
        if bytes.starts_with(b"<?xml") {
            self.0 = None;
        }
        let parser = self.0.get_or_insert_with(rxml::Parser::new);
        let mut rest = bytes;
        loop {
            match parser.parse(&mut rest, false) {
                Ok(Some(_)) => {}
                Ok(None) | Err(rxml::error::EndOrError::NeedMoreData) => return true,
                Err(_) => return false,
            }
        }
    }
}

/// What the other parser reads in a SIP message.
pub struct Sip {
    /// The method, or the status as text.
    pub start: String,
    /// The number of the CSeq.
    pub cseq: u32,
    /// The Call-ID.
    pub call_id: String,
}

/// Reads a SIP message, with the headers that every one has. `None` where the other parser will not.
pub fn sip(message: &[u8]) -> Option<Sip> {
    let source = bytes::Bytes::copy_from_slice(message);
    // The parser makes slices of its source, so the lines have to be of it.
    let mut lines = PullParser::new(&source, 0);
    let start = match MessageLine::parse_str(std::str::from_utf8(lines.next()?.ok()?).ok()?).ok()? {
        MessageLine::Request(line) => line.method.to_string(),
        MessageLine::Response(line) => line.code.into_u16().to_string(),
    };
    let mut headers = Headers::new();
    for line in lines {
        let (_, line) = Line::parse(&source, std::str::from_utf8(line.ok()?).ok()?).ok()?;
        headers.insert(line.name, line.value);
    }
    let cseq: CSeq = headers.get_named().ok()?;
    let call_id: CallID = headers.get_named().ok()?;
    let _from: FromTo = headers.get(Name::FROM).ok()?;
    let _to: FromTo = headers.get(Name::TO).ok()?;
    let _via: Vec<Via> = headers.get(Name::VIA).ok()?;
    Some(Sip { start, cseq: cseq.cseq, call_id: call_id.0.to_string() })
}

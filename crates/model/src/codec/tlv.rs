//! Tag, length, value.

use super::CodecError;
use crate::Address;

/// Appends fields to a buffer.
pub(super) struct Writer<'a>(pub &'a mut Vec<u8>);

impl Writer<'_> {
    pub(super) fn bytes(&mut self, tag: u8, value: &[u8]) {
        self.0.push(tag);
        leb128(self.0, value.len() as u64);
        self.0.extend_from_slice(value);
    }

    pub(super) fn text(&mut self, tag: u8, value: &str) {
        self.bytes(tag, value.as_bytes());
    }

    pub(super) fn opt(&mut self, tag: u8, value: Option<&str>) {
        if let Some(value) = value {
            self.text(tag, value);
        }
    }

    pub(super) fn int(&mut self, tag: u8, value: u64) {
        let be = value.to_be_bytes();
        let skip = (value.leading_zeros() / 8).min(7) as usize;
        self.bytes(tag, &be[skip..]);
    }

    /// A nested structure: its length is known only afterwards, so it is built in a scratch buffer.
    pub(super) fn nest(&mut self, tag: u8, fill: impl FnOnce(&mut Writer<'_>)) {
        let mut inner = Vec::with_capacity(64);
        fill(&mut Writer(&mut inner));
        self.bytes(tag, &inner);
    }
}

fn leb128(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Walks the fields of a buffer. A cut field ends the walk with an error, never a panic.
pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn next(&mut self) -> Result<Option<(u8, &'a [u8])>, CodecError> {
        let Some((&tag, mut rest)) = self.0.split_first() else { return Ok(None) };
        let (mut len, mut shift) = (0u64, 0u32);
        loop {
            let Some((&b, r)) = rest.split_first() else { return Err(CodecError("field length")) };
            rest = r;
            if shift > 28 {
                return Err(CodecError("field length"));
            }
            len |= u64::from(b & 0x7f) << shift;
            shift += 7;
            if b & 0x80 == 0 {
                break;
            }
        }
        let len = usize::try_from(len).map_err(|_| CodecError("field length"))?;
        if len > rest.len() {
            return Err(CodecError("field"));
        }
        let (value, rest) = rest.split_at(len);
        self.0 = rest;
        Ok(Some((tag, value)))
    }
}

pub(super) fn int(value: &[u8]) -> Result<u64, CodecError> {
    if value.len() > 8 {
        return Err(CodecError("integer"));
    }
    Ok(value.iter().fold(0, |acc, b| (acc << 8) | u64::from(*b)))
}

pub(super) fn text(value: &[u8]) -> Result<&str, CodecError> {
    std::str::from_utf8(value).map_err(|_| CodecError("text"))
}

pub(super) fn address(v: &[u8]) -> Result<Address, CodecError> {
    Address::parse(text(v)?).map_err(|_| CodecError("address"))
}

//! Precomputed messages: bytes with holes of fixed width that are patched for each message.

use crate::mark::{MARK_LEN, Mark, put_hex};

/// What goes into a hole.
#[derive(Debug, Clone, Copy)]
enum Hole {
    Mark,
    Seq,
    Attempt,
    Cseq,
}

/// A message to be sent many times.
#[derive(Debug, Clone)]
pub struct Template {
    bytes: Vec<u8>,
    holes: Vec<(usize, Hole)>,
    /// Where a header line may be put in, if the message has such a place.
    insert_at: usize,
}

impl Template {
    /// Reads a pattern: `{mark}`, `{seq}` (8 digits), `{try}` and `{cseq}` (1 digit) become holes, `{insert}` the
    /// place for extra header lines.
    pub fn new(pattern: &str) -> Self {
        let mut made =
            Self { bytes: Vec::with_capacity(pattern.len() + 64), holes: Vec::new(), insert_at: 0 };
        let mut rest = pattern;
        while let Some(open) = rest.find('{') {
            made.bytes.extend_from_slice(&rest.as_bytes()[..open]);
            let close = rest[open..].find('}').map_or(rest.len(), |c| open + c + 1);
            let (hole, width) = match &rest[open..close] {
                "{mark}" => (Hole::Mark, MARK_LEN),
                "{seq}" => (Hole::Seq, 8),
                "{try}" => (Hole::Attempt, 1),
                "{cseq}" => (Hole::Cseq, 1),
                "{insert}" => {
                    made.insert_at = made.bytes.len();
                    rest = &rest[close..];
                    continue;
                }
                other => {
                    made.bytes.extend_from_slice(other.as_bytes());
                    rest = &rest[close..];
                    continue;
                }
            };
            made.holes.push((made.bytes.len(), hole));
            made.bytes.resize(made.bytes.len() + width, b'0');
            rest = &rest[close..];
        }
        made.bytes.extend_from_slice(rest.as_bytes());
        made
    }

    /// Appends the message for `mark` to `out`; `extra` goes to the `{insert}` place.
    pub fn render(&self, mark: &Mark, attempt: u8, extra: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.bytes[..self.insert_at]);
        out.extend_from_slice(extra);
        out.extend_from_slice(&self.bytes[self.insert_at..]);
        for &(at, hole) in &self.holes {
            let at = start + at + if at >= self.insert_at { extra.len() } else { 0 };
            match hole {
                Hole::Mark => out[at..at + MARK_LEN].copy_from_slice(&mark.write()),
                Hole::Seq => put_hex(&mut out[at..at + 8], u64::from(mark.seq)),
                Hole::Attempt => out[at] = b'0' + attempt,
                Hole::Cseq => out[at] = b'1' + attempt,
            }
        }
    }

    /// Length of the message without extra lines.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the message has no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_holes_and_inserts() {
        let t = Template::new("a{try}{insert}b{seq}|{mark}|{cseq}{x}");
        let m = Mark { run: 1, flow: 2, seq: 0xabc, at: 3 };
        let mut out = b">".to_vec();
        t.render(&m, 2, b"XX", &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, format!(">a2XXb00000abc|{}|3{{x}}", std::str::from_utf8(&m.write()).unwrap()));
        assert_eq!(t.len(), text.len() - 3);
    }
}

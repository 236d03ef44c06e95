//! The head of an outcomes row: which earlier rows ended how. Compact, because at full load there is one such row in
//! every commit with up to a few thousand entries. The layout is part of the row format (see the record's FORMAT.md).

use crate::SettledRow;
use compact_str::CompactString;
use model::{Address, Dialect, Fault, Loss, LossKind, Outcome, Reason, Refusal, Seq};

const VERSION: u8 = 1;

/// Writes the head of an outcomes row.
pub fn encode_outcomes(rows: &[SettledRow]) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + rows.len() * 6);
    out.push(VERSION);
    put(&mut out, rows.len() as u64);
    for row in rows {
        put(&mut out, row.seq.0);
        match &row.outcome {
            Outcome::Delivered => out.push(1),
            Outcome::Accepted => out.push(2),
            Outcome::Pending => out.push(3),
            Outcome::Refused(refusal) => {
                out.push(4);
                put_refusal(&mut out, refusal);
            }
            Outcome::Unknown => out.push(5),
        }
        put(&mut out, row.losses.len() as u64);
        for loss in &row.losses {
            out.extend_from_slice(&[loss.kind as u8, loss.from as u8, loss.to as u8]);
            put_text(&mut out, &loss.what);
            put_text(&mut out, &loss.became);
        }
    }
    out
}

/// Reads the head of an outcomes row; `None` if it is not one.
pub fn decode_outcomes(mut head: &[u8]) -> Option<Vec<SettledRow>> {
    let input = &mut head;
    if byte(input)? != VERSION {
        return None;
    }
    let count = get(input)?;
    let mut rows = Vec::new();
    for _ in 0..count {
        let seq = Seq(get(input)?);
        let outcome = match byte(input)? {
            1 => Outcome::Delivered,
            2 => Outcome::Accepted,
            3 => Outcome::Pending,
            4 => Outcome::Refused(get_refusal(input)?),
            5 => Outcome::Unknown,
            _ => return None,
        };
        let mut losses = Vec::new();
        for _ in 0..get(input)? {
            let kind = match byte(input)? {
                1 => LossKind::Dropped,
                2 => LossKind::Changed,
                _ => return None,
            };
            let (from, to) = (Dialect::from_code(byte(input)?)?, Dialect::from_code(byte(input)?)?);
            losses.push(Loss { kind, from, to, what: get_text(input)?, became: get_text(input)? });
        }
        rows.push(SettledRow { seq, outcome, losses });
    }
    input.is_empty().then_some(rows)
}

fn put_refusal(out: &mut Vec<u8>, refusal: &Refusal) {
    out.push(refusal.reason as u8);
    out.push(match refusal.fault {
        Fault::Sender => 1,
        Fault::Recipient => 2,
        Fault::Peer => 3,
        Fault::Server => 4,
    });
    put_text(out, refusal.text.as_deref().unwrap_or_default());
    put_text(out, refusal.rule.as_deref().unwrap_or_default());
    put_text(out, refusal.alternative.as_ref().map(Address::as_str).unwrap_or_default());
}

fn get_refusal(input: &mut &[u8]) -> Option<Refusal> {
    let reason = Reason::from_code(byte(input)?)?;
    let fault = match byte(input)? {
        1 => Fault::Sender,
        2 => Fault::Recipient,
        3 => Fault::Peer,
        4 => Fault::Server,
        _ => return None,
    };
    let some = |text: CompactString| (!text.is_empty()).then_some(text);
    let (text, rule) = (some(get_text(input)?), some(get_text(input)?));
    let alternative = match some(get_text(input)?) {
        Some(text) => Some(Address::parse(&text).ok()?),
        None => None,
    };
    Some(Refusal { reason, fault, text, rule, alternative })
}

/// Appends a number, seven bits to a byte, lowest first.
pub(crate) fn put(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Takes a number as [`put`] wrote it.
pub(crate) fn get(input: &mut &[u8]) -> Option<u64> {
    let mut n = 0u64;
    for shift in (0..64).step_by(7) {
        let b = byte(input)?;
        n |= u64::from(b & 0x7f).checked_shl(shift)?;
        if b < 0x80 {
            return Some(n);
        }
    }
    None
}

fn byte(input: &mut &[u8]) -> Option<u8> {
    let (first, rest) = input.split_first()?;
    *input = rest;
    Some(*first)
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn get_text(input: &mut &[u8]) -> Option<CompactString> {
    let len = usize::try_from(get(input)?).ok()?;
    let (text, rest) = input.split_at_checked(len)?;
    *input = rest;
    Some(CompactString::from(std::str::from_utf8(text).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_comes_back() {
        let mut refusal = Refusal::new(Reason::Gone).with_text("moved").by_rule("r1");
        refusal.alternative = Address::parse("juliet@example.org").ok();
        let rows = vec![
            SettledRow { seq: Seq(1), outcome: Outcome::Delivered, losses: vec![] },
            SettledRow {
                seq: Seq(u64::MAX),
                outcome: Outcome::Refused(refusal),
                losses: vec![
                    Loss::dropped("html-body", Dialect::Xmpp, Dialect::Sip),
                    Loss::changed("message-type", "normal", Dialect::Sip, Dialect::Xmpp),
                ],
            },
            SettledRow { seq: Seq(300), outcome: Outcome::Unknown, losses: vec![] },
        ];
        let head = encode_outcomes(&rows);
        let back = decode_outcomes(&head).unwrap();
        assert_eq!(back.len(), 3);
        for (a, b) in rows.iter().zip(&back) {
            assert_eq!((a.seq, &a.outcome, &a.losses), (b.seq, &b.outcome, &b.losses));
        }
        for cut in 0..head.len() {
            assert!(decode_outcomes(&head[..cut]).is_none());
        }
    }
}

//! The journal's rows: a damaged one is an error, and a sound one is written as it was read.

use super::first;
use model::codec::{decode, decode_outcomes, encode_body, encode_head};

pub fn run(input: &[u8]) {
    let (cut, rest) = first(input);
    let (head, body) = rest.split_at(cut.min(rest.len()));
    let _ = decode_outcomes(rest);
    let _ = decode(rest, None);
    let Ok(kept) = decode(head, Some(body)) else { return };
    let (head, body) = (encode_head(&kept.envelope, &kept.judged), encode_body(&kept.envelope));
    let again = decode(&head, Some(&body)).expect("what we write we read");
    assert_eq!(again.envelope, kept.envelope);
}

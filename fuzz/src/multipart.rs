//! Bodies of several parts (RFC 2046): what is found stands in them, and is never without end.

use sip::multipart::{is_multipart, pieces};

pub fn run(input: &[u8]) {
    let Some(at) = input.iter().position(|b| *b == b'\n') else { return };
    let Ok(mime) = std::str::from_utf8(&input[..at]) else { return };
    let body = &input[at + 1..];
    let Ok(found) = pieces(mime, body) else { return };
    assert!(found.len() <= 32, "{}", found.len());
    let all: usize = found.iter().map(|piece| piece.body.len()).sum();
    assert!(all <= body.len(), "{all} bytes of {}", body.len());
    for piece in found {
        let kind = piece.mime.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        assert!(!is_multipart(&kind), "{kind} was not taken apart");
    }
}

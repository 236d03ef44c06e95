//! SCRAM (RFC 5802) and PLAIN (RFC 4616): nothing made up proves anything.

use super::first;
use connector::TlsFacts;
use model::{Credential, Scheme};
use xmpp::sasl::{ClientFirst, Decoy, Offer, Plain, Scram};

pub fn run(input: &[u8]) {
    let _ = Plain::parse(input);
    let (choice, rest) = first(input);
    let facts = TlsFacts { exporter: Some([5; 32]), ..TlsFacts::default() };
    let offer = Offer::of((choice & 1 == 0).then_some(&facts));
    let cut = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
    let (one, two) = (&rest[..cut], rest.get(cut + 1..).unwrap_or_default());
    let Ok(opening) = ClientFirst::parse(one, choice & 2 != 0, &offer) else { return };
    let key = Credential::Scram {
        salt: bytes::Bytes::from_static(b"salt of sixteen."),
        iterations: 4096,
        stored_key: vec![1; 32].into(),
        server_key: vec![2; 32].into(),
    };
    let key =
        Decoy { secret: [9; 32], iterations: 4096 }.or(Some(key), Scheme::ScramSha256, "juliet@example.com");
    let scram = Scram::challenge(Scheme::ScramSha256, opening, key, "servernonce");
    assert!(scram.server_first().contains("servernonce"));
    assert!(scram.finish(two).is_err(), "nobody guesses a proof");
    // With our nonce, so that what comes behind it is read too.
    let nonce = scram.server_first().split(',').next().unwrap_or_default().to_owned();
    let bound = [b"c=biws,", nonce.as_bytes(), b",", two].concat();
    assert!(scram.finish(&bound).is_err(), "nobody guesses a proof");
}

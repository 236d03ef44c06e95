//! Digest credentials (RFC 7616, RFC 8760): read, judged and refused without harm; nothing made up is ever fresh.

use model::Tick;
use sip::digest::{Credentials, Freshness, Nonces};
use sip::transaction::Hop;

pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Some(credentials) = Credentials::parse(text) else { return };
    let _ = credentials.uri();
    assert!(!credentials.proves("REGISTER", b"00000000000000000000000000000000"), "nobody guesses a key");
    let mut nonces = Nonces::new([3; 32]);
    let (now, hop) = (Tick(1_000_000_000), Hop::Stream(connector::Flow::ACCEPTED));
    assert!(!matches!(nonces.judge(now, hop, &credentials), Freshness::Fresh), "nobody guesses a nonce");
    nonces.mark(now, hop, &credentials);
}

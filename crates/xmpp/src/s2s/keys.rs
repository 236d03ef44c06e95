//! Dialback keys (XEP-0185): made from a secret of the whole server, so that whichever machine is asked can tell
//! whether a key is one of ours, and nothing of a dialback has to be remembered.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The key with which `originating` proves itself to `receiving` on the stream that the latter calls `id`.
pub fn key(secret: &[u8], receiving: &str, originating: &str, id: &str) -> String {
    let secret = hex(&Sha256::digest(secret));
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    for part in [receiving, " ", originating, " ", id] {
        mac.update(part.as_bytes());
    }
    hex(&mac.finalize().into_bytes())
}

/// Is this the key?
pub fn is_key(secret: &[u8], (receiving, originating): (&str, &str), id: &str, given: &str) -> bool {
    let wanted = key(secret, receiving, originating, id);
    !wanted.is_empty() && bool::from(wanted.as_bytes().ct_eq(given.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of XEP-0185 section 3, and of XEP-0220.
    #[test]
    fn the_published_example() {
        let made = key(b"s3cr3tf0rd14lb4ck", "xmpp.example.com", "example.org", "D60000229F");
        assert_eq!(made, "37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643");
        assert!(is_key(b"s3cr3tf0rd14lb4ck", ("xmpp.example.com", "example.org"), "D60000229F", &made));
        for (receiving, originating, id) in [
            ("example.com", "example.org", "D60000229F"),
            ("xmpp.example.com", "example.net", "D60000229F"),
            ("xmpp.example.com", "example.org", "D60000229E"),
        ] {
            assert!(!is_key(b"s3cr3tf0rd14lb4ck", (receiving, originating), id, &made));
        }
    }
}

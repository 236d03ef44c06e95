//! A list of hashed addresses, as services for XMPP publish them: SHA-256 of the bare address, or of a domain.

use model::Address;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::io::{self, BufRead};

/// More entries than that are not taken: 64 MB.
const MOST: usize = 1_000_000;

/// What is listed.
#[derive(Debug, Default, Clone)]
pub(crate) struct List {
    hashes: HashSet<[u8; 32]>,
    /// Lines that say nothing.
    pub skipped: usize,
}

pub(crate) fn hash(who: &str) -> [u8; 32] {
    Sha256::digest(who.as_bytes()).into()
}

fn read_hash(hex: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(hash)
}

impl List {
    /// Reads one entry a line: a hash in hexadecimal digits, an address or a domain. What follows a blank does not count,
    /// nor do lines that begin with `#`.
    pub fn read(lines: impl BufRead) -> io::Result<Self> {
        let mut list = Self::default();
        for line in lines.lines() {
            let line = line?;
            let word = line.split_whitespace().next().unwrap_or_default();
            if word.is_empty() || word.starts_with('#') {
                continue;
            }
            if !list.add(word) {
                list.skipped += 1;
            }
        }
        Ok(list)
    }

    /// Adds one entry. False where it says nothing, or there are too many.
    pub fn add(&mut self, word: &str) -> bool {
        let hash = read_hash(word).or_else(|| {
            let address = Address::parse(&word.to_lowercase()).ok()?;
            address.domain().contains('.').then(|| hash(address.as_str()))
        });
        match hash {
            Some(hash) if self.hashes.len() < MOST => {
                self.hashes.insert(hash);
                true
            }
            _ => false,
        }
    }

    /// Takes one entry out.
    pub fn remove(&mut self, word: &str) {
        if let Some(hash) = read_hash(word) {
            self.hashes.remove(&hash);
        }
    }

    /// As it is kept.
    pub fn bytes(&self) -> Vec<u8> {
        self.hashes.iter().flatten().copied().collect()
    }

    /// As it was kept.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let hashes = bytes.chunks_exact(32).filter_map(|hash| hash.try_into().ok()).take(MOST).collect();
        Self { hashes, skipped: 0 }
    }

    /// Is somebody listed, or their domain?
    pub fn has(&self, who: &[u8; 32], domain: &[u8; 32]) -> bool {
        self.hashes.contains(who) || self.hashes.contains(domain)
    }

    pub fn len(&self) -> usize {
        self.hashes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_domains_are_found_by_their_hash() {
        let text = "# who spams\n\nABBA\nevil.test who knows\nSpammer@Example.NET\n\
                    4a6a6dd4b6b5a3a0e5a23be8c4ba8a5e8e4d4a4e0a0b7c1c2d3e4f5a6b7c8d9e\n";
        let list = List::read(text.as_bytes()).unwrap();
        assert_eq!((list.len(), list.skipped), (3, 1));
        let has = |who: &str| {
            let address = Address::parse(who).unwrap();
            list.has(&hash(who), &hash(address.domain()))
        };
        assert!(has("a@evil.test") && has("evil.test") && has("spammer@example.net"));
        assert!(!has("other@example.net") && !has("a@x.evil.test"));
        let hex: String = hash("mallory@evil.example").iter().map(|b| format!("{b:02x}")).collect();
        let mut list = List::default();
        assert!(list.add(&hex.to_uppercase()));
        assert!(list.has(&hash("mallory@evil.example"), &hash("evil.example")));
    }
}

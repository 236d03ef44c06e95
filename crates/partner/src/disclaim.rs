//! Whom a partner's disclaimer was told, so that it is told once in a conversation.

use model::Address;
use parking_lot::Mutex;
use std::collections::HashMap;

/// A conversation that rested so long is another one, in milliseconds.
const REST: u64 = 24 * 3_600_000;
/// Conversations remembered for one partner.
const REMEMBERED: usize = 10_000;

/// A disclaimer that is to be told now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disclaimer {
    /// In whose name: a domain of ours.
    pub from: Address,
    /// To whom.
    pub to: Address,
    /// What.
    pub text: String,
}

/// When each pair of people last wrote, Unix milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<HashMap<(Address, Address), u64>>);

impl Told {
    /// Notes that one of ours writes to one of theirs. Is it the first word of a conversation?
    pub fn is_first(&self, ours: &Address, theirs: &Address, now: u64) -> bool {
        let mut told = self.0.lock();
        let rests = |last: u64| now.saturating_sub(last) >= REST;
        if told.len() >= REMEMBERED {
            told.retain(|_, last| !rests(*last));
            if told.len() >= REMEMBERED {
                told.clear();
            }
        }
        told.insert((ours.clone(), theirs.clone()), now).is_none_or(rests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_in_a_conversation() {
        let told = Told::default();
        let address = |text| Address::parse(text).unwrap();
        let (a, b, c) = (address("a@x"), address("b@y"), address("c@y"));
        assert!(told.is_first(&a, &b, 1_000));
        assert!(!told.is_first(&a, &b, REST));
        assert!(!told.is_first(&a, &b, 2 * REST - 1), "it goes on while they write");
        assert!(told.is_first(&a, &b, 3 * REST));
        assert!(told.is_first(&a, &c, 3 * REST));
        assert!(told.is_first(&b, &a, 3 * REST));
    }
}

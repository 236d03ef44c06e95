//! Whoever guesses passwords has to wait: the address they guess from, for the account they guess at, and for all accounts
//! after many of them. Never the account itself, or anybody could lock anybody out.

use crate::clock;
use model::Address;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};

const SHARDS: usize = 16;
/// Guessers remembered per shard; beyond that, those who failed longest ago are forgotten.
const REMEMBERED: usize = 4_096;
/// The first wait, in milliseconds; each further one is twice as long.
const FIRST_WAIT: u64 = 60_000;
/// The longest.
const LONGEST_WAIT: u64 = 3_600_000;
/// Failures that long ago do not count, in milliseconds.
const MEMORY: u64 = 3_600_000;
/// An address may fail so many times as often at all accounts together as at one.
const ACCOUNTS: u32 = 10;

/// An address, and the account it guesses at; or all.
type Guesser = (IpAddr, Option<Address>);

#[derive(Default, Clone, Copy)]
struct Guesses {
    failures: u32,
    waits: u32,
    last: u64,
    until: u64,
    /// The account was proved from there, so its owner is there: others who guess from the same address do not
    /// keep them out.
    known: bool,
}

/// Who guesses.
pub(crate) struct Logins {
    hasher: RandomState,
    shards: Vec<Mutex<HashMap<Guesser, Guesses>>>,
}

impl Default for Logins {
    fn default() -> Self {
        Self { hasher: RandomState::new(), shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

/// One customer's addresses count as one: an IPv6 /64.
fn source(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) >> 64 << 64)),
        v4 => v4,
    }
}

impl Logins {
    fn shard(&self, guesser: &Guesser) -> &Mutex<HashMap<Guesser, Guesses>> {
        &self.shards[self.hasher.hash_one(guesser) as usize % SHARDS]
    }

    /// For how many more milliseconds this address must wait before it may try this account.
    fn wait(&self, ip: IpAddr, account: &Address, now: u64) -> Option<u64> {
        let of = |guesser: Guesser| self.shard(&guesser).lock().get(&guesser).copied().unwrap_or_default();
        let own = of((ip, Some(account.clone())));
        let all = if own.known { 0 } else { of((ip, None)).until };
        let until = own.until.max(all).min(now + LONGEST_WAIT);
        until.checked_sub(now).filter(|left| *left > 0)
    }

    fn failed(&self, ip: IpAddr, account: &Address, most: u32, now: u64) {
        if self.wait(ip, account, now).is_some() {
            return;
        }
        for (guesser, most) in
            [((ip, Some(account.clone())), most), ((ip, None), most.saturating_mul(ACCOUNTS))]
        {
            let mut shard = self.shard(&guesser).lock();
            if shard.len() >= REMEMBERED {
                forget(&mut shard, now);
            }
            let guesses = shard.entry(guesser).or_default();
            if now.saturating_sub(guesses.last) > MEMORY + guesses.until.saturating_sub(guesses.last) {
                *guesses = Guesses { known: guesses.known, ..Guesses::default() };
            }
            guesses.failures += 1;
            guesses.last = now;
            if guesses.failures >= most {
                guesses.failures = 0;
                guesses.until = now + (FIRST_WAIT << guesses.waits.min(16)).min(LONGEST_WAIT);
                guesses.waits += 1;
            }
        }
    }

    fn proved(&self, ip: IpAddr, account: &Address, now: u64) {
        let guesser = (ip, Some(account.clone()));
        let mut shard = self.shard(&guesser).lock();
        if shard.len() >= REMEMBERED {
            forget(&mut shard, now);
        }
        shard.insert(guesser, Guesses { known: true, last: now, ..Guesses::default() });
    }

    /// Somebody begins to prove that an account is theirs. For how many seconds they must wait first.
    pub fn begins(&self, ip: IpAddr, account: &Address, most: u32) -> Option<u64> {
        let left = self.wait(source(ip), account, clock::wall().unix_ms()).filter(|_| most > 0)?;
        Some(left.div_ceil(1000))
    }

    /// They did, or failed to.
    pub fn ends(&self, ip: IpAddr, account: &Address, proven: bool, most: u32) {
        match proven {
            _ if most == 0 => {}
            true => self.proved(source(ip), account, clock::wall().unix_ms()),
            false => self.failed(source(ip), account, most, clock::wall().unix_ms()),
        }
    }
}

/// Makes room: whoever neither waits nor failed lately, else the half that failed longest ago.
fn forget(shard: &mut HashMap<Guesser, Guesses>, now: u64) {
    shard.retain(|_, g| g.until > now || now.saturating_sub(g.last) < MEMORY);
    if shard.len() > REMEMBERED / 2 {
        let mut times: Vec<u64> = shard.values().map(|g| g.last).collect();
        let middle = times.len() / 2;
        let median = *times.select_nth_unstable(middle).1;
        shard.retain(|_, g| g.last > median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_guesses_waits_longer_and_longer_and_nobody_else_does() {
        let logins = Logins::default();
        let (here, there): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let account = |name: &str| Address::new(name, "example.com").unwrap();
        let (juliet, nurse) = (account("juliet"), account("nurse"));
        for _ in 0..5 {
            assert_eq!(logins.wait(here, &juliet, 0), None);
            logins.failed(here, &juliet, 5, 0);
        }
        assert_eq!(logins.wait(here, &juliet, 0), Some(60_000));
        assert_eq!(logins.wait(there, &juliet, 0), None, "the account is not locked");
        assert_eq!(logins.wait(here, &nurse, 0), None, "nor is everybody at that address");
        (0..5).for_each(|_| logins.failed(here, &juliet, 5, 1_000));
        assert_eq!(logins.wait(here, &juliet, 1_000), Some(59_000), "what is refused counts no more");
        (0..5).for_each(|_| logins.failed(here, &juliet, 5, 60_000));
        assert_eq!(logins.wait(here, &juliet, 60_000), Some(120_000));
        // Another account from there, and at last all of them.
        let porter = account("porter");
        logins.proved(here, &porter, 60_000);
        for n in 0..40 {
            logins.failed(here, &account(&format!("user{n}")), 5, 60_000);
        }
        assert!(logins.wait(here, &nurse, 60_000).is_some());
        assert_eq!(logins.wait(there, &nurse, 60_000), None);
        assert_eq!(logins.wait(here, &porter, 60_000), None, "who is known there is not kept out by others");
        // The clock was set back: nobody waits longer than the longest.
        assert!(logins.wait(here, &juliet, 0).unwrap() <= LONGEST_WAIT);
        let far = 60_000 + 4 * MEMORY;
        (0..5).for_each(|_| logins.failed(here, &juliet, 5, far));
        assert_eq!(logins.wait(here, &juliet, far), Some(60_000), "forgotten");
    }

    #[test]
    fn guessers_are_bounded() {
        let logins = Logins::default();
        let juliet = Address::new("juliet", "example.com").unwrap();
        for n in 0..200_000u32 {
            logins.failed(IpAddr::V4(n.into()), &juliet, 5, u64::from(n));
        }
        let all: usize = logins.shards.iter().map(|shard| shard.lock().len()).sum();
        assert!(all <= SHARDS * REMEMBERED);
        let (a, b): (IpAddr, IpAddr) = ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
        assert_eq!(source(a), source(b));
        assert_eq!(source("::ffff:192.0.2.1".parse().unwrap()), "192.0.2.1".parse::<IpAddr>().unwrap());
    }
}

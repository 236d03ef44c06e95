//! Digest authentication, the server's side (RFC 7616, RFC 8760, RFC 3261 22).
//!
//! A nonce proves by its MAC that this machine made it, and when; so nothing is kept for a nonce that was never used.
//! A used one keeps a small window of the counts seen, so that no request can be played again.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use model::{Scheme, Tick};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use crate::transaction::Hop;
use crate::wire::{Params, quote};

/// How long a nonce is good.
pub const NONCE_LIFE: Duration = Duration::from_secs(300);
/// Used nonces remembered by one machine.
const MAX_USED: usize = 20_000;

/// The algorithms of the challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RFC 8760: preferred.
    Sha256,
    /// RFC 7616 keeps it for old clients, and there are many.
    Md5,
}

impl Algorithm {
    /// The token on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Md5 => "MD5",
        }
    }

    /// Which stored key proves it.
    pub fn scheme(self) -> Scheme {
        match self {
            Self::Sha256 => Scheme::DigestSha256,
            Self::Md5 => Scheme::DigestMd5,
        }
    }

    fn hex(self, data: &str) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        match self {
            Self::Sha256 => hex(&Sha256::digest(data.as_bytes())),
            Self::Md5 => hex(&Md5::digest(data.as_bytes())),
        }
    }
}

/// What a client sent in `Authorization` or `Proxy-Authorization`.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// As the client wrote it.
    pub username: String,
    /// The protection space.
    pub realm: String,
    /// MD5 when the client named none (RFC 7616 3.3).
    pub algorithm: Algorithm,
    nonce: String,
    uri: String,
    response: String,
    /// `qop=auth` with its count and cnonce. `None` is the RFC 2069 form, which some clients still use.
    count: Option<(String, String)>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({}, {})", self.realm, self.algorithm.name())
    }
}

impl Credentials {
    /// Reads one header value. `None` for other schemes, missing fields, or an algorithm we did not offer.
    pub fn parse(value: &str) -> Option<Self> {
        let p = Params::auth(value);
        if !p.head.eq_ignore_ascii_case("digest") {
            return None;
        }
        let algorithm = match p.get("algorithm") {
            None => Algorithm::Md5,
            Some(a) if a.eq_ignore_ascii_case("md5") => Algorithm::Md5,
            Some(a) if a.eq_ignore_ascii_case("sha-256") => Algorithm::Sha256,
            Some(_) => return None,
        };
        let count = match p.get("qop") {
            None => None,
            Some(q) if q.eq_ignore_ascii_case("auth") => {
                Some((p.get("nc")?.to_owned(), p.get("cnonce")?.to_owned()))
            }
            Some(_) => return None,
        };
        // Without qop the hash covers less; that is bearable only in the old algorithm's old form.
        if count.is_none() && algorithm != Algorithm::Md5 {
            return None;
        }
        Some(Self {
            username: p.get("username")?.to_owned(),
            realm: p.get("realm")?.to_owned(),
            algorithm,
            nonce: p.get("nonce")?.to_owned(),
            uri: p.get("uri")?.to_owned(),
            response: p.get("response")?.to_owned(),
            count,
        })
    }

    /// The `uri` the client signed.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The response this key would give (RFC 7616 3.4.1).
    fn expected(&self, method: &str, ha1: &str) -> String {
        let ha2 = self.algorithm.hex(&format!("{method}:{}", self.uri));
        let text = match &self.count {
            Some((nc, cnonce)) => format!("{ha1}:{}:{nc}:{cnonce}:auth:{ha2}", self.nonce),
            None => format!("{ha1}:{}:{ha2}", self.nonce),
        };
        self.algorithm.hex(&text)
    }

    /// Compares in constant time.
    pub fn proves(&self, method: &str, ha1: &[u8]) -> bool {
        let Ok(ha1) = std::str::from_utf8(ha1) else { return false };
        let expected = self.expected(method, ha1);
        expected.as_bytes().ct_eq(self.response.to_ascii_lowercase().as_bytes()).into()
    }
}

/// What a nonce is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Made here, young, and this count was not seen.
    Fresh,
    /// Made here but too old, used up, or replayed: challenge again with `stale=true`.
    Stale,
    /// Not ours.
    Foreign,
}

#[derive(Debug)]
struct Used {
    highest: u32,
    /// Bit n: the count `highest - n` was seen.
    window: u64,
    /// For the form without counts: the peer that may go on using it.
    peer: Hop,
}

/// Makes and judges nonces.
pub struct Nonces {
    key: [u8; 32],
    used: BTreeMap<String, Used>,
    order: VecDeque<(Tick, String)>,
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Nonces({} used)", self.used.len())
    }
}

impl Nonces {
    /// With the key of this machine.
    pub fn new(key: [u8; 32]) -> Self {
        Self { key, used: BTreeMap::new(), order: VecDeque::new() }
    }

    /// A fresh nonce: time, salt, MAC.
    pub fn make(&self, now: Tick, salt: u64) -> String {
        let mut raw = Vec::with_capacity(32);
        raw.extend_from_slice(&now.0.to_be_bytes());
        raw.extend_from_slice(&salt.to_be_bytes());
        let mac = self.mac(&raw);
        raw.extend_from_slice(mac.get(..16).unwrap_or(&[]));
        URL_SAFE_NO_PAD.encode(raw)
    }

    fn mac(&self, data: &[u8]) -> Vec<u8> {
        match Hmac::<Sha256>::new_from_slice(&self.key) {
            Ok(mut mac) => {
                mac.update(data);
                mac.finalize().into_bytes().to_vec()
            }
            // A 32-byte key is always accepted; an empty MAC matches nothing.
            Err(_) => Vec::new(),
        }
    }

    fn made(&self, nonce: &str) -> Option<Tick> {
        let raw = URL_SAFE_NO_PAD.decode(nonce).ok()?;
        let (data, mac) = raw.split_at_checked(16)?;
        let expected = self.mac(data);
        let ours: bool = expected.get(..16)?.ct_eq(mac).into();
        let time: [u8; 8] = data.get(..8)?.try_into().ok()?;
        ours.then_some(Tick(u64::from_be_bytes(time)))
    }

    /// Judges without marking: call before the key is fetched.
    pub fn judge(&self, now: Tick, peer: Hop, c: &Credentials) -> Freshness {
        let Some(made) = self.made(&c.nonce) else { return Freshness::Foreign };
        if now.since(made) > NONCE_LIFE {
            return Freshness::Stale;
        }
        match (&c.count, self.used.get(&c.nonce)) {
            (Some((nc, _)), used) => match u32::from_str_radix(nc, 16) {
                Ok(n) if n > 0 => match used {
                    Some(u) if seen(u, n) => Freshness::Stale,
                    _ => Freshness::Fresh,
                },
                _ => Freshness::Foreign,
            },
            (None, Some(u)) if u.peer != peer => Freshness::Stale,
            (None, _) => Freshness::Fresh,
        }
    }

    /// Marks a proven use. Call only after the proof, or a guesser could use up a victim's counts.
    pub fn mark(&mut self, now: Tick, peer: Hop, c: &Credentials) {
        while self
            .order
            .front()
            .is_some_and(|(at, _)| now.since(*at) > NONCE_LIFE || self.order.len() >= MAX_USED)
        {
            if let Some((_, nonce)) = self.order.pop_front() {
                self.used.remove(&nonce);
            }
        }
        let n = c.count.as_ref().and_then(|(nc, _)| u32::from_str_radix(nc, 16).ok()).unwrap_or(0);
        match self.used.get_mut(&c.nonce) {
            Some(u) if n > u.highest => {
                let shift = n - u.highest;
                u.window = if shift >= 64 { 1 } else { (u.window << shift) | 1 };
                u.highest = n;
            }
            Some(u) => {
                if let Some(bit) = 1u64.checked_shl(u.highest - n) {
                    u.window |= bit;
                }
            }
            None => {
                let at = self.made(&c.nonce).unwrap_or(now);
                self.order.push_back((at, c.nonce.clone()));
                self.used.insert(c.nonce.clone(), Used { highest: n, window: 1, peer });
            }
        }
    }
}

fn seen(u: &Used, n: u32) -> bool {
    n <= u.highest && (u.highest - n >= 64 || u.window & (1 << (u.highest - n)) != 0)
}

/// The order of the challenges. The first is the one a client is to use if it can (RFC 8760 2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// SHA-256, and MD5 for those that know nothing else.
    Sha256First,
    /// MD5 and nothing else, for clients that look at one challenge alone, or give up at a name that they do not know.
    Md5Only,
    /// SHA-256 and nothing else.
    Sha256Only,
}

/// The challenges. Parameters are set apart by a comma *and* a space, and the realm holds no space: old clients cut the
/// header at spaces.
pub fn challenges(realm: &str, nonce: &str, stale: bool, order: Order) -> Vec<String> {
    let one = |a: Algorithm| {
        let stale = if stale { ", stale=true" } else { "" };
        format!(
            "Digest realm={}, nonce=\"{nonce}\", algorithm={}, qop=\"auth\"{stale}",
            quote(realm),
            a.name()
        )
    };
    match order {
        Order::Sha256First => vec![one(Algorithm::Sha256), one(Algorithm::Md5)],
        Order::Md5Only => vec![one(Algorithm::Md5)],
        Order::Sha256Only => vec![one(Algorithm::Sha256)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer() -> Hop {
        Hop::Udp("192.0.2.1:5060".parse().unwrap())
    }

    fn creds(nonce: &str, nc: &str) -> Credentials {
        Credentials::parse(&format!(
            "Digest username=\"u\", realm=\"r\", nonce=\"{nonce}\", uri=\"sip:r\", response=\"x\", qop=auth, nc={nc}, cnonce=\"c\""
        ))
        .unwrap()
    }

    #[test]
    fn the_examples_of_rfc_7616_verify() {
        // RFC 7616 3.9.1
        let base = "username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", \
             nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, \
             cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth";
        for (a, response) in [
            (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (Algorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let c = Credentials::parse(&format!(
                "Digest {base}, algorithm={}, response=\"{response}\"",
                a.name()
            ))
            .unwrap();
            let ha1 = a.hex("Mufasa:http-auth@example.org:Circle of Life");
            assert!(c.proves("GET", ha1.as_bytes()));
            assert!(!c.proves("PUT", ha1.as_bytes()));
            assert!(!c.proves("GET", a.hex("Mufasa:http-auth@example.org:wrong").as_bytes()));
        }
    }

    #[test]
    fn the_old_form_without_qop_verifies_for_md5_only() {
        let ha1 = Algorithm::Md5.hex("u:r:p");
        let response = Algorithm::Md5.hex(&format!("{ha1}:n:{}", Algorithm::Md5.hex("REGISTER:sip:r")));
        let text = format!(
            "Digest username=\"u\", realm=\"r\", nonce=\"n\", uri=\"sip:r\", nc=\"00000001\", response=\"{response}\""
        );
        assert!(Credentials::parse(&text).unwrap().proves("REGISTER", ha1.as_bytes()));
        assert!(Credentials::parse(&format!("{text}, algorithm=SHA-256")).is_none());
        assert!(Credentials::parse(&format!("{text}, qop=auth-int, cnonce=\"x\"")).is_none());
        assert!(Credentials::parse("Basic dTpw").is_none());
    }

    #[test]
    fn counts_are_good_once() {
        let mut n = Nonces::new([1; 32]);
        let t = Tick(1_000_000);
        let nonce = n.make(t, 5);
        for nc in ["00000001", "00000003", "00000002", "0000000a"] {
            let c = creds(&nonce, nc);
            assert_eq!(n.judge(t, peer(), &c), Freshness::Fresh, "{nc}");
            n.mark(t, peer(), &c);
            assert_eq!(n.judge(t, peer(), &c), Freshness::Stale, "{nc}");
        }
        n.mark(t, peer(), &creds(&nonce, "00000100"));
        assert_eq!(n.judge(t, peer(), &creds(&nonce, "00000004")), Freshness::Stale, "out of the window");
        assert_eq!(n.judge(t, peer(), &creds(&nonce, "0")), Freshness::Foreign);
        assert_eq!(n.judge(t, peer(), &creds(&nonce, "zz")), Freshness::Foreign);
    }

    #[test]
    fn nonces_age_and_cannot_be_made_elsewhere() {
        let n = Nonces::new([1; 32]);
        let nonce = n.make(Tick(0), 5);
        let c = creds(&nonce, "1");
        assert_eq!(n.judge(Tick(299_000_000), peer(), &c), Freshness::Fresh);
        assert_eq!(n.judge(Tick(301_000_000), peer(), &c), Freshness::Stale);
        assert_eq!(Nonces::new([2; 32]).judge(Tick(0), peer(), &c), Freshness::Foreign);
        assert_eq!(n.judge(Tick(0), peer(), &creds("nonsense", "1")), Freshness::Foreign);
        assert_eq!(n.judge(Tick(0), peer(), &creds("", "1")), Freshness::Foreign);
    }

    #[test]
    fn without_counts_a_nonce_stays_with_its_first_user() {
        let mut n = Nonces::new([1; 32]);
        let nonce = n.make(Tick(0), 5);
        let c = Credentials::parse(&format!(
            "Digest username=\"u\", realm=\"r\", nonce=\"{nonce}\", uri=\"sip:r\", response=\"x\""
        ))
        .unwrap();
        n.mark(Tick(0), peer(), &c);
        assert_eq!(n.judge(Tick(1), peer(), &c), Freshness::Fresh);
        assert_eq!(n.judge(Tick(1), Hop::Udp("192.0.2.2:5060".parse().unwrap()), &c), Freshness::Stale);
    }

    #[test]
    fn challenges_come_in_the_order_asked_for() {
        let c = challenges("example.com", "abc", true, Order::Sha256First);
        assert_eq!(
            c[0],
            "Digest realm=\"example.com\", nonce=\"abc\", algorithm=SHA-256, qop=\"auth\", stale=true"
        );
        assert!(c[1].contains("algorithm=MD5"));
        let old = challenges("e", "n", false, Order::Md5Only);
        assert!(old.len() == 1 && old[0].contains("algorithm=MD5"));
        assert_eq!(challenges("e", "n", false, Order::Sha256Only).len(), 1);
    }
}

//! Who sends a request (RFC 3261 22, RFC 7616).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use connector::Output;
use model::{Address, Answer, Ask, Credential, Now, Tick};

use super::{Job, SOFTWARE, SipMachine, Waiting};
use crate::digest::{Algorithm, Credentials, Freshness, Order, challenges};
use crate::transaction::Hop;
use crate::translate::address;
use crate::wire::SipUri;

/// Wrong passwords answered with a new challenge; the next ones are answered 403.
const MAX_TRIES: u32 = 5;
/// How long wrong passwords are remembered.
const MEMORY: Duration = Duration::from_secs(300);
/// Wrong passwords remembered at a time.
const MAX_FAILURES: usize = 10_000;

/// A request whose proof waits for the stored key.
#[derive(Debug)]
pub(super) struct Proving {
    job: Job,
    account: Address,
    credentials: Credentials,
}

/// Wrong passwords, by who tries them and for whom. A port says nothing of who that is: every guess may have another.
#[derive(Debug, Default)]
pub(super) struct Failures(BTreeMap<(IpAddr, Address), (u32, Tick)>);

impl Failures {
    fn count(&self, now: Tick, peer: IpAddr, account: &Address) -> u32 {
        let recent = self.0.get(&(peer, account.clone())).filter(|(_, at)| now.since(*at) < MEMORY);
        recent.map_or(0, |(n, _)| *n)
    }

    fn add(&mut self, now: Tick, peer: IpAddr, account: &Address) {
        if self.0.len() >= MAX_FAILURES {
            self.0.retain(|_, (_, at)| now.since(*at) < MEMORY);
        }
        if self.0.len() >= MAX_FAILURES {
            // Were all forgotten, whoever fills this up could go on guessing.
            let mut oldest: Vec<_> = self.0.iter().map(|(key, (_, at))| (*at, key.clone())).collect();
            oldest.sort_unstable();
            oldest.truncate(MAX_FAILURES / 2);
            for (_, key) in &oldest {
                self.0.remove(key);
            }
        }
        let n = self.count(now, peer, account) + 1;
        self.0.insert((peer, account.clone()), (n, now));
    }
}

/// Who somebody is whose address this is: with IPv6 everybody has a /64.
fn site(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

/// Who sent it, where no connection says so.
fn sender(source: Hop) -> Option<IpAddr> {
    match source {
        Hop::Stream(_) => None,
        Hop::Udp(from) => Some(from.ip()),
    }
}

impl SipMachine {
    /// Finds out who sends this, and then acts on it.
    pub(super) fn authenticate(&mut self, now: Now, job: Job) {
        let register = job.request.method() == "REGISTER";
        let who = if register { &job.request.to } else { &job.request.from };
        let Some(account) = address::from_header(who).map(|e| e.address).filter(|a| a.user().is_some())
        else {
            return self.refuse(now, &job, if register { 404 } else { 403 });
        };
        if !self.config.serves(account.domain()) {
            return self.refuse(now, &job, if register { 404 } else { 403 });
        }
        // Where it is registered, one proof holds for the connection. Where it is not, nobody would say when the account
        // ends, so each request is proved.
        if self.is_signed_in(job.source, &account) {
            return self.act(now, job, account);
        }
        let realm = account.domain().to_owned();
        let credentials = ["Authorization", "Proxy-Authorization"]
            .into_iter()
            .flat_map(|h| job.request.headers(h))
            .filter_map(|v| Credentials::parse(&v))
            .find(|c| {
                c.realm.eq_ignore_ascii_case(&realm) && (self.config.md5 || c.algorithm != Algorithm::Md5)
            });
        let Some(credentials) = credentials else {
            return self.challenge(now, &job, &realm, false);
        };
        if !names(&credentials.username, &account) {
            return self.refuse(now, &job, 403);
        }
        if !same_target(credentials.uri(), &job.request.target()) {
            return self.refuse(now, &job, 400);
        }
        match self.nonces.judge(now.tick, job.source, &credentials) {
            Freshness::Foreign => self.challenge(now, &job, &realm, false),
            Freshness::Stale => self.challenge(now, &job, &realm, true),
            Freshness::Fresh
                if self.failures.count(now.tick, self.site(job.source), &account) >= 2 * MAX_TRIES =>
            {
                self.refuse(now, &job, 403);
            }
            Freshness::Fresh => {
                let (scheme, from) = (credentials.algorithm.scheme(), sender(job.source));
                let ask = Ask::Credential { account: account.clone(), scheme, from };
                self.ask(now, ask, Waiting::Credential(Box::new(Proving { job, account, credentials })));
            }
        }
    }

    /// The stored key is here.
    pub(super) fn proved(&mut self, now: Now, proving: Proving, answer: Answer) {
        let Proving { job, account, credentials } = proving;
        let key = match answer {
            Answer::Credential(Some(Credential::Ha1(key))) => Some(key),
            Answer::Credential(_) => None,
            Answer::Refused(no) => return self.answer_refusal(now, &job.receipt(), &no, true),
            _ => return self.refuse(now, &job, 500),
        };
        let proven = key.is_some_and(|k| credentials.proves(job.request.method(), &k));
        let realm = account.domain().to_owned();
        let site = self.site(job.source);
        if self.failures.count(now.tick, site, &account) >= 2 * MAX_TRIES {
            // Many guesses may have come at once, before the first had failed.
            return self.refuse(now, &job, 403);
        }
        let from = sender(job.source);
        self.out.push_back(Output::Login { account: Some(account.clone()), from, proven });
        if !proven {
            // An unknown account looks the same as a wrong password.
            self.failures.add(now.tick, site, &account);
            if self.failures.count(now.tick, site, &account) > MAX_TRIES {
                return self.refuse(now, &job, 403);
            }
            return self.challenge(now, &job, &realm, false);
        }
        // Another request with the same count may have come in while we asked.
        if self.nonces.judge(now.tick, job.source, &credentials) != Freshness::Fresh {
            return self.challenge(now, &job, &realm, true);
        }
        self.nonces.mark(now.tick, job.source, &credentials);
        self.failures.0.remove(&(site, account.clone()));
        self.act(now, job, account);
    }

    fn site(&self, source: Hop) -> IpAddr {
        match source {
            Hop::Stream(_) => site(self.peer.remote.ip()),
            Hop::Udp(source) => site(source.ip()),
        }
    }

    /// 401 from the registrar, 407 for what we pass on, as RFC 3261 22.2 and 22.3 have it.
    fn challenge(&mut self, now: Now, job: &Job, realm: &str, stale: bool) {
        let salt = self.dice.u64();
        let nonce = self.nonces.make(now.tick, salt);
        let order = match (self.config.md5, self.tls) {
            (false, _) => Order::Sha256Only,
            (true, true) => Order::Sha256First,
            // Without TLS whoever listens reads all, and whoever stands between may strike out the better challenge: it
            // protects nothing there, while some clients read only the first challenge (SIPp) and others give up at
            // the name of a hash that they do not know (baresip 1.0).
            (true, false) => Order::Md5Only,
        };
        let list = challenges(realm, &nonce, stale, order);
        let (status, header) = match job.request.method() {
            "REGISTER" => (401, "WWW-Authenticate"),
            _ => (407, "Proxy-Authenticate"),
        };
        let tag = self.dice.token(10);
        let mut w = job.request.reply.answer(status, &tag);
        for c in &list {
            w.header(header, c);
        }
        w.header("Server", SOFTWARE);
        self.send_challenge(now, job.id, job.back, w);
    }
}

/// Some clients write the whole address as their user name.
fn names(username: &str, account: &Address) -> bool {
    let name = username.to_lowercase();
    account.user() == Some(name.as_str()) || account.as_str() == name
}

/// The signed URI must name what the request is for, but ports and parameters differ in the field.
fn same_target(signed: &str, target: &str) -> bool {
    match (SipUri::parse(signed), SipUri::parse(target)) {
        (Some(a), Some(b)) => a.user == b.user && a.host == b.host,
        _ => signed.trim() == target,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_are_counted_by_who_makes_them() {
        for (a, b, same) in [
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8::1", "2001:db8::ffff:0:0:1", true),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
            ("192.0.2.1", "192.0.2.2", false),
        ] {
            assert_eq!(site(a.parse().unwrap()) == site(b.parse().unwrap()), same, "{a} {b}");
        }
    }

    #[test]
    fn who_fills_the_memory_does_not_empty_it() {
        let (mut failures, site) = (Failures::default(), site("192.0.2.1".parse().unwrap()));
        let account = |n: usize| Address::new(&format!("u{n}"), "example.net").unwrap();
        for n in 0..=MAX_FAILURES {
            failures.add(Tick(n as u64), site, &account(n));
        }
        assert!(failures.0.len() <= MAX_FAILURES);
        let counts =
            [0, MAX_FAILURES / 2, MAX_FAILURES].map(|n| failures.count(Tick(20_000), site, &account(n)));
        assert_eq!(counts, [0, 1, 1]);
    }
}

//! PUBLISH (RFC 3903): a presence document with an entity-tag, kept by the hub until it lapses.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use connector::{Flow, Output};
use model::{Address, Ask, Endpoint, Event, LeaseKey, Now, Outcome, Publish, Tick, Tuple};

use super::registrar::presence_key;
use super::tickets::Draft;
use super::{Due, Job, Owed, SipMachine, Waiting, inherit};
use crate::pidf;
use crate::transaction::Hop;
use crate::translate::{address, presence};

/// The largest document kept.
const MAX_DOCUMENT: usize = 16 * 1024;
/// Publications of one machine.
const MAX_PUBLICATIONS: usize = 20_000;

/// One publication: a lineage of entity-tags.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Publication {
    pub account: Address,
    /// The device that publishes, if it is registered here.
    pub device: Option<Endpoint>,
    etag: String,
    key: LeaseKey,
    document: Bytes,
    /// Where its last PUBLISH came from.
    source: Hop,
    until: Tick,
}

/// A PUBLISH in the hands of the hub.
#[derive(Debug)]
pub(super) struct Publishing {
    owed: Owed,
    lineage: String,
    publication: Publication,
    secs: u32,
}

impl SipMachine {
    /// Carries out a PUBLISH of an account.
    pub(super) fn publish(&mut self, now: Now, job: Job, account: Address) {
        // Only one's own presence (RFC 3903 6 step 3).
        if address::from_uri(&job.request.target()).is_none_or(|e| e.address != account) {
            return self.refuse(now, &job, 403);
        }
        let Some(secs) = self.config.grant(job.request.seconds("Expires")) else {
            let min = self.config.min_expires;
            return self.answer(now, &job, 423, |w| {
                w.header("Min-Expires", min);
            });
        };
        let body = job.request.body();
        let mime = job.request.params("Content-Type").map(|p| p.head.to_ascii_lowercase());
        if !body.is_empty() && mime.as_deref() != Some(pidf::MIME) {
            return self.answer(now, &job, 415, |w| {
                w.header("Accept", pidf::MIME);
            });
        }
        if body.len() > MAX_DOCUMENT {
            return self.refuse(now, &job, 413);
        }
        if let Some(tag) = job.request.header("SIP-If-Match") {
            let lineage = tag.split('.').next().unwrap_or("").to_owned();
            // Another machine may have gone on with the lineage: only the current tag settles it here.
            if self.publications.get(&lineage).is_some_and(|p| p.etag == tag.trim()) {
                return self.republish(now, job, account, lineage, secs);
            }
            if lineage.is_empty() || lineage.len() > 40 || !lineage.bytes().all(|b| b.is_ascii_alphanumeric())
            {
                return self.refuse(now, &job, 412);
            }
            let ask = Ask::Claim { key: lease_key(&lineage), owner: account.clone() };
            return self.ask(now, ask, Waiting::ClaimPublication { job: Box::new(job), account, lineage });
        }
        if body.is_empty() || secs == 0 {
            // Nothing to begin with (RFC 3903 6 step 5).
            return self.refuse(now, &job, 400);
        }
        if self.publications.len() >= MAX_PUBLICATIONS {
            return self.refuse(now, &job, 500);
        }
        let lineage = self.dice.token(16);
        let device = self.device_at(job.source, &account);
        let key = device.as_ref().map_or_else(|| lease_key(&lineage), presence_key);
        let document = Bytes::copy_from_slice(body);
        let publication = Publication {
            account,
            device,
            etag: String::new(),
            key,
            document,
            source: job.source,
            until: now.tick,
        };
        self.put(now, job, lineage, publication, secs);
    }

    pub(super) fn claimed_publication(
        &mut self,
        now: Now,
        job: Job,
        account: Address,
        lineage: String,
        state: Option<Bytes>,
    ) {
        let secs = self.config.grant(job.request.seconds("Expires"));
        let found = state.and_then(|s| load(&s, &account, now.tick));
        let (Some(publication), Some(secs)) = (found, secs) else {
            return self.refuse(now, &job, 412);
        };
        self.publications.insert(lineage.clone(), publication);
        self.republish(now, job, account, lineage, secs);
    }

    /// A machine of this socket had this publication: it is said again, in the terms of then.
    pub(super) fn inherit_publication(
        &mut self,
        now: Now,
        key: &LeaseKey,
        owner: &Address,
        state: &Bytes,
        secs: u32,
    ) {
        let Some((_, lineage)) = key.0.split_once(':') else { return };
        let until = now.tick + Duration::from_secs(u64::from(secs));
        let Some(publication) = load(state, owner, until) else { return };
        let device = publication.device.as_ref().and_then(|e| e.device.as_ref());
        let Some(tuples) = presence::from_pidf(&publication.document, device, now.wall) else { return };
        if self.publications.len() >= MAX_PUBLICATIONS {
            return;
        }
        let event = Event::Publish(Publish { key: publication.key.clone(), tuples, secs: Some(secs) });
        let to = Endpoint::bare(owner.clone());
        let from = publication.device.clone().unwrap_or_else(|| to.clone());
        self.timers.insert((until, Due::Publication(lineage.to_owned())));
        self.publications.insert(lineage.to_owned(), publication);
        self.submit(now, Draft::new(from, to, event), Waiting::Nothing);
    }

    /// A PUBLISH with SIP-If-Match: refresh, modify or remove (RFC 3903 6 steps 4 to 6).
    fn republish(&mut self, now: Now, job: Job, account: Address, lineage: String, secs: u32) {
        let tag = job.request.header("SIP-If-Match").unwrap_or_default();
        let found = self.publications.get(&lineage).filter(|p| p.account == account && p.etag == tag.trim());
        let Some(mut publication) = found.cloned() else {
            return self.refuse(now, &job, 412);
        };
        if !job.request.body().is_empty() {
            publication.document = Bytes::copy_from_slice(job.request.body());
        }
        self.put(now, job, lineage, publication, secs);
    }

    fn put(&mut self, now: Now, job: Job, lineage: String, mut publication: Publication, secs: u32) {
        let device = publication.device.as_ref().and_then(|e| e.device.as_ref());
        let tuples: Vec<Tuple> = if secs == 0 {
            Vec::new()
        } else {
            match presence::from_pidf(&publication.document, device, now.wall) {
                Some(tuples) => tuples,
                None => return self.refuse(now, &job, 400),
            }
        };
        publication.source = job.source;
        // Every answer carries a new entity-tag (RFC 3903 6 step 6).
        publication.etag = format!("{lineage}.{}", self.dice.token(8));
        let event = Event::Publish(Publish { key: publication.key.clone(), tuples, secs: Some(secs) });
        let to = Endpoint::bare(publication.account.clone());
        let from = publication.device.clone().unwrap_or_else(|| to.clone());
        let hops = super::im::hops(&job);
        let waiting =
            Waiting::Publish(Box::new(Publishing { owed: job.receipt(), lineage, publication, secs }));
        self.submit(now, Draft::new(from, to, event).after(hops), waiting);
    }

    /// The hub took it, or did not.
    pub(super) fn published(&mut self, now: Now, done: Publishing, outcome: Outcome) {
        let Publishing { owed, lineage, mut publication, secs } = done;
        if let Outcome::Refused(no) = outcome {
            return self.answer_refusal(now, &owed, &no, true);
        }
        if let Some(old) = self.publications.remove(&lineage) {
            self.timers.remove(&(old.until, Due::Publication(lineage.clone())));
        }
        let etag = publication.etag.clone();
        self.out.push_back(Output::Lease {
            key: lease_key(&lineage),
            owner: publication.account.clone(),
            state: if secs == 0 { Bytes::new() } else { save(&publication, self.peer.local) },
            secs,
        });
        if secs > 0 {
            publication.until = now.tick + Duration::from_secs(u64::from(secs));
            self.timers.insert((publication.until, Due::Publication(lineage.clone())));
            self.publications.insert(lineage, publication);
        }
        self.answer_owed(now, &owed, 200, None, |w| {
            w.header("SIP-ETag", etag).header("Expires", secs);
        });
    }
}

fn lease_key(lineage: &str) -> LeaseKey {
    LeaseKey::new(format!("sip-publication:{lineage}"))
}

fn save(p: &Publication, local: SocketAddr) -> Bytes {
    let device = p.device.as_ref().and_then(|e| e.device.as_ref()).map_or("", |d| d.as_str());
    let first = inherit::first_line(p.source, local);
    let mut out = format!("{first}{}\n{}\n{device}\n", p.etag, p.key.0).into_bytes();
    out.extend_from_slice(&p.document);
    Bytes::from(out)
}

fn load(state: &Bytes, account: &Address, now: Tick) -> Option<Publication> {
    let mut at = 0;
    let mut line = || -> Option<String> {
        let rest = state.get(at..)?;
        let end = rest.iter().position(|&b| b == b'\n')?;
        at += end + 1;
        String::from_utf8(rest.get(..end)?.to_vec()).ok()
    };
    let source = inherit::read_first(&mut line()?.lines())?.unwrap_or(Hop::Stream(Flow::ACCEPTED));
    let (etag, key, device) = (line()?, line()?, line()?);
    let device = model::Device::new(&device).ok().map(|d| Endpoint::full(account.clone(), d));
    Some(Publication {
        account: account.clone(),
        device,
        etag,
        key: LeaseKey::new(key),
        document: state.slice(at..),
        source,
        until: now,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publication_survives_its_machine() {
        let account = Address::parse("a@example.com").unwrap();
        let p = Publication {
            account: account.clone(),
            device: Some(Endpoint::full(account.clone(), model::Device::new("d 1").unwrap())),
            etag: "x.y".into(),
            key: LeaseKey::new("k"),
            document: Bytes::from_static(b"<presence>\n</presence>"),
            source: Hop::Udp("192.0.2.1:5062".parse().unwrap()),
            until: Tick(5),
        };
        let local = "203.0.113.5:5060".parse().unwrap();
        assert_eq!(load(&save(&p, local), &account, Tick(5)), Some(p));
        assert_eq!(load(&Bytes::from_static(b"1\nx"), &account, Tick(0)), None);
    }
}

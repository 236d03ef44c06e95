//! REGISTER (RFC 3261 10, RFC 3581, RFC 5626 for the instance): contacts become devices of the account.

use bytes::Bytes;
use model::{
    Address, Answer, Ask, Basic, Device, Endpoint, Event, LeaseKey, Now, Publish, Refusal, Tick, Tuple,
};
use sha2::{Digest as _, Sha256};
use std::net::SocketAddr;
use std::time::Duration;

use connector::Output;

use super::tickets::Draft;
use super::{Due, Job, SipMachine, Waiting, inherit};
use crate::transaction::Hop;
use crate::wire::{Contact, NameAddr, clean, quote};

/// One registered contact.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Binding {
    /// The device, as the hub calls it once it is bound.
    pub endpoint: Endpoint,
    /// The Request-URI for this device.
    pub uri: String,
    /// Where it is: the connection, or the address its REGISTER came from.
    pub hop: Hop,
    /// It sent CPIM, so it reads CPIM.
    pub cpim: bool,
    /// It has not refused typing indications.
    pub composing: bool,
    instance: Option<String>,
    q: Option<String>,
    priority: i8,
    call_id: String,
    cseq: u32,
    until: Tick,
}

/// A REGISTER whose devices are being bound.
#[derive(Debug)]
pub(super) struct Registering {
    job: Job,
    account: Address,
    open: usize,
    refused: Option<Refusal>,
    since: Tick,
}

impl SipMachine {
    /// Carries out a REGISTER of its own account (RFC 3261 10.3).
    pub(super) fn register(&mut self, now: Now, job: Job, account: Address) {
        let Some(contacts) = job.request.contacts() else {
            return self.refuse(now, &job, 400);
        };
        let header = job.request.header("Expires").map(|v| crate::wire::seconds(&v).unwrap_or(3600));
        if contacts.contains(&Contact::All) {
            // The wildcard stands alone and only removes (RFC 3261 10.2.2).
            if contacts.len() != 1 || header != Some(0) {
                return self.refuse(now, &job, 400);
            }
            let all: Vec<Endpoint> = self.bindings.keys().filter(|e| e.address == account).cloned().collect();
            if all.iter().any(|e| self.is_out_of_order(e, &job)) {
                return self.refuse(now, &job, 400);
            }
            for endpoint in all {
                self.unbind(&endpoint);
            }
            return self.list_bindings(now, &job, &account);
        }
        let mut wanted = Vec::new();
        for contact in contacts {
            let Contact::One(contact) = contact else { continue };
            // A malformed value counts as the default (RFC 3261 10.2.1.1).
            let wish = contact.param("expires").map(|v| crate::wire::seconds(v).unwrap_or(3600)).or(header);
            let Some(secs) = self.config.grant(wish) else {
                let min = self.config.min_expires;
                return self.answer(now, &job, 423, |w| {
                    w.header("Min-Expires", min);
                });
            };
            let Some(endpoint) = device_of(&account, &contact) else {
                return self.refuse(now, &job, 400);
            };
            if self.is_out_of_order(&endpoint, &job) {
                return self.refuse(now, &job, 400);
            }
            wanted.push((endpoint, contact, secs));
        }
        let known = self.bindings.keys().filter(|e| e.address == account).count();
        let fresh = wanted.iter().filter(|(e, _, s)| *s > 0 && !self.bindings.contains_key(e)).count();
        if known + fresh > self.config.max_contacts {
            return self.refuse(now, &job, 403);
        }
        self.registering.retain(|_, r| now.tick.since(r.since) < super::PATIENCE);
        let id = self.number();
        let mut open = 0;
        for (endpoint, contact, secs) in wanted {
            if secs == 0 {
                self.unbind(&endpoint);
                continue;
            }
            let binding = self.binding(now, &job, endpoint, &contact, secs);
            if self.bindings.contains_key(&binding.endpoint) {
                self.renew(now, binding);
            } else {
                open += 1;
                let ask = Ask::Bind {
                    account: account.clone(),
                    device: binding.endpoint.device.clone(),
                    attend: Some(binding.priority),
                };
                self.ask(now, ask, Waiting::Bind { registering: id, binding: Box::new(binding) });
            }
        }
        if open == 0 {
            self.list_bindings(now, &job, &account);
        } else {
            self.registering.insert(id, Registering { job, account, open, refused: None, since: now.tick });
        }
    }

    fn binding(&self, now: Now, job: &Job, endpoint: Endpoint, contact: &NameAddr, secs: u32) -> Binding {
        let q = contact.param("q").map(str::to_owned);
        Binding {
            endpoint,
            uri: contact.uri.clone(),
            hop: job.source,
            cpim: false,
            composing: true,
            instance: contact.param("+sip.instance").map(str::to_owned),
            priority: q.as_deref().map_or(0, priority_of),
            q,
            call_id: job.request.call_id.clone(),
            cseq: job.request.cseq,
            until: now.tick + Duration::from_secs(u64::from(secs)),
        }
    }

    /// Within one Call-ID a REGISTER must have a higher CSeq than the last (RFC 3261 10.3 step 7).
    fn is_out_of_order(&self, endpoint: &Endpoint, job: &Job) -> bool {
        let r = &job.request;
        self.bindings.get(endpoint).is_some_and(|b| b.call_id == r.call_id && b.cseq >= r.cseq)
    }

    /// A known device renews its contact, perhaps from another place.
    fn renew(&mut self, now: Now, mut binding: Binding) {
        let Some(old) = self.bindings.get(&binding.endpoint) else { return };
        (binding.cpim, binding.composing) = (old.cpim, old.composing);
        let changed = old.priority != binding.priority;
        self.timers.remove(&(old.until, Due::Binding(binding.endpoint.clone())));
        self.timers.insert((binding.until, Due::Binding(binding.endpoint.clone())));
        if changed {
            self.out.push_back(Output::Attend(binding.endpoint.clone(), Some(binding.priority)));
        }
        self.leave_binding(now, &binding);
        self.bindings.insert(binding.endpoint.clone(), binding);
    }

    /// A contact that is reached without a connection outlives this machine.
    fn leave_binding(&mut self, now: Now, b: &Binding) {
        if matches!(b.hop, Hop::Udp(_)) {
            let secs = b.until.since(now.tick).as_secs_f64().ceil() as u32;
            let owner = b.endpoint.address.clone();
            let state = save(b, self.peer.local);
            self.out.push_back(Output::Lease { key: contact_key(&b.endpoint), owner, state, secs });
        }
    }

    /// A machine of this socket had registered it: it is asked for again, and then reachable as before.
    pub(super) fn inherit_binding(&mut self, now: Now, owner: &Address, state: &Bytes, term: Duration) {
        let Some(binding) = load(state, owner, now.tick + term) else { return };
        let ask = Ask::Bind {
            account: owner.clone(),
            device: binding.endpoint.device.clone(),
            attend: Some(binding.priority),
        };
        // Numbers begin at 1: no REGISTER waits for this.
        self.ask(now, ask, Waiting::Bind { registering: 0, binding: Box::new(binding) });
    }

    /// The hub has bound a device, or will not.
    pub(super) fn bound(&mut self, now: Now, id: u64, mut binding: Binding, answer: Answer) {
        match answer {
            Answer::Bound(endpoint) => {
                binding.endpoint = endpoint.clone();
                self.timers.insert((binding.until, Due::Binding(endpoint.clone())));
                if id != 0 {
                    self.leave_binding(now, &binding);
                }
                self.bindings.insert(endpoint.clone(), binding);
                self.announce(now, endpoint);
            }
            Answer::Refused(no) => {
                if let Some(r) = self.registering.get_mut(&id) {
                    r.refused = Some(no);
                }
            }
            _ => {}
        }
        let Some(registering) = self.registering.get_mut(&id) else { return };
        registering.open = registering.open.saturating_sub(1);
        if registering.open > 0 {
            return;
        }
        if let Some(done) = self.registering.remove(&id) {
            match done.refused {
                Some(no) => self.answer_refusal(now, &done.job.receipt(), &no, true),
                None => self.list_bindings(now, &done.job, &done.account),
            }
        }
    }

    /// A registered device that publishes nothing is simply there. Its own PUBLISH replaces this under the same key.
    fn announce(&mut self, now: Now, endpoint: Endpoint) {
        if self
            .publications
            .values()
            .any(|p| p.account == endpoint.address && p.device.as_ref() == Some(&endpoint))
        {
            return;
        }
        let tuple = Tuple::plain(endpoint.device.clone(), Basic::Open, now.wall);
        let event = Event::Publish(Publish { key: presence_key(&endpoint), tuples: vec![tuple], secs: None });
        let to = Endpoint::bare(endpoint.address.clone());
        self.submit(now, Draft::new(endpoint, to, event), Waiting::Nothing);
    }

    /// 200 with all contacts of the account that this machine knows (RFC 3261 10.3 step 8).
    fn list_bindings(&mut self, now: Now, job: &Job, account: &Address) {
        let contacts: Vec<String> = self
            .bindings
            .iter()
            .filter(|(e, _)| e.address == *account)
            .map(|(_, b)| {
                // Rounded up: a client that sees one second less than it asked for takes it for a change.
                let left = b.until.since(now.tick).as_millis().div_ceil(1000);
                let mut text = format!("<{}>;expires={left}", b.uri);
                if let Some(q) = &b.q {
                    text.push_str(&format!(";q={q}"));
                }
                if let Some(instance) = &b.instance {
                    text.push_str(&format!(";+sip.instance={}", quote(instance)));
                }
                text
            })
            .collect();
        self.answer(now, job, 200, |w| {
            for c in &contacts {
                w.header("Contact", c);
            }
            w.header("Allow-Events", "presence");
        });
    }

    /// Takes a device away from the hub as well.
    pub(super) fn unbind(&mut self, endpoint: &Endpoint) {
        if self.bindings.contains_key(endpoint) {
            self.drop_binding(endpoint);
            self.out.push_back(Output::Unbind(endpoint.clone()));
        }
    }

    /// Forgets a device that the hub has forgotten already.
    pub(super) fn drop_binding(&mut self, endpoint: &Endpoint) {
        if let Some(old) = self.bindings.remove(endpoint) {
            self.timers.remove(&(old.until, Due::Binding(endpoint.clone())));
            if matches!(old.hop, Hop::Udp(_)) {
                // Where another machine has the device now, the hub knows that this lease is no longer ours to end.
                let (key, owner) = (contact_key(endpoint), endpoint.address.clone());
                self.out.push_back(Output::Lease { key, owner, state: Bytes::new(), secs: 0 });
            }
        }
    }

    pub(super) fn binding_expired(&mut self, endpoint: &Endpoint) {
        self.unbind(endpoint);
    }
}

/// Under which key the presence of a device stands.
pub(super) fn presence_key(endpoint: &Endpoint) -> LeaseKey {
    LeaseKey::new(format!("sip-device:{endpoint}"))
}

fn contact_key(endpoint: &Endpoint) -> LeaseKey {
    LeaseKey::new(format!("sip-contact:{endpoint}"))
}

/// The contact as text, one field a line, for the machine that inherits it.
fn save(b: &Binding, local: SocketAddr) -> Bytes {
    let flag = |on| if on { "1" } else { "0" };
    let mut out = inherit::first_line(b.hop, local);
    let device = b.endpoint.device.as_ref().map_or("", |d| d.as_str());
    let (cseq, q) = (b.cseq.to_string(), b.q.as_deref().map(clean).unwrap_or_default());
    let instance = b.instance.as_deref().map(clean).unwrap_or_default();
    for field in [
        &*clean(device),
        &clean(&b.uri),
        &clean(&b.call_id),
        &cseq,
        flag(b.cpim),
        flag(b.composing),
        &q,
        &instance,
    ] {
        out.push_str(field);
        out.push('\n');
    }
    Bytes::from(out)
}

fn load(state: &[u8], owner: &Address, until: Tick) -> Option<Binding> {
    let mut lines = std::str::from_utf8(state).ok()?.lines();
    let hop = inherit::read_first(&mut lines)??;
    let mut next = || lines.next().map(str::to_owned);
    let device = Device::new(&next()?).ok()?;
    let (uri, call_id, cseq) = (next()?, next()?, next()?.parse().ok()?);
    let (cpim, composing) = (next()? == "1", next()? == "1");
    let (q, instance) = (Some(next()?).filter(|s| !s.is_empty()), Some(next()?).filter(|s| !s.is_empty()));
    Some(Binding {
        endpoint: Endpoint::full(owner.clone(), device),
        uri,
        hop,
        cpim,
        composing,
        instance,
        priority: q.as_deref().map_or(0, priority_of),
        q,
        call_id,
        cseq,
        until,
    })
}

/// The device of a contact: its instance id (RFC 5626 4.1), else a hash of its URI, which stays the same as long as the
/// client keeps its contact.
fn device_of(account: &Address, contact: &NameAddr) -> Option<Endpoint> {
    let name = match contact.param("+sip.instance") {
        Some(i) if !i.is_empty() => {
            let bare = i.trim_matches(['<', '>', ' ']);
            bare.strip_prefix("urn:uuid:").unwrap_or(bare).to_owned()
        }
        _ => {
            let hash = Sha256::digest(contact.uri.as_bytes());
            let hex: String = hash.iter().take(5).map(|b| format!("{b:02x}")).collect();
            format!("sip-{hex}")
        }
    };
    Some(Endpoint::full(account.clone(), Device::new(&name).ok()?))
}

/// 0 to 1 becomes 0 to 127; what cannot be read is 0.
fn priority_of(q: &str) -> i8 {
    q.trim().parse::<f32>().ok().filter(|q| (0.0..=1.0).contains(q)).map_or(0, |q| (q * 127.0).round() as i8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_survives_its_machine() {
        let account = Address::parse("a@example.com").unwrap();
        let b = Binding {
            endpoint: Endpoint::full(account.clone(), Device::new("d 1").unwrap()),
            uri: "sip:a@192.0.2.1;x".into(),
            hop: Hop::Udp("192.0.2.1:5062".parse().unwrap()),
            cpim: true,
            composing: false,
            instance: Some("<urn:uuid:1>".into()),
            q: None,
            priority: 0,
            call_id: "c".into(),
            cseq: 7,
            until: Tick(9),
        };
        let local = "203.0.113.5:5060".parse().unwrap();
        let state = save(&b, local);
        assert_eq!(load(&state, &account, Tick(9)), Some(b.clone()));
        // None that is cut short is taken for whole.
        for end in 0..state.len() - "<urn:uuid:1>\n".len() {
            assert_eq!(load(&state[..end], &account, Tick(9)), None, "{end}");
        }
        let stream = Binding { hop: Hop::Stream(connector::Flow::ACCEPTED), ..b };
        assert_eq!(load(&save(&stream, local), &account, Tick(9)), None);
    }

    #[test]
    fn devices_have_stable_names() {
        let a = Address::parse("a@example.com").unwrap();
        let name = |c: &str| device_of(&a, &NameAddr::parse(c).unwrap()).unwrap().device.unwrap().to_string();
        assert_eq!(
            name("<sip:a@1.2.3.4>;+sip.instance=\"<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>\""),
            "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
        );
        assert_eq!(name("<sip:a@1.2.3.4>"), name("<sip:a@1.2.3.4>;q=0.3"));
        assert_ne!(name("<sip:a@1.2.3.4>"), name("<sip:a@1.2.3.5>"));
        assert_eq!(
            (priority_of("1.0"), priority_of("0.5"), priority_of("x"), priority_of("7")),
            (127, 64, 0, 0)
        );
    }
}

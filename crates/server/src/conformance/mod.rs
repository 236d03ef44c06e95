//! The conformance responder: an account in each of our domains that is nobody's. Partners' responders talk with it, so
//! that either side can try everything two people do without bothering one. It answers partners only, and not often.

mod residents;
mod table;

pub use residents::Residents;

use hub::{Hub, HubEvent, Inbox, Link};
use model::{
    Address, Ask, Authorize, Basic, Composing, Decision, Device, Dialect, Endpoint, Envelope, EnvelopeId,
    Event, LeaseKey, MAX_HOPS, Message, Origin, Outcome, Part, Publish, Receipt, ReceiptKind, Settlement,
    Subscribe, Term, Ticket, Tuple, Wants,
};
use parking_lot::Mutex;
use partner::{Federation, RESPONDER};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::{mpsc, oneshot};

/// What every message of the test begins with.
const WORDS: &str = "rialto conformance ";
/// Messages of one partner that are answered in a minute.
const A_MINUTE: u32 = 60;

/// Called when a partner tests us that we have not tested yet.
type Curious = Box<dyn Fn(String) + Send + Sync>;

/// The responder, and the one who makes tests.
pub struct Conformance {
    hub: Arc<Hub>,
    partners: Arc<Federation>,
    domains: Vec<Address>,
    link: OnceLock<Link>,
    tickets: AtomicU64,
    /// Tests under way, by the other domain.
    tests: Mutex<HashMap<Address, mpsc::UnboundedSender<Arc<Envelope>>>>,
    /// Who waits for the end of what.
    ends: Mutex<HashMap<u64, oneshot::Sender<Outcome>>>,
    /// Who asked us to watch them, and with which word we tell that we see them.
    watching: Mutex<HashMap<Address, String>>,
    /// Whom we watch and see.
    seen: Mutex<HashSet<Address>>,
    /// Messages in this minute, by domain.
    heard: Mutex<HashMap<Address, (u64, u32)>>,
    curious: OnceLock<Curious>,
}

impl Conformance {
    /// A responder that does not answer yet.
    pub fn new(hub: Arc<Hub>, partners: Arc<Federation>, domains: Vec<Address>) -> Arc<Self> {
        Arc::new(Self {
            hub,
            partners,
            domains,
            link: OnceLock::new(),
            tickets: AtomicU64::new(1_000),
            tests: Mutex::default(),
            ends: Mutex::default(),
            watching: Mutex::default(),
            seen: Mutex::default(),
            heard: Mutex::default(),
            curious: OnceLock::new(),
        })
    }

    /// Who is told of partners that test us before we have tested them.
    pub fn tell(&self, curious: Curious) {
        let _ = self.curious.set(curious);
    }

    /// Does it answer?
    pub fn is_started(&self) -> bool {
        self.link.get().is_some()
    }

    /// Answers from now on.
    pub fn start(self: &Arc<Self>) {
        if self.link.get().is_some() {
            return;
        }
        // The hub's own dialect has no links; nobody sees this one's.
        let (link, inbox) = self.hub.join(Dialect::Xmpp);
        for domain in &self.domains {
            let Some(me) = responder(domain) else { continue };
            let bind = Ask::Bind { account: me.address.clone(), device: me.device.clone(), attend: Some(0) };
            link.ask(Ticket(1), bind);
            link.ask(Ticket(2), Ask::Roster { device: me });
        }
        if self.link.set(link).is_ok() {
            for domain in &self.domains {
                self.publish(domain);
            }
            tokio::spawn(Self::listen(Arc::downgrade(self), inbox));
        }
    }

    async fn listen(me: std::sync::Weak<Self>, mut inbox: Inbox) {
        loop {
            let event = inbox.next().await;
            let Some(me) = me.upgrade() else { return };
            match event {
                HubEvent::Deliver(delivery) => {
                    if let Some(link) = me.link.get() {
                        link.ack(delivery.id, Settlement::from(Outcome::Delivered));
                    }
                    me.hear(delivery.envelope);
                }
                HubEvent::Settled(ticket, settlement) => {
                    if let Some(end) = me.ends.lock().remove(&ticket.0) {
                        let _ = end.send(settlement.outcome);
                    }
                }
                HubEvent::Overrun => {
                    return tracing::error!("the conformance responder was overrun and has ended");
                }
                _ => {}
            }
        }
    }

    /// Says something in the responder's name. The end is told where somebody wants to know.
    fn say(&self, local: &Address, to: &Address, event: Event) -> oneshot::Receiver<Outcome> {
        let (end, ended) = oneshot::channel();
        let Some(from) = responder(local) else { return ended };
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        let mut ends = self.ends.lock();
        // Whoever no longer waits is forgotten.
        ends.retain(|_, end| !end.is_closed());
        ends.insert(ticket, end);
        drop(ends);
        self.submit(ticket, from, to, event);
        ended
    }

    /// Tells a partner's disclaimer, in the name of our domain.
    pub fn disclaim(&self, due: partner::Disclaimer) {
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        let from = Endpoint::bare(due.from);
        self.submit(ticket, from, &due.to, message(&format!("disclaimer-{ticket}"), due.text, false));
    }

    fn submit(&self, ticket: u64, from: Endpoint, to: &Address, event: Event) {
        let Some(link) = self.link.get() else { return };
        let at = crate::clock::now();
        let mut random = [0u8; 16];
        let _ = getrandom::fill(&mut random);
        let envelope = Envelope {
            id: EnvelopeId::v7(at.unix_ms(), u128::from_le_bytes(random)),
            at,
            origin: Origin::server(),
            from,
            to: Endpoint::bare(to.clone()),
            hops: MAX_HOPS,
            event,
        };
        link.submit(Ticket(ticket), Box::new(envelope), true);
    }

    fn write(&self, local: &Address, to: &Address, id: &str, words: &str) -> oneshot::Receiver<Outcome> {
        self.say(local, to, message(id, format!("{WORDS}{words}"), false))
    }

    fn publish(&self, domain: &Address) {
        let Some(me) = responder(domain) else { return };
        let tuple = Tuple::plain(me.device.clone(), Basic::Open, crate::clock::now());
        let key = LeaseKey::new(format!("conformance:{domain}"));
        let publish = Publish { key, tuples: vec![tuple], secs: None };
        drop(self.say(domain, &me.address, Event::Publish(publish)));
    }

    /// Answers partners' responders, and passes on what a test of ours waits for.
    fn hear(&self, envelope: Arc<Envelope>) {
        let them = match &envelope.event {
            // The hub tells of somebody in their name.
            Event::Notify(notify) => notify.doc.presentity.clone(),
            _ => envelope.from.address.clone(),
        };
        let (domain, local) = (them.to_domain(), envelope.to.address.to_domain());
        if them.user() != Some(RESPONDER) {
            return self.pass_on(&domain, envelope);
        }
        let Ok(partner) = self.partners.partner(domain.domain()) else { return };
        if !self.may_go_on(&domain) {
            return tracing::warn!(%domain, "tests us too often; not answered");
        }
        match &envelope.event {
            Event::Subscribe(Subscribe { term: Term::Lasting, .. }) => {
                let granted = Authorize { decision: Decision::Granted, original: None };
                drop(self.say(&local, &them, Event::Authorize(granted)));
            }
            Event::Notify(notify) if notify.doc.is_open() => {
                self.seen.lock().insert(domain.clone());
                if let Some(word) = self.watching.lock().remove(&domain) {
                    drop(self.write(&local, &them, &format!("saw-{word}"), &format!("saw {word}")));
                }
            }
            Event::Message(message) => {
                let words = message.text().and_then(|text| text.strip_prefix(WORDS)).unwrap_or_default();
                self.asked(&local, &them, message, words);
                if words.starts_with("done ")
                    && self.partners.tested(&partner.name).is_ok_and(|tested| tested.is_none())
                    && let Some(curious) = self.curious.get()
                {
                    curious(partner.name);
                }
            }
            _ => {}
        }
        self.pass_on(&domain, envelope);
    }

    /// What a partner's test wants of us.
    fn asked(&self, local: &Address, them: &Address, message: &Message, words: &str) {
        match words.split_once(' ') {
            Some(("ping", word)) if is_word(word) => {
                let typing = Composing { active: true, thread: None, lang: None, original: None };
                drop(self.say(local, them, Event::Composing(typing)));
                if message.wants.delivered {
                    let of = message.id.clone();
                    let receipt = Receipt { of, kind: ReceiptKind::Delivered, original: None };
                    drop(self.say(local, them, Event::Receipt(receipt)));
                }
                drop(self.write(local, them, &format!("pong-{word}"), &format!("pong {word}")));
            }
            Some(("watch", word)) if is_word(word) => {
                let domain = them.to_domain();
                if self.seen.lock().contains(&domain) {
                    return drop(self.write(local, them, &format!("saw-{word}"), &format!("saw {word}")));
                }
                self.watching.lock().insert(domain.clone(), word.to_owned());
                // A test of ours that is under way watches them already.
                if !self.tests.lock().contains_key(&domain) {
                    drop(self.watch(local, them));
                }
            }
            Some(("done", _)) if !self.tests.lock().contains_key(&them.to_domain()) => {
                self.look_away(local, them)
            }
            _ => {}
        }
    }

    /// Asks to see them, whatever was before.
    fn watch(&self, local: &Address, them: &Address) -> oneshot::Receiver<Outcome> {
        self.look_away(local, them);
        self.say(local, them, subscribe(Term::Lasting))
    }

    fn look_away(&self, local: &Address, them: &Address) {
        self.seen.lock().remove(&them.to_domain());
        drop(self.say(local, them, subscribe(Term::End)));
    }

    fn pass_on(&self, domain: &Address, envelope: Arc<Envelope>) {
        if let Some(test) = self.tests.lock().get(domain) {
            let _ = test.send(envelope);
        }
    }

    fn may_go_on(&self, domain: &Address) -> bool {
        let minute = crate::clock::now().unix_ms() / 60_000;
        let mut heard = self.heard.lock();
        heard.retain(|_, (at, _)| *at == minute);
        let (_, count) = heard.entry(domain.clone()).or_insert((minute, 0));
        *count += 1;
        *count <= A_MINUTE
    }
}

/// The responder of a domain.
fn responder(domain: &Address) -> Option<Endpoint> {
    resident(domain, "conformance")
}

/// A device of the account that is nobody's: what the server itself speaks with to others.
pub fn resident(domain: &Address, device: &str) -> Option<Endpoint> {
    let address = Address::new(RESPONDER, domain.domain()).ok()?;
    Some(Endpoint::full(address, Device::new(device).ok()?))
}

/// A word of a test: nothing that a partner sends is sent back otherwise.
fn is_word(word: &str) -> bool {
    !word.is_empty() && word.len() <= 32 && word.bytes().all(|b| b.is_ascii_hexdigit())
}

fn subscribe(term: Term) -> Event {
    Event::Subscribe(Subscribe { term, note: None, original: None })
}

fn message(id: &str, text: String, delivered: bool) -> Event {
    Event::Message(Message {
        id: id.into(),
        parts: vec![Part::text(text, None)],
        wants: Wants { delivered, displayed: false },
        lasting: true,
        ..Message::default()
    })
}

//! The throw-away instance: everything but sockets, a disk and a clock.

use crate::failure::Failure;
use crate::house;
use hub::pipeline::Pipeline;
use hub::{Hub, HubEvent, Inbox, Link, Parts, RuleSet, Rules};
use model::{
    Address, Ask, Device, Dialect, Envelope, EnvelopeId, Event, MAX_HOPS, Message, Origin, Outcome, Part,
    Security, Settlement, Ticket, Timestamp, Vouch,
};
use std::sync::Arc;
use store::{Accounts as _, MemoryStore};

const DOMAIN: &str = "drill.example";
/// Deliveries that may be under way when devices bind.
const BINDING: usize = 256;

/// How a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Arrived,
    Held,
    Refused,
}

/// A hub with its people, each online with one device.
pub(super) struct Instance {
    pub outbreaks: Arc<outbreak::Outbreaks>,
    link: Link,
    inbox: Inbox,
    people: Vec<Address>,
    tickets: u64,
}

impl Instance {
    /// An instance with so many people. With its own settings for outbreaks.
    pub async fn open(users: usize, settings: outbreak::Settings) -> Result<Self, Failure> {
        let address = |text: &str| Address::parse(text).map_err(|e| Failure::new(e.to_string()));
        let store = Arc::new(MemoryStore::new());
        let domains: std::collections::BTreeSet<_> = [address(DOMAIN)?].into();
        let mut people = Vec::with_capacity(users);
        for n in 0..users {
            let person = address(&format!("user{n}@{DOMAIN}"))?;
            store.create(&person, &[])?;
            people.push(person);
        }
        let alone = partner::Settings {
            mode: partner::Mode::Off,
            roots: partner::Roots::default(),
            dialback: false,
            dane: false,
            posh: false,
            dialects: Vec::new(),
            who: Vec::new(),
            except: Vec::new(),
        };
        let partners = Arc::new(partner::Federation::open(domains.clone(), alone, store.clone())?);
        let rulebook = rulebook::Rulebook::open(store.clone(), partners.clone());
        let rulebook = Arc::new(rulebook.map_err(|e| Failure::new(e.to_string()))?);
        let outbreaks = Arc::new(outbreak::Outbreaks::open(store.clone(), settings)?);
        let eyes = Arc::new(hygiene::Eyes::default());
        let guard = Arc::new(spim::Guard::open(store.clone(), spim::Settings::default())?);
        // No throttle: the hub's clock stands still, and what is to be seen is the watch alone.
        let rules = Arc::new(Rules::new(RuleSet::default()));
        let hub = Hub::open(Parts {
            domains,
            pipeline: Pipeline::new(house::stages(&partners, &rules, &rulebook, &guard, &eyes, &outbreaks)),
            journal: store.clone(),
            accounts: store.clone(),
            rosters: store.clone(),
            authorizations: store.clone(),
            leases: store.clone(),
            credentials: Arc::new(identity::LocalAccounts::new(store)),
            partners,
            bus: Arc::new(bus::LocalBus::default()),
            rules,
            blocking: None,
            unrecorded: None,
            presence: false,
            tracer: None,
            lanes: 1,
        })?;
        let (link, inbox) = hub.join(Dialect::Xmpp);
        let mut instance = Self { outbreaks, link, inbox, people, tickets: 0 };
        instance.bind().await?;
        Ok(instance)
    }

    async fn bind(&mut self) -> Result<(), Failure> {
        let device = Device::new("drill").map_err(|e| Failure::new(e.to_string()))?;
        for some in self.people.chunks(BINDING) {
            for account in some {
                let (account, device) = (account.clone(), Some(device.clone()));
                self.link.ask(Ticket(0), Ask::Bind { account, device, attend: Some(0) });
            }
            let mut left = some.len();
            while left > 0 {
                if let HubEvent::Answer(_, answer) = self.inbox.next().await {
                    let bound = matches!(answer, model::Answer::Bound(_));
                    bound.then_some(()).ok_or_else(|| Failure::new("a device of the drill was not bound"))?;
                    left -= 1;
                }
            }
        }
        Ok(())
    }

    /// One writes to another, at so many milliseconds. Waits until it has ended.
    pub async fn send(&mut self, from: usize, to: usize, at: u64, text: &str) -> End {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let message =
            Message { parts: vec![Part::text(text.to_owned(), None)], lasting: true, ..Message::default() };
        let sender = self.people[from].clone();
        let envelope = Envelope {
            id: EnvelopeId::v7(at, u128::from(self.tickets)),
            at: Timestamp(at),
            origin: Origin {
                dialect: Dialect::Xmpp,
                security: Security::Tls,
                vouch: Vouch::Account(sender.clone()),
            },
            from: sender.into(),
            to: self.people[to].clone().into(),
            hops: MAX_HOPS,
            event: Event::Message(message),
        };
        self.link.submit(ticket, Box::new(envelope), true);
        let mut arrived = false;
        loop {
            match self.inbox.next().await {
                HubEvent::Deliver(delivery) => {
                    arrived |= delivery.role == model::Role::Primary;
                    self.link.ack(delivery.id, Settlement::from(Outcome::Delivered));
                }
                HubEvent::Settled(of, settlement) if of == ticket => {
                    return match settlement.outcome {
                        Outcome::Refused(_) => End::Refused,
                        _ if arrived => End::Arrived,
                        _ => End::Held,
                    };
                }
                _ => {}
            }
        }
    }
}

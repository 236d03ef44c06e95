//! Follows the lists that others publish over XMPP (XEP-0060): subscribes, asks for what there is, hears what comes and goes, and
//! does it all again every hour, or sooner where something went wrong. What is heard holds until something else is heard.

use crate::conformance::resident;
use hub::{Hub, HubEvent, Inbox, Link};
use model::{
    Address, Ask, Dialect, Endpoint, Envelope, EnvelopeId, Event, MAX_HOPS, Opaque, Origin, Original,
    Outcome, Settlement, Ticket,
};
use spim::{Change, Guard, Node};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use xmpp::pubsub::{self, News};

/// How often it is looked at what is to be done.
const LOOK: Duration = Duration::from_secs(2);
/// So long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Everything is asked anew after so long: a service may have lost its subscribers.
const RENEW: Duration = Duration::from_secs(3_600);
/// After what went wrong it is tried again so soon at first, and twice as late each time, up to so late.
const SOON: Duration = Duration::from_secs(4);
const LATE: Duration = Duration::from_secs(600);
/// A service that never ends is asked for so many entries at most.
const MOST: usize = 1_000_000;

/// What a service was asked last.
enum Asked {
    /// To tell us of its node.
    Subscribe,
    /// What is in it, from the first page on; what is told meanwhile counts for it.
    Items(Vec<String>),
}

/// One node.
struct Following {
    /// When to ask again, while nothing is asked.
    next: Instant,
    wait: Duration,
    asked: Option<(u64, Asked, Instant)>,
}

struct Follower {
    guard: Arc<Guard>,
    me: Endpoint,
    link: Link,
    tickets: u64,
    nodes: BTreeMap<Node, Following>,
}

/// Follows what the configuration names for as long as the server runs, in the name of this domain.
pub async fn keep(hub: Arc<Hub>, guard: Arc<Guard>, domain: Address) {
    let Some(me) = resident(&domain, "lists") else { return };
    // Nobody is bothered while nothing is followed.
    let mut looks = tokio::time::interval(LOOK);
    while guard.nodes().is_empty() {
        looks.tick().await;
    }
    let (link, inbox) = hub.join(Dialect::Xmpp);
    // Only what is for this device comes here.
    link.ask(
        Ticket(0),
        Ask::Bind { account: me.address.clone(), device: me.device.clone(), attend: Some(-1) },
    );
    Follower { guard, me, link, tickets: 1, nodes: BTreeMap::new() }.follow(inbox).await;
}

impl Follower {
    async fn follow(mut self, mut inbox: Inbox) {
        let mut looks = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                _ = looks.tick() => self.look(Instant::now()),
                event = inbox.next() => match event {
                    HubEvent::Deliver(delivery) => {
                        self.link.ack(delivery.id, Settlement::from(Outcome::Delivered));
                        self.hear(&delivery.envelope);
                    }
                    HubEvent::Settled(ticket, settlement) => {
                        if let Outcome::Refused(no) = settlement.outcome {
                            self.failed(ticket.0, &no.to_string());
                        }
                    }
                    HubEvent::Overrun => {
                        return tracing::error!("who follows lists was overrun and has ended; restart the server");
                    }
                    _ => {}
                },
            }
        }
    }

    /// Asks whom it is time to ask.
    fn look(&mut self, now: Instant) {
        let wanted = self.guard.nodes();
        for node in self.nodes.keys().filter(|node| !wanted.contains(node)).cloned().collect::<Vec<_>>() {
            self.nodes.remove(&node);
            self.ask(&node, |id, me| pubsub::subscribe(id, me, &node.service, &node.name, false));
        }
        for node in wanted {
            let following =
                self.nodes.entry(node.clone()).or_insert(Following { next: now, wait: SOON, asked: None });
            match &following.asked {
                Some((ticket, _, since)) if now.duration_since(*since) > PATIENCE => {
                    let ticket = *ticket;
                    self.failed(ticket, "it does not answer");
                }
                None if following.next <= now => {
                    // To be told comes first, so nothing that comes between the two is missed.
                    let ticket =
                        self.ask(&node, |id, me| pubsub::subscribe(id, me, &node.service, &node.name, true));
                    self.asked(&node, ticket, Asked::Subscribe);
                }
                _ => {}
            }
        }
    }

    fn asked(&mut self, node: &Node, ticket: u64, what: Asked) {
        if let Some(following) = self.nodes.get_mut(node) {
            following.asked = Some((ticket, what, Instant::now()));
        }
    }

    fn ask(&mut self, node: &Node, stanza: impl FnOnce(&str, &Endpoint) -> bytes::Bytes) -> u64 {
        self.tickets += 1;
        let bytes = stanza(&self.tickets.to_string(), &self.me);
        let (at, mut random) = (crate::clock::now(), [0u8; 16]);
        let _ = getrandom::fill(&mut random);
        let original = Original { dialect: Dialect::Xmpp, bytes };
        let envelope = Envelope {
            id: EnvelopeId::v7(at.unix_ms(), u128::from_le_bytes(random)),
            at,
            origin: Origin::server(),
            from: self.me.clone(),
            to: Endpoint::bare(node.service.clone()),
            hops: MAX_HOPS,
            event: Event::Opaque(Opaque { original, wants_answer: true }),
        };
        self.link.submit(Ticket(self.tickets), Box::new(envelope), false);
        self.tickets
    }

    /// A request came to nothing.
    fn failed(&mut self, ticket: u64, why: &str) {
        let is_it = |f: &Following| matches!(&f.asked, Some((asked, ..)) if *asked == ticket);
        let Some((node, following)) = self.nodes.iter_mut().find(|(_, f)| is_it(f)) else { return };
        tracing::warn!(%node, why, "a list cannot be followed; what it said before holds");
        following.asked = None;
        following.next = Instant::now() + following.wait;
        following.wait = (following.wait * 2).min(LATE);
        self.guard.heard_of(node, Change::Trouble(why.to_owned()));
    }

    /// Only the service itself has a say, for which its server has answered.
    fn hear(&mut self, envelope: &Envelope) {
        let service = &envelope.from.address;
        let original = match &envelope.event {
            Event::Opaque(opaque) => Some(&opaque.original),
            Event::Message(message) => message.original.as_ref(),
            _ => None,
        };
        let Some(news) = original.and_then(|original| pubsub::read(&original.bytes)) else { return };
        match news {
            News::Answer { id, items, more } => self.answered(service, &id, items, more),
            News::Refused { id, why } => {
                let of =
                    |f: &Following| f.asked.as_ref().is_some_and(|(ticket, ..)| ticket.to_string() == id);
                let ticket = self.nodes.iter().find(|(node, f)| node.service == *service && of(f));
                if let Some((_, Following { asked: Some((ticket, ..)), .. })) = ticket {
                    self.failed(*ticket, &why);
                }
            }
            News::Changed { node, came, went } => self.changed(service, node, came, went),
            News::Purged(name) => {
                let node = Node { service: service.clone(), name };
                if let Some(Following { asked: Some((_, Asked::Items(all), _)), .. }) =
                    self.nodes.get_mut(&node)
                {
                    all.clear();
                }
                self.guard.heard_of(&node, Change::All(Vec::new()));
            }
            News::Deleted(name) => {
                let node = Node { service: service.clone(), name };
                tracing::warn!(%node, "the list is gone; what it said before holds");
                self.guard.heard_of(&node, Change::Trouble("the service has deleted it".into()));
            }
        }
    }

    fn changed(&mut self, service: &Address, name: String, came: Vec<String>, went: Vec<String>) {
        let node = Node { service: service.clone(), name };
        let Some(following) = self.nodes.get_mut(&node) else { return };
        if let Some((_, Asked::Items(all), _)) = &mut following.asked {
            all.retain(|item| !went.contains(item));
            all.extend(came.iter().cloned());
        }
        tracing::debug!(%node, came = came.len(), went = went.len(), "a list has changed");
        self.guard.heard_of(&node, Change::Some { came, went });
    }

    fn answered(&mut self, service: &Address, id: &str, items: Vec<String>, more: Option<String>) {
        let is_it = |f: &Following| matches!(&f.asked, Some((asked, ..)) if asked.to_string() == id);
        let found = self.nodes.iter_mut().find(|(node, f)| node.service == *service && is_it(f));
        let Some((node, following)) = found else { return };
        let node = node.clone();
        let all = match following.asked.take() {
            Some((_, Asked::Items(mut all), _)) => {
                // One that does not know pages says the same again.
                let is_again = items.last() == all.last();
                all.extend(items);
                if more.is_none() || is_again || all.len() > MOST {
                    tracing::info!(%node, entries = all.len(), "read who is listed");
                    (following.next, following.wait) = (Instant::now() + RENEW, SOON);
                    return self.guard.heard_of(&node, Change::All(all));
                }
                all
            }
            _ => Vec::new(),
        };
        let ticket =
            self.ask(&node, |id, me| pubsub::items(id, me, &node.service, &node.name, more.as_deref()));
        self.asked(&node, ticket, Asked::Items(all));
    }
}

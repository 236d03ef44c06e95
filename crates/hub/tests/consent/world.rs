//! A hub with a few people on it, whose machines are this test.

use crate::maker;
use crate::model_of_consent::{Deed, PEOPLE};
use hub::{Hub, HubEvent, Inbox, Link};
use model::{
    Address, Answer, Ask, Authorize, Basic, Decision, Device, Dialect, Endpoint, Envelope, EnvelopeId, Event,
    LeaseKey, MAX_HOPS, Notice, Notify, Origin, Publish, RosterEdit, Security, Subscribe, Term, Ticket,
    Timestamp, Tuple, Vouch, WatchState,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use store::{Accounts as _, Authorizations as _, Consent, MemoryStore};

struct Person {
    link: Link,
    inbox: Inbox,
    /// What was begun and has not ended.
    open: BTreeSet<u64>,
    /// By lease, or by none: was the last word that they are there?
    believes: BTreeMap<(usize, Option<LeaseKey>), bool>,
}

pub struct World {
    /// Who was told that whom is there: (watcher, presentity).
    pub seen: Vec<(usize, usize)>,
    hub: Arc<Hub>,
    store: Arc<MemoryStore>,
    people: Vec<Person>,
    tickets: u64,
    answer: Option<Answer>,
    _runtime: tokio::runtime::Runtime,
}

fn address(who: usize) -> Address {
    Address::parse(&format!("p{who}@example.net")).unwrap()
}

fn device(who: usize) -> Endpoint {
    Endpoint::full(address(who), Device::new("here").unwrap())
}

fn lease(shown: usize, watcher: usize) -> LeaseKey {
    LeaseKey::new(format!("test-watch:{shown}:{watcher}"))
}

fn session(who: usize) -> LeaseKey {
    LeaseKey::new(format!("test-session:{who}"))
}

fn take(inbox: &mut Inbox) -> Vec<HubEvent> {
    let mut events = Vec::new();
    let _ = inbox.poll_take(&mut Context::from_waker(Waker::noop()), &mut events, usize::MAX);
    events
}

fn number(address: &Address) -> usize {
    address.as_str()[1..2].parse().unwrap()
}

fn join(hub: &Arc<Hub>) -> Person {
    let (link, inbox) = hub.join(Dialect::Xmpp);
    Person { link, inbox, open: BTreeSet::new(), believes: BTreeMap::new() }
}

impl World {
    pub fn new() -> Self {
        let runtime = maker::runtime(1);
        let inside = runtime.enter();
        let store = Arc::new(MemoryStore::new());
        for who in 0..PEOPLE {
            store.create(&address(who), &[]).unwrap();
        }
        let hub = Hub::open(maker::parts(&store, "example.net")).unwrap();
        drop(inside);
        let people = (0..PEOPLE).map(|_| join(&hub)).collect();
        let mut world =
            Self { seen: Vec::new(), hub, store, people, tickets: 0, answer: None, _runtime: runtime };
        (0..PEOPLE).for_each(|who| world.log_in(who));
        world.come_to_rest();
        world
    }

    /// Does one thing to its end. True if the hub did it.
    pub fn perform(&mut self, who: usize, deed: Deed) -> bool {
        self.answer = None;
        self.begin(who, deed);
        self.come_to_rest();
        !matches!(self.answer, Some(Answer::Refused(_)))
    }

    /// Waits until everything begun has ended, and hears everything told.
    pub fn come_to_rest(&mut self) {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            // A deed has ended when its doer heard so; what others were told was on its way before that.
            let busy = self.people.iter().any(|p| !p.open.is_empty());
            (0..PEOPLE).for_each(|who| self.hear(who));
            if !busy {
                return;
            }
            assert!(Instant::now() < end, "the hub does not answer");
            std::thread::sleep(Duration::from_micros(50));
        }
    }

    /// Somebody who believes that somebody is there whom they may not see, and is not told better: what a machine
    /// that ended still had queued ends unheard, so it is waited for.
    pub fn lasting_error(&mut self) -> Option<(usize, usize)> {
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            (0..PEOPLE).for_each(|who| self.hear(who));
            let error = self.beliefs().into_iter().find(|(watcher, shown)| !self.may(*shown, *watcher));
            if error.is_none() || Instant::now() > end {
                return error;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Who believes that whom is there: (watcher, presentity).
    fn beliefs(&self) -> Vec<(usize, usize)> {
        let of = |(who, person): (usize, &Person)| {
            let open: Vec<_> = person.believes.iter().filter(|(_, open)| **open).collect();
            open.into_iter().map(|((shown, _), _)| (who, *shown)).collect::<Vec<_>>()
        };
        self.people.iter().enumerate().flat_map(of).collect()
    }

    /// What the store says.
    fn may(&self, shown: usize, watcher: usize) -> bool {
        let found = self.store.get(&address(shown), &address(watcher)).unwrap();
        shown == watcher || found.is_some_and(|a| a.consent == Consent::Granted)
    }

    fn log_in(&mut self, who: usize) {
        self.people[who].link.resumable(session(who), address(who));
        self.ask(who, Ask::Bind { account: address(who), device: device(who).device, attend: Some(0) });
        self.ask(who, Ask::Roster { device: device(who) });
        // A second device is always there and so hears all news: what it believes is what the hub told last.
        let desk = Device::new("desk").unwrap();
        let bind = Ask::Bind { account: address(who), device: Some(desk.clone()), attend: Some(0) };
        self.ask(who, bind);
        let tuples = vec![Tuple::plain(Some(desk.clone()), Basic::Open, Timestamp(0))];
        let publish = Publish { key: LeaseKey::new(format!("test-desk:{who}")), tuples, secs: None };
        self.say(who, Endpoint::full(address(who), desk), address(who), Event::Publish(publish));
    }

    /// Another connection asks for what this person's last one has, or had.
    fn resume(&mut self, who: usize) {
        let (link, inbox) = self.hub.join(Dialect::Xmpp);
        self.tickets += 1;
        let (key, ticket) = (session(who), Ticket(self.tickets));
        link.ask(ticket, Ask::Resume { key, owner: address(who) });
        let mut next = Person { link, inbox, ..join(&self.hub) };
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            assert!(Instant::now() < end, "nobody hands over");
            match take(&mut next.inbox).pop() {
                Some(HubEvent::Resumed(_, handover)) => {
                    let (link, inbox, _) = handover.take().unwrap();
                    (self.people[who].link, self.people[who].inbox) = (link, inbox);
                    return;
                }
                Some(other) => panic!("{other:?}"),
                None => {}
            }
            let notice = self.people[who].inbox.poll_first(&mut Context::from_waker(Waker::noop()));
            if matches!(notice, Poll::Ready(HubEvent::Notice(_, Notice::Taken))) {
                self.people[who].link.linger(Box::new(()), 600, &[]);
            }
            std::thread::sleep(Duration::from_micros(50));
        }
    }

    fn ticket(&mut self, who: usize) -> Ticket {
        self.tickets += 1;
        self.people[who].open.insert(self.tickets);
        Ticket(self.tickets)
    }

    fn ask(&mut self, who: usize, ask: Ask) {
        let ticket = self.ticket(who);
        self.people[who].link.ask(ticket, ask);
    }

    fn say(&mut self, who: usize, from: Endpoint, to: Address, event: Event) {
        let ticket = self.ticket(who);
        let vouch = Vouch::Account(from.address.clone());
        let envelope = Envelope {
            id: EnvelopeId(u128::from(ticket.0)),
            at: Timestamp(ticket.0),
            origin: Origin { dialect: Dialect::Xmpp, security: Security::Tls, vouch },
            from,
            to: to.into(),
            hops: MAX_HOPS,
            event,
        };
        self.people[who].link.submit(ticket, Box::new(envelope), true);
    }

    fn hear(&mut self, who: usize) {
        for event in take(&mut self.people[who].inbox) {
            match event {
                HubEvent::Settled(ticket, _) => {
                    self.people[who].open.remove(&ticket.0);
                }
                HubEvent::Answer(ticket, answer) => {
                    self.people[who].open.remove(&ticket.0);
                    self.answer = Some(answer);
                }
                HubEvent::Deliver(delivery) => {
                    if let Event::Notify(notify) = &delivery.envelope.event {
                        self.told(who, notify);
                    }
                }
                _ => {}
            }
        }
    }

    fn told(&mut self, watcher: usize, notify: &Notify) {
        let shown = number(&notify.doc.presentity);
        let open = notify.gone.iter().chain(&notify.doc.tuples).any(|t| t.basic == Basic::Open);
        assert!(!open || matches!(notify.state, WatchState::Active | WatchState::Expired), "{notify:?}");
        if open {
            self.seen.push((watcher, shown));
        }
        // A last word is about a moment that is over, not about what is.
        let believed = open && notify.state == WatchState::Active;
        self.people[watcher].believes.insert((shown, notify.key.clone()), believed);
    }

    /// Starts something without waiting for its end.
    pub fn begin(&mut self, who: usize, deed: Deed) {
        let subscribe = |term| Event::Subscribe(Subscribe { term, note: None, original: None });
        let authorize = |decision| Event::Authorize(Authorize { decision, original: None });
        let bare = Endpoint::bare(address(who));
        match deed {
            Deed::Publish { open } => {
                let basic = if open { Basic::Open } else { Basic::Closed };
                let tuples = vec![Tuple::plain(device(who).device, basic, Timestamp(self.tickets))];
                let publish = Publish { key: LeaseKey::new(format!("test:{who}")), tuples, secs: None };
                self.say(who, device(who), address(who), Event::Publish(publish));
            }
            Deed::Ask(whom) => self.say(who, bare, address(whom), subscribe(Term::Lasting)),
            Deed::Leave(whom) => self.say(who, bare, address(whom), subscribe(Term::End)),
            Deed::Grant(whom) => self.say(who, bare, address(whom), authorize(Decision::Granted)),
            Deed::Deny(whom) => self.say(who, bare, address(whom), authorize(Decision::Denied)),
            Deed::Probe(whom) => {
                self.say(who, device(who), address(whom), subscribe(Term::Once { key: None }));
            }
            Deed::Lease(whom) => {
                let term = Term::Lease { key: lease(whom, who), secs: 600 };
                self.say(who, bare, address(whom), subscribe(term));
            }
            Deed::Unlease(whom) => {
                let term = Term::Lease { key: lease(whom, who), secs: 0 };
                self.say(who, bare, address(whom), subscribe(term));
            }
            Deed::Look(whom) => {
                let term = Term::Once { key: Some(LeaseKey::new("test-look")) };
                self.say(who, bare, address(whom), subscribe(term));
            }
            Deed::Claim(whom) => {
                self.people[who].link.lease(lease(whom, who), address(who), "state".into(), 60);
                self.ask(who, Ask::Claim { key: lease(whom, who), owner: address(who) });
            }
            Deed::Remove(whom) => {
                let edit = RosterEdit::Remove { contact: address(whom) };
                self.ask(who, Ask::EditRoster { device: device(who), edit });
            }
            Deed::Reconnect => {
                self.people[who] = join(&self.hub);
                self.log_in(who);
            }
            Deed::Resume => {
                // Whatever was on its way is heard later, and by the next connection.
                self.people[who].link.linger(Box::new(()), 600, &[]);
                self.resume(who);
            }
            Deed::Take => self.resume(who),
        }
    }
}

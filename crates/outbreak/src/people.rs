//! Who got one thing, and who sent it to whom.

use crate::artefact::Kind;
use crate::settings::Settings;
use std::collections::HashMap;

/// People whose receiving of one thing is remembered. Senders have twice the room.
const PEOPLE: usize = 2_048;
/// Senders that are counted.
const COUNTED: usize = 256;

/// One person and one thing.
#[derive(Debug, Default)]
struct Person {
    /// When it came first.
    received: Option<u64>,
    /// When it was sent first.
    began: Option<u64>,
    /// Through how many hands it came.
    depth: u8,
    /// The last to whom it was sent, each once, oldest first.
    to: Vec<(u64, u64)>,
}

/// Why something is an outbreak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// People who have sent it on to many.
    pub senders: usize,
    /// People who got it, as far as they are remembered.
    pub reached: usize,
}

/// One thing on its way through the company.
#[derive(Debug, Default)]
pub(crate) struct Spread {
    people: HashMap<u64, Person>,
    /// Who sent it on to many as soon as it came, and when.
    quick: Vec<(u64, u64)>,
    /// Who sent it to many at once.
    bursts: Vec<(u64, u64)>,
    /// Who sent it on to many, having got it from somebody who had got it.
    chains: Vec<(u64, u64)>,
}

impl Spread {
    /// People who are remembered.
    pub fn len(&self) -> usize {
        self.people.len()
    }

    /// Notes that somebody sends it to somebody. Times must not be far out of order.
    pub fn note(&mut self, from: u64, to: u64, now: u64, kind: Kind, settings: &Settings) -> Option<Found> {
        let depth = self.people.get(&from).map_or(0, |person| person.depth);
        if self.people.len() < PEOPLE || self.people.contains_key(&to) {
            let person = self.people.entry(to).or_default();
            if person.is_stale(now, settings) {
                *person = Person::default();
            }
            if person.received.is_none() && person.began.is_none() {
                person.received = Some(now);
                person.depth = depth.saturating_add(1);
            }
        }
        if self.people.len() >= 2 * PEOPLE && !self.people.contains_key(&from) {
            return None;
        }
        let person = self.people.entry(from).or_default();
        if person.is_stale(now, settings) {
            *person = Person::default();
        }
        let began = *person.began.get_or_insert(now);
        if person.to.iter().any(|(who, _)| *who == to) {
            return None;
        }
        if person.to.len() >= settings.recipients {
            person.to.remove(0);
        }
        person.to.push((to, now));
        if person.to.len() < settings.recipients {
            return None;
        }
        let took = now.saturating_sub(person.to[0].1);
        let quick = person.received.is_some_and(|at| began.saturating_sub(at) <= settings.reaction);
        let handed_on = person.depth > 1;
        if took <= settings.burst {
            count(&mut self.bursts, from, now, settings.reaction);
            if quick {
                count(&mut self.quick, from, now, settings.reaction);
            }
        }
        if took <= settings.window && handed_on {
            count(&mut self.chains, from, now, settings.window);
        }
        // People write the same words on the same day; only a chain says more.
        let (quick, bursts, chains) = match kind {
            Kind::Text => (2 * settings.carriers, usize::MAX, 2 * settings.senders),
            Kind::Link | Kind::File => (settings.carriers, settings.senders, settings.senders),
        };
        let found = self.quick.len() >= quick || self.bursts.len() >= bursts || self.chains.len() >= chains;
        found.then(|| Found {
            senders: self.quick.len().max(self.bursts.len()).max(self.chains.len()),
            reached: self.people.values().filter(|person| person.received.is_some()).count(),
        })
    }
}

impl Person {
    fn is_stale(&self, now: u64, settings: &Settings) -> bool {
        let last = self.to.last().map(|(_, at)| *at).or(self.received);
        last.is_some_and(|last| now.saturating_sub(last) > settings.window)
    }
}

fn count(who: &mut Vec<(u64, u64)>, person: u64, now: u64, window: u64) {
    who.retain(|(known, at)| *known != person && now.saturating_sub(*at) <= window);
    if who.len() < COUNTED {
        who.push((person, now));
    }
}

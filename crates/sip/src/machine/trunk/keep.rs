//! A connection between servers stays while it is of use.

use std::time::Duration;

use bytes::Bytes;
use connector::{Flow, Output};
use model::{Address, DomainPair, Endpoint, Event, Now, Opener, Subscribe, Term, Tick};
use std::collections::BTreeMap;

use super::Asked;
use super::backend::Backend;
use crate::machine::tickets::Draft;
use crate::machine::{Due, SipMachine, Waiting};
use crate::transaction::LONG;

/// How often it is looked at. With dialogs it is kept open: many servers close what is quiet for two minutes.
const LOOK: Duration = Duration::from_secs(50);
/// How long a proof holds.
const PROOF: Duration = Duration::from_secs(900);
/// One that nobody used for this long, and no dialog needs, is closed by whoever opened it, and later by the other.
const IDLE: Duration = Duration::from_secs(300);
const IDLE_ACCEPTED: Duration = Duration::from_secs(900);

impl SipMachine {
    pub(super) fn keep(&mut self, now: Tick) {
        if let Some(trunk) = &mut self.trunk {
            (trunk.heard, trunk.used, trunk.proved) = (now, now, now);
            self.timers.insert((now + LOOK, Due::Keep));
        }
    }

    /// Something came.
    pub(in crate::machine) fn trunk_heard(&mut self, now: Tick) {
        if let Some(trunk) = &mut self.trunk {
            trunk.heard = now;
        }
    }

    /// Looks whether the connection is still of use.
    pub(in crate::machine) fn keep_looking(&mut self, at: Now) {
        let now = at.tick;
        if self.trunk.as_ref().is_some_and(|trunk| now.since(trunk.proved) >= PROOF) {
            self.prove_again(at);
        }
        let Some(trunk) = &self.trunk else { return };
        let open =
            !self.sent.is_empty() || self.tickets.values().any(|(_, w)| !matches!(w, Waiting::Nothing));
        let dialogs = !self.watches.is_empty() || !trunk.backends.is_empty();
        let idle = if trunk.opener == Opener::Us { IDLE } else { IDLE_ACCEPTED };
        if !open && !dialogs && now.since(trunk.used) >= idle {
            return self.close(now, Flow::ACCEPTED);
        }
        if dialogs && now.since(trunk.heard) >= LOOK {
            // RFC 5626 3.5.1.
            self.out.push_back(Output::Bytes(Flow::ACCEPTED, Bytes::from_static(b"\r\n\r\n")));
        }
        self.timers.insert((now + LOOK, Due::Keep));
    }

    /// A request was not answered. If nothing else came meanwhile either, nobody is there any more, and what was sent
    /// goes out anew over another connection.
    pub(in crate::machine) fn unanswered(&mut self, now: Tick) {
        if self.trunk.as_ref().is_some_and(|t| now.since(t.heard) >= LONG) {
            self.close(now, Flow::ACCEPTED);
        }
    }

    /// What is ours to keep up is left behind: for each pair one look is asked for, so that somebody connects and goes on
    /// with it.
    pub(super) fn wake(&mut self, now: Now) {
        let Some(trunk) = &mut self.trunk else { return };
        if self.drain != crate::machine::drain::Drain::No {
            return;
        }
        let mut pairs = BTreeMap::new();
        let mut leave = |watcher: Address, presentity: Address| {
            pairs.entry(DomainPair::between(&watcher, &presentity)).or_insert((watcher, presentity));
        };
        for backend in std::mem::take(&mut trunk.backends).into_values().filter(Backend::lasts) {
            let (watcher, presentity) = backend.between();
            leave(watcher, presentity);
        }
        let mut unknown = false;
        for (_, waiting) in self.tickets.values() {
            match waiting {
                Waiting::Trunk(Asked::Backend(claiming)) => {
                    let (watcher, presentity) = claiming.between();
                    leave(watcher, presentity);
                }
                // What was left or waits for them may have come too late to be seen here.
                Waiting::Trunk(Asked::Left | Asked::Mailbox(_)) => unknown = true,
                _ => {}
            }
        }
        for pair in
            trunk.pairs.iter().filter(|(_, standing)| unknown && standing.carries()).map(|(pair, _)| pair)
        {
            leave(pair.local.clone(), pair.remote.clone());
        }
        if !pairs.is_empty() {
            // Or the hub would give it to this connection.
            self.unattend();
        }
        for (watcher, presentity) in pairs.into_values() {
            let look =
                Event::Subscribe(Subscribe { term: Term::Once { key: None }, note: None, original: None });
            let (from, to) = (Endpoint::bare(watcher), Endpoint::bare(presentity));
            self.submit(now, Draft::new(from, to, look), Waiting::Nothing);
        }
    }
}

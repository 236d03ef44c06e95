//! A connection to another company's SIP server, whoever opened it.
//!
//! It is the same machine that serves phones, with the same transactions, dialogs and translations. What differs is who
//! may speak: not accounts that proved a password, but domains that proved themselves by certificate (RFC 5922), and who
//! is spoken to: everybody behind that server, from the mailbox of the pair of domains.

mod admit;
mod backend;
mod call;
mod carry;
mod dialog;
mod keep;
mod news;
mod watching;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use connector::{Errand, Output, Peer, Seed, TlsFacts, TlsMode, Transport};
use model::{
    Address, Answer, Certificates, DomainPair, Endpoint, LeaseKey, Left, Now, Opener, Outcome, Refusal, Tick,
};

use super::{Job, SipMachine};
use crate::config::Config;
use crate::wire::Response;

pub(super) use backend::Asking;
use backend::Backend;
pub(super) use dialog::cseq_after;

/// What a connection to another company's server knows besides what every connection does.
#[derive(Debug)]
pub(super) struct Trunk {
    opener: Opener,
    /// What it was opened for, until that is told.
    errand: Option<DomainPair>,
    certificates: Option<Certificates>,
    pairs: BTreeMap<DomainPair, Standing>,
    /// Their server says that it opens CPIM envelopes, for everybody behind it.
    opens_cpim: bool,
    /// Who has sent CPIM, and so reads it.
    cpim: BTreeSet<Address>,
    /// Whose device has refused typing indications.
    silent: BTreeSet<Address>,
    /// How many subscriptions each watcher of theirs has to each of us.
    watching: BTreeMap<(Address, Address), u32>,
    /// Our own subscriptions to their presence.
    backends: BTreeMap<LeaseKey, Backend>,
    /// When anything came last, and when anybody last wanted something.
    heard: Tick,
    used: Tick,
    /// When it was last asked whether they are who they say.
    proved: Tick,
    /// When it was last asked for what nobody goes on with.
    inherited: Option<Tick>,
}

/// What became of a pair of domains on this connection.
#[derive(Debug)]
enum Standing {
    /// The hub is asked; these wait.
    Asked(Vec<Job>),
    /// They are who they say.
    Certified(Mailbox),
    /// They are not, or nothing may pass: why, for them to read, and until when that is not asked again.
    Refused(String, Tick),
}

impl Trunk {
    /// Somebody wants something of it.
    pub(super) fn use_now(&mut self, now: Tick) {
        self.used = now;
    }
}

impl Standing {
    /// What waits for the pair goes out here, or soon will.
    fn carries(&self) -> bool {
        matches!(self, Self::Certified(Mailbox::Asked | Mailbox::Bound(_)))
    }
}

/// Whether what waits for the pair goes out here.
#[derive(Debug)]
enum Mailbox {
    No,
    Asked,
    Bound(Endpoint),
}

/// What an answer of the hub to a trunk is for.
#[derive(Debug)]
pub(super) enum Asked {
    Admission(DomainPair),
    /// Whether what was proved still holds.
    Again,
    Mailbox(DomainPair),
    Left,
    Backend(Box<backend::Claiming>),
    /// Whether a subscription is still of use to anybody.
    Watched(LeaseKey),
    /// Consent is being noted; then presence may be told.
    Granted(LeaseKey),
}

impl SipMachine {
    /// The machine of a connection that a partner's server opened.
    pub(crate) fn trunk(config: Arc<Config>, tls: bool, peer: Peer, seed: Seed) -> Self {
        Self::with_trunk(config, tls, peer, seed, Opener::Them, None)
    }

    /// The machine of a connection that we open to a partner's server.
    pub(crate) fn dial(
        config: Arc<Config>,
        errand: Errand,
        tls: TlsMode,
        peer: Peer,
        seed: Seed,
    ) -> Option<Self> {
        // Nobody calls back in SIP.
        let Errand::Carry(pair) = errand else { return None };
        Some(Self::with_trunk(config, tls != TlsMode::None, peer, seed, Opener::Us, Some(pair)))
    }

    fn with_trunk(
        config: Arc<Config>,
        tls: bool,
        peer: Peer,
        seed: Seed,
        opener: Opener,
        errand: Option<DomainPair>,
    ) -> Self {
        let mut machine = Self::new(config, Transport::Tcp, tls, peer, seed);
        machine.trunk = Some(Box::new(Trunk {
            opener,
            errand,
            certificates: None,
            pairs: BTreeMap::new(),
            opens_cpim: false,
            cpim: BTreeSet::new(),
            silent: BTreeSet::new(),
            watching: BTreeMap::new(),
            backends: BTreeMap::new(),
            heard: Tick::default(),
            used: Tick::default(),
            proved: Tick::default(),
            inherited: None,
        }));
        machine
    }

    /// The connection is there.
    pub(super) fn trunk_opened(&mut self, now: Now) {
        if self.trunk.is_none() {
            return;
        }
        self.keep(now.tick);
        if !self.tls {
            self.call(now);
        }
    }

    /// TLS is up on it.
    pub(super) fn trunk_secured(&mut self, now: Now, facts: TlsFacts) {
        if let Some(trunk) = &mut self.trunk {
            trunk.certificates = facts.certificates;
            self.call(now);
        }
    }

    pub(super) fn trunk_answered(&mut self, now: Now, asked: Asked, answer: Answer) {
        match asked {
            Asked::Admission(pair) => self.admitted(now, pair, answer),
            Asked::Again => self.proved_again(now, &answer),
            Asked::Mailbox(pair) => self.mailbox_bound(now, pair, answer),
            Asked::Left => {
                if let Answer::Left(leases) = answer {
                    leases.into_iter().for_each(|left| self.go_on(now, left));
                }
            }
            Asked::Backend(claiming) => {
                let state = if let Answer::Claimed(state) = answer { state } else { None };
                self.claimed_backend(now, *claiming, state);
            }
            Asked::Watched(key) => self.backend_watched(now, &key, answer != Answer::Verified(false)),
            Asked::Granted(_) => {}
        }
    }

    pub(super) fn trunk_settled(&mut self, now: Now, asked: Asked, outcome: &Outcome) {
        if let (Asked::Granted(key), false) = (asked, matches!(outcome, Outcome::Refused(_))) {
            self.show_all(now, &key);
        }
    }

    /// Goes on with what the connection before left.
    fn go_on(&mut self, now: Now, left: Left) {
        let Left { key, owner, state, secs } = left;
        match key.0.rsplit(':').nth(1) {
            Some("b" | "f") => self.inherit_backend(now, key, &state),
            _ => self.inherit_watch(now, key, &owner, &state, secs),
        }
    }

    /// The connection ended, or we end it.
    pub(super) fn trunk_left(&mut self, now: Now) {
        let Some(trunk) = &mut self.trunk else { return };
        if trunk.errand.take().is_some() {
            let text = "their server ended the connection before it answered; perhaps it does not accept our certificate";
            let no = Refusal::new(model::Reason::RemoteTimeout).with_text(text);
            self.out.push_back(Output::Errand(Err(no)));
        }
        self.wake(now);
    }
}

/// Under which keys the dialogs between two domains stand with the hub.
pub(super) fn prefix(pair: &DomainPair) -> String {
    format!("sip-trunk:{pair}:")
}

/// The contact of a dialog's other side, and the way there, from a response to our request.
fn remote_of(response: &Response) -> (Option<String>, Vec<String>) {
    let contact = response.list("Contact").first().and_then(|c| crate::wire::NameAddr::parse(c));
    let mut routes = response.list("Record-Route");
    routes.reverse();
    (contact.map(|c| c.uri), routes)
}

//! Over which protocol somebody elsewhere is reached, where their company speaks two and each of its people perhaps only
//! one. Each protocol of a pair of domains has its own mailbox ([`Way`]), so neither waits for the other.
//!
//! Whoever is known is reached where they were last heard. Others are tried over the preferred protocol, and if that
//! knows nobody of the name, the row is *lent* to the other: it stays open in the mailbox it is in, is handed out over the
//! other's connection, and is done when that has answered. So it is acknowledged once, and a crash meanwhile only begins
//! the trial anew. Where a protocol takes messages without answering for the addressee, the row is watched for a while,
//! and the no that comes back starts the other attempt instead of reaching the sender.
//!
//! While somebody is being tried, everything for them begins the same way, so that nothing overtakes.

mod lent;

pub(crate) use lent::Lent;

use crate::account::Account;
use crate::clock;
use crate::house::Hub;
use crate::link::{Flight, Job, LinkCore};
use crate::router::Plan;
use model::{
    Address, Basic, Decision, Dialect, DomainPair, Envelope, Event, Outcome, Reason, ReceiptKind, Refusal,
    Seq, Settlement, Subscribe, Term, Ticket, Vouch, Way,
};
use parking_lot::Mutex;
use ports::Ways;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Whose message was taken and not sent back for so long is there.
const TAKEN: Duration = Duration::from_secs(5);
/// How long a row may take from its mailbox's choice to a connection, where one is there.
const SETTLING: Duration = Duration::from_secs(2);
/// When a trial that nothing was heard of is forgotten.
const STALE: Duration = Duration::from_secs(900);
/// People who are tried at a time, rows that are watched; whoever comes then has no second attempt.
const PEOPLE: usize = 10_000;
const WATCHED: usize = 10_000;

/// What is needed to try a row elsewhere.
#[derive(Clone)]
pub(crate) struct Choice {
    envelope: Arc<Envelope>,
    first: Option<First>,
    /// It is in the list of those watched, or was until it was tried elsewhere.
    watched: bool,
}

/// What was said over the first protocol.
#[derive(Clone)]
pub(crate) struct First {
    said: Outcome,
    /// The answer that was kept from the sender, where it came as one.
    answer: Option<Box<Envelope>>,
}

impl First {
    /// Nobody said anything: it could not be reached.
    fn is_passing(&self) -> bool {
        matches!(&self.said, Outcome::Refused(refusal) if refusal.reason.is_transient())
    }

    /// What the sender hears where the second says no, too.
    fn and(&self, second: Refusal) -> Outcome {
        match &self.said {
            // The more telling of two.
            Outcome::Refused(first)
                if first.reason == Reason::NotFound && second.reason != Reason::NotFound =>
            {
                Outcome::Refused(second)
            }
            said => said.clone(),
        }
    }
}

/// A row whose refusal may come as an answer of its own.
struct Watched {
    account: Arc<Account>,
    seq: u64,
    by: Dialect,
    choice: Choice,
    /// Their server has it, and may send it back until then.
    taken: Option<(Instant, Settlement)>,
    /// The addressee was heard meanwhile: nothing needs to be watched any more.
    proved: bool,
}

struct Trial {
    by: Dialect,
    last: Instant,
    watched: VecDeque<Watched>,
}

/// Those who are being tried, by person.
#[derive(Default)]
pub(crate) struct Choices {
    trials: Mutex<HashMap<Address, Trial>>,
    /// Rows that are watched, or were when last counted.
    rows: AtomicUsize,
}

impl Choices {
    fn watch(&self, row: Watched) -> bool {
        let mut trials = self.trials.lock();
        let who = &row.choice.envelope.to.address;
        if self.rows.load(Relaxed) >= WATCHED || (!trials.contains_key(who) && trials.len() >= PEOPLE) {
            return false;
        }
        let new = || Trial { by: row.by, last: clock::running(), watched: VecDeque::new() };
        trials.entry(who.clone()).or_insert_with(new).watched.push_back(row);
        self.rows.fetch_add(1, Relaxed);
        true
    }

    /// Takes out the first row for this person that satisfies this.
    fn take(&self, who: &Address, which: impl Fn(&Watched) -> bool) -> Option<Watched> {
        let mut trials = self.trials.lock();
        let watched = &mut trials.get_mut(who)?.watched;
        watched.iter().position(which).and_then(|at| watched.remove(at))
    }

    /// Their server has a row. `None`: it is watched on; `Some(true)`: that is all there is to know of it;
    /// `Some(false)`: it is being tried elsewhere.
    fn taken(&self, who: &Address, seq: u64, settlement: &Settlement) -> Option<bool> {
        let mut trials = self.trials.lock();
        let Some(trial) = trials.get_mut(who) else { return Some(false) };
        let Some(at) = trial.watched.iter().position(|row| row.seq == seq) else { return Some(false) };
        if trial.watched[at].proved {
            trial.watched.remove(at);
            return Some(true);
        }
        trial.watched[at].taken = Some((clock::running() + TAKEN, settlement.clone()));
        None
    }

    /// Takes out rows that need no watching any more.
    fn done(&self, which: impl Fn(&Watched) -> bool) -> Vec<Watched> {
        let (mut done, mut rows) = (Vec::new(), 0);
        let mut trials = self.trials.lock();
        for trial in trials.values_mut() {
            let (out, left) = std::mem::take(&mut trial.watched).into_iter().partition(&which);
            done.extend::<VecDeque<_>>(out);
            trial.watched = left;
            rows += trial.watched.len();
        }
        self.rows.store(rows, Relaxed);
        done
    }
}

impl Choice {
    /// For a row that is about to be handed out; none where there is no choice.
    pub fn of(
        hub: &Hub,
        account: &Arc<Account>,
        way: Option<&Way>,
        seq: Seq,
        envelope: &Arc<Envelope>,
    ) -> Option<Box<Self>> {
        way?.by?;
        let choice = Self { envelope: envelope.clone(), first: None, watched: false };
        Some(Box::new(choice.watching(hub, account, seq.0, way?)))
    }

    fn watching(mut self, hub: &Hub, account: &Arc<Account>, seq: u64, way: &Way) -> Self {
        let Some(by) = way.by.filter(|by| !by.answers() && is_tried(&self.envelope.event)) else {
            return self;
        };
        let ways = hub.parts.partners.ways(&way.pair, &self.envelope.to.address);
        if ways.known != Some(by) && ways.order.len() > 1 {
            let choice = Self { watched: true, ..self.clone() };
            let account = account.clone();
            self.watched =
                hub.choices.watch(Watched { account, seq, by, choice, taken: None, proved: false });
        }
        self
    }
}

/// What somebody who is not there does not answer.
fn is_tried(event: &Event) -> bool {
    matches!(event, Event::Message(_) | Event::Subscribe(Subscribe { term: Term::Lasting, .. }))
}

/// Nobody of the name is there; or perhaps only nobody reads just now, which says as little of somebody unknown.
fn is_absent(refusal: &Refusal, known: bool) -> bool {
    refusal.reason == Reason::NotFound || (refusal.reason == Reason::Unavailable && !known)
}

/// Is this the answer to that row?
fn answers(answer: &Envelope, row: &Watched) -> bool {
    let envelope = &row.choice.envelope;
    let same = match (&answer.event, &envelope.event) {
        (Event::Receipt(receipt), Event::Message(message)) => receipt.of == message.id,
        (Event::Authorize(_), Event::Subscribe(_)) => true,
        _ => false,
    };
    same && is_between(answer, row)
}

fn is_between(answer: &Envelope, row: &Watched) -> bool {
    row.choice.envelope.from.address == answer.to.address
}

/// Does somebody ask to see the addressee? To that many servers say nothing at all.
fn is_wish(row: &Watched) -> bool {
    matches!(row.choice.envelope.event, Event::Subscribe(_))
}

impl Hub {
    /// Which way this goes to somebody elsewhere.
    pub(crate) fn way_of(&self, envelope: &Envelope) -> Way {
        let (from, to) = (&envelope.from.address, &envelope.to.address);
        let pair = DomainPair::between(from, to);
        let ways = self.parts.partners.ways(&pair, to);
        if ways.order.is_empty() {
            return pair.into();
        }
        // Talk within one dialect, and between the servers themselves, is for whoever speaks it.
        let spoken = match &envelope.event {
            Event::Opaque(opaque) => Some(opaque.original.dialect),
            Event::Call(call) => Some(call.original.dialect),
            _ if to.user().is_none() => Some(envelope.origin.dialect),
            _ => None,
        };
        let spoken = spoken.filter(|dialect| ways.order.contains(dialect));
        let by = spoken.or_else(|| self.choose(&pair, to, &ways, envelope.event.is_journalled()));
        Way { pair, by }
    }

    /// The way between two people, for what begins no trial.
    pub(crate) fn way_between(&self, from: &Address, to: &Address) -> Way {
        let pair = DomainPair::between(from, to);
        let by = self.parts.partners.ways(&pair, to).order.first().copied();
        Way { pair, by }
    }

    fn choose(&self, pair: &DomainPair, who: &Address, ways: &Ways, lasting: bool) -> Option<Dialect> {
        let preferred = *ways.order.first()?;
        let now = clock::running();
        let begun = |trial: &Trial| (trial.by, trial.last + SETTLING > now || !trial.watched.is_empty());
        let begun = self.choices.trials.lock().get(who).map(begun).filter(|(by, _)| ways.order.contains(by));
        // An account's lock may be taken before that of the trials, and never after it.
        let open = begun.filter(|(by, open)| *open || self.rows_wait(pair, *by));
        let mut trials = self.choices.trials.lock();
        if let Some((by, _)) = open {
            if let (true, Some(trial)) = (lasting, trials.get_mut(who)) {
                trial.last = now;
            }
            return Some(by);
        }
        if ways.known.is_none() && lasting && who.user().is_some() && trials.len() < PEOPLE {
            let new = || Trial { by: preferred, last: now, watched: VecDeque::new() };
            let trial = trials.entry(who.clone()).or_insert_with(new);
            (trial.by, trial.last) = (preferred, now);
        } else if trials.get(who).is_some_and(|trial| trial.watched.is_empty()) {
            trials.remove(who);
        }
        Some(preferred)
    }

    fn rows_wait(&self, pair: &DomainPair, by: Dialect) -> bool {
        let way = Way { pair: pair.clone(), by: Some(by) };
        let waits = |account: Arc<Account>| account.state.lock().remote.as_ref().is_some_and(|r| r.waiting);
        self.account_at_hand(&way.mailbox()).is_some_and(waits)
    }

    /// The mailbox that a connection means which binds that of a pair: where people are chosen for, its protocol's own; on
    /// a connection that we opened, the one for which it was opened.
    pub(crate) fn mailbox_for(&self, link: &LinkCore, mailbox: &Address) -> Option<Address> {
        let pair = DomainPair::of_mailbox(mailbox)?;
        if let Some(way) = link.opened_for.get().filter(|way| way.pair == pair) {
            return Some(way.mailbox());
        }
        let order = self.parts.partners.ways(&pair, &pair.remote).order;
        order.contains(&link.dialect).then(|| Way { pair, by: Some(link.dialect) }.mailbox())
    }

    fn learn(self: &Arc<Self>, who: &Address, over: Option<Dialect>) {
        if self.parts.partners.heard(who, over) {
            let hub = self.clone();
            self.blocking(move || hub.parts.partners.write_down());
        }
    }

    /// A connection answered for a row. `None`: that is not the end of it.
    pub(crate) fn answered_over(
        self: &Arc<Self>,
        dialect: Dialect,
        flight: &Flight,
        settlement: Settlement,
    ) -> Option<Settlement> {
        let Some(choice) = &flight.choice else { return Some(settlement) };
        let who = &choice.envelope.to.address;
        if settlement.outcome == Outcome::Delivered {
            if choice.watched {
                let over = self.choices.taken(who, flight.seq, &settlement);
                if over.is_none() {
                    // Whoever waits for an answer need not wait for what may never come.
                    self.settle_early(Seq(flight.seq), Outcome::Accepted.into());
                }
                return over.filter(|over| *over).map(|_| settlement);
            }
            if dialect.answers() && matches!(choice.envelope.event, Event::Message(_)) {
                self.learn(who, Some(dialect));
            }
            return Some(settlement);
        }
        if choice.watched {
            // Nothing, if it is being tried elsewhere already.
            self.choices.take(who, |row| row.seq == flight.seq)?;
        }
        match settlement.outcome {
            Outcome::Refused(refusal) => {
                self.refused_over(dialect, &flight.account, flight.seq, choice, refusal, None)
            }
            _ => Some(settlement),
        }
    }

    /// A row will not be answered. `true` if it goes back to its mailbox.
    pub(crate) fn returns(&self, flight: &Flight) -> bool {
        let Some(choice) = flight.choice.as_ref().filter(|choice| choice.watched) else { return true };
        self.choices.take(&choice.envelope.to.address, |row| row.seq == flight.seq).is_some()
    }

    fn refused_over(
        self: &Arc<Self>,
        dialect: Dialect,
        account: &Arc<Account>,
        seq: u64,
        choice: &Choice,
        refusal: Refusal,
        answer: Option<Box<Envelope>>,
    ) -> Option<Settlement> {
        let envelope = &choice.envelope;
        let who = &envelope.to.address;
        let pair = DomainPair::between(&envelope.from.address, who);
        let ways = self.parts.partners.ways(&pair, who);
        let known = ways.known == Some(dialect);
        if let Some(first) = &choice.first {
            if refusal.reason.is_transient() {
                return Some(Outcome::Refused(refusal).into());
            }
            if answer.is_none() {
                self.let_answer(first);
            }
            return Some(first.and(refusal).into());
        }
        let other = ways.order.iter().find(|other| **other != dialect);
        match other.filter(|_| is_absent(&refusal, known) && who.user().is_some()) {
            Some(&other) => {
                if known {
                    self.learn(who, None);
                }
                tracing::info!(id = %envelope.id, to = %who, over = %dialect, next = %other, %refusal, "tried elsewhere");
                let first = First { said: Outcome::Refused(refusal), answer };
                let lent = Lent { account: account.clone(), seq, envelope: envelope.clone(), first };
                self.lend(Way { pair, by: Some(other) }, lent);
                None
            }
            None => Some(Outcome::Refused(refusal).into()),
        }
    }

    /// The answer that was kept from the sender is the last word after all.
    fn let_answer(self: &Arc<Self>, first: &First) {
        if let Some(envelope) = first.answer.clone() {
            self.enqueue(&self.own, Job::Submit { ticket: Ticket(0), envelope, outcome_wanted: false });
        }
    }

    /// Something came from elsewhere, and may pass. `true`: it is the no to a row that is now tried over another protocol,
    /// and is kept from the sender meanwhile.
    pub(crate) fn heard_back(self: &Arc<Self>, dialect: Dialect, envelope: &Envelope, plan: &Plan) -> bool {
        let who = &envelope.from.address;
        let foreign = matches!(envelope.origin.vouch, Vouch::Domain(..)) && dialect != Dialect::Hub;
        if !foreign || who.user().is_none() || matches!(plan, Plan::Refuse(_) | Plan::Drop) {
            return false;
        }
        let pair = DomainPair::between(&envelope.to.address, who);
        let ways = self.parts.partners.ways(&pair, who);
        if ways.order.len() < 2 {
            return false;
        }
        let refusal = match &envelope.event {
            Event::Receipt(receipt) => match &receipt.kind {
                ReceiptKind::Failed(refusal) => Some(refusal.clone()),
                _ => None,
            },
            Event::Authorize(a) if a.decision == Decision::Denied => Some(Refusal::new(Reason::NotFound)),
            // Answers that their server may have given in somebody's name.
            Event::Opaque(_) => return false,
            _ => None,
        };
        let Some(refusal) = refusal else {
            if matches!(&envelope.event, Event::Publish(p) if p.tuples.iter().all(|t| t.basic == Basic::Closed))
            {
                // Some servers say that of whoever they do not have.
                let asked = |row: &Watched| {
                    row.by == dialect
                        && row.choice.first.is_none()
                        && is_wish(row)
                        && is_between(envelope, row)
                };
                if let Some(row) = self.choices.take(who, asked) {
                    self.also(row);
                }
            } else {
                self.is_there(who, dialect);
            }
            return false;
        };
        let Some(row) = self.choices.take(who, |row| row.by == dialect && answers(envelope, row)) else {
            if ways.known == Some(dialect)
                && matches!(envelope.event, Event::Receipt(_))
                && refusal.reason == Reason::NotFound
            {
                self.learn(who, None);
            }
            return false;
        };
        let Watched { account, seq, choice, .. } = row;
        let is_message = matches!(envelope.event, Event::Receipt(_));
        let answer = (!is_message).then(|| Box::new(envelope.clone()));
        match self.refused_over(dialect, &account, seq, &choice, refusal, answer) {
            None => true,
            Some(settlement) => {
                self.answer_row(&account, seq, settlement);
                // The sender of a message hears by its row.
                is_message
            }
        }
    }

    /// Somebody was heard: what was taken over that protocol has arrived.
    fn is_there(self: &Arc<Self>, who: &Address, dialect: Dialect) {
        self.learn(who, Some(dialect));
        let done = match self.choices.trials.lock().get_mut(who) {
            None => return,
            Some(trial) => {
                let own = |row: &Watched| row.by == dialect;
                trial.watched.iter_mut().filter(|row| own(row)).for_each(|row| row.proved = true);
                let is_done = |row: &Watched| own(row) && row.taken.is_some();
                let (done, left) = std::mem::take(&mut trial.watched).into_iter().partition(is_done);
                trial.watched = left;
                done
            }
        };
        VecDeque::into_iter(done).for_each(|row| self.arrived(row));
    }

    /// Somebody's wish to see the addressee was taken and not answered: it waits there, and is tried elsewhere as well.
    fn also(self: &Arc<Self>, row: Watched) {
        let Watched { account, seq, by, choice, .. } = row;
        let envelope = choice.envelope;
        let way = self.way_between(&envelope.from.address, &envelope.to.address);
        let order = self.parts.partners.ways(&way.pair, &envelope.to.address).order;
        match order.into_iter().find(|other| *other != by && choice.first.is_none()) {
            None => self.answer_row(&account, seq, Outcome::Delivered.into()),
            other => {
                let first = First { said: Outcome::Delivered, answer: None };
                self.lend(Way { by: other, ..way }, Lent { account, seq, envelope, first });
            }
        }
    }

    fn arrived(self: &Arc<Self>, row: Watched) {
        if let Some((_, settlement)) = row.taken {
            self.answer_row(&row.account, row.seq, settlement);
        }
    }

    /// Twice a second: what was taken and not sent back has arrived.
    pub(crate) fn let_go_of_watched(self: &Arc<Self>) {
        let now = clock::running();
        let done = self.choices.done(|row| row.taken.as_ref().is_some_and(|(until, _)| *until <= now));
        for row in done {
            match is_wish(&row) {
                true => self.also(row),
                false => {
                    let envelope = &row.choice.envelope;
                    let (from, who) = (&envelope.from.address, &envelope.to.address);
                    // That nobody objects says less than a word of theirs.
                    if self.parts.partners.ways(&DomainPair::between(from, who), who).known.is_none() {
                        self.learn(who, Some(row.by));
                    }
                    self.arrived(row);
                }
            }
        }
        self.choices.trials.lock().retain(|_, trial| !trial.watched.is_empty() || trial.last + STALE > now);
    }

    /// The process ends: what was taken is not to be sent again.
    pub(crate) fn let_go_of_all_watched(self: &Arc<Self>) {
        let done = self.choices.done(|row| row.taken.is_some());
        done.into_iter().for_each(|row| self.arrived(row));
    }
}

use crate::day::Day;
use model::codec::{decode, decode_outcomes};
use model::{Address, Envelope, Event, Judgement, LossKind, Outcome};
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap, VecDeque};
use store::{Row, RowKind};

/// Messages whose end is waited for; of more, the oldest are not timed.
const OPEN: usize = 200_000;
/// Conversations in which somebody may still answer.
const TALKS: usize = 50_000;
/// An answer that takes longer begins another conversation.
const ANSWER_MS: u64 = 3_600_000;
/// People and domains that are counted one by one on a day; more of them are no longer told apart.
const NAMES: usize = 100_000;

/// Counts the rows of a day.
pub struct Counter<'a> {
    here: &'a dyn Fn(&str) -> bool,
    day: Day,
    open: HashMap<u64, u64>,
    order: VecDeque<u64>,
    talks: HashMap<(Address, Address), Talk>,
}

/// A conversation: who spoke last, and when that began.
struct Talk {
    first_spoke: bool,
    since: u64,
}

/// Somebody as a number: enough to count how many there are.
fn number(who: &Address) -> u64 {
    let digest: [u8; 32] = Sha256::digest(who.as_str().as_bytes()).into();
    u64::from_be_bytes(digest.first_chunk().copied().unwrap_or_default())
}

fn note(set: &mut BTreeSet<u64>, who: &Address) {
    if set.len() < NAMES {
        set.insert(number(who));
    }
}

impl<'a> Counter<'a> {
    /// Nothing yet; `here` says whether a domain is ours.
    pub fn new(here: &'a dyn Fn(&str) -> bool) -> Self {
        let (open, order, talks) = (HashMap::new(), VecDeque::new(), HashMap::new());
        Self { here, day: Day::default(), open, order, talks }
    }

    /// The next row.
    pub fn take(&mut self, row: &Row) {
        match row.kind {
            RowKind::Admin => self.day.acts += 1,
            RowKind::Outcomes => self.outcomes(row),
            RowKind::Envelope => {
                // Only who, when and which way is read: no content.
                let Ok(kept) = decode(&row.head, None) else { return };
                if kept.judged.imported.is_some() {
                    // It passed somewhere else, at another time.
                    return;
                }
                self.judged(&kept.judged);
                match kept.envelope.event {
                    Event::Message(_) => self.message(row, &kept.envelope, &kept.judged),
                    Event::Publish(_) => self.day.presence += 1,
                    _ => {}
                }
            }
        }
    }

    /// What it came to.
    pub fn end(self) -> Day {
        self.day
    }

    fn judged(&mut self, judged: &Judgement) {
        let mut said = |verdict: &str, rule: &str| {
            *self.day.verdicts.entry(verdict.into()).or_default().entry(rule.into()).or_default() += 1;
        };
        if let Some(refusal) = &judged.refused {
            let verdict = if judged.silent { "dropped" } else { "refused" };
            said(verdict, refusal.rule.as_deref().unwrap_or(refusal.reason.name()));
        }
        if let Some(hold) = &judged.held {
            said("held", &hold.rule);
        }
        judged.rules.iter().for_each(|rule| said("changed", rule));
    }

    fn message(&mut self, row: &Row, envelope: &Envelope, judged: &Judgement) {
        let (from, to) = (&envelope.from.address, &envelope.to.address);
        let (from_here, to_here) = ((self.here)(from.domain()), (self.here)(to.domain()));
        let away = [(from, from_here), (to, to_here)].into_iter().find(|(_, here)| !here).map(|(who, _)| who);
        if let Some(refusal) = &judged.refused {
            let Some(away) = away else { return };
            let rule = refusal.rule.as_deref().unwrap_or_default();
            if rule == "federation" || rule.starts_with("federation.") {
                let tried = self.day.tried.entry(away.domain().to_owned()).or_default();
                if from_here {
                    tried.by_us += 1;
                    note(&mut tried.ours, from);
                } else {
                    tried.by_them += 1;
                }
            } else if self.day.abroad.len() < NAMES {
                self.day.abroad.entry(away.domain().to_owned()).or_default().refused += 1;
            }
            return;
        }
        if judged.held.is_some() {
            return;
        }
        match (from_here, to_here) {
            (true, true) => self.day.inside += 1,
            (true, false) => self.day.outgoing += 1,
            (false, true) => self.day.incoming += 1,
            (false, false) => self.day.transit += 1,
        }
        self.day.hours[(envelope.at.unix_ms() / 3_600_000 % 24) as usize] += 1;
        *self.day.dialects.entry(envelope.origin.dialect.to_string()).or_default() += 1;
        for (who, here, sent) in [(from, from_here, true), (to, to_here, false)] {
            if here && (self.day.people.len() < NAMES || self.day.people.contains_key(who.as_str())) {
                let person = self.day.people.entry(who.to_string()).or_default();
                *if sent { &mut person.sent } else { &mut person.received } += 1;
            }
        }
        for (away, ours, is_here) in [(from, to, from_here), (to, from, to_here)] {
            if is_here {
                continue;
            }
            let abroad = self.day.abroad.entry(away.domain().to_owned()).or_default();
            *if away == from { &mut abroad.received } else { &mut abroad.sent } += 1;
            note(&mut abroad.theirs, away);
            if from_here || to_here {
                note(&mut abroad.ours, ours);
            }
        }
        self.waits(row.seq.0, row.at.unix_ms());
        self.answers(from, to, envelope.at.unix_ms());
    }

    fn waits(&mut self, seq: u64, at: u64) {
        self.open.insert(seq, at);
        self.order.push_back(seq);
        if self.order.len() > OPEN
            && let Some(oldest) = self.order.pop_front()
        {
            self.open.remove(&oldest);
        }
    }

    fn answers(&mut self, from: &Address, to: &Address, at: u64) {
        let first_speaks = from < to;
        let pair = if first_speaks { (from.clone(), to.clone()) } else { (to.clone(), from.clone()) };
        let fresh = Talk { first_spoke: first_speaks, since: at };
        match self.talks.get_mut(&pair) {
            // The same again: what waits for an answer is the first.
            Some(talk) if talk.first_spoke == first_speaks && at.saturating_sub(talk.since) <= ANSWER_MS => {}
            Some(talk) => {
                let took = at.saturating_sub(talk.since);
                if talk.first_spoke != first_speaks && took <= ANSWER_MS {
                    self.day.response.add(took);
                }
                *talk = fresh;
            }
            None => {
                if self.talks.len() >= TALKS {
                    self.talks.retain(|_, talk| at.saturating_sub(talk.since) <= ANSWER_MS);
                }
                if self.talks.len() < TALKS {
                    self.talks.insert(pair, fresh);
                }
            }
        }
    }

    fn outcomes(&mut self, row: &Row) {
        for entry in decode_outcomes(&row.head).unwrap_or_default() {
            let took = self.open.remove(&entry.seq.0).map(|at| row.at.unix_ms().saturating_sub(at));
            let name = match &entry.outcome {
                Outcome::Delivered => "delivered",
                Outcome::Accepted => "accepted",
                Outcome::Pending => "pending",
                Outcome::Refused(_) => "refused",
                Outcome::Unknown => "unknown",
            };
            *self.day.ended.entry(name.into()).or_default() += 1;
            if let (Outcome::Delivered | Outcome::Accepted, Some(ms)) = (&entry.outcome, took) {
                self.day.delivery.add(ms);
            }
            for loss in &entry.losses {
                let kind = match loss.kind {
                    LossKind::Dropped => "dropped",
                    LossKind::Changed => "changed",
                };
                let key = format!("{}|{}|{kind}|{}|{}", loss.from, loss.to, loss.what, loss.became);
                *self.day.losses.entry(key).or_default() += 1;
            }
        }
    }
}

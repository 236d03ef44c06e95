//! What administrators see and do, and what is done every few seconds.

use crate::block::Block;
use crate::guard::{Act, CAUSES, Guard, SpimError, read};
use crate::keys::pair;
use crate::lists::ListView;
use crate::repute::Record;
use model::{Envelope, Hold, Seq};
use std::sync::atomic::Ordering::Relaxed;
use store::Shelf;

/// Documents written at a time.
const WRITTEN: usize = 64;
/// Parties that the status names.
const SHOWN: usize = 20;

/// What was counted since the start, and what is remembered now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// First messages of strangers that passed.
    pub first: u64,
    /// What was stopped, by cause.
    pub stopped: Vec<(&'static str, u64)>,
    /// Reports.
    pub reports: u64,
    /// Pairs of people who know one another.
    pub known: u64,
    /// Parties with a reputation.
    pub parties: u64,
    /// Pairs for which something waits for a time or an answer.
    pub waiting: u64,
}

/// What stands out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Standings {
    /// Those of the worst reputation, each with it.
    pub worst: Vec<(String, f64, Record)>,
    /// Those an administrator has blocked.
    pub blocked: Vec<Block>,
    /// The lists.
    pub lists: Vec<ListView>,
    /// The counts.
    pub counts: Counts,
}

/// What is known of an address or a domain.
#[derive(Debug, Clone, PartialEq)]
pub struct Party {
    /// Which, in its usual form.
    pub who: String,
    /// Its reputation now.
    pub score: f64,
    /// What happened.
    pub record: Record,
    /// The administrator's block.
    pub block: Option<Block>,
    /// The list that has it.
    pub list: Option<String>,
}

impl Guard {
    /// Lets pass what has waited long enough, and ends what nobody answered for. To be called every few seconds. Blocks:
    /// it also looks at the lists' files, and writes down what is remembered.
    pub fn look_around(&self, now: u64) {
        let over = self.waiting.due(now);
        // Who has waited once does not wait again for each message.
        over.pairs.into_iter().for_each(|pair| self.contacts.note(pair, now));
        self.act(Act::Release(over.pass));
        self.act(Act::Discard(over.lapsed));
        let lists = self.settings().lists.clone();
        self.lists.set(&lists);
        self.write_down(WRITTEN, now);
    }

    /// Writes down what is remembered and has changed, so many documents at most. Blocks.
    pub fn write_down(&self, most: usize, now: u64) {
        let half_life = self.settings().half_life;
        for (name, doc) in self.known.changed(most) {
            if let Err(error) = self.store.put_document(Shelf::Spim, &name, &doc) {
                tracing::error!(%error, "who wrote to whom could not be kept; it is tried again");
                self.known.keep_again(&name);
            }
        }
        for (node, doc) in self.lists.nodes.changed() {
            if let Err(error) = self.store.put_document(Shelf::Spim, &format!("node:{node}"), &doc) {
                tracing::error!(%node, %error, "a list could not be kept; it is tried again");
                self.lists.nodes.keep_again(&node);
            }
        }
        for (who, record) in self.repute.changed(most) {
            let name = format!("who:{who}");
            // What has come back to nothing need not be kept.
            let record = record.filter(|record| record.score(now, half_life).abs() >= 0.5);
            let kept = match record.and_then(|record| serde_json::to_vec(&record).ok()) {
                Some(doc) => self.store.put_document(Shelf::Spim, &name, &doc),
                None => self.store.remove_document(Shelf::Spim, &name).map(drop),
            };
            if let Err(error) = kept {
                tracing::error!(%error, "a reputation could not be kept; it is tried again");
                self.repute.keep_again(who);
            }
        }
    }

    /// A row that waits in the quarantine since before this process. What waited for a time waits for it anew.
    pub fn found_held(&self, envelope: &Envelope, hold: &Hold, seq: Seq, now: u64) {
        if hold.rule == "spim:greylist" {
            let key = pair(&envelope.to.address, &envelope.from.address);
            self.waiting.restore(key, seq, now + self.settings().greylist_for);
        }
    }

    /// What stands out now.
    pub fn standings(&self, now: u64) -> Standings {
        let half_life = self.settings().half_life;
        let mut blocked: Vec<Block> =
            self.blocks.read().values().filter(|block| block.holds(now)).cloned().collect();
        blocked.sort_by(|a, b| (a.since, &a.who).cmp(&(b.since, &b.who)));
        let worst = self.repute.worst(SHOWN, now, half_life);
        Standings { worst, blocked, lists: self.lists.view(), counts: self.counts() }
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        let stopped = CAUSES.iter().zip(&self.stopped).map(|(cause, n)| (*cause, n.load(Relaxed)));
        Counts {
            first: self.first.load(Relaxed),
            stopped: stopped.collect(),
            reports: self.reports.load(Relaxed),
            known: self.known.len() as u64,
            parties: self.repute.len() as u64,
            waiting: self.waiting.len() as u64,
        }
    }

    /// What is known of an address or a domain.
    ///
    /// # Errors
    /// [`SpimError::Wrong`]
    pub fn show(&self, who: &str, now: u64) -> Result<Party, SpimError> {
        let address = read(who)?;
        let who = address.as_str().to_owned();
        let half_life = self.settings().half_life;
        let block = self.blocks.read().get(&who).filter(|block| block.holds(now)).cloned();
        let list = self.lists.find(&address).map(|(list, _)| list);
        let score = self.repute.score(&who, now, half_life);
        let record = self.repute.get(&who).unwrap_or_default();
        Ok(Party { who, score, record, block, list })
    }

    /// Stops what an address or a domain sends. Blocks.
    ///
    /// # Errors
    /// [`SpimError`]
    pub fn block(&self, block: Block) -> Result<Block, SpimError> {
        let block = Block { who: read(&block.who)?.as_str().to_owned(), ..block };
        let doc = serde_json::to_vec(&block).map_err(|e| SpimError::Wrong(e.to_string()))?;
        self.store.put_document(Shelf::Spim, &format!("block:{}", block.who), &doc)?;
        self.blocks.write().insert(block.who.clone(), block.clone());
        self.blocks_any.store(true, Relaxed);
        Ok(block)
    }

    /// Ends a block, and forgets what is held against somebody. Blocks.
    ///
    /// # Errors
    /// [`SpimError`]
    pub fn forgive(&self, who: &str) -> Result<String, SpimError> {
        let who = read(who)?;
        let name = who.as_str().to_owned();
        self.store.remove_document(Shelf::Spim, &format!("block:{name}"))?;
        let (blocked, left) = {
            let mut blocks = self.blocks.write();
            (blocks.remove(&name).is_some(), !blocks.is_empty())
        };
        self.blocks_any.store(left, Relaxed);
        self.store.remove_document(Shelf::Spim, &format!("who:{name}"))?;
        let had = self.repute.forget(&name);
        match blocked || had {
            true => Ok(name),
            false => Err(SpimError::Missing(name)),
        }
    }
}

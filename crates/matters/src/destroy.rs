//! Destroying what the rules no longer keep: first an act that names every row, then the content.

use crate::facts::Places;
use crate::matters::Keeping;
use crate::{Facts, Kind, MatterError, Matters, RuleSet};
use model::{Seq, Timestamp};
use record::{Act, ChainId, Destruction, Ranges, Rule, Signer};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashSet};
use store::{Bare, Journal, Retain, Settings, Trouble};

/// Rows that are read at a time.
const PAGE: usize = 1_000;
/// So many rows are named in one act, at most about.
const CHUNK: u64 = 10_000;
/// So many rows are forgotten elsewhere at once, at most about: an index writes much anew each time, however few they are.
const MANY: u64 = 100_000;
/// So many rows lose their content in one commit: few enough that nobody's message waits for it.
const STEP: usize = 500;
/// The longest that holds wait for a run that finds nothing to destroy, in pages.
const BREATH: usize = 50;

const DAY_MS: u64 = 86_400_000;

/// How far each time to keep has come, under which rules and holds.
const PLACE: &str = "retention.place";
/// What was destroyed and may still be known elsewhere.
const PENDING: &str = "retention.pending";

/// What knows of content besides the journal.
pub trait Copies {
    /// Forgets the content of these rows and these files. Blocks until nothing of it is left. For rows, holds are put meanwhile.
    ///
    /// # Errors
    /// In words; it is asked again with the next run.
    fn forget(&self, rows: &Ranges, files: &[String]) -> Result<(), String>;

    /// Messages that name a file, as far as the record still has them, and the row by which it came: a hold of one keeps the file.
    ///
    /// # Errors
    /// In words; the file is kept then.
    fn naming(&self, file: &str) -> Result<Vec<Facts>, String>;

    /// Called between steps, so that messages need not wait.
    fn pause(&self);
}

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// Rows whose content is gone now, by the rule in words.
    pub destroyed: BTreeMap<String, u64>,
    /// Bytes of content.
    pub bytes: u64,
    /// Rows that keep theirs because of a matter, as far as they were looked at, by its name.
    pub kept: BTreeMap<String, u64>,
    /// Rows that keep theirs while they wait for somebody.
    pub waiting: u64,
    /// Acts that say so.
    pub acts: u64,
}

impl Done {
    /// All rows whose content is gone now.
    pub fn rows(&self) -> u64 {
        self.destroyed.values().sum()
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Place {
    /// Of rules, holds, groups and partners: where one differs, every row is looked at again.
    print: String,
    /// The last row that was looked at, by days to keep.
    to: BTreeMap<u64, u64>,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Pending {
    rows: String,
    /// Files, each with the row that knows of it.
    files: Vec<(u64, String)>,
}

/// What is to be destroyed for one reason.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub rows: Ranges,
    pub bytes: u64,
}

/// What is to be destroyed next.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub parts: BTreeMap<String, Part>,
    pub files: Vec<(u64, String)>,
    pub again: Vec<Seq>,
}

impl Chunk {
    pub fn add(&mut self, why: &str, facts: Facts) {
        let part = self.parts.entry(why.to_owned()).or_default();
        part.rows.add(facts.seq.0);
        part.bytes += facts.bytes;
        self.files.extend(facts.file.map(|file| (facts.seq.0, file)));
    }

    fn rows(&self) -> u64 {
        self.parts.values().map(|part| part.rows.count()).sum()
    }
}

/// Whoever destroys.
pub struct Destroyer<'a, S> {
    /// The journal.
    pub store: &'a S,
    /// Its chain.
    pub chain: ChainId,
    /// What is held.
    pub matters: &'a Matters,
    /// The act of whoever wants it.
    pub by: Act,
    /// The key of the checkpoints.
    pub signer: &'a Signer,
    /// What else knows of content.
    pub copies: &'a dyn Copies,
    /// The time.
    pub now: Timestamp,
}

impl<S: Journal + Retain + Settings> Destroyer<'_, S> {
    /// Destroys what the rules no longer keep, nothing waits for and no matter holds. `society` is anything that differs when
    /// groups or partners do. Blocks. A run that breaks off goes on with the next one.
    ///
    /// # Errors
    /// [`MatterError::Trouble`]
    pub fn run(&self, rules: &RuleSet, society: &[u8]) -> Result<Done, MatterError> {
        self.finish()?;
        let mut done = Done::default();
        let mut place = self.place(rules, society)?;
        self.look_again(rules, &mut done)?;
        for days in rules.days() {
            let to = self.store.last_before(before(self.now, days))?;
            let mut after = Seq(place.to.get(&days).copied().unwrap_or_default());
            while after < to {
                let (mut chunk, mut pages) = (Chunk::default(), 0);
                let still = self.matters.still();
                let mut eye = Eye::new(self.matters, rules, self.copies, self.now);
                while after < to && chunk.rows() < CHUNK && pages < BREATH {
                    pages += 1;
                    let page = self.store.with_content(after, to, PAGE)?;
                    after = if page.len() < PAGE { to } else { page.last().map_or(to, |row| row.seq) };
                    for row in &page {
                        eye.judge(row, |term| term.days() == days, &mut chunk, &mut done);
                    }
                }
                let many = self.destroy(chunk, &mut done)?;
                drop(still);
                place.to.insert(days, after.0);
                self.write(PLACE, &place)?;
                if many {
                    self.finish()?;
                }
                self.copies.pause();
            }
        }
        self.finish()?;
        Ok(done)
    }

    /// Rows that were passed over because they waited.
    fn look_again(&self, rules: &RuleSet, done: &mut Done) -> Result<(), MatterError> {
        let mut after = Seq(0);
        loop {
            let still = self.matters.still();
            let page = self.store.to_look_at_again(after, PAGE)?;
            let Some(last) = page.last().map(|row| row.seq) else { return Ok(()) };
            after = last;
            let (mut chunk, mut eye) =
                (Chunk::default(), Eye::new(self.matters, rules, self.copies, self.now));
            for row in &page {
                let old = |keep: Rule| keep != Rule::Forever && row.at.0 < before(self.now, keep.days()).0;
                eye.judge(row, old, &mut chunk, done);
            }
            let many = self.destroy(chunk, done)?;
            drop(still);
            if many {
                self.finish()?;
            }
            self.copies.pause();
        }
    }

    /// Destroys a chunk, after an act for each part of it. Nothing may be held or released meanwhile. Is there so much now that
    /// it should be forgotten elsewhere, too? That is done when holds need not wait for it.
    pub(crate) fn destroy(&self, chunk: Chunk, done: &mut Done) -> Result<bool, MatterError> {
        if !chunk.again.is_empty() {
            self.store.look_again_at(&chunk.again)?;
        }
        if chunk.parts.is_empty() {
            return Ok(false);
        }
        let mut all = Ranges::default();
        for (why, part) in &chunk.parts {
            let gone = Destruction {
                rule: why.clone(),
                rows: part.rows.to_string(),
                count: part.rows.count(),
                bytes: part.bytes,
                kept: done.kept.clone(),
                waiting: done.waiting,
                key: None,
                signature: None,
            };
            let gone = gone.sign(self.signer, self.chain, self.now);
            Act { destruction: Some(gone), ..self.by.clone() }.note(self.store, self.now)?;
            all.join(&part.rows);
            done.acts += 1;
        }
        let mut pending: Pending = self.read(PENDING)?;
        let mut known: Ranges = pending.rows.parse().unwrap_or_default();
        known.join(&all);
        pending.rows = known.to_string();
        pending.files.extend(chunk.files);
        self.write(PENDING, &pending)?;
        let rows: Vec<Seq> = all.iter().map(Seq).collect();
        for step in rows.chunks(STEP) {
            self.store.destroy(step)?;
            self.copies.pause();
        }
        for (why, part) in chunk.parts {
            *done.destroyed.entry(why).or_default() += part.rows.count();
            done.bytes += part.bytes;
        }
        Ok(known.count() >= MANY)
    }

    /// Has everything forgotten that was destroyed, also by a process before this one.
    ///
    /// # Errors
    /// [`MatterError::Trouble`]
    pub fn finish(&self) -> Result<(), MatterError> {
        let pending: Pending = self.read(PENDING)?;
        if pending == Pending::default() {
            return Ok(());
        }
        let rows: Ranges = pending.rows.parse().unwrap_or_default();
        self.copies.forget(&rows, &[]).map_err(Trouble::Failed)?;
        let mut left = Pending::default();
        for (seq, file) in &pending.files {
            if !self.forget_file(Seq(*seq), file)? {
                left.files.push((*seq, file.clone()));
            }
        }
        let _still = self.matters.still();
        match self.read::<Pending>(PENDING)? == pending {
            true => self.write(PENDING, &left),
            // Somebody else has destroyed more meanwhile, and has that forgotten with all this.
            false => Ok(()),
        }
    }

    /// A file is there until this, so a hold that was put since its row lost its content finds it, and keeps it. `false` if so:
    /// then it goes when the hold is released.
    fn forget_file(&self, seq: Seq, file: &str) -> Result<bool, MatterError> {
        let _still = self.matters.still();
        // A process that was killed may have said that a row would go, and then it was held.
        if !self.store.with_content(Seq(seq.0 - 1), seq, 1)?.is_empty() {
            return Ok(true);
        }
        let rows = Journal::rows(self.store, seq, 1)?;
        let held = |row| !self.matters.keepers_of_file(&Facts::of(row), self.copies).is_empty();
        if rows.iter().any(held) {
            return Ok(false);
        }
        self.copies.forget(&Ranges::default(), &[file.to_owned()]).map_err(Trouble::Failed)?;
        Ok(true)
    }

    fn place(&self, rules: &RuleSet, society: &[u8]) -> Result<Place, MatterError> {
        let mut print = Sha256::new_with_prefix(self.matters.print());
        print.update(format!("{rules:?}"));
        print.update(society);
        let print = print.finalize().iter().map(|b| format!("{b:02x}")).collect();
        let place: Place = self.read(PLACE)?;
        Ok(if place.print == print { place } else { Place { print, to: BTreeMap::new() } })
    }

    fn read<T: Default + for<'a> Deserialize<'a>>(&self, key: &str) -> Result<T, MatterError> {
        let value = self.store.value(key)?.unwrap_or_default();
        // What cannot be read is begun anew: rows are looked at once more.
        Ok(serde_json::from_slice(&value).unwrap_or_default())
    }

    fn write<T: Serialize>(&self, key: &str, value: &T) -> Result<(), MatterError> {
        let text = serde_json::to_vec(value).map_err(|e| Trouble::Failed(e.to_string()))?;
        Ok(self.store.set_value(key, &text)?)
    }
}

/// What is from before this is older than so many days.
fn before(now: Timestamp, days: u64) -> Timestamp {
    Timestamp(now.0.saturating_sub(days.saturating_mul(DAY_MS)))
}

/// Decides row by row.
struct Eye<'a> {
    keeping: Keeping<'a>,
    places: Places<'a>,
    rules: &'a RuleSet,
    copies: &'a dyn Copies,
    files: HashSet<String>,
    now: Timestamp,
}

impl<'a> Eye<'a> {
    fn new(matters: &'a Matters, rules: &'a RuleSet, copies: &'a dyn Copies, now: Timestamp) -> Self {
        Self {
            copies,
            now,
            keeping: matters.keeping(),
            places: Places::new(matters.society()),
            rules,
            files: HashSet::new(),
        }
    }

    fn judge(&mut self, row: &Bare, due: impl Fn(Rule) -> bool, chunk: &mut Chunk, done: &mut Done) {
        let mut facts = Facts::read(row);
        let term = self.rules.decide(&facts, &mut self.places);
        if !due(term.keep) {
            return;
        }
        if term.keep != Rule::Forever && facts.at.0 >= before(self.now, term.keep.days()).0 {
            // Times need not grow with numbers: a clock may have been set back.
            return chunk.again.push(row.seq);
        }
        let by = self.keeping.of_file_too(&facts, self.copies);
        if !by.is_empty() {
            by.into_iter().for_each(|matter| *done.kept.entry(matter).or_default() += 1);
        } else if row.waits {
            done.waiting += 1;
            chunk.again.push(row.seq);
        } else {
            // One file has several acts.
            if facts.kind != Some(Kind::File)
                || facts.file.as_ref().is_some_and(|id| !self.files.insert(id.clone()))
            {
                facts.file = None;
            }
            chunk.add(&term.in_words(), facts);
        }
    }
}

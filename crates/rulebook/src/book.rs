//! The policy in force and its versions.

use crate::trial::{Report, Trial};
use crate::version::Version;
use crate::{Replayed, budget, replay};
use model::{Address, Envelope};
use parking_lot::{Mutex, RwLock};
use policy::{Decision, Facts, FileFacts, Judge, Mistake, Near, Policy, Society};
use std::sync::{Arc, OnceLock};
use store::{Journal, Partners, Shelf, Trouble};

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulebookError {
    /// The policy has mistakes.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Mistakes(Vec<Mistake>),
    /// It would cost too much.
    #[error("{0}")]
    Slow(String),
    /// There is no such version, or nothing on trial.
    #[error("{0}")]
    Missing(String),
    /// Somebody else was quicker.
    #[error("{0}")]
    Conflict(String),
    /// The store failed.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// What a policy that was checked comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Rules that are asked.
    pub rules: usize,
    /// What looking into a message of 300 bytes costs, in nanoseconds.
    pub nanos: u64,
    /// Groups and partners that it names and that there are not.
    pub strangers: Vec<String>,
}

/// Tells somebody of ours something. Must not block.
type Teller = Box<dyn Fn(&Address, &str) + Send + Sync>;

#[derive(Default)]
struct Live {
    policy: Option<Policy>,
    trial: Option<Trial>,
}

/// The policy in force and its versions. All but [`Judge`] blocks.
pub struct Rulebook {
    store: Arc<dyn Partners>,
    society: Arc<dyn Society>,
    live: RwLock<Arc<Live>>,
    teller: OnceLock<Teller>,
    /// Called when another policy is in force.
    changed: OnceLock<Box<dyn Fn() + Send + Sync>>,
    writing: Mutex<()>,
}

impl Rulebook {
    /// The book as the store has it.
    ///
    /// # Errors
    /// [`RulebookError::Trouble`] when it cannot be read; [`RulebookError::Mistakes`] where the version in force is of a
    /// later release.
    pub fn open(store: Arc<dyn Partners>, society: Arc<dyn Society>) -> Result<Self, RulebookError> {
        let book = Self {
            store,
            society,
            live: RwLock::default(),
            teller: OnceLock::new(),
            changed: OnceLock::new(),
            writing: Mutex::default(),
        };
        if let Some(version) = book.latest()? {
            let policy = compiled(&version.text)?;
            *book.live.write() = Arc::new(Live { policy, trial: None });
        }
        Ok(book)
    }

    /// Who tells senders what rules have to say.
    pub fn tell_by(&self, teller: impl Fn(&Address, &str) + Send + Sync + 'static) {
        let _ = self.teller.set(Box::new(teller));
    }

    /// Who wants to hear that another policy is in force.
    pub fn on_change(&self, hear: impl Fn() + Send + Sync + 'static) {
        let _ = self.changed.set(Box::new(hear));
    }

    /// All versions, oldest first.
    ///
    /// # Errors
    /// [`RulebookError::Trouble`]
    pub fn versions(&self) -> Result<Vec<Version>, RulebookError> {
        let docs = self.store.documents(Shelf::Policy)?;
        docs.into_iter().map(|(name, doc)| read(&name, &doc)).collect()
    }

    /// One version; the one in force where no number is given.
    ///
    /// # Errors
    /// [`RulebookError::Missing`]
    pub fn version(&self, number: Option<u32>) -> Result<Version, RulebookError> {
        let found = match number {
            None => self.latest()?,
            Some(number) => {
                let name = Version::name(number);
                self.store.document(Shelf::Policy, &name)?.map(|doc| read(&name, &doc)).transpose()?
            }
        };
        found.ok_or_else(|| {
            RulebookError::Missing(match number {
                None => "there is no policy yet; `rialto policy set FILE` makes one".to_owned(),
                Some(number) => format!("there is no version {number} of the policy"),
            })
        })
    }

    fn latest(&self) -> Result<Option<Version>, RulebookError> {
        Ok(self.versions()?.pop())
    }

    /// Looks a policy over.
    ///
    /// # Errors
    /// [`RulebookError::Mistakes`] and [`RulebookError::Slow`].
    pub fn check(&self, text: &str) -> Result<Checked, RulebookError> {
        let policy = Policy::read(text).map_err(RulebookError::Mistakes)?;
        let cost = budget::fits(&policy).map_err(RulebookError::Slow)?;
        Ok(Checked {
            rules: policy.rules(),
            nanos: u64::try_from(cost.as_nanos()).unwrap_or(u64::MAX),
            strangers: policy.strangers(self.society.as_ref()),
        })
    }

    /// Puts a policy in force, from this moment on for everybody. `after` is the version it was made from; another one in
    /// force meanwhile is a conflict.
    ///
    /// # Errors
    /// [`RulebookError`]
    pub fn set(
        &self,
        text: &str,
        by: &str,
        note: &str,
        after: Option<u32>,
        at: u64,
    ) -> Result<Version, RulebookError> {
        self.check(text)?;
        let _writing = self.writing.lock();
        let latest = self.latest()?.map_or(0, |version| version.number);
        if let Some(after) = after.filter(|after| *after != latest) {
            let what = format!(
                "version {latest} is in force, not {after}: somebody has changed the policy meanwhile"
            );
            return Err(RulebookError::Conflict(what));
        }
        let number = latest + 1;
        let version = Version { number, at, by: by.to_owned(), note: note.to_owned(), text: text.to_owned() };
        let doc = serde_json::to_vec(&version).map_err(|e| RulebookError::Conflict(e.to_string()))?;
        let policy = compiled(text)?;
        if !self.store.add_document(Shelf::Policy, &Version::name(number), &doc)? {
            return Err(RulebookError::Conflict(format!("there is a version {number} already")));
        }
        // What was on trial was compared with another policy.
        *self.live.write() = Arc::new(Live { policy, trial: None });
        if let Some(changed) = self.changed.get() {
            changed();
        }
        Ok(version)
    }

    /// Puts the text of an earlier version in force again, as a new version.
    ///
    /// # Errors
    /// [`RulebookError`]
    pub fn roll_back(&self, to: Option<u32>, by: &str, at: u64) -> Result<Version, RulebookError> {
        let latest = self.version(None)?.number;
        let to = to.unwrap_or(latest.saturating_sub(1));
        let old = self.version(Some(to))?;
        self.set(&old.text, by, &format!("back to version {to}"), Some(latest), at)
    }

    /// Puts a candidate on trial beside the policy in force; nothing, to end the trial.
    ///
    /// # Errors
    /// [`RulebookError`]
    pub fn try_out(&self, text: Option<&str>) -> Result<Option<Checked>, RulebookError> {
        let checked = text.map(|text| self.check(text)).transpose()?;
        let trial = text.map(Policy::read).transpose().map_err(RulebookError::Mistakes)?.map(Trial::new);
        let _writing = self.writing.lock();
        let policy = self.version(None).ok().map_or(Ok(None), |version| compiled(&version.text))?;
        *self.live.write() = Arc::new(Live { policy, trial });
        Ok(checked)
    }

    /// What the candidate on trial would have done so far.
    ///
    /// # Errors
    /// [`RulebookError::Missing`]
    pub fn trial(&self) -> Result<Report, RulebookError> {
        let live = self.live.read().clone();
        let nothing = || {
            RulebookError::Missing("nothing is on trial; `rialto policy dry-run FILE` begins it".to_owned())
        };
        live.trial.as_ref().map(Trial::report).ok_or_else(nothing)
    }

    /// What a policy decides of an envelope and why: the one in force, or another.
    ///
    /// # Errors
    /// [`RulebookError`]
    pub fn explain(
        &self,
        envelope: &Envelope,
        text: Option<&str>,
    ) -> Result<(Decision, Vec<Near>, &'static str), RulebookError> {
        let text =
            text.map_or_else(|| self.version(None).map(|version| version.text), |text| Ok(text.to_owned()))?;
        let policy = Policy::read(&text).map_err(RulebookError::Mistakes)?;
        let facts = Facts::of(envelope, self.society.as_ref());
        let (decision, near) = policy.explain(&facts);
        Ok((decision, near, facts.verified_by()))
    }

    /// Runs a policy over a stretch of the record; see [`replay`].
    ///
    /// # Errors
    /// [`RulebookError`]
    pub fn replay(
        &self,
        text: &str,
        journal: &dyn Journal,
        first: u64,
        limit: usize,
        time: std::ops::Range<u64>,
    ) -> Result<Replayed, RulebookError> {
        let policy = Policy::read(text).map_err(RulebookError::Mistakes)?;
        Ok(replay(&policy, self.society.as_ref(), journal, first, limit, time)?)
    }
}

/// An empty text is no policy.
fn compiled(text: &str) -> Result<Option<Policy>, RulebookError> {
    match text.trim().is_empty() {
        true => Ok(None),
        false => Policy::read(text).map(Some).map_err(RulebookError::Mistakes),
    }
}

fn read(name: &str, doc: &[u8]) -> Result<Version, RulebookError> {
    let damaged = |e: serde_json::Error| Trouble::Damaged(format!("version {name} of the policy: {e}"));
    Ok(serde_json::from_slice(doc).map_err(damaged)?)
}

impl Judge for Rulebook {
    fn decide(&self, envelope: &Envelope) -> Option<Decision> {
        let live = self.live.read().clone();
        let society = self.society.as_ref();
        let decision = live.policy.as_ref().map(|policy| policy.decide(&Facts::of(envelope, society)));
        if let Some(trial) = &live.trial {
            trial.compare(envelope, society, decision.as_ref());
        }
        decision
    }

    fn decide_file(&self, envelope: &Envelope, file: FileFacts<'_>) -> Option<Decision> {
        let live = self.live.read().clone();
        let facts = || Facts::of(envelope, self.society.as_ref()).about(file);
        live.policy.as_ref().map(|policy| policy.decide(&facts()))
    }

    fn tell(&self, sender: &Address, text: &str) {
        if let Some(teller) = self.teller.get() {
            teller(sender, text);
        }
    }
}

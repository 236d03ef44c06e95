//! What is kept, for how long, and who forgets what was destroyed: matters and rules with everything they are about.

use crate::clock::now;
use crate::config::Config;
use crate::failure::Failure;
use crate::subject::Line;
use matters::{
    Clock, Copies, Destroyer, Done, Erased, Facts, MatterError, Matters, Preview, Reviews, RuleSet, Rules,
    Subject,
};
use memchr::memmem;
use model::Seq;
use record::{Act, ChainId, Ranges, Rule, Signer};
use search::{Ask, Index};
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use store::{Authorizations, Journal, Retain, Row, SqliteStore, StoredFile};

/// Between two steps of destruction, so that messages need not wait for it.
const PAUSE: Duration = Duration::from_millis(20);

/// Messages that are looked at whether they name a file, at most.
const NAMING: usize = 1_000;

/// Matters and rules with what they are about.
pub struct Keeping {
    store: Arc<SqliteStore>,
    chain: ChainId,
    /// What is held.
    pub matters: Arc<Matters>,
    /// What people look through.
    pub reviews: Arc<Reviews>,
    /// For how long the rest is kept.
    pub rules: Arc<Rules>,
    clock: Clock,
    signer: Arc<Signer>,
    partners: Arc<partner::Federation>,
    search: Option<Arc<Index>>,
    index: PathBuf,
    files: Option<Arc<files::Files>>,
}

impl Keeping {
    /// Opens them.
    ///
    /// # Errors
    /// [`Failure`] where a matter, the rules or the key cannot be read.
    pub fn open(
        config: &Config,
        store: &Arc<SqliteStore>,
        (chain, signer): (ChainId, Arc<Signer>),
        partners: &Arc<partner::Federation>,
        search: Option<Arc<Index>>,
        files: Option<Arc<files::Files>>,
    ) -> Result<Arc<Self>, Failure> {
        let wrong = |error: MatterError| Failure::new(error.to_string());
        let matters = Arc::new(Matters::open(store.clone(), partners.clone()).map_err(wrong)?);
        Ok(Arc::new(Self {
            store: store.clone(),
            chain,
            reviews: Arc::new(Reviews::new(store.clone(), matters.clone())),
            matters,
            rules: Arc::new(Rules::open(store.clone()).map_err(wrong)?),
            clock: Clock::open(store, Instant::now())?,
            signer,
            partners: partners.clone(),
            search,
            index: config.index(),
            files,
        }))
    }

    /// Files that are too old for their links stay where a matter or a rule keeps them, and all of them while the clock cannot
    /// be believed.
    pub fn attend(this: &Arc<Self>) {
        let Some(files) = &this.files else { return };
        let keeping: Weak<Self> = Arc::downgrade(this);
        files.spare(Box::new(move |file, remove| {
            // While the server ends, nothing is removed.
            let Some(keeping) = keeping.upgrade() else { return Ok(false) };
            let _still = keeping.matters.still();
            if keeping.clock_trouble().is_some() || keeping.spares(file) {
                return Ok(false);
            }
            remove()
        }));
    }

    fn spares(&self, file: &StoredFile) -> bool {
        let facts = Facts::of_file(file);
        // Where the rules cannot be read nothing is destroyed.
        let ruled = self
            .rules
            .in_force(Rule::Forever)
            .map_or(true, |rules| rules.has_own(&facts, self.partners.as_ref()));
        ruled || !self.matters.keepers_of_file(&facts, self).is_empty()
    }

    /// The matter that keeps an uploaded file, if one does. Blocks.
    ///
    /// # Errors
    /// [`MatterError::Trouble`]
    pub fn file_kept_by(&self, id: &str) -> Result<Option<String>, MatterError> {
        let file = self.files.as_ref().map(|files| files.file(id)).transpose()?.flatten();
        Ok(file
            .and_then(|file| self.matters.keepers_of_file(&Facts::of_file(&file), self).into_iter().next()))
    }

    fn destroyer(&self, by: Act) -> Destroyer<'_, SqliteStore> {
        Destroyer {
            store: &self.store,
            chain: self.chain,
            matters: &self.matters,
            by,
            signer: &self.signer,
            copies: self,
            now: now(),
        }
    }

    /// For what destroys by age without being asked: can the clock be believed? Blocks.
    ///
    /// # Errors
    /// [`MatterError::Conflict`] where it has leapt ahead, in words that say what to do.
    pub fn believe_the_clock(&self) -> Result<(), MatterError> {
        self.clock.believe(now(), Instant::now())
    }

    /// Why the clock is not believed, so that nothing is destroyed by its age; none while it is.
    pub fn clock_trouble(&self) -> Option<String> {
        self.clock.check(now(), Instant::now()).err().map(|doubt| doubt.to_string())
    }

    /// Somebody wants it done now: so the clock is right. Where that was in doubt it goes on record. Blocks.
    ///
    /// # Errors
    /// [`MatterError::Trouble`]
    pub fn trust_the_clock(&self, by: &Act) -> Result<(), MatterError> {
        if let Err(doubt) = self.clock.check(now(), Instant::now()) {
            tracing::warn!(who = by.who, %doubt, "the clock is taken as right, because somebody asked for a run");
            let act = Act { act: "retention.clock".into(), ..by.clone() };
            act.on(format!("taken as right: {}", now())).note(self.store.as_ref(), now())?;
        }
        Ok(self.clock.trust(now(), Instant::now())?)
    }

    /// Destroys what the rules no longer keep. Blocks.
    ///
    /// # Errors
    /// [`MatterError`]
    pub fn run(&self, general: Rule, by: Act) -> Result<Done, MatterError> {
        let partners: Vec<_> = self.partners.partners().into_iter().map(|p| (p.name, p.domains)).collect();
        let society = serde_json::to_vec(&(partners, self.partners.groups())).unwrap_or_default();
        self.destroyer(by).run(&self.rules.in_force(general)?, &society)
    }

    /// What that would destroy; with other rules, if a text is given. Blocks.
    ///
    /// # Errors
    /// [`MatterError`]
    pub fn preview(&self, general: Rule, text: Option<&str>) -> Result<Preview, MatterError> {
        let rules = match text {
            Some(text) => RuleSet::read(text, general, self.partners.as_ref())?,
            None => self.rules.in_force(general)?,
        };
        Preview::of(self.store.as_ref(), &self.matters, &rules, self, now())
    }
}

impl Keeping {
    /// Destroys what is of somebody and not held; without an act, says only what that would come to. Blocks.
    ///
    /// # Errors
    /// [`MatterError`]
    pub fn erase(&self, subject: &Subject, by: Option<Act>) -> Result<Erased, MatterError> {
        let dry = by.is_none();
        let by = by.unwrap_or_else(|| Act::done("subject.preview", "server"));
        let erased = self.destroyer(by).erase(subject, dry)?;
        if !dry {
            // Their words with requests to see somebody's presence.
            let who = subject.address()?;
            if self.matters.naming(&who).is_empty() {
                for mut one in self.store.of_watcher(&who)? {
                    if one.note.take().is_some() {
                        self.store.set(&one)?;
                    }
                }
            }
            self.store.scrub()?;
        }
        Ok(erased)
    }

    /// Nothing of what was removed is left in the store's files when this returns. Blocks.
    ///
    /// # Errors
    /// [`MatterError::Trouble`]
    pub fn scrub(&self) -> Result<(), MatterError> {
        Ok(self.store.scrub()?)
    }

    /// Tells everything that is kept of somebody. Blocks.
    ///
    /// # Errors
    /// In words.
    pub fn tell_of(
        &self,
        subject: &Subject,
        blocked: &[model::Address],
        line: Line<'_>,
    ) -> Result<(), String> {
        crate::subject::tell(&self.store, self.files.as_deref(), subject, blocked, line)
    }
}

fn not_forgotten(search: &Index) -> String {
    let why = search.standing().trouble.unwrap_or_else(|| "it stops".into());
    format!("the search index cannot forget now: {why}")
}

impl Copies for Keeping {
    fn forget(&self, rows: &Ranges, files: &[String]) -> Result<(), String> {
        match &self.search {
            Some(search) => {
                if !search.content_gone(rows.runs()) {
                    return Err(not_forgotten(search));
                }
            }
            // It is made anew when it is wanted again.
            None => match std::fs::remove_dir_all(&self.index) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(format!("{}: {error}", self.index.display()));
                }
                _ => {}
            },
        }
        self.reviews.forget_notes(rows).map_err(|error| error.to_string())?;
        for id in files {
            if let Some(kept) = &self.files {
                kept.forget(id).map_err(|trouble| trouble.to_string())?;
            }
            // Also where it went before, and the index ended before it knew.
            if let Some(search) = self.search.as_ref().filter(|search| !search.file_changed(id, false)) {
                return Err(not_forgotten(search));
            }
        }
        Ok(())
    }

    fn naming(&self, file: &str) -> Result<Vec<Facts>, String> {
        let none = "there is no index to look it up in";
        let search = self.search.as_ref().ok_or(none)?;
        let named = Ask { words: Some(format!("\"{file}\"")), between_people: true, ..Ask::default() };
        let itself = Ask { id: Some(file.to_owned()), kind: Some("file".into()), ..Ask::default() };
        let indexed = search.standing().indexed;
        let find = |ask| search.find(ask, NAMING).map_err(|error| error.to_string());
        let (found, itself) = (find(&named)?, find(&itself)?);
        let trouble = |trouble: store::Trouble| trouble.to_string();
        // What the index has not yet is looked at itself.
        let later = self.store.rows(Seq(indexed.0 + 1), NAMING + 1).map_err(trouble)?;
        if found.more || itself.more || later.len() > NAMING {
            return Err("the index does not tell all".into());
        }
        let names_it = |row: &&Row| {
            let body = row.body.as_ref().is_some_and(|body| memmem::find(body, file.as_bytes()).is_some());
            body || Facts::of(row).file.as_deref() == Some(file)
        };
        let mut all: Vec<Facts> = later.iter().filter(names_it).map(Facts::of).collect();
        for Seq(seq) in found.rows.into_iter().chain(itself.rows) {
            let rows = self.store.rows(Seq(seq), 1).map_err(trouble)?;
            all.extend(rows.iter().filter(|row| row.seq.0 == seq).map(Facts::of));
        }
        Ok(all)
    }

    fn pause(&self) {
        std::thread::sleep(PAUSE);
    }
}

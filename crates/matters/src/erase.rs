//! Erasing what is of one person, as far as no matter keeps it.

use crate::destroy::Chunk;
use crate::{Destroyer, Done, Facts, MatterError};
use model::{Address, Seq};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use store::{Journal, Retain, Settings};
use utoipa::ToSchema;

const PAGE: usize = 1_000;
/// So many rows are named in one act, at most about; holds wait for no more.
const CHUNK: usize = 10_000;

/// Whose content is to go, and which.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Subject {
    /// Who.
    pub who: String,
    /// Also what others wrote to them.
    pub received: bool,
    /// Also their account: password, contacts, permissions, blocks, registrations.
    pub account: bool,
    /// Not earlier, Unix milliseconds.
    pub since: Option<u64>,
    /// Earlier than this, Unix milliseconds.
    pub until: Option<u64>,
}

/// What an erasure came to, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Erased {
    /// Rows whose content is gone.
    pub rows: u64,
    /// Bytes of it.
    pub bytes: u64,
    /// Files that are gone.
    pub files: u64,
    /// Rows that keep their content, by the matter that keeps them.
    pub kept: BTreeMap<String, u64>,
    /// Rows that keep it while they wait for somebody: erase again when they were delivered.
    pub waiting: u64,
    /// Matters that keep their account's data.
    pub account_kept: Vec<String>,
    /// Their account's data are gone.
    pub account: bool,
}

impl Subject {
    /// Checks it.
    ///
    /// # Errors
    /// [`MatterError::Bad`]
    pub fn address(&self) -> Result<Address, MatterError> {
        let bad = || MatterError::Bad(format!("{:?} is nobody's address: user@domain", self.who));
        Address::parse(&self.who.trim().to_lowercase()).ok().filter(|a| a.user().is_some()).ok_or_else(bad)
    }

    fn is_of(&self, facts: &Facts, who: &Address) -> bool {
        let theirs = facts.from.as_ref() == Some(who) || self.received && facts.to.as_ref() == Some(who);
        theirs
            && self.since.is_none_or(|since| facts.said.0 >= since)
            && self.until.is_none_or(|until| facts.said.0 < until)
    }
}

impl<S: Journal + Retain + Settings> Destroyer<'_, S> {
    /// Destroys the content of somebody's rows, after acts that name them, except what is held and what waits; or says only
    /// what that would come to. When this returns nothing of what was destroyed is left in the store's files. Blocks.
    ///
    /// # Errors
    /// [`MatterError`]; what was done until then stays done, and may be asked for again.
    pub fn erase(&self, subject: &Subject, dry: bool) -> Result<Erased, MatterError> {
        let who = subject.address()?;
        if !dry {
            self.finish()?;
        }
        let (to, mut after) = (self.store.head(), Seq(0));
        let (mut done, mut seen, mut files) = (Done::default(), Done::default(), HashSet::new());
        while after < to {
            let still = self.matters.still();
            let (mut chunk, mut keeping, mut rows) = (Chunk::default(), self.matters.keeping(), 0);
            while after < to && rows < CHUNK {
                let page = self.store.with_content(after, to, PAGE)?;
                after = if page.len() < PAGE { to } else { page.last().map_or(to, |row| row.seq) };
                rows += page.len();
                for row in page {
                    let mut facts = Facts::read(&row);
                    if !subject.is_of(&facts, &who) {
                        continue;
                    }
                    let by = keeping.of_file_too(&facts, self.copies);
                    if !by.is_empty() {
                        by.into_iter().for_each(|matter| *done.kept.entry(matter).or_default() += 1);
                        continue;
                    }
                    if row.waits {
                        done.waiting += 1;
                        continue;
                    }
                    facts.file = facts.file.filter(|file| files.insert(file.clone()));
                    *seen.destroyed.entry(String::new()).or_default() += 1;
                    seen.bytes += facts.bytes;
                    if !dry {
                        let which = if subject.received { "wrote and got" } else { "wrote" };
                        chunk.add(&format!("erasure of what {who} {which}"), facts);
                    }
                }
            }
            let many = self.destroy(chunk, &mut done)?;
            drop(still);
            if many {
                self.finish()?;
            }
            self.copies.pause();
        }
        if !dry {
            self.finish()?;
        }
        let account_kept = match subject.account {
            true => self.matters.naming(&who),
            false => Vec::new(),
        };
        Ok(Erased {
            rows: seen.rows(),
            bytes: seen.bytes,
            files: files.len() as u64,
            kept: done.kept,
            waiting: done.waiting,
            account: false,
            account_kept,
        })
    }
}

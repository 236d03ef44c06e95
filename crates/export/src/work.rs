//! The directory of an export while it is made. Each step is on the disk before the note that says so, and whatever a note
//! does not name is done again; so it may break off anywhere.

use crate::account::Account;
use crate::begun::{Begun, FileFact, Form};
use crate::book::Book;
use crate::days::{self, Day, Sorter};
use crate::disk::{self, ExportError, Growing, Grown, at};
use crate::forms::{self, Shelf, Source};
use crate::manifest::{self, Finished, Summary};
use crate::portable::{self, Jid};
use record::{Ranges, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Where the notes are, and what is needed only until the end.
const DESK: &str = ".unfinished";
const NOTE: &str = "note.json";
const ROWS: &str = "rows.jsonl";
const FACTS: &str = "files.jsonl";
const MADE: &str = "made.jsonl";
const ACTS: &str = "acts.jsonl";
const ACCOUNTS: &str = "accounts.jsonl";
/// Rows are put on the disk when so many bytes have come.
const PIECE: u64 = 16 << 20;

/// How far an export has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Rows are to come, from this one on.
    Rows {
        /// The next row.
        next: u64,
    },
    /// All rows are there.
    Forms,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Note {
    begun: Begun,
    forms: Vec<Form>,
    /// What was asked for, as whoever asks keeps it.
    asked: serde_json::Value,
    rows: Grown,
    facts: Grown,
    count: u64,
    first: u64,
    last: u64,
    next: u64,
    whole: bool,
    /// Rows whose content is withheld.
    #[serde(default)]
    withheld: String,
    /// Are there rows whose content was destroyed?
    #[serde(default)]
    destroyed: bool,
    sorted: bool,
    /// Days up to this one are done.
    day: Option<String>,
    /// Accounts are done.
    #[serde(default)]
    accounts: bool,
    grown: BTreeMap<String, Grown>,
    made: Grown,
}

/// Lines of evidence.
#[derive(Debug, Default)]
pub struct Batch {
    /// The lines, each with its end.
    pub lines: Vec<u8>,
    /// How many they are.
    pub rows: u64,
    /// The first row and the last.
    pub span: Option<(u64, u64)>,
    /// Files that they link to.
    pub facts: Vec<FileFact>,
    /// Rows whose content is withheld.
    pub withheld: Ranges,
    /// Are there others whose content was destroyed?
    pub destroyed: bool,
    /// The row with which it goes on; `None` when that was all.
    pub next: Option<u64>,
}

/// An export that is being made.
pub struct Work {
    dir: PathBuf,
    note: Note,
    rows: Growing,
    facts: Growing,
    noted: u64,
    acts: Option<Growing>,
}

impl Work {
    /// Begins one in a directory that is empty, or not there yet.
    ///
    /// # Errors
    /// [`ExportError`]; likewise below.
    pub fn begin(
        dir: &Path,
        begun: Begun,
        forms: &[Form],
        asked: serde_json::Value,
    ) -> Result<Self, ExportError> {
        disk::make_dir(dir)?;
        if std::fs::read_dir(dir).map_err(at(dir))?.next().is_some() {
            return Err(ExportError::Other(format!(
                "{} is not empty: name another directory",
                dir.display()
            )));
        }
        disk::make_dir(&dir.join(DESK))?;
        let note = Note {
            begun,
            forms: forms.to_vec(),
            asked,
            rows: Grown::default(),
            facts: Grown::default(),
            count: 0,
            first: 0,
            last: 0,
            next: 1,
            whole: false,
            withheld: String::new(),
            destroyed: false,
            sorted: false,
            day: None,
            accounts: false,
            grown: BTreeMap::new(),
            made: Grown::default(),
        };
        let work = Self::open(dir, note)?;
        work.write_note()?;
        Ok(work)
    }

    /// Goes on with one that broke off; `None` where none was begun. What is finished is compared with its hash.
    ///
    /// # Errors
    /// [`ExportError`]
    pub fn resume(dir: &Path) -> Result<Option<Self>, ExportError> {
        let path = dir.join(DESK).join(NOTE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ExportError::Disk(path, error)),
        };
        let note = serde_json::from_slice(&bytes).map_err(|e| {
            ExportError::Other(format!("{}: {e}: begin in another directory", path.display()))
        })?;
        Self::open(dir, note).map(Some)
    }

    fn open(dir: &Path, note: Note) -> Result<Self, ExportError> {
        let rows = Growing::open(dir.join(ROWS), &note.rows)?;
        let facts = Growing::open(dir.join(DESK).join(FACTS), &note.facts)?;
        let noted = note.rows.size;
        Ok(Self { dir: dir.to_owned(), note, rows, facts, noted, acts: None })
    }

    fn write_note(&self) -> Result<(), ExportError> {
        let bytes = serde_json::to_vec(&self.note).unwrap_or_default();
        disk::write(&self.dir.join(DESK).join(NOTE), &bytes)
    }

    /// The export.
    pub fn begun(&self) -> &Begun {
        &self.note.begun
    }

    /// Are accounts wanted that are not here yet?
    pub fn wants_accounts(&self) -> bool {
        self.note.forms.contains(&Form::Xep0227) && !self.dir.join(DESK).join(ACCOUNTS).exists()
    }

    /// What was asked for.
    pub fn asked(&self) -> (&[Form], &serde_json::Value) {
        (&self.note.forms, &self.note.asked)
    }

    /// How far it has come.
    pub fn stage(&self) -> Stage {
        if self.note.whole { Stage::Forms } else { Stage::Rows { next: self.note.next } }
    }

    /// Rows in it so far, the first, and the last.
    pub fn rows(&self) -> (u64, u64, u64) {
        (self.note.count, self.note.first, self.note.last)
    }

    /// Adds lines of evidence.
    ///
    /// # Errors
    /// [`ExportError`]
    pub fn add(&mut self, batch: &Batch) -> Result<(), ExportError> {
        self.rows.write(&batch.lines)?;
        for fact in &batch.facts {
            let mut line = serde_json::to_vec(fact).unwrap_or_default();
            line.push(b'\n');
            self.facts.write(&line)?;
        }
        let note = &mut self.note;
        note.count += batch.rows;
        if let Some((first, last)) = batch.span {
            note.first = if note.first == 0 { first } else { note.first };
            note.last = last;
        }
        if !batch.withheld.is_empty() {
            let mut withheld: Ranges = note.withheld.parse().unwrap_or_default();
            batch.withheld.iter().for_each(|seq| withheld.add(seq));
            note.withheld = withheld.to_string();
        }
        note.destroyed |= batch.destroyed;
        note.next = batch.next.unwrap_or(note.next);
        note.whole = batch.next.is_none();
        self.noted += batch.lines.len() as u64;
        if self.note.whole || self.noted - self.note.rows.size >= PIECE {
            self.note.rows = self.rows.settle()?;
            self.note.facts = self.facts.settle()?;
            self.write_note()?;
        }
        Ok(())
    }

    /// Are there rows without content that is not just withheld? Then acts are wanted that say so.
    pub fn wants_acts(&self) -> bool {
        self.note.destroyed
    }

    /// Adds such acts, as lines of evidence; all of them anew when it goes on after a break.
    ///
    /// # Errors
    /// [`ExportError`]
    pub fn add_acts(&mut self, lines: &[u8]) -> Result<(), ExportError> {
        let acts = match &mut self.acts {
            Some(acts) => acts,
            None => self.acts.insert(Growing::open(self.dir.join(ACTS), &Grown::default())?),
        };
        acts.write(lines)
    }

    /// Contents of files that are still to be fetched.
    ///
    /// # Errors
    /// [`ExportError`]
    pub fn wanted(&self) -> Result<Vec<FileFact>, ExportError> {
        let mut wanted: BTreeMap<String, FileFact> = BTreeMap::new();
        for fact in days::lines::<FileFact>(&self.dir.join(DESK).join(FACTS))? {
            let fact = fact?;
            if fact.kept && !self.blob(&fact.sha256).exists() {
                wanted.insert(fact.sha256.clone(), fact);
            }
        }
        Ok(wanted.into_values().collect())
    }

    fn blob(&self, sha256: &str) -> PathBuf {
        self.dir.join("blobs").join(sha256)
    }

    /// Room for the content of a file.
    ///
    /// # Errors
    /// [`ExportError`]
    pub fn take(&self) -> Result<Taking, ExportError> {
        let blobs = self.dir.join("blobs");
        disk::make_dir(&blobs)?;
        let part = self.dir.join(DESK).join("blob.part");
        let file = BufWriter::new(disk::open(&part, true)?);
        Ok(Taking { blobs, part, file, digest: Sha256::new() })
    }

    /// Keeps the accounts of the form `xep0227` until it is made. They are secret, and go with the rest of the notes.
    ///
    /// # Errors
    /// [`ExportError`]
    pub fn keep_accounts(
        &self,
        mut next: impl FnMut() -> Result<Vec<Account>, ExportError>,
    ) -> Result<(), ExportError> {
        let path = self.dir.join(DESK).join(ACCOUNTS);
        let part = path.with_extension("part");
        let mut file = BufWriter::new(disk::open(&part, true)?);
        loop {
            let some = next()?;
            if some.is_empty() {
                break;
            }
            for account in &some {
                let mut line = serde_json::to_vec(account).unwrap_or_default();
                line.push(b'\n');
                file.write_all(&line).map_err(at(&part))?;
            }
        }
        file.flush().map_err(at(&part))?;
        std::fs::rename(&part, &path).map_err(at(&path))
    }

    /// Makes the readable forms of all rows. `jid` is how addresses are written in XMPP, and `heard` is told how much of how much of what is done.
    ///
    /// # Errors
    /// [`ExportError`]
    pub fn write_forms(
        &mut self,
        jid: &Jid,
        mut heard: impl FnMut(&str, u64, u64),
    ) -> Result<(), ExportError> {
        let sorted = self.dir.join(DESK).join("days");
        let total = self.note.rows.size;
        if !self.note.sorted {
            let rows = self.dir.join(ROWS);
            let facts = self.dir.join(DESK).join(FACTS);
            Sorter::new(sorted.clone())?.sort(&rows, &facts, |done| heard("sorting by day", done, total))?;
            self.note.sorted = true;
            self.write_note()?;
        }
        let mut desk = Desk::open(&self.dir, &self.note)?;
        let rows = File::open(self.dir.join(ROWS)).map_err(at(&self.dir))?;
        let book = Book { chain: self.note.begun.chain.clone(), occasion: self.occasion() };
        let mut done = 0;
        for name in days::days(&sorted)? {
            if self.note.day.as_ref().is_some_and(|last| name <= *last) {
                done += Day::open(&sorted, &name)?.rows;
                continue;
            }
            let source = Source { dir: &self.dir, rows: &rows, sorted: &sorted, book: &book, name: &name };
            done += source.write(&self.note.forms, &mut desk)?;
            self.note.grown = desk.settle()?;
            self.note.made = desk.made.settle()?;
            self.note.day = Some(name);
            self.write_note()?;
            heard("writing", done, self.note.count);
        }
        // Also where there was nothing to write: the files are there.
        self.note.grown = desk.settle()?;
        if self.note.forms.contains(&Form::Xep0227) && !self.note.accounts {
            let accounts = self.dir.join(DESK).join(ACCOUNTS);
            let total = self.note.count;
            let made = |path, Grown { size, sha256 }| desk.note(&Finished { path, size, sha256 });
            portable::write(&self.dir, &accounts, (&rows, &sorted), jid, made, |done| {
                heard("accounts", done, total)
            })?;
            self.note.accounts = true;
        }
        self.note.made = desk.made.settle()?;
        self.write_note()
    }

    fn occasion(&self) -> String {
        let Begun { id, who, at, selection, .. } = &self.note.begun;
        format!("Exported by {who} on {at} (row {id} of the journal); selection: {selection}.")
    }

    /// Adds what makes the evidence complete, and writes the manifest: gives its SHA-256.
    ///
    /// # Errors
    /// [`ExportError`]
    pub fn seal(&mut self, companions: &[(&str, &[u8])], summary: &Summary) -> Result<[u8; 32], ExportError> {
        let made = self.dir.join(DESK).join(MADE);
        let mut last = Growing::open(made.clone(), &self.note.made)?;
        let mut add = |path: String, size: u64, sha256: String| {
            let mut line = serde_json::to_vec(&Finished { path, size, sha256 }).unwrap_or_default();
            line.push(b'\n');
            last.write(&line)
        };
        for (name, bytes) in companions {
            disk::write(&self.dir.join(name), bytes)?;
            add((*name).to_owned(), bytes.len() as u64, disk::sha256(bytes))?;
        }
        if let Some(acts) = &mut self.acts {
            let Grown { size, sha256 } = acts.settle()?;
            add(ACTS.to_owned(), size, sha256)?;
        }
        add(ROWS.to_owned(), self.note.rows.size, self.note.rows.sha256.clone())?;
        for (name, grown) in &self.note.grown {
            add(name.clone(), grown.size, grown.sha256.clone())?;
        }
        let blobs = self.dir.join("blobs");
        if blobs.exists() {
            let mut names = Vec::new();
            for blob in std::fs::read_dir(&blobs).map_err(at(&blobs))? {
                let blob = blob.map_err(at(&blobs))?;
                let size = blob.metadata().map_err(at(&blobs))?.len();
                names.push((blob.file_name().to_string_lossy().into_owned(), size));
            }
            names.sort();
            for (name, size) in names {
                // They were compared with their hash when they came.
                add(format!("blobs/{name}"), size, name)?;
            }
        }
        last.settle()?;
        let said = manifest::Said { forms: &self.note.forms, summary, withheld: &self.note.withheld };
        manifest::write(&self.dir.join("manifest.json"), &self.note.begun, &said, &made)
    }

    /// Ends it with the signature under its manifest.
    ///
    /// # Errors
    /// [`ExportError`]
    pub fn finish(self, signature: &str) -> Result<(), ExportError> {
        disk::write(&self.dir.join("manifest.sig"), format!("{signature}\n").as_bytes())?;
        let desk = self.dir.join(DESK);
        std::fs::remove_dir_all(&desk).map_err(at(&desk))?;
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(at(&self.dir))
    }
}

/// The content of a file, while it comes.
pub struct Taking {
    blobs: PathBuf,
    part: PathBuf,
    file: BufWriter<File>,
    digest: Sha256,
}

impl Taking {
    /// More of it.
    ///
    /// # Errors
    /// [`ExportError`]
    pub fn write(&mut self, piece: &[u8]) -> Result<(), ExportError> {
        self.digest.update(piece);
        self.file.write_all(piece).map_err(at(&self.part))
    }

    /// That was all. What is not what its hash says is not taken.
    ///
    /// # Errors
    /// [`ExportError`]
    pub fn keep(mut self, fact: &FileFact) -> Result<(), ExportError> {
        if hex(&self.digest.finalize()) != fact.sha256 {
            return Err(ExportError::Other(format!("the file {} is not what its SHA-256 says", fact.id)));
        }
        let path = self.blobs.join(&fact.sha256);
        self.file.flush().and_then(|()| self.file.get_ref().sync_data()).map_err(at(&self.part))?;
        std::fs::rename(&self.part, &path).map_err(at(&path))
    }
}

/// The files that are being made.
struct Desk {
    dir: PathBuf,
    growing: BTreeMap<String, Growing>,
    made: Growing,
}

impl Desk {
    fn open(dir: &Path, note: &Note) -> Result<Self, ExportError> {
        let mut growing = BTreeMap::new();
        for form in &note.forms {
            let Some(name) = forms::whole(*form) else { continue };
            let grown = note.grown.get(name).cloned().unwrap_or_default();
            let mut file = Growing::open(dir.join(name), &grown)?;
            if grown.size == 0 {
                file.write(&forms::head(*form))?;
            }
            growing.insert(name.to_owned(), file);
        }
        let made = Growing::open(dir.join(DESK).join(MADE), &note.made)?;
        Ok(Self { dir: dir.to_owned(), growing, made })
    }

    /// A file is finished.
    fn note(&mut self, finished: &Finished) -> Result<(), ExportError> {
        let mut line = serde_json::to_vec(finished).unwrap_or_default();
        line.push(b'\n');
        self.made.write(&line)
    }

    fn settle(&mut self) -> Result<BTreeMap<String, Grown>, ExportError> {
        self.growing.iter_mut().map(|(name, file)| Ok((name.clone(), file.settle()?))).collect()
    }
}

impl Shelf for Desk {
    fn grow(&mut self, name: &str, bytes: &[u8]) -> Result<(), ExportError> {
        let none = || ExportError::Other(format!("{name} is not open"));
        self.growing.get_mut(name).ok_or_else(none)?.write(bytes)
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), ExportError> {
        let path = self.dir.join(name);
        forms::parent(&path)?;
        disk::write_soon(&path, bytes)?;
        self.note(&Finished { path: name.to_owned(), size: bytes.len() as u64, sha256: disk::sha256(bytes) })
    }

    fn keep(&mut self, sha256: &str, bytes: &[u8]) -> Result<(), ExportError> {
        let path = self.dir.join("blobs").join(sha256);
        if path.exists() {
            return Ok(());
        }
        forms::parent(&path)?;
        disk::write(&path, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_of_accounts_are_made_once_though_it_breaks_off() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let text = String::new;
        let begun = Begun {
            id: 1,
            to: 1,
            chain: text(),
            selection: text(),
            who: text(),
            at: text(),
            version: text(),
        };
        let mut work = Work::begin(&out, begun, &[Form::Xep0227], serde_json::Value::Null).unwrap();
        work.add(&Batch::default()).unwrap();
        assert!(work.wants_accounts());
        let named = |user: &str| Account { address: format!("{user}@x"), ..Account::default() };
        let mut pages = vec![vec![], vec![named("juliet"), named("romeo")]];
        work.keep_accounts(|| Ok(pages.pop().unwrap_or_default())).unwrap();
        // What is in the way of the second is away when it goes on.
        let second = out.join("xep0227/romeo@x.xml");
        std::fs::create_dir_all(&second).unwrap();
        let jid = |end: &model::Endpoint| end.to_string();
        assert!(work.write_forms(&jid, |_, _, _| {}).is_err());
        drop(work);
        std::fs::remove_dir(&second).unwrap();
        for _ in 0..2 {
            let mut work = Work::resume(&out).unwrap().unwrap();
            assert!(!work.wants_accounts());
            work.write_forms(&jid, |_, _, _| {}).unwrap();
        }
        let made = std::fs::read_to_string(out.join(DESK).join(MADE)).unwrap();
        let paths: Vec<String> =
            made.lines().map(|line| serde_json::from_str::<Finished>(line).unwrap().path).collect();
        assert_eq!(paths, ["xep0227/juliet@x.xml", "xep0227/romeo@x.xml"]);
        assert!(std::fs::read_to_string(second).unwrap().ends_with("</server-data>\n"));
        assert!(!format!("{:?}", named("juliet")).contains("scram"));
    }
}

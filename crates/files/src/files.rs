//! Everything together.

mod linked;

use crate::blobs::{Blobs, Content, shown};
use crate::incoming::{Broken, Incoming};
use crate::judging;
use crate::settings::Settings;
use crate::slots::{Promise, Slots, word};
use crate::tally::{Counts, Tally};
use crate::verdict::{Denied, Verdict};
use model::{Dialect, FileOffer, NoSlot, Origin, Reason, Refusal, Security, Slot, Timestamp, Vouch};
use parking_lot::{Mutex, RwLock};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use policy::{FileFacts, Judge};
use ports::{Inspector, Linked};
use record::{Act, FileAct};
use std::collections::HashMap;
use std::io::{Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};
use store::{FileState, Journal, StoredFile, Trouble, Uploads};
use subtle::ConstantTimeEq;

const DAY: u64 = 86_400_000;

/// The longest name that is kept, in bytes.
const LONGEST_NAME: usize = 200;

/// Files that may not be fetched and that we know by heart, so that a message with a link to one waits for nobody.
const KNOWN: usize = 100_000;

/// Rows that are read at a time.
const PAGE: usize = 200;

/// So many files that cannot be looked into one after the other: whoever looks is not there.
const GIVE_UP: usize = 3;

/// What stands in a path as it is.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What people upload.
pub struct Files {
    settings: RwLock<Settings>,
    /// The listener itself, for whoever has no better way to it.
    here: OnceLock<String>,
    blobs: Blobs,
    slots: Slots,
    store: Arc<dyn Uploads>,
    journal: Arc<dyn Journal>,
    judge: Arc<dyn Judge>,
    inspector: Arc<dyn Inspector>,
    /// Held while content gets or loses its name: two files may have the same.
    shelf: Mutex<()>,
    /// Files that may not be fetched.
    kept_back: RwLock<HashMap<String, Linked>>,
    /// Some message was told to wait for a file.
    awaited: AtomicBool,
    /// Who says of what is old that it must be kept all the same.
    spare: OnceLock<Spare>,
    tally: Tally,
    told: OnceLock<Told>,
}

/// Who says of a file whether it must be kept although it is old; else it is removed by the second argument before anybody
/// can say otherwise. Both say whether it is gone.
pub type Spare = Box<
    dyn Fn(&StoredFile, &mut dyn FnMut() -> Result<bool, Trouble>) -> Result<bool, Trouble> + Send + Sync,
>;

/// Hears the name of a file whose content came or went, and whether it is there; says whether what it knew of it is gone.
type Told = Box<dyn Fn(&str, bool) -> bool + Send + Sync>;

/// What a link leads to.
#[derive(Debug)]
pub enum Found {
    /// A file that may be fetched, with its content.
    File(StoredFile, Content),
    /// A file that may not be fetched; in words, why.
    KeptBack(&'static str),
    /// Nothing.
    Nothing,
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn failed(what: &str, error: impl std::fmt::Display) -> Trouble {
    Trouble::Failed(format!("{what}: {error}"))
}

/// A name without a path, and without what could do something in a terminal.
fn tidy(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut name: String = last.chars().filter(|c| !c.is_control()).collect();
    while name.len() > LONGEST_NAME {
        name.pop();
    }
    let name = name.trim().trim_matches('.');
    if name.is_empty() { "file".to_owned() } else { name.to_owned() }
}

fn linked(file: &StoredFile) -> Option<Linked> {
    match file.state {
        FileState::Waiting | FileState::Held => Some(Linked::Waits),
        FileState::Malware | FileState::Refused => Some(Linked::Bad(file.why.clone())),
        FileState::Clean | FileState::Unseen => None,
    }
}

impl Files {
    /// Opens the directory with the contents. What an earlier process did not complete, and what nobody wants any more, is
    /// removed.
    ///
    /// # Errors
    /// [`Trouble`] with what the disk or the store said.
    pub fn open(
        dir: PathBuf,
        settings: Settings,
        store: Arc<dyn Uploads>,
        journal: Arc<dyn Journal>,
        judge: Arc<dyn Judge>,
        inspector: Arc<dyn Inspector>,
    ) -> Result<Self, Trouble> {
        let ours = dir.display().to_string();
        let blobs = Blobs::open(dir).map_err(|e| failed(&ours, e))?;
        for hash in blobs.all().map_err(|e| failed(&ours, e))? {
            if !store.wants_content(&hash)? {
                blobs.destroy(&hash).map_err(|e| failed(&ours, e))?;
            }
        }
        let states = [FileState::Waiting, FileState::Held, FileState::Malware, FileState::Refused];
        let kept_back = store.files(&states, KNOWN)?;
        let kept_back = kept_back.into_iter().filter_map(|f| linked(&f).map(|how| (f.id, how))).collect();
        Ok(Self {
            settings: RwLock::new(settings),
            here: OnceLock::new(),
            blobs,
            slots: Slots::default(),
            store,
            journal,
            judge,
            inspector,
            shelf: Mutex::default(),
            kept_back: RwLock::new(kept_back),
            // What waited for the last process still waits.
            awaited: AtomicBool::new(true),
            spare: OnceLock::new(),
            tally: Tally::default(),
            told: OnceLock::new(),
        })
    }

    /// Somebody who wants to hear whose content came, `true`, or went, and says whether nothing is left of it there. May block;
    /// the first to ask is the one.
    pub fn on_change(&self, told: impl Fn(&str, bool) -> bool + Send + Sync + 'static) {
        let _ = self.told.set(Box::new(told));
    }

    fn tell(&self, id: &str, there: bool) -> bool {
        self.told.get().is_none_or(|told| told(id, there))
    }

    /// These settings from now on.
    pub fn set(&self, settings: Settings) {
        *self.settings.write() = settings;
    }

    /// Before a file goes because it is old, this one is asked.
    pub fn spare(&self, spare: Spare) {
        let _ = self.spare.set(spare);
    }

    /// Where the listener is, for settings that name no better way to it.
    pub fn listens_at(&self, url: String) {
        let _ = self.here.set(url);
    }

    /// Was some message told to wait for a file since this was last asked?
    pub fn was_awaited(&self) -> bool {
        self.awaited.swap(false, Relaxed)
    }

    /// Messages still wait for files.
    pub fn is_awaited(&self) {
        self.awaited.store(true, Relaxed);
    }

    /// What was counted since the start.
    pub fn counts(&self) -> Counts {
        self.tally.read()
    }

    /// Counts what was handed out.
    pub fn handed_out(&self, bytes: u64) {
        self.tally.fetched(bytes);
    }

    /// How our links begin, without a slash at the end.
    pub fn url(&self) -> String {
        let named = self.settings.read().url.clone();
        named.or_else(|| self.here.get().cloned()).unwrap_or_default()
    }

    fn promise(&self, offer: &FileOffer, now: Timestamp) -> Result<Slot, NoSlot> {
        let broken = |trouble: Trouble| {
            tracing::error!(%trouble, "a slot could not be given");
            NoSlot::from(Refusal::new(Reason::Internal))
        };
        let settings = self.settings.read().clone();
        if offer.size > settings.max_bytes {
            let refusal = Refusal::new(Reason::TooLarge).by_rule("upload");
            return Err(NoSlot { most: Some(settings.max_bytes), ..refusal.into() });
        }
        if offer.size == 0 {
            let refusal = Refusal::new(Reason::NotAcceptable).with_text("the file is empty");
            return Err(refusal.by_rule("upload").into());
        }
        let name = tidy(&offer.name);
        let facts = FileFacts { name: &name, size: offer.size, head: None };
        judging::may(self.judge.as_ref(), &offer.by, &offer.origin, facts, now)?;
        let owner = &offer.by.address;
        let day_ago = Timestamp(now.unix_ms().saturating_sub(DAY));
        let (used, first) = self.store.uploaded_since(owner, day_ago).map_err(broken)?;
        let (promised, _) = self.slots.open(owner, now);
        if used + promised + offer.size > settings.daily_bytes {
            let text =
                format!("{} bytes are the most that you may upload within a day", settings.daily_bytes);
            let refusal = Refusal::new(Reason::Overloaded).with_text(text).by_rule("upload");
            // What was promised and not used counts for minutes only.
            let in_minutes = Timestamp(now.unix_ms() + crate::slots::TERM);
            let retry = first.map_or(in_minutes, |first| Timestamp(first.unix_ms() + DAY));
            return Err(NoSlot { retry: Some(retry), ..refusal.into() });
        }
        let token = word(32).map_err(broken)?;
        let mime = offer.mime.clone().unwrap_or_default();
        let promise = Promise::new(owner.clone(), name, mime, offer.size, now).map_err(broken)?;
        let (url, file) = (self.url(), utf8_percent_encode(&promise.name, PATH).to_string());
        let get = format!("{url}/f/{}-{}/{file}", promise.id, promise.secret);
        if !self.slots.promise(&token, promise, now) {
            let text = "too many files are on their way; send those first";
            let refusal = Refusal::new(Reason::Overloaded).with_text(text).by_rule("upload");
            let retry = Some(Timestamp(now.unix_ms() + crate::slots::TERM));
            return Err(NoSlot { retry, ..refusal.into() });
        }
        Ok(Slot { put: format!("{url}/put/{token}/{file}"), get })
    }

    /// Begins to receive what a slot was promised for. `length` is what the request says that will come.
    ///
    /// # Errors
    /// [`Broken`]; a slot whose length is not met can still be used.
    pub fn begin(&self, token: &str, length: u64) -> Result<Incoming, Broken> {
        let now = now();
        let promised = self.slots.size(token, now).ok_or(Broken::NoSlot)?;
        if promised != length {
            return Err(Broken::Length { promised, came: length });
        }
        let part = self.blobs.begin()?;
        match self.slots.take(token, now) {
            Some(promise) => Ok(Incoming::new(promise, part)),
            None => {
                let _ = std::fs::remove_file(&part.1);
                Err(Broken::NoSlot)
            }
        }
    }

    /// An upload broke off.
    pub fn broke_off(&self) {
        self.tally.broke();
    }

    /// Ends a file that has come: it is judged, recorded and kept, and durable when this returns.
    ///
    /// # Errors
    /// [`Broken`] where it could not be; nothing of it is left then.
    pub fn finish(&self, mut incoming: Incoming) -> Result<Result<StoredFile, Denied>, Broken> {
        let trouble = |trouble: Trouble| Broken::Failed(trouble.to_string());
        let hash = incoming.complete()?;
        let verdict = self.judge(&mut incoming)?;
        let promise = &incoming.promise;
        let file = StoredFile {
            id: promise.id.clone(),
            secret: promise.secret.clone(),
            owner: promise.owner.clone(),
            hash,
            size: promise.size,
            name: promise.name.clone(),
            mime: promise.mime.clone(),
            at: now(),
            state: verdict.state,
            why: verdict.why.clone(),
        };
        // On record before anybody can fetch it.
        self.note("upload", &file, promise.owner.as_str(), &verdict.rule).map_err(trouble)?;
        {
            let _shelf = self.shelf.lock();
            if verdict.state.has_content() {
                self.blobs.keep(&incoming.part, &hash)?;
                incoming.settled = true;
            }
            self.remember(&file);
            if let Err(error) = self.store.add_file(&file) {
                self.let_go(&hash);
                return Err(trouble(error));
            }
        }
        if file.state.has_content() {
            self.tell(&file.id, true);
        }
        self.tally.ended(file.state);
        self.tally.came(file.size);
        Ok(match verdict.denied() {
            Some(denied) => Err(denied),
            None => Ok(file),
        })
    }

    fn judge(&self, incoming: &mut Incoming) -> Result<Verdict, Broken> {
        let promise = &incoming.promise;
        let vouch = Vouch::Account(promise.owner.clone());
        let origin = Origin { dialect: Dialect::Xmpp, security: Security::Tls, vouch };
        let facts = FileFacts { name: &promise.name, size: promise.size, head: Some(&incoming.head) };
        let ruled = judging::by_policy(self.judge.as_ref(), &promise.owner, &origin, facts, now());
        if let Some(refused) = ruled.as_ref().filter(|verdict| verdict.state == FileState::Refused) {
            return Ok(refused.clone());
        }
        incoming.file.seek(SeekFrom::Start(0))?;
        let looked = judging::by_look(self.inspector.as_ref(), &mut incoming.file);
        // Whoever looks may know worse; a person decides about what is left.
        Ok(match ruled {
            Some(held) if looked.state.has_content() => held,
            _ => looked,
        })
    }

    /// Puts what was decided of a file on record. Blocks.
    fn note(&self, act: &str, file: &StoredFile, who: &str, rule: &str) -> Result<(), Trouble> {
        let mut row = Act::done(act, who);
        row.result = match (rule, file.why.as_str()) {
            ("", "") => file.state.name().to_owned(),
            ("", why) => format!("{}: {why}", file.state.name()),
            (rule, why) => format!("{} by {rule}: {why}", file.state.name()),
        };
        row.file = Some(FileAct {
            id: file.id.clone(),
            sha256: shown(&file.hash),
            size: file.size,
            mime: file.mime.clone(),
            verdict: file.state.name().to_owned(),
            owner: Some(file.owner.as_str().to_owned()),
        });
        row.note_with(self.journal.as_ref(), now(), file.name.clone().into_bytes()).map(drop)
    }

    /// Knows by heart whether a file may not be fetched.
    fn remember(&self, file: &StoredFile) {
        let mut kept_back = self.kept_back.write();
        match linked(file) {
            Some(how) if kept_back.len() < KNOWN => drop(kept_back.insert(file.id.clone(), how)),
            _ => drop(kept_back.remove(&file.id)),
        }
    }

    /// Destroys content that no file has any more. The shelf is held.
    fn let_go(&self, hash: &[u8; 32]) {
        let gone = match self.store.wants_content(hash) {
            Ok(true) => return,
            Ok(false) => self.blobs.destroy(hash).map_err(|e| e.to_string()),
            Err(trouble) => Err(trouble.to_string()),
        };
        if let Err(error) = gone {
            tracing::error!(
                error,
                "the content of a file could not be destroyed; the next start tries again"
            );
        }
    }

    /// What a link leads to: its part after `/f/`, without the name.
    ///
    /// # Errors
    /// [`Trouble`] where store or disk cannot be read.
    pub fn find(&self, key: &str) -> Result<Found, Trouble> {
        let Some((id, secret)) = key.split_once('-') else { return Ok(Found::Nothing) };
        let file = self.store.file(id)?.filter(|file| {
            let right = bool::from(file.secret.as_bytes().ct_eq(secret.as_bytes()));
            right && !self.is_over(file, now())
        });
        let Some(file) = file else { return Ok(Found::Nothing) };
        let why = match file.state {
            FileState::Clean | FileState::Unseen => {
                let content = self.blobs.read(&file.hash).map_err(|e| failed("a file", e))?;
                return Ok(content.map_or(Found::Nothing, |content| Found::File(file, content)));
            }
            FileState::Waiting => "this file has not been looked into yet; try again later",
            FileState::Held => "this file waits for a person to look at it",
            FileState::Malware => "this file was malware, and is gone",
            FileState::Refused => "this file did not pass the rules of this server, and is gone",
        };
        Ok(Found::KeptBack(why))
    }

    fn is_over(&self, file: &StoredFile, now: Timestamp) -> bool {
        let days = self.settings.read().retention_days;
        days > 0 && file.at.unix_ms() + u64::from(days) * DAY <= now.unix_ms()
    }

    /// Removes files that are older than is wanted, and slots that nobody used. Gives how many files.
    ///
    /// # Errors
    /// [`Trouble`]
    pub fn expire(&self) -> Result<usize, Trouble> {
        let now = now();
        self.slots.tidy(now);
        let days = self.settings.read().retention_days;
        if days == 0 {
            return Ok(0);
        }
        let before = Timestamp(now.unix_ms().saturating_sub(u64::from(days) * DAY));
        let (mut gone, mut spared) = (0, 0);
        loop {
            let page = self.store.files_before(before, spared, PAGE)?;
            if page.is_empty() {
                return Ok(gone);
            }
            for file in page {
                let mut remove = || self.remove(&file);
                let is_gone = match self.spare.get() {
                    Some(spare) => spare(&file, &mut remove)?,
                    None => remove()?,
                };
                match is_gone {
                    true => gone += 1,
                    false => spared += 1,
                }
            }
        }
    }

    /// First its content goes, then what others know of it, and its name last: what breaks off goes on with the next look.
    /// `false` if it is not gone yet.
    fn remove(&self, file: &StoredFile) -> Result<bool, Trouble> {
        if file.state.has_content() {
            let _shelf = self.shelf.lock();
            if !self.store.set_file_state(&file.id, file.state, FileState::Refused, "it was too old")? {
                return Ok(false);
            }
            self.kept_back.write().remove(&file.id);
            self.let_go(&file.hash);
        }
        if !self.tell(&file.id, false) {
            return Ok(false);
        }
        let is_gone = self.store.remove_file(&file.id)?;
        self.kept_back.write().remove(&file.id);
        Ok(is_gone)
    }

    /// Removes a file of which the record has lost its name. `false` if there is none, or some of it is still known elsewhere.
    ///
    /// # Errors
    /// [`Trouble`]
    pub fn forget(&self, id: &str) -> Result<bool, Trouble> {
        let Some(file) = self.store.file(id)? else { return Ok(false) };
        self.remove(&file)
    }

    /// One file, however it stands with it.
    ///
    /// # Errors
    /// [`Trouble`]
    pub fn file(&self, id: &str) -> Result<Option<StoredFile>, Trouble> {
        self.store.file(id)
    }

    /// Looks into what waits to be looked into.
    ///
    /// # Errors
    /// [`Trouble`]
    pub fn look_again(&self) -> Result<(), Trouble> {
        if !self.kept_back.read().values().any(|how| *how == Linked::Waits) {
            return Ok(());
        }
        let mut in_vain = 0;
        let mut waiting = self.store.files(&[FileState::Waiting], KNOWN)?;
        waiting.reverse();
        for file in waiting {
            let Some(mut content) = self.blobs.read(&file.hash).map_err(|e| failed("a file", e))? else {
                let gone = Verdict::new(FileState::Refused, "upload", "its content was lost");
                self.decide(&file, &gone, "server")?;
                continue;
            };
            let verdict = judging::by_look(self.inspector.as_ref(), &mut content);
            match verdict.state {
                FileState::Waiting => in_vain += 1,
                _ => self.decide(&file, &verdict, "server")?,
            }
            if in_vain == GIVE_UP {
                break;
            }
        }
        Ok(())
    }

    /// Notes what was decided of a file that was there.
    fn decide(&self, before: &StoredFile, verdict: &Verdict, who: &str) -> Result<(), Trouble> {
        let file = StoredFile { state: verdict.state, why: verdict.why.clone(), ..before.clone() };
        self.note("upload.verdict", &file, who, &verdict.rule)?;
        {
            let _shelf = self.shelf.lock();
            if !self.store.set_file_state(&file.id, before.state, file.state, &file.why)? {
                return Ok(());
            }
            self.remember(&file);
            if !file.state.has_content() {
                self.let_go(&file.hash);
            }
        }
        if !file.state.has_content() {
            self.tell(&file.id, false);
        }
        self.tally.ended(file.state);
        Ok(())
    }

    /// Files in these states, the newest first.
    ///
    /// # Errors
    /// [`Trouble`]
    pub fn list(&self, states: &[FileState], limit: usize) -> Result<Vec<StoredFile>, Trouble> {
        self.store.files(states, limit)
    }

    /// A person lets a file pass. `None` where there is no such file, or none that waits.
    ///
    /// # Errors
    /// [`Trouble`]
    pub fn release(&self, id: &str, who: &str) -> Result<Option<StoredFile>, Trouble> {
        let waits = |file: &StoredFile| matches!(file.state, FileState::Waiting | FileState::Held);
        let Some(file) = self.store.file(id)?.filter(waits) else { return Ok(None) };
        self.decide(&file, &Verdict::new(FileState::Unseen, "", "released by a person"), who)?;
        Ok(Some(file))
    }

    /// A person takes a file away. `None` where there is no such file, or it is gone already.
    ///
    /// # Errors
    /// [`Trouble`]
    pub fn delete(&self, id: &str, who: &str) -> Result<Option<StoredFile>, Trouble> {
        let Some(file) = self.store.file(id)?.filter(|file| file.state.has_content()) else {
            return Ok(None);
        };
        self.decide(&file, &Verdict::new(FileState::Refused, "", "an administrator took it away"), who)?;
        Ok(Some(file))
    }
}

impl ports::Uploads for Files {
    fn slot(&self, offer: &FileOffer) -> Result<Slot, NoSlot> {
        let slot = self.promise(offer, now());
        self.tally.slot(slot.is_ok());
        slot
    }
}

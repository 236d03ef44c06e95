//! Everything in memory: for tests, and for looking around without a file.

use crate::{
    Accounts, Authorization, Authorizations, Blank, CHAIN_SETTING, Checkpoints, Done, Draft, Erase, Health,
    Journal, Lease, Leases, MailboxCursor, Partners, RosterEntry, Rosters, Row, RowKind, SealedPasswords,
    Sealer, Settings, SettledRow, Shelf, StoredFile, Trouble, Unsealed, Waiting,
};
use bytes::Bytes;
use model::{Address, Credential, LeaseKey, Scheme, Seq, Timestamp, Way};
use parking_lot::Mutex;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;

/// A store without a disk. Rows are committed at once: `done` is called before `append` returns, on the calling thread,
/// unless another call is just telling callbacks; then that one tells this one too, so that the order holds.
pub struct MemoryStore {
    journal: Mutex<Books>,
    nouns: Mutex<Nouns>,
    pub(crate) uploads: Mutex<BTreeMap<String, StoredFile>>,
}

struct Books {
    sealer: Box<dyn Sealer>,
    rows: Vec<Row>,
    mailboxes: HashMap<Address, Vec<Seq>>,
    cursors: HashMap<Address, MailboxCursor>,
    conversations: HashMap<(Address, Address), (u64, u64, [u8; 32])>,
    fault: Option<Trouble>,
    calls: VecDeque<(Done, Result<Seq, Trouble>)>,
    calling: bool,
}

#[derive(Default)]
struct Nouns {
    accounts: BTreeMap<Address, HashMap<Scheme, Credential>>,
    rosters: BTreeMap<Address, BTreeMap<Address, RosterEntry>>,
    authorizations: BTreeMap<(Address, Address), Authorization>,
    settings: HashMap<String, Vec<u8>>,
    sealed: HashMap<(Address, String), Vec<u8>>,
    leases: BTreeMap<LeaseKey, Lease>,
    agreed: BTreeMap<(Shelf, String), Vec<u8>>,
    checkpoints: BTreeMap<Seq, String>,
}

impl MemoryStore {
    /// An empty store whose rows are not sealed.
    pub fn new() -> Self {
        Self::start(Box::new(Blank), Vec::new())
    }

    /// An empty store whose rows are sealed.
    ///
    /// # Errors
    /// [`Trouble`] when the sealer cannot start a chain.
    pub fn with_sealer(mut sealer: Box<dyn Sealer>) -> Result<Self, Trouble> {
        let chain = sealer.attach(None)?;
        Ok(Self::start(sealer, chain))
    }

    fn start(sealer: Box<dyn Sealer>, chain: Vec<u8>) -> Self {
        let nouns =
            Nouns { settings: HashMap::from([(CHAIN_SETTING.to_owned(), chain)]), ..Nouns::default() };
        let journal = Books {
            sealer,
            rows: Vec::new(),
            mailboxes: HashMap::new(),
            cursors: HashMap::new(),
            conversations: HashMap::new(),
            fault: None,
            calls: VecDeque::new(),
            calling: false,
        };
        Self { journal: Mutex::new(journal), nouns: Mutex::new(nouns), uploads: Mutex::default() }
    }

    /// Makes every append fail from now on, or no longer: rehearses a full disk.
    pub fn fail_with(&self, fault: Option<Trouble>) {
        self.journal.lock().fault = fault;
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Books {
    fn write(&mut self, draft: Draft) -> Seq {
        let seq = Seq(self.rows.len() as u64 + 1);
        let prev = self.rows.last().map_or_else(|| self.sealer.genesis(), |r| r.link);
        let (mut conversation, mut counter, mut last) = (0, 0, [0; 32]);
        let (one, other) = draft.parties;
        let pair = if one <= other { (one, other) } else { (other, one) };
        if draft.kind == RowKind::Envelope {
            let next = self.conversations.len() as u64 + 1;
            let talk = self.conversations.entry(pair.clone()).or_insert((next, 0, [0; 32]));
            (conversation, counter, last) = (talk.0, talk.1 + 1, talk.2);
        }
        let seal = self.sealer.seal(&Unsealed {
            seq,
            at: draft.at,
            kind: draft.kind,
            conversation,
            conversation_seq: counter,
            conversation_prev: &last,
            prev: &prev,
            head: &draft.head,
            body: &draft.body,
        });
        if let Some(talk) = self.conversations.get_mut(&pair).filter(|_| conversation != 0) {
            (talk.1, talk.2) = (counter, seal.link);
        }
        if let Some(account) = draft.mailbox {
            self.mailboxes.entry(account).or_default().push(seq);
        }
        self.rows.push(Row {
            seq,
            at: draft.at,
            kind: draft.kind,
            conversation,
            conversation_seq: counter,
            conversation_prev: last,
            prev,
            link: seal.link,
            body_digest: seal.body_digest,
            salt: Some(seal.salt),
            head: Bytes::from(draft.head),
            body: Some(Bytes::from(draft.body)),
        });
        seq
    }
}

impl Journal for MemoryStore {
    fn append(&self, draft: Draft, done: Done) {
        let mut books = self.journal.lock();
        let end = match books.fault.clone() {
            Some(fault) => Err(fault),
            None => Ok(books.write(draft)),
        };
        books.calls.push_back((done, end));
        if books.calling {
            return;
        }
        books.calling = true;
        while let Some((done, end)) = books.calls.pop_front() {
            drop(books);
            // A panic in one callback must not silence all later ones.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || done(end)));
            books = self.journal.lock();
        }
        books.calling = false;
    }

    fn settle(&self, settled: SettledRow) {
        let Ok(nobody) = Address::parse("localhost") else { return };
        let mut books = self.journal.lock();
        let at = books.rows.last().map_or(Timestamp(0), |r| r.at);
        let mut head = Vec::new();
        model::codec::encode_outcome(&mut head, settled.seq, &settled.outcome, &settled.losses);
        let parties = (nobody.clone(), nobody);
        books.write(Draft { kind: RowKind::Outcomes, at, mailbox: None, parties, head, body: Vec::new() });
    }

    fn advance(&self, cursor: MailboxCursor) {
        self.journal.lock().cursors.insert(cursor.account.clone(), cursor);
    }

    fn waiting(&self, account: &Address, after: Seq, limit: usize) -> Result<Vec<Waiting>, Trouble> {
        let cursor = self.cursor(account)?;
        let books = self.journal.lock();
        let from = cursor.low.max(after);
        let seqs = books.mailboxes.get(account).map(Vec::as_slice).unwrap_or_default();
        let open = seqs.iter().filter(|s| **s > from && cursor.above.binary_search(s).is_err());
        Ok(open
            .take(limit)
            .filter_map(|seq| books.rows.get(usize::try_from(seq.0).ok()?.checked_sub(1)?))
            .map(|row| Waiting { seq: row.seq, head: row.head.clone(), body: row.body.clone() })
            .collect())
    }

    fn pairs_waiting(&self) -> Result<Vec<Address>, Trouble> {
        let all: Vec<Address> = self.journal.lock().mailboxes.keys().cloned().collect();
        let mut pairs = Vec::new();
        for mailbox in all.into_iter().filter(|m| Way::of_mailbox(m).is_some()) {
            if !self.waiting(&mailbox, Seq(0), 1)?.is_empty() {
                pairs.push(mailbox);
            }
        }
        Ok(pairs)
    }

    fn cursor(&self, account: &Address) -> Result<MailboxCursor, Trouble> {
        let none = || MailboxCursor { account: account.clone(), low: Seq(0), above: Vec::new() };
        Ok(self.journal.lock().cursors.get(account).cloned().unwrap_or_else(none))
    }

    fn rows(&self, first: Seq, limit: usize) -> Result<Vec<Row>, Trouble> {
        let skip = usize::try_from(first.0.saturating_sub(1)).unwrap_or(usize::MAX);
        Ok(self.journal.lock().rows.iter().skip(skip).take(limit).cloned().collect())
    }

    fn acts(&self, limit: usize) -> Result<Vec<Row>, Trouble> {
        let books = self.journal.lock();
        let mut acts: Vec<Row> =
            books.rows.iter().rev().filter(|r| r.kind == RowKind::Admin).take(limit).cloned().collect();
        acts.reverse();
        Ok(acts)
    }

    fn head(&self) -> Seq {
        Seq(self.journal.lock().rows.len() as u64)
    }

    fn health(&self) -> Health {
        Health::default()
    }
}

impl Erase for MemoryStore {
    fn erase(&self, seq: Seq) -> Result<bool, Trouble> {
        let mut books = self.journal.lock();
        let at = usize::try_from(seq.0).ok().and_then(|n| n.checked_sub(1));
        let Some(row) = at.and_then(|at| books.rows.get_mut(at)) else { return Ok(false) };
        row.body = None;
        Ok(row.salt.take().is_some())
    }
}

impl Accounts for MemoryStore {
    fn create(&self, account: &Address, credentials: &[(Scheme, Credential)]) -> Result<bool, Trouble> {
        let mut nouns = self.nouns.lock();
        if nouns.accounts.contains_key(account) {
            return Ok(false);
        }
        nouns.accounts.insert(account.clone(), credentials.iter().cloned().collect());
        Ok(true)
    }

    fn set_credentials(
        &self,
        account: &Address,
        credentials: &[(Scheme, Credential)],
    ) -> Result<bool, Trouble> {
        let mut nouns = self.nouns.lock();
        let known = nouns.accounts.get_mut(account);
        Ok(known.map(|keys| *keys = credentials.iter().cloned().collect()).is_some())
    }

    fn remove(&self, account: &Address) -> Result<bool, Trouble> {
        let mut nouns = self.nouns.lock();
        if nouns.accounts.remove(account).is_none() {
            return Ok(false);
        }
        nouns.rosters.remove(account);
        nouns.authorizations.retain(|(presentity, watcher), _| presentity != account && watcher != account);
        nouns.sealed.retain(|(owner, _), _| owner != account);
        nouns.leases.retain(|_, lease| lease.owner != *account);
        drop(nouns);
        // Whoever gets the same address later must not find the predecessor's mail.
        self.advance(MailboxCursor { account: account.clone(), low: self.head(), above: Vec::new() });
        Ok(true)
    }

    fn exists(&self, account: &Address) -> Result<bool, Trouble> {
        Ok(self.nouns.lock().accounts.contains_key(account))
    }

    fn credential(&self, account: &Address, scheme: Scheme) -> Result<Option<Credential>, Trouble> {
        Ok(self.nouns.lock().accounts.get(account).and_then(|keys| keys.get(&scheme)).cloned())
    }

    fn list(&self, after: Option<&Address>, limit: usize) -> Result<Vec<Address>, Trouble> {
        let nouns = self.nouns.lock();
        let all = nouns.accounts.keys().filter(|a| after.is_none_or(|after| *a > after));
        Ok(all.take(limit).cloned().collect())
    }
}

impl Rosters for MemoryStore {
    fn entries(&self, owner: &Address) -> Result<Vec<RosterEntry>, Trouble> {
        Ok(self.nouns.lock().rosters.get(owner).map(|r| r.values().cloned().collect()).unwrap_or_default())
    }

    fn put(&self, owner: &Address, entry: &RosterEntry) -> Result<(), Trouble> {
        let mut nouns = self.nouns.lock();
        nouns.rosters.entry(owner.clone()).or_default().insert(entry.contact.clone(), entry.clone());
        Ok(())
    }

    fn delete(&self, owner: &Address, contact: &Address) -> Result<bool, Trouble> {
        Ok(self.nouns.lock().rosters.get_mut(owner).is_some_and(|r| r.remove(contact).is_some()))
    }
}

impl Authorizations for MemoryStore {
    fn get(&self, presentity: &Address, watcher: &Address) -> Result<Option<Authorization>, Trouble> {
        Ok(self.nouns.lock().authorizations.get(&(presentity.clone(), watcher.clone())).cloned())
    }

    fn set(&self, authorization: &Authorization) -> Result<(), Trouble> {
        let key = (authorization.presentity.clone(), authorization.watcher.clone());
        self.nouns.lock().authorizations.insert(key, authorization.clone());
        Ok(())
    }

    fn clear(&self, presentity: &Address, watcher: &Address) -> Result<bool, Trouble> {
        Ok(self.nouns.lock().authorizations.remove(&(presentity.clone(), watcher.clone())).is_some())
    }

    fn of_presentity(&self, presentity: &Address) -> Result<Vec<Authorization>, Trouble> {
        let nouns = self.nouns.lock();
        Ok(nouns.authorizations.values().filter(|a| a.presentity == *presentity).cloned().collect())
    }

    fn of_watcher(&self, watcher: &Address) -> Result<Vec<Authorization>, Trouble> {
        let nouns = self.nouns.lock();
        Ok(nouns.authorizations.values().filter(|a| a.watcher == *watcher).cloned().collect())
    }
}

impl Settings for MemoryStore {
    fn value(&self, key: &str) -> Result<Option<Vec<u8>>, Trouble> {
        Ok(self.nouns.lock().settings.get(key).cloned())
    }

    fn set_value(&self, key: &str, value: &[u8]) -> Result<(), Trouble> {
        self.nouns.lock().settings.insert(key.to_owned(), value.to_vec());
        Ok(())
    }
}

impl Checkpoints for MemoryStore {
    fn checkpoints(&self, after: Seq, limit: usize) -> Result<Vec<(Seq, String)>, Trouble> {
        let nouns = self.nouns.lock();
        let later = nouns.checkpoints.range((Bound::Excluded(after), Bound::Unbounded));
        Ok(later.take(limit).map(|(last, line)| (*last, line.clone())).collect())
    }

    fn last_checkpoint(&self) -> Result<Option<(Seq, String)>, Trouble> {
        Ok(self.nouns.lock().checkpoints.last_key_value().map(|(last, line)| (*last, line.clone())))
    }

    fn keep_checkpoint(&self, last: Seq, line: &str) -> Result<(), Trouble> {
        self.nouns.lock().checkpoints.insert(last, line.to_owned());
        Ok(())
    }
}

impl SealedPasswords for MemoryStore {
    fn sealed(&self, account: &Address, network: &str) -> Result<Option<Vec<u8>>, Trouble> {
        Ok(self.nouns.lock().sealed.get(&(account.clone(), network.to_owned())).cloned())
    }

    fn set_sealed(&self, account: &Address, network: &str, sealed: Option<&[u8]>) -> Result<(), Trouble> {
        let key = (account.clone(), network.to_owned());
        let mut nouns = self.nouns.lock();
        match sealed {
            Some(sealed) => nouns.sealed.insert(key, sealed.to_vec()),
            None => nouns.sealed.remove(&key),
        };
        Ok(())
    }
}

impl Leases for MemoryStore {
    fn keep(&self, lease: Lease) {
        self.nouns.lock().leases.insert(lease.key.clone(), lease);
    }

    fn forget(&self, key: &LeaseKey) {
        self.nouns.lock().leases.remove(key);
    }

    fn lasting(&self, now: Timestamp) -> Result<Vec<Lease>, Trouble> {
        let mut nouns = self.nouns.lock();
        nouns.leases.retain(|_, lease| lease.until > now);
        Ok(nouns.leases.values().cloned().collect())
    }
}

impl Partners for MemoryStore {
    fn document(&self, shelf: Shelf, name: &str) -> Result<Option<Vec<u8>>, Trouble> {
        Ok(self.nouns.lock().agreed.get(&(shelf, name.to_owned())).cloned())
    }

    fn add_document(&self, shelf: Shelf, name: &str, doc: &[u8]) -> Result<bool, Trouble> {
        let mut nouns = self.nouns.lock();
        let Entry::Vacant(free) = nouns.agreed.entry((shelf, name.to_owned())) else { return Ok(false) };
        free.insert(doc.to_vec());
        Ok(true)
    }

    fn put_document(&self, shelf: Shelf, name: &str, doc: &[u8]) -> Result<(), Trouble> {
        self.nouns.lock().agreed.insert((shelf, name.to_owned()), doc.to_vec());
        Ok(())
    }

    fn documents(&self, shelf: Shelf) -> Result<Vec<(String, Vec<u8>)>, Trouble> {
        let nouns = self.nouns.lock();
        let all = nouns.agreed.iter().filter(|((of, _), _)| *of == shelf);
        Ok(all.map(|((_, name), doc)| (name.clone(), doc.clone())).collect())
    }

    fn documents_under(&self, shelf: Shelf, beginning: &str) -> Result<Vec<(String, Vec<u8>)>, Trouble> {
        let nouns = self.nouns.lock();
        let all = nouns.agreed.iter().filter(|((of, name), _)| *of == shelf && name.starts_with(beginning));
        Ok(all.map(|((_, name), doc)| (name.clone(), doc.clone())).collect())
    }

    fn remove_document(&self, shelf: Shelf, name: &str) -> Result<bool, Trouble> {
        Ok(self.nouns.lock().agreed.remove(&(shelf, name.to_owned())).is_some())
    }
}

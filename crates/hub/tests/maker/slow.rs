//! A store whose disk is as slow as the test wants.

use model::{Address, Seq};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::time::Duration;
use store::{
    Authorization, Authorizations, Done, Draft, Health, Journal, MailboxCursor, MemoryStore, Row, SettledRow,
    Trouble, Waiting,
};

/// The memory store behind gates.
#[derive(Default)]
pub struct Slow {
    pub store: Arc<MemoryStore>,
    /// Whoever looks what waits in a mailbox waits here first.
    pub looks: Gate,
    /// Rows that are not written yet, while this is there.
    pub unwritten: Mutex<Option<Vec<(Draft, Done)>>>,
    /// How long it takes to write a consent.
    pub consent: Mutex<Duration>,
}

/// Lets nobody through while it is shut.
#[derive(Default)]
pub struct Gate {
    shut: Mutex<(bool, usize)>,
    opened: Condvar,
}

impl Gate {
    pub fn shut(&self) {
        self.shut.lock().0 = true;
    }

    pub fn open(&self) {
        self.shut.lock().0 = false;
        self.opened.notify_all();
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.shut.lock().1
    }

    fn pass(&self) {
        let mut shut = self.shut.lock();
        shut.1 += 1;
        while shut.0 {
            self.opened.wait(&mut shut);
        }
        shut.1 -= 1;
    }
}

impl Slow {
    /// Writes what was not written, and all that comes from now on.
    pub fn write_all(&self) {
        let unwritten = self.unwritten.lock().take();
        for (draft, done) in unwritten.into_iter().flatten() {
            self.store.append(draft, done);
        }
    }
}

impl Journal for Slow {
    fn append(&self, draft: Draft, done: Done) {
        if let Some(unwritten) = self.unwritten.lock().as_mut() {
            return unwritten.push((draft, done));
        }
        self.store.append(draft, done);
    }

    fn settle(&self, settled: SettledRow) {
        self.store.settle(settled);
    }

    fn advance(&self, cursor: MailboxCursor) {
        self.store.advance(cursor);
    }

    fn waiting(&self, account: &Address, after: Seq, limit: usize) -> Result<Vec<Waiting>, Trouble> {
        let found = self.store.waiting(account, after, limit);
        self.looks.pass();
        found
    }

    fn pairs_waiting(&self) -> Result<Vec<Address>, Trouble> {
        self.store.pairs_waiting()
    }

    fn cursor(&self, account: &Address) -> Result<MailboxCursor, Trouble> {
        self.store.cursor(account)
    }

    fn rows(&self, first: Seq, limit: usize) -> Result<Vec<Row>, Trouble> {
        Journal::rows(self.store.as_ref(), first, limit)
    }

    fn acts(&self, limit: usize) -> Result<Vec<Row>, Trouble> {
        self.store.acts(limit)
    }

    fn head(&self) -> Seq {
        self.store.head()
    }

    fn health(&self) -> Health {
        self.store.health()
    }
}

impl Authorizations for Slow {
    fn get(&self, presentity: &Address, watcher: &Address) -> Result<Option<Authorization>, Trouble> {
        self.store.get(presentity, watcher)
    }

    fn set(&self, authorization: &Authorization) -> Result<(), Trouble> {
        std::thread::sleep(*self.consent.lock());
        self.store.set(authorization)
    }

    fn clear(&self, presentity: &Address, watcher: &Address) -> Result<bool, Trouble> {
        self.store.clear(presentity, watcher)
    }

    fn of_presentity(&self, presentity: &Address) -> Result<Vec<Authorization>, Trouble> {
        self.store.of_presentity(presentity)
    }

    fn of_watcher(&self, watcher: &Address) -> Result<Vec<Authorization>, Trouble> {
        self.store.of_watcher(watcher)
    }
}

//! Whom an account has to do with: its contact list, and consent in both directions, read once and then kept in step with
//! the store. One row for each person, by address and close together: contact lists are most of what a large company has in
//! memory.

use compact_str::CompactString;
use model::Address;
use std::collections::HashSet;
use std::sync::Arc;
use store::{Authorization, Consent, RosterEntry};

/// Whom an account has to do with, by address.
#[derive(Default)]
pub(crate) struct Book {
    rows: Vec<Row>,
}

/// Somebody the account has to do with.
pub(crate) struct Row {
    pub who: Address,
    /// How they stand on the contact list, if they do.
    pub entry: Option<Entry>,
    /// They watch, or ask to watch, this account.
    pub watcher: Option<Consent>,
    /// This account watches, or asks to watch, them.
    pub watching: Option<Consent>,
    /// Their words when they asked to watch.
    pub note: Option<Box<str>>,
}

/// How the owner wrote somebody on the list.
pub(crate) struct Entry {
    pub name: Option<CompactString>,
    /// Most of a list is in few groups, so that rows share them.
    pub groups: Arc<[CompactString]>,
}

impl Row {
    fn of(who: Address) -> Self {
        Self { who, entry: None, watcher: None, watching: None, note: None }
    }

    fn is_idle(&self) -> bool {
        self.entry.is_none() && self.watcher.is_none() && self.watching.is_none()
    }

    /// Takes over what another row of the same person says.
    fn absorb(&mut self, other: Self) {
        self.entry = self.entry.take().or(other.entry);
        self.watcher = self.watcher.or(other.watcher);
        self.watching = self.watching.or(other.watching);
        self.note = self.note.take().or(other.note);
    }
}

impl Book {
    /// From what the store has of an account: its list, who watches it, and whom it watches.
    pub fn of(entries: Vec<RosterEntry>, watchers: Vec<Authorization>, watching: Vec<Authorization>) -> Self {
        let mut known: HashSet<Arc<[CompactString]>> = HashSet::new();
        let mut all = Vec::with_capacity(entries.len() + watchers.len() + watching.len());
        for RosterEntry { contact, name, groups } in entries {
            let groups = known.get(groups.as_slice()).cloned().unwrap_or_else(|| groups.into());
            known.insert(groups.clone());
            all.push(Row { entry: Some(Entry { name: name.map(Into::into), groups }), ..Row::of(contact) });
        }
        all.extend(watchers.into_iter().map(|a| Row {
            watcher: Some(a.consent),
            note: a.note.map(Into::into),
            ..Row::of(a.watcher)
        }));
        all.extend(watching.into_iter().map(|a| Row { watching: Some(a.consent), ..Row::of(a.presentity) }));
        all.sort_by(|a, b| a.who.cmp(&b.who));
        let mut rows: Vec<Row> = Vec::new();
        for row in all {
            match rows.last_mut() {
                Some(last) if last.who == row.who => last.absorb(row),
                _ => rows.push(row),
            }
        }
        rows.shrink_to_fit();
        Self { rows }
    }

    /// Everybody, by address.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    fn place(&self, who: &Address) -> Result<usize, usize> {
        self.rows.binary_search_by(|row| row.who.cmp(who))
    }

    /// What is known of somebody.
    pub fn row(&self, who: &Address) -> Option<&Row> {
        self.place(who).ok().map(|at| &self.rows[at])
    }

    /// Somebody's consent to see this account, or their request for it.
    pub fn watcher(&self, who: &Address) -> Option<Consent> {
        self.row(who)?.watcher
    }

    /// This account's consent to see somebody, or its request for it.
    pub fn watching(&self, who: &Address) -> Option<Consent> {
        self.row(who)?.watching
    }

    /// Is somebody on the list?
    pub fn lists(&self, who: &Address) -> bool {
        self.row(who).is_some_and(|row| row.entry.is_some())
    }

    /// How many are on the list.
    pub fn listed(&self) -> usize {
        self.rows.iter().filter(|row| row.entry.is_some()).count()
    }

    /// Puts somebody on the list, or says otherwise how they stand there.
    pub fn list(&mut self, RosterEntry { contact, name, groups }: RosterEntry) {
        let entries = self.rows.iter().filter_map(|row| row.entry.as_ref());
        let same = entries.map(|entry| &entry.groups).find(|known| known[..] == groups[..]);
        let groups = same.cloned().unwrap_or_else(|| groups.into());
        let name = name.map(Into::into);
        self.change(&contact, |row| row.entry = Some(Entry { name, groups }));
    }

    /// Takes somebody off the list.
    pub fn unlist(&mut self, who: &Address) {
        self.change(who, |row| row.entry = None);
    }

    /// How it stands with somebody who watches, with their words.
    pub fn set_watcher(&mut self, who: &Address, consent: Option<Consent>, note: Option<String>) {
        self.change(who, |row| (row.watcher, row.note) = (consent, note.map(Into::into)));
    }

    /// How it stands with somebody who is watched.
    pub fn set_watching(&mut self, who: &Address, consent: Option<Consent>) {
        self.change(who, |row| row.watching = consent);
    }

    fn change(&mut self, who: &Address, how: impl FnOnce(&mut Row)) {
        match self.place(who) {
            Ok(at) => {
                how(&mut self.rows[at]);
                if self.rows[at].is_idle() {
                    self.rows.remove(at);
                }
            }
            Err(at) => {
                let mut row = Row::of(who.clone());
                how(&mut row);
                if !row.is_idle() {
                    if self.rows.len() == self.rows.capacity() {
                        // Lists grow slowly: twice the room would be wasted.
                        self.rows.reserve_exact(self.rows.len() / 8 + 4);
                    }
                    self.rows.insert(at, row);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(name: &str) -> Address {
        Address::new(name, "example.com").unwrap()
    }

    fn entry(name: &str, groups: &[&str]) -> RosterEntry {
        let groups = groups.iter().map(|g| CompactString::from(*g)).collect();
        RosterEntry { contact: who(name), name: Some(name.to_uppercase()), groups }
    }

    fn consent(presentity: &str, watcher: &str, consent: Consent, note: Option<&str>) -> Authorization {
        let note = note.map(Into::into);
        Authorization { presentity: who(presentity), watcher: who(watcher), consent, note }
    }

    #[test]
    fn what_is_known_of_one_person_is_one_row() {
        let book = Book::of(
            vec![entry("b", &["Work"]), entry("a", &["Work"])],
            vec![
                consent("me", "a", Consent::Granted, None),
                consent("me", "c", Consent::Pending, Some("It is I")),
            ],
            vec![consent("a", "me", Consent::Pending, None)],
        );
        let names: Vec<_> = book.rows().iter().map(|row| row.who.user().unwrap()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(
            (book.watcher(&who("a")), book.watching(&who("a"))),
            (Some(Consent::Granted), Some(Consent::Pending))
        );
        assert!(book.lists(&who("a")) && book.lists(&who("b")) && !book.lists(&who("c")));
        assert_eq!(book.row(&who("c")).unwrap().note.as_deref(), Some("It is I"));
        assert_eq!((book.listed(), book.watcher(&who("d"))), (2, None));
        let groups = |name| book.row(&who(name)).unwrap().entry.as_ref().unwrap().groups.clone();
        assert!(Arc::ptr_eq(&groups("a"), &groups("b")), "groups are shared");
    }

    #[test]
    fn who_is_no_longer_anything_is_gone() {
        let mut book = Book::default();
        for name in ["m", "z", "a", "q"] {
            book.list(entry(name, &[]));
        }
        book.set_watcher(&who("a"), Some(Consent::Pending), Some("words".into()));
        book.set_watching(&who("k"), None);
        book.unlist(&who("m"));
        book.unlist(&who("a"));
        let names: Vec<_> = book.rows().iter().map(|row| row.who.user().unwrap()).collect();
        assert_eq!(names, ["a", "q", "z"]);
        book.set_watcher(&who("a"), None, None);
        assert!(book.row(&who("a")).is_none());
    }

    #[test]
    fn a_row_is_small() {
        // A company of 20,000 with 200 contacts each has four million of them.
        assert!(size_of::<Row>() <= 88, "{}", size_of::<Row>());
    }
}

//! All matters, in force from the moment they are on the disk.

use crate::facts::Places;
use crate::hold::Force;
use crate::{Copies, Facts, Hold, Matter, MatterError, Released, Wanted};
use model::{Address, Timestamp};
use parking_lot::{Mutex, MutexGuard, RwLock};
use policy::Society;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use store::{Partners, Shelf, Trouble};

/// All matters.
pub struct Matters {
    docs: Arc<dyn Partners>,
    society: Arc<dyn Society>,
    now: RwLock<Arc<Vec<Matter>>>,
    /// Held while something is destroyed or a matter changes: what a hold finds when it is put, it keeps.
    changing: Mutex<()>,
}

/// What must not be destroyed, at one time.
pub(crate) struct Keeping<'a> {
    force: Vec<Force>,
    places: Places<'a>,
}

impl Keeping<'_> {
    /// The matters that keep this: where it is a file, also those that keep a message which names it.
    pub fn of_file_too(&mut self, facts: &Facts, copies: &dyn Copies) -> Vec<String> {
        let mut by: Vec<String> = self.by(facts).into_iter().map(str::to_owned).collect();
        let Some(file) = facts.file.as_ref().filter(|_| by.is_empty() && !self.force.is_empty()) else {
            return by;
        };
        match copies.naming(file) {
            Ok(messages) => {
                for message in &messages {
                    by.extend(self.by(message).into_iter().map(str::to_owned));
                }
            }
            // Who names it cannot be told: any of them may.
            Err(_) => by.extend(self.force.iter().map(|force| force.matter().to_owned())),
        }
        by.sort();
        by.dedup();
        by
    }

    /// The matters that keep this.
    pub fn by(&mut self, facts: &Facts) -> Vec<&str> {
        let places = &mut self.places;
        let mut by: Vec<&str> =
            self.force.iter().filter(|f| f.keeps(facts, places)).map(Force::matter).collect();
        by.dedup();
        by
    }
}

impl Matters {
    /// Those of a store.
    ///
    /// # Errors
    /// [`MatterError::Trouble`]; also where one cannot be read: then nothing may be destroyed.
    pub fn open(docs: Arc<dyn Partners>, society: Arc<dyn Society>) -> Result<Self, MatterError> {
        let read = |(name, doc): (String, Vec<u8>)| {
            serde_json::from_slice(&doc)
                .map_err(|e| Trouble::Failed(format!("the matter {name} cannot be read: {e}")))
        };
        let all = docs.documents(Shelf::Matter)?.into_iter().map(read).collect::<Result<Vec<Matter>, _>>()?;
        Ok(Self { docs, society, now: RwLock::new(Arc::new(all)), changing: Mutex::new(()) })
    }

    /// All of them, by name.
    pub fn all(&self) -> Arc<Vec<Matter>> {
        self.now.read().clone()
    }

    /// One.
    ///
    /// # Errors
    /// [`MatterError::Missing`]
    pub fn named(&self, name: &str) -> Result<Matter, MatterError> {
        let missing =
            || MatterError::Missing(format!("there is no matter {name:?}: `rialto matter list` lists them"));
        self.all().iter().find(|matter| matter.name == name).cloned().ok_or_else(missing)
    }

    /// Opens one, which keeps nothing yet.
    ///
    /// # Errors
    /// [`MatterError`]; likewise below.
    pub fn begin(&self, name: &str, reason: &str, by: &str, at: Timestamp) -> Result<Matter, MatterError> {
        checked_name(name)?;
        if reason.trim().is_empty() {
            return Err(MatterError::Bad("a matter needs a reason".into()));
        }
        let _alone = self.changing.lock();
        if self.named(name).is_ok() {
            return Err(MatterError::Conflict(format!("there is a matter {name:?} already")));
        }
        let (name, reason, by) = (name.to_owned(), reason.trim().to_owned(), by.to_owned());
        self.put(Matter { name, reason, by, at: at.0, holds: Vec::new(), closed: None })
    }

    /// Puts a hold. When this returns nothing that it fits is destroyed any more.
    pub fn hold(
        &self,
        name: &str,
        wanted: Wanted,
        domains: Vec<String>,
        by: &str,
        at: Timestamp,
    ) -> Result<Hold, MatterError> {
        self.add(name, wanted.checked()?, domains, None, by, at)
    }

    /// Puts a hold on single rows.
    pub fn hold_rows(
        &self,
        name: &str,
        rows: &record::Ranges,
        by: &str,
        at: Timestamp,
    ) -> Result<Hold, MatterError> {
        self.add(name, Wanted::default(), Vec::new(), Some(rows.to_string()), by, at)
    }

    fn add(
        &self,
        name: &str,
        wanted: Wanted,
        domains: Vec<String>,
        rows: Option<String>,
        by: &str,
        at: Timestamp,
    ) -> Result<Hold, MatterError> {
        let _alone = self.changing.lock();
        let mut matter = self.open_one(name)?;
        let number = matter.holds.last().map_or(1, |last| last.number + 1);
        let hold = Hold { number, wanted, domains, rows, by: by.to_owned(), at: at.0, released: None };
        matter.holds.push(hold.clone());
        self.put(matter)?;
        Ok(hold)
    }

    /// Ends a hold, or all of them. Gives those that were in force. `record` is called before anything is ended.
    pub fn release(
        &self,
        name: &str,
        number: Option<u32>,
        by: &str,
        at: Timestamp,
        record: impl FnOnce(&[Hold]) -> Result<(), MatterError>,
    ) -> Result<Vec<Hold>, MatterError> {
        let _alone = self.changing.lock();
        let mut matter = self.open_one(name)?;
        let meant = |hold: &Hold| hold.released.is_none() && number.is_none_or(|n| n == hold.number);
        let ended: Vec<Hold> = matter.holds.iter().filter(|hold| meant(hold)).cloned().collect();
        if ended.is_empty() {
            let which = number.map_or("no hold".to_owned(), |n| format!("no hold {n}"));
            return Err(MatterError::Missing(format!("{name} has {which} in force")));
        }
        record(&ended)?;
        for hold in matter.holds.iter_mut().filter(|hold| ended.iter().any(|e| e.number == hold.number)) {
            hold.released = Some(Released { by: by.to_owned(), at: at.0 });
        }
        self.put(matter)?;
        Ok(ended)
    }

    /// Closes a matter that has no hold in force any more.
    pub fn close(&self, name: &str, by: &str, at: Timestamp) -> Result<Matter, MatterError> {
        let _alone = self.changing.lock();
        let mut matter = self.open_one(name)?;
        let left = matter.holds.iter().filter(|hold| hold.released.is_none()).count();
        if left > 0 {
            let why = format!(
                "{name} has {left} hold(s) in force: release them first, `rialto matter release {name}`"
            );
            return Err(MatterError::Conflict(why));
        }
        matter.closed = Some(Released { by: by.to_owned(), at: at.0 });
        self.put(matter)
    }

    /// The matters that keep something.
    pub fn keepers(&self, facts: &Facts) -> Vec<String> {
        self.keeping().by(facts).into_iter().map(str::to_owned).collect()
    }

    /// The matters that keep a file, also because of a message that names it.
    pub fn keepers_of_file(&self, facts: &Facts, copies: &dyn Copies) -> Vec<String> {
        self.keeping().of_file_too(facts, copies)
    }

    /// The matters with a hold in force that is about somebody, whenever.
    pub fn naming(&self, who: &Address) -> Vec<String> {
        let all = self.all();
        let about = |hold: &Hold| hold.released.is_none() && hold.is_about(who, self.society.as_ref());
        let open = all.iter().filter(|matter| matter.holds.iter().any(about));
        open.map(|matter| matter.name.clone()).collect()
    }

    /// Nothing is held or released while this is kept.
    pub fn still(&self) -> MutexGuard<'_, ()> {
        self.changing.lock()
    }

    pub(crate) fn keeping(&self) -> Keeping<'_> {
        Keeping { force: Force::all(&self.all()), places: Places::new(self.society.as_ref()) }
    }

    pub(crate) fn society(&self) -> &dyn Society {
        self.society.as_ref()
    }

    /// Another one where holds have changed.
    pub(crate) fn print(&self) -> [u8; 32] {
        Sha256::digest(serde_json::to_vec(self.all().as_ref()).unwrap_or_default()).into()
    }

    fn open_one(&self, name: &str) -> Result<Matter, MatterError> {
        let matter = self.named(name)?;
        match matter.closed {
            None => Ok(matter),
            Some(_) => Err(MatterError::Conflict(format!("the matter {name:?} is closed"))),
        }
    }

    fn put(&self, matter: Matter) -> Result<Matter, MatterError> {
        let doc = serde_json::to_vec(&matter).map_err(|e| Trouble::Failed(e.to_string()))?;
        self.docs.put_document(Shelf::Matter, &matter.name, &doc)?;
        let mut all: Vec<Matter> = self.all().iter().filter(|m| m.name != matter.name).cloned().collect();
        all.push(matter.clone());
        all.sort_by(|a, b| a.name.cmp(&b.name));
        *self.now.write() = Arc::new(all);
        Ok(matter)
    }
}

/// Matters and reviews are called so.
pub(crate) fn checked_name(name: &str) -> Result<(), MatterError> {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    match !name.is_empty() && name.len() <= 64 && name.chars().all(fine) {
        true => Ok(()),
        false => {
            let why = format!("{name:?} is no name: small letters, digits, - _ . and at most 64 of them");
            Err(MatterError::Bad(why))
        }
    }
}

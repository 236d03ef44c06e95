//! What administrators do with partners and groups. Everything here blocks.

use crate::agreement::Partner;
use crate::error::{BookError, written};
use crate::federation::Federation;
use crate::people::{Group, Pattern};
use crate::snapshot::Snapshot;
use std::collections::BTreeMap;
use store::Shelf;

fn no_partner(name: &str) -> BookError {
    BookError::Missing(format!("there is no partner {name:?}"))
}

fn no_group(name: &str) -> BookError {
    BookError::Missing(format!("there is no group {name:?}"))
}

impl Federation {
    /// All partners, by name.
    pub fn partners(&self) -> Vec<Partner> {
        self.snapshot().partners.values().map(|agreed| agreed.partner.clone()).collect()
    }

    /// A partner, by its name or one of its domains.
    ///
    /// # Errors
    /// [`BookError::Missing`]
    pub fn partner(&self, name: &str) -> Result<Partner, BookError> {
        let snapshot = self.snapshot();
        let found = snapshot.partners.get(name).or_else(|| snapshot.of(name));
        found.map(|agreed| agreed.partner.clone()).ok_or_else(|| no_partner(name))
    }

    /// Adds a partner.
    ///
    /// # Errors
    /// [`BookError`]
    pub fn add_partner(&self, partner: Partner) -> Result<Partner, BookError> {
        let _writing = self.writing.lock();
        let partner = Partner { revision: 1, ..self.checked(partner)? };
        self.keep_new(partner)
    }

    pub(crate) fn keep_new(&self, partner: Partner) -> Result<Partner, BookError> {
        if !self.store.add_document(Shelf::Partner, &partner.name, &written(&partner)?)? {
            return Err(BookError::Conflict(format!("there is a partner {:?} already", partner.name)));
        }
        self.with_partners(|all| drop(all.insert(partner.name.clone(), partner.clone())));
        Ok(partner)
    }

    /// Replaces a partner by one that was made from its present revision.
    ///
    /// # Errors
    /// [`BookError`]
    pub fn edit_partner(&self, name: &str, partner: Partner) -> Result<Partner, BookError> {
        let _writing = self.writing.lock();
        let before = self.named(name)?;
        if partner.name != before.name {
            return Err(BookError::Bad("a partner keeps its name".into()));
        }
        if partner.revision != before.revision {
            let what = format!("somebody else has changed {name:?} meanwhile; look at it again");
            return Err(BookError::Conflict(what));
        }
        self.keep(partner)
    }

    /// Suspends a partner, or resumes it.
    ///
    /// # Errors
    /// [`BookError`]
    pub fn suspend_partner(&self, name: &str, suspended: bool) -> Result<Partner, BookError> {
        let _writing = self.writing.lock();
        let partner = Partner { suspended, ..self.named(name)? };
        self.keep(partner)
    }

    /// Forgets a partner.
    ///
    /// # Errors
    /// [`BookError`]
    pub fn remove_partner(&self, name: &str) -> Result<(), BookError> {
        let _writing = self.writing.lock();
        self.named(name)?;
        self.store.remove_document(Shelf::Partner, name)?;
        self.store.remove_document(Shelf::Tested, name)?;
        self.with_partners(|all| drop(all.remove(name)));
        Ok(())
    }

    /// What the last test of a partner found, as it was kept.
    ///
    /// # Errors
    /// [`BookError::Trouble`]
    pub fn tested(&self, name: &str) -> Result<Option<Vec<u8>>, BookError> {
        Ok(self.store.document(Shelf::Tested, name)?)
    }

    /// Keeps what a test of a partner found.
    ///
    /// # Errors
    /// [`BookError`]
    pub fn keep_tested(&self, name: &str, found: &[u8]) -> Result<(), BookError> {
        let _writing = self.writing.lock();
        self.named(name)?;
        Ok(self.store.put_document(Shelf::Tested, name, found)?)
    }

    /// All groups, by name.
    pub fn groups(&self) -> Vec<Group> {
        self.snapshot().groups.values().cloned().collect()
    }

    /// A group.
    ///
    /// # Errors
    /// [`BookError::Missing`]
    pub fn group(&self, name: &str) -> Result<Group, BookError> {
        self.snapshot().groups.get(&name.to_lowercase()).cloned().ok_or_else(|| no_group(name))
    }

    /// Makes a group, or puts more people into it.
    ///
    /// # Errors
    /// [`BookError`]
    pub fn add_to_group(&self, mut group: Group) -> Result<Group, BookError> {
        let _writing = self.writing.lock();
        group.name = group.name.to_lowercase();
        if let Some(before) = self.snapshot().groups.get(&group.name) {
            group.members.extend(before.members.iter().cloned());
        }
        let group = group.normalised().map_err(BookError::Bad)?;
        self.keep_group(group)
    }

    /// Takes people out of a group; takes the whole group away where none are named.
    ///
    /// # Errors
    /// [`BookError`]
    pub fn remove_from_group(&self, group: Group) -> Result<(), BookError> {
        let _writing = self.writing.lock();
        let name = group.name.to_lowercase();
        let gone = Group { name: name.clone(), ..group }.normalised().map_err(BookError::Bad)?;
        let mut kept = self.group(&name)?;
        if gone.members.is_empty() {
            self.group_is_free(&name)?;
            self.store.remove_document(Shelf::Group, &name)?;
            self.with_groups(|all| drop(all.remove(&name)));
            return Ok(());
        }
        if let Some(stranger) = gone.members.iter().find(|m| !kept.members.contains(m)) {
            return Err(BookError::Missing(format!("{stranger} is not in the group {name:?}")));
        }
        kept.members.retain(|member| !gone.members.contains(member));
        self.keep_group(kept).map(drop)
    }

    fn named(&self, name: &str) -> Result<Partner, BookError> {
        let known = self.snapshot().partners.get(name).map(|agreed| agreed.partner.clone());
        known.ok_or_else(|| no_partner(name))
    }

    fn keep(&self, partner: Partner) -> Result<Partner, BookError> {
        let partner = self.checked(partner)?;
        let partner = Partner { revision: partner.revision + 1, ..partner };
        self.store.put_document(Shelf::Partner, &partner.name, &written(&partner)?)?;
        self.with_partners(|all| drop(all.insert(partner.name.clone(), partner.clone())));
        Ok(partner)
    }

    /// In order, and in no conflict with what there is?
    pub(crate) fn checked(&self, partner: Partner) -> Result<Partner, BookError> {
        let partner = partner.normalised().map_err(BookError::Bad)?;
        let snapshot = self.snapshot();
        for domain in &partner.domains {
            if model::Address::parse(domain).is_ok_and(|domain| self.hosts(&domain)) {
                return Err(BookError::Bad(format!("{domain} is this server's own")));
            }
            if let Some(owner) = snapshot.owner(domain).filter(|a| a.partner.name != partner.name) {
                let what = format!("{domain} belongs to the partner {:?} already", owner.partner.name);
                return Err(BookError::Conflict(what));
            }
        }
        for word in partner.local.iter().chain(&partner.remote) {
            if let Ok(Pattern::Group(name)) = Pattern::parse(word)
                && !snapshot.groups.contains_key(&name)
            {
                return Err(no_group(&name));
            }
        }
        Ok(partner)
    }

    fn keep_group(&self, group: Group) -> Result<Group, BookError> {
        self.store.put_document(Shelf::Group, &group.name, &written(&group)?)?;
        self.with_groups(|all| drop(all.insert(group.name.clone(), group.clone())));
        Ok(group)
    }

    /// Nobody's rules may come to mean something else in silence.
    fn group_is_free(&self, name: &str) -> Result<(), BookError> {
        let snapshot = self.snapshot();
        let names = |words: &[String]| words.iter().any(|word| word == name);
        let user = snapshot.partners.values().find(|a| names(&a.partner.local) || names(&a.partner.remote));
        if let Some(user) = user {
            let what = format!("the group {name:?} is used by the partner {:?}", user.partner.name);
            return Err(BookError::Conflict(what));
        }
        if names(&snapshot.settings.who) || names(&snapshot.settings.except) {
            return Err(BookError::Conflict(format!("the group {name:?} is used in [federation]")));
        }
        Ok(())
    }

    fn with_partners(&self, change: impl FnOnce(&mut BTreeMap<String, Partner>)) {
        let before = self.snapshot();
        let mut all = before.partners.iter().map(|(name, a)| (name.clone(), a.partner.clone())).collect();
        change(&mut all);
        let settings = before.settings.clone();
        self.replace(Snapshot::new(settings, all.into_values(), before.groups.clone(), Some(&before)));
    }

    fn with_groups(&self, change: impl FnOnce(&mut BTreeMap<String, Group>)) {
        let before = self.snapshot();
        let mut groups = before.groups.clone();
        change(&mut groups);
        let partners: Vec<Partner> = before.partners.values().map(|a| a.partner.clone()).collect();
        self.replace(Snapshot::new(before.settings.clone(), partners, groups, Some(&before)));
    }
}

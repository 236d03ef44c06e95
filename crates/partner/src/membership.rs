//! Groups by who is in them.

use crate::people::{Group, Pattern};
use model::Address;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Who belongs where.
#[derive(Default)]
pub(crate) struct Membership {
    people: HashMap<Address, Vec<Arc<str>>>,
    domains: HashMap<String, Vec<Arc<str>>>,
}

impl Membership {
    pub fn of(groups: &BTreeMap<String, Group>) -> Self {
        let mut all = Self::default();
        for (name, group) in groups {
            let name: Arc<str> = name.as_str().into();
            for member in &group.members {
                match Pattern::parse(member) {
                    Ok(Pattern::One(who)) => all.people.entry(who).or_default().push(name.clone()),
                    Ok(Pattern::Domain(domain)) => all.domains.entry(domain).or_default().push(name.clone()),
                    _ => {}
                }
            }
        }
        all
    }

    pub fn groups_of(&self, who: &Address) -> Vec<Arc<str>> {
        let own = self.people.get(who).into_iter().flatten();
        own.chain(self.domains.get(who.domain()).into_iter().flatten()).cloned().collect()
    }
}

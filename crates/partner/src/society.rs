//! Where people belong, for the policy to ask.

use crate::federation::Federation;
use crate::people::{Group, Pattern};
use model::Address;
use policy::{Belonging, Society};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Groups by who is in them.
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

    fn groups_of(&self, who: &Address) -> Vec<Arc<str>> {
        let own = self.people.get(who).into_iter().flatten();
        own.chain(self.domains.get(who.domain()).into_iter().flatten()).cloned().collect()
    }
}

impl Society for Federation {
    fn belonging(&self, who: &Address) -> Belonging {
        let snapshot = self.snapshot();
        let local = self.hosts_domain(who.domain());
        let partner = if local { None } else { snapshot.of(who.domain()) };
        Belonging {
            local,
            partner: partner.map(|agreed| agreed.partner.name.as_str().into()),
            groups: snapshot.membership.groups_of(who),
        }
    }

    fn has_group(&self, name: &str) -> bool {
        self.snapshot().groups.contains_key(name)
    }

    fn has_partner(&self, name: &str) -> bool {
        self.snapshot().partners.contains_key(name)
    }
}

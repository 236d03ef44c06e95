//! Where people belong, for the policy to ask.

use crate::federation::Federation;
use model::Address;
use policy::{Belonging, Society};

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

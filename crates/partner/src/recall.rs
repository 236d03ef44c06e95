//! What administrators see and do of what was learnt of people.

use crate::error::BookError;
use crate::federation::Federation;
use crate::learnt::Learnt;
use model::Address;

impl Federation {
    /// Over which protocol people of this partner were last heard, by address.
    pub fn learnt(&self, name: &str) -> Vec<Learnt> {
        let snapshot = self.snapshot();
        let theirs = |who: &Address| snapshot.of(who.domain()).is_some_and(|a| a.partner.name == name);
        self.memory.known().into_iter().filter(|(who, _)| theirs(who)).map(|(_, learnt)| learnt).collect()
    }

    /// Forgets that of one person of a partner, or of all. How many that were. Blocks.
    ///
    /// # Errors
    /// [`BookError::Missing`] for a partner that there is not; [`BookError::Trouble`].
    pub fn forget_learnt(&self, name: &str, who: Option<&str>) -> Result<usize, BookError> {
        let partner = self.partner(name)?;
        let mut forgotten = 0;
        for learnt in self.learnt(&partner.name) {
            let meant = who.is_none_or(|who| who.eq_ignore_ascii_case(&learnt.who));
            if let Some(address) = Address::parse(&learnt.who).ok().filter(|_| meant) {
                forgotten += usize::from(self.memory.note(&address, None));
            }
        }
        self.memory.write(self.store.as_ref())?;
        Ok(forgotten)
    }
}

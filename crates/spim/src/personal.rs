//! Whom people themselves do not want to hear from (XEP-0191), and whom they report (XEP-0377).

use crate::guard::{Act, Guard};
use model::{Address, Report};
use ports::PortError;
use std::sync::atomic::Ordering::Relaxed;
use store::Shelf;

/// The most one account may block.
const MOST: usize = 1_000;

impl Guard {
    /// Does this account want to hear nothing of somebody? Quick.
    pub(crate) fn is_unwanted(&self, account: &Address, who: &Address) -> bool {
        self.personal_any.load(Relaxed)
            && account != who
            && self.personal.read().get(account).is_some_and(|list| {
                list.iter().any(|one| one == who || (one.user().is_none() && one.domain() == who.domain()))
            })
    }

    fn change(&self, account: &Address, change: impl FnOnce(&mut Vec<Address>)) -> Result<(), PortError> {
        let mut all = self.personal.write();
        let mut list = all.get(account).cloned().unwrap_or_default();
        change(&mut list);
        if list.len() > MOST {
            return Err(PortError::Refused(format!("nobody can block more than {MOST}")));
        }
        let name = format!("list:{account}");
        let failed = |error: &dyn std::fmt::Display| PortError::Failed(error.to_string());
        if list.is_empty() {
            self.store.remove_document(Shelf::Spim, &name).map_err(|e| failed(&e))?;
            all.remove(account);
        } else {
            let words: Vec<&str> = list.iter().map(Address::as_str).collect();
            let doc = serde_json::to_vec(&words).map_err(|e| failed(&e))?;
            self.store.put_document(Shelf::Spim, &name, &doc).map_err(|e| failed(&e))?;
            all.insert(account.clone(), list);
        }
        self.personal_any.store(!all.is_empty(), Relaxed);
        Ok(())
    }
}

impl ports::Blocking for Guard {
    fn blocked(&self, account: &Address) -> Vec<Address> {
        self.personal.read().get(account).cloned().unwrap_or_default()
    }

    fn block(&self, account: &Address, who: &[Address]) -> Result<(), PortError> {
        self.change(account, |list| {
            for one in who {
                if !list.contains(one) {
                    list.push(one.clone());
                }
            }
        })
    }

    fn unblock(&self, account: &Address, who: &[Address]) -> Result<(), PortError> {
        self.change(account, |list| list.retain(|one| !who.is_empty() && !who.contains(one)))
    }

    fn report(&self, by: &Address, who: &Address, report: &Report) {
        self.act(Act::Reported { by: by.clone(), who: who.clone(), report: report.clone() });
    }
}

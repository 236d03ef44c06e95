//! What may pass while the record cannot be written, as `[record] fail_open` says.

use crate::config::FailOpen;
use model::{Address, Envelope, Seq};
use parking_lot::RwLock;
use policy::{Feature, Society};
use ports::{Gap, PortError, Unrecorded};
use record::{Act, GapAct};
use std::sync::Arc;
use store::SqliteStore;

/// What stays within the house.
const HERE: &str = "here";

/// The exceptions in force.
pub struct Exceptions {
    rules: RwLock<Vec<FailOpen>>,
    society: Arc<dyn Society>,
    store: Arc<SqliteStore>,
}

impl Exceptions {
    /// With these rules.
    pub fn new(rules: Vec<FailOpen>, society: Arc<dyn Society>, store: Arc<SqliteStore>) -> Self {
        Self { rules: RwLock::new(rules), society, store }
    }

    /// Puts other rules in force.
    pub fn set(&self, rules: Vec<FailOpen>) {
        *self.rules.write() = rules;
    }

    fn is_with(&self, partner: Option<&str>, (from, to): (&Address, &Address)) -> bool {
        let Some(partner) = partner else { return true };
        let [from_at, to_at] = [from, to].map(|who| self.society.belonging(who));
        if partner == HERE {
            return from_at.local && to_at.local;
        }
        [(from, from_at), (to, to_at)].iter().any(|(who, at)| {
            !at.local
                && (who.domain().eq_ignore_ascii_case(partner) || at.partner.as_deref() == Some(partner))
        })
    }
}

impl Unrecorded for Exceptions {
    fn may_pass(&self, envelope: &Envelope) -> bool {
        let rules = self.rules.read();
        if rules.is_empty() {
            return false;
        }
        let parties = (&envelope.from.address, &envelope.to.address);
        let used = policy::features(envelope);
        let fits =
            |open: &&FailOpen| self.is_with(open.partner.as_ref().map(|p| p.get_ref().as_str()), parties);
        // Two rules together may allow what neither does alone.
        let allowed = |feature: Feature| {
            let names =
                |open: &FailOpen| open.features.as_ref().is_none_or(|f| f.get_ref().contains(&feature));
            rules.iter().filter(fits).any(names)
        };
        rules.iter().any(|open| fits(&open)) && used.iter().all(allowed)
    }

    fn gap(&self, gap: &Gap) -> Result<Seq, PortError> {
        let Gap { since, until, passed, late } = gap;
        let result = format!(
            "{passed} message(s) passed while nothing could be put on record; {late} follow(s), {} not",
            passed - late
        );
        let gap = GapAct { passed: Some(*passed), late: *late, begun: None };
        let act = Act::done("record.gap", "server").on(format!("{since} to {until}"));
        self.note(&Act { result, gap: Some(gap), ..act })
    }

    fn closed(&self, announced: Seq, late: u64) -> Result<(), PortError> {
        let result = format!("{late} message(s) that passed without are on record");
        let gap = GapAct { passed: None, late, begun: Some(announced.0) };
        let act = Act::done("record.gap.closed", "server").on(format!("row {announced}"));
        self.note(&Act { result, gap: Some(gap), ..act }).map(drop)
    }
}

impl Exceptions {
    fn note(&self, act: &Act) -> Result<Seq, PortError> {
        let noted = act.note(self.store.as_ref(), crate::clock::now());
        noted.map_err(|trouble| PortError::Failed(trouble.to_string()))
    }
}

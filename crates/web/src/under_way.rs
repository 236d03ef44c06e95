//! Exports and imports under way: what was begun is open to whoever began it until it is done, and for as long as a request to a
//! second administrator at most. Who was allowed one is not allowed all that may be asked for later.

use crate::acts::now;
use crate::problem::Problem;
use crate::{Desk, Who};
use model::Seq;
use record::Act;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

const HOUR: u64 = 3_600_000;

/// Those that are done, each with the hash of its manifest, if it has one.
#[derive(Default)]
pub struct Closed(Mutex<HashMap<u64, Option<[u8; 32]>>>);

impl Closed {
    /// From now on it is.
    pub(crate) fn add(&self, id: u64, manifest: Option<[u8; 32]>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, manifest);
    }

    fn get(&self, id: u64) -> Option<Option<[u8; 32]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied()
    }
}

impl Desk {
    /// The act by which this administrator began something that is not done yet. `again`: or is done with this manifest, and the
    /// answer was lost.
    pub(crate) fn under_way(
        &self,
        who: &Who,
        what: &str,
        id: u64,
        again: Option<[u8; 32]>,
    ) -> Result<Act, Problem> {
        let row = self.row(Seq(id))?;
        let begun = row.as_ref().and_then(Act::read);
        let begun = begun.filter(|act| act.act == what && act.who == who.as_str());
        let (Some(row), Some(act)) = (row, begun) else {
            return Err(Problem::missing(format!("you have begun no {what} {id}")));
        };
        let hours = u64::from(self.operator.four_eyes().hours);
        if now().unix_ms().saturating_sub(row.at.unix_ms()) > hours * HOUR {
            let why = format!("{what} {id} was begun more than {hours} hours ago: begin another one");
            return Err(Problem::missing(why));
        }
        match self.closed.get(id) {
            Some(manifest) if again.is_none() || manifest != again => {
                Err(Problem::missing(format!("{what} {id} is done: begin another one")))
            }
            _ => Ok(act),
        }
    }
}

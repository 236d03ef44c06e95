//! Which rows may be without content, as the acts on record say.

use crate::act::{Act, Destruction, Retention};
use crate::chain::ChainId;
use crate::finding::Fault;
use crate::hex::unhex;
use crate::ranges::Ranges;
use model::Seq;
use store::Row;

/// Hears the acts of a journal, in order.
pub(crate) struct Allowed<'a> {
    /// The keys that may have signed; none: any.
    keys: &'a [[u8; 32]],
    runs: Vec<(u64, u64)>,
    /// Content up to here may be gone by its age.
    ruled: u64,
    /// From the first signed act on, those without a signature allow nothing: anybody could have added them.
    signed: bool,
    /// The act that destroyed most content by its age, and its row.
    pub retention: Option<(Seq, Retention)>,
}

impl<'a> Allowed<'a> {
    pub fn new(keys: &'a [[u8; 32]]) -> Self {
        Self { keys, runs: Vec::new(), ruled: 0, signed: false, retention: None }
    }

    /// An act allows rows before itself.
    pub fn hear(&mut self, row: &Row, chain: ChainId, act: &Act) -> Result<(), Fault> {
        if let Some(gone) = &act.destruction
            && self.believes(gone, row, chain)?
        {
            self.runs.extend(gone.rows().below(row.seq.0).runs());
        }
        if let Some(retention) = act.retention.as_ref().filter(|_| !self.signed) {
            let to = retention.to.min(row.seq.0 - 1);
            if to >= self.ruled {
                self.ruled = to;
                self.retention = Some((row.seq, retention.clone()));
            }
        }
        Ok(())
    }

    fn believes(&mut self, gone: &Destruction, row: &Row, chain: ChainId) -> Result<bool, Fault> {
        let Some(key) = &gone.key else { return Ok(self.keys.is_empty() && !self.signed) };
        if !gone.is_genuine(chain, row.at) {
            return Err(Fault::Unsigned);
        }
        match unhex(key).filter(|key| !self.keys.is_empty() && !self.keys.contains(key)) {
            Some(other) => Err(Fault::DestructionKey(other)),
            None => {
                self.signed = true;
                Ok(true)
            }
        }
    }

    /// All of them.
    pub fn rows(mut self) -> Ranges {
        self.runs.extend((self.ruled > 0).then_some((1, self.ruled)));
        Ranges::of(self.runs)
    }
}

//! What waited is judged again before it is handed out: the rules may have changed meanwhile.

use crate::account::{Account, State};
use crate::house::Hub;
use model::codec::Kept;
use model::{Outcome, Seq, Settlement};
use std::sync::Arc;

impl Hub {
    /// Does a row that waited no longer pass? Then it ends here, and its sender hears why.
    pub(crate) fn is_stopped(
        self: &Arc<Self>,
        account: &Account,
        state: &mut State,
        seq: Seq,
        kept: &Kept,
    ) -> bool {
        // Whoever released it knew better than the rules.
        if kept.judged.released.is_some() {
            return false;
        }
        let Err(refusal) = self.parts.pipeline.still_passes(&kept.envelope) else { return false };
        tracing::info!(id = %kept.envelope.id, %seq, rule = refusal.rule.as_deref(), "refused while it waited");
        self.counting.refused(&refusal);
        state.mailbox.fetched = state.mailbox.fetched.max(seq.0);
        state.mailbox.done(seq.0);
        self.parts.journal.advance(crate::drain::cursor(account, state));
        self.settle(seq, Settlement::from(Outcome::Refused(refusal)));
        true
    }
}

use crate::pipeline::{Context, Stage, Verdict};
use model::{Address, Envelope, Hold, Outcome, Refusal, Seq, Vouch};
use ports::{Partners, Ruling, Standing};
use std::sync::Arc;

/// What strangers send is looked at before anybody reads it.
///
/// It comes after the policy, because what an administrator has ruled on is no matter of guessing; and before hygiene and
/// outbreaks, because what a stranger may not send need not be scanned, and must not count as having reached somebody.
pub struct Spim {
    /// Who judges.
    pub guard: Arc<dyn ports::Spim>,
    /// Who knows with whom there is an agreement.
    pub partners: Arc<dyn Partners>,
}

/// The name of this stage, for what waited at it.
pub const SPIM: &str = "spim";

impl Stage for Spim {
    fn name(&self) -> &'static str {
        SPIM
    }

    fn apply(&self, envelope: &mut Envelope, context: &Context) -> Verdict {
        let ours = match &envelope.origin.vouch {
            Vouch::Account(_) => true,
            Vouch::Domain(..) => false,
            Vouch::Server | Vouch::Nobody => return Verdict::Pass,
        };
        let standing = Standing {
            ours,
            to_ours: context.is_here,
            acquainted: context.acquainted || context.listed,
            agreed: !ours && self.partners.has_agreed(envelope.from.address.domain()),
        };
        match self.guard.look(envelope, standing) {
            Ruling::Pass => Verdict::Pass,
            Ruling::Refuse(refusal) => Verdict::Refuse(refusal),
            Ruling::Drop(refusal) => Verdict::Drop(refusal),
            Ruling::Hold(hold) => Verdict::Hold(hold),
        }
    }

    fn still_passes(&self, envelope: &Envelope) -> Result<(), Refusal> {
        match envelope.origin.vouch {
            Vouch::Server => Ok(()),
            _ => self.guard.still_passes(envelope, crate::clock::wall()),
        }
    }

    fn may_see(&self, watcher: &Address, presentity: &Address) -> bool {
        self.guard.may_see(watcher, presentity)
    }

    fn settled(&self, envelope: &Envelope, outcome: &Outcome, _: &Context) {
        if !matches!(envelope.origin.vouch, Vouch::Server | Vouch::Nobody) {
            self.guard.stopped(envelope, outcome);
        }
    }

    fn held(&self, envelope: &Envelope, hold: &Hold, seq: Seq) {
        self.guard.held(envelope, hold, seq);
    }
}

use crate::pipeline::{Context, Stage, Verdict};
use model::Envelope;
use ports::Partners;
use std::sync::Arc;

/// What goes to other companies and comes from them: as the administrator agreed with each.
pub struct Federation {
    /// Who knows what was agreed.
    pub partners: Arc<dyn Partners>,
}

impl Stage for Federation {
    fn name(&self) -> &'static str {
        "federation"
    }

    fn apply(&self, envelope: &mut Envelope, _: &Context) -> Verdict {
        if envelope.from.address.domain() == envelope.to.address.domain() {
            return Verdict::Pass;
        }
        match self.partners.permit(envelope) {
            Ok(()) => Verdict::Pass,
            Err(refusal) => Verdict::Refuse(refusal),
        }
    }
}

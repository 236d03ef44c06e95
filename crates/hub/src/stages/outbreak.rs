use crate::pipeline::{Context, Stage, Verdict};
use model::{Envelope, Refusal};
use ports::Watch;
use std::sync::Arc;

/// Holds what spreads like a worm, and stops those who spread it.
pub struct Outbreak {
    /// Who finds it.
    pub watch: Arc<dyn Watch>,
}

impl Stage for Outbreak {
    fn name(&self) -> &'static str {
        "outbreak"
    }

    fn apply(&self, envelope: &mut Envelope, _: &Context) -> Verdict {
        match self.watch.look(envelope) {
            Ok(None) => Verdict::Pass,
            Ok(Some(hold)) => Verdict::Hold(hold),
            Err(refusal) => Verdict::Refuse(refusal),
        }
    }

    fn still_passes(&self, envelope: &Envelope) -> Result<(), Refusal> {
        self.watch.still_passes(envelope, crate::clock::wall())
    }
}

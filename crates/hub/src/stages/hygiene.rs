use crate::pipeline::{Context, Stage, Verdict};
use compact_str::CompactString;
use model::{Envelope, Event, Hold, Reason, Refusal, Vouch};
use ports::{Finding, Remedy};
use std::sync::Arc;

/// What people send must be clean: links, names and files.
pub struct Hygiene {
    /// Who looks.
    pub eyes: Arc<dyn ports::Hygiene>,
}

fn refusal(found: Finding) -> Refusal {
    Refusal::new(Reason::Policy).with_text(&found.text).by_rule(found.rule)
}

/// The gravest, and of equals the first.
fn gravest(found: &[Finding]) -> Option<&Finding> {
    found.iter().rev().max_by_key(|finding| finding.remedy)
}

impl Stage for Hygiene {
    fn name(&self) -> &'static str {
        "hygiene"
    }

    fn waits(&self, envelope: &Envelope) -> bool {
        self.eyes.must_wait(envelope)
    }

    fn apply(&self, envelope: &mut Envelope, _: &Context) -> Verdict {
        if envelope.origin.vouch == Vouch::Server {
            return Verdict::Pass;
        }
        let found = self.eyes.look(envelope);
        let Some(worst) = gravest(&found) else { return Verdict::Pass };
        match worst.remedy {
            Remedy::Block => return Verdict::Refuse(refusal(worst.clone())),
            Remedy::Hold => {
                let text = Some(CompactString::from(worst.text.as_str()));
                return Verdict::Hold(Hold { rule: worst.rule.as_str().into(), text });
            }
            Remedy::Warn if matches!(envelope.event, Event::Message(_) | Event::Subscribe(_)) => {
                self.eyes.warn(envelope, &worst.text);
            }
            Remedy::Warn | Remedy::Note => {}
        }
        Verdict::Change(found.into_iter().map(|finding| finding.rule.into()).collect())
    }

    fn still_passes(&self, envelope: &Envelope) -> Result<(), Refusal> {
        if envelope.origin.vouch == Vouch::Server {
            return Ok(());
        }
        let found = self.eyes.look_again(envelope);
        match found.into_iter().find(|finding| finding.remedy == Remedy::Block) {
            Some(finding) => Err(refusal(finding)),
            None => Ok(()),
        }
    }
}

//! The pipeline: one literal list of stages, in the order the house gives it.
//!
//! The journal is not a stage. Whatever the verdict, the pipeline ends in one journal row; only then does the router
//! deliver, or the refusal go back.

use crate::trace::{Trail, now};
use model::{Envelope, Outcome, Refusal, Timestamp};

/// What a stage decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing to say.
    Pass,
    /// The envelope was changed; in words, what.
    Change(&'static str),
    /// Not to be delivered.
    Refuse(Refusal),
}

/// What a stage may know besides the envelope.
#[derive(Debug, Clone)]
pub struct Context {
    /// When it entered.
    pub now: Timestamp,
    /// True where sender and addressee have consented to each other in at least one direction.
    pub acquainted: bool,
}

/// One judge.
pub trait Stage: Send + Sync {
    /// Its name, which every refusal of its carries as the rule that decided.
    fn name(&self) -> &'static str;

    /// Judges one envelope. Quick: it runs on the sender's path.
    fn apply(&self, envelope: &mut Envelope, context: &Context) -> Verdict;

    /// Hears the end of every envelope that entered, refused or not.
    fn settled(&self, _envelope: &Envelope, _outcome: &Outcome, _context: &Context) {}
}

/// The stages, in order.
pub struct Pipeline(Vec<Box<dyn Stage>>);

impl Pipeline {
    /// A pipeline of these stages.
    pub fn new(stages: Vec<Box<dyn Stage>>) -> Self {
        Self(stages)
    }

    /// Runs the stages until one refuses. The refusal names its stage.
    pub fn judge(&self, envelope: &mut Envelope, context: &Context) -> Option<Refusal> {
        self.judge_on(envelope, context, None)
    }

    /// The same, leaving a span for each stage.
    pub(crate) fn judge_on(
        &self,
        envelope: &mut Envelope,
        context: &Context,
        trail: Option<&Trail>,
    ) -> Option<Refusal> {
        for stage in &self.0 {
            let begun = trail.map(|_| now());
            let verdict = stage.apply(envelope, context);
            if let (Some(trail), Some(begun)) = (trail, begun) {
                trail.span("stage", begun, Some(("stage", stage.name())));
            }
            match verdict {
                Verdict::Pass => {}
                Verdict::Change(what) => {
                    tracing::debug!(id = %envelope.id, stage = stage.name(), what, "changed")
                }
                Verdict::Refuse(mut refusal) => {
                    refusal.rule.get_or_insert_with(|| stage.name().into());
                    return Some(refusal);
                }
            }
        }
        None
    }

    /// Tells every stage how an envelope ended.
    pub fn settled(&self, envelope: &Envelope, outcome: &Outcome, context: &Context) {
        for stage in &self.0 {
            stage.settled(envelope, outcome, context);
        }
    }
}

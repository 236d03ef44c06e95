//! The pipeline: one literal list of stages, in the order the house gives it.
//!
//! The journal is not a stage. Whatever the verdict, the pipeline ends in one journal row; only then does the router
//! deliver, or the refusal go back.

use crate::trace::{Trail, now};
use compact_str::CompactString;
use model::{Address, Envelope, Hold, Judgement, Outcome, Refusal, Seq, Timestamp};

/// What a stage decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing to say.
    Pass,
    /// It passes, and these rules changed it or warned its sender.
    Change(Vec<CompactString>),
    /// It waits for a person to look at it.
    Hold(Hold),
    /// Not to be delivered.
    Refuse(Refusal),
    /// Not to be delivered, and its sender does not hear that.
    Drop(Refusal),
}

/// What a stage may know besides the envelope.
#[derive(Debug, Clone)]
pub struct Context {
    /// When it entered.
    pub now: Timestamp,
    /// True where sender and addressee have consented to each other in at least one direction.
    pub acquainted: bool,
    /// True where the addressee has the sender on the contact list.
    pub listed: bool,
    /// True where the addressee is of this server.
    pub is_here: bool,
}

/// One judge.
pub trait Stage: Send + Sync {
    /// Its name, which every refusal of its carries as the rule that decided.
    fn name(&self) -> &'static str;

    /// Will judging it take time? Then what its sender says next waits behind it, and nobody else. Quick.
    fn waits(&self, _envelope: &Envelope) -> bool {
        false
    }

    /// Judges one envelope. Quick, it runs on the sender's path; unless [`Stage::waits`] said that it takes time.
    fn apply(&self, envelope: &mut Envelope, context: &Context) -> Verdict;

    /// Judges once more what has passed and waited since: the rules may have changed. Only a no counts.
    fn still_passes(&self, _envelope: &Envelope) -> Result<(), Refusal> {
        Ok(())
    }

    /// May one see the other's presence?
    fn may_see(&self, _watcher: &Address, _presentity: &Address) -> bool {
        true
    }

    /// Hears the end of every envelope that entered, refused or not.
    fn settled(&self, _envelope: &Envelope, _outcome: &Outcome, _context: &Context) {}

    /// Hears of every envelope that waits for a person, by whatever stage, once it is on record.
    fn held(&self, _envelope: &Envelope, _hold: &Hold, _seq: Seq) {}
}

/// The stages, in order.
pub struct Pipeline(Vec<Box<dyn Stage>>);

impl Pipeline {
    /// A pipeline of these stages.
    pub fn new(stages: Vec<Box<dyn Stage>>) -> Self {
        Self(stages)
    }

    /// Will judging it take time?
    pub(crate) fn waits(&self, envelope: &Envelope) -> bool {
        self.0.iter().any(|stage| stage.waits(envelope))
    }

    /// Runs the stages until one stops the envelope. A refusal names its stage.
    pub fn judge(&self, envelope: &mut Envelope, context: &Context) -> Judgement {
        self.judge_on(envelope, context, None)
    }

    /// The same by the stages behind the one of this name.
    pub(crate) fn judge_behind(&self, name: &str, envelope: &mut Envelope, context: &Context) -> Judgement {
        let behind = self.0.iter().position(|stage| stage.name() == name).map_or(0, |at| at + 1);
        Self::judge_by(&self.0[behind..], envelope, context, None)
    }

    /// The same by all, leaving a span for each stage.
    pub(crate) fn judge_on(
        &self,
        envelope: &mut Envelope,
        context: &Context,
        trail: Option<&Trail>,
    ) -> Judgement {
        Self::judge_by(&self.0, envelope, context, trail)
    }

    fn judge_by(
        stages: &[Box<dyn Stage>],
        envelope: &mut Envelope,
        context: &Context,
        trail: Option<&Trail>,
    ) -> Judgement {
        let mut judged = Judgement::default();
        for stage in stages {
            let begun = trail.map(|_| now());
            let mut verdict = stage.apply(envelope, context);
            // That something did not arrive is told whatever the rules say of its teller, but not in their words.
            if !matches!(verdict, Verdict::Pass | Verdict::Change(_)) && envelope.event.hush() {
                judged.rules.push(stage.name().into());
                verdict = stage.apply(envelope, context);
            }
            if let (Some(trail), Some(begun)) = (trail, begun) {
                trail.span("stage", begun, Some(("stage", stage.name())));
            }
            match verdict {
                Verdict::Pass => continue,
                Verdict::Change(rules) => {
                    judged.rules.extend(rules);
                    continue;
                }
                Verdict::Hold(hold) => judged.held = Some(hold),
                Verdict::Drop(mut refusal) => {
                    refusal.rule.get_or_insert_with(|| stage.name().into());
                    (judged.refused, judged.silent) = (Some(refusal), true);
                }
                Verdict::Refuse(mut refusal) => {
                    refusal.rule.get_or_insert_with(|| stage.name().into());
                    judged.refused = Some(refusal);
                }
            }
            break;
        }
        judged
    }

    /// Does what has waited since it was judged still pass?
    ///
    /// # Errors
    /// The refusal, with the name of its stage.
    pub(crate) fn still_passes(&self, envelope: &Envelope) -> Result<(), Refusal> {
        self.0.iter().try_for_each(|stage| {
            stage.still_passes(envelope).map_err(|mut refusal| {
                refusal.rule.get_or_insert_with(|| stage.name().into());
                refusal
            })
        })
    }

    /// May one see the other's presence?
    pub(crate) fn may_see(&self, watcher: &Address, presentity: &Address) -> bool {
        self.0.iter().all(|stage| stage.may_see(watcher, presentity))
    }

    /// Tells every stage that an envelope waits.
    pub(crate) fn held(&self, envelope: &Envelope, hold: &Hold, seq: Seq) {
        self.0.iter().for_each(|stage| stage.held(envelope, hold, seq));
    }

    /// Tells every stage how an envelope ended.
    pub fn settled(&self, envelope: &Envelope, outcome: &Outcome, context: &Context) {
        for stage in &self.0 {
            stage.settled(envelope, outcome, context);
        }
    }
}

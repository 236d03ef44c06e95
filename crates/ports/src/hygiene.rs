//! What the hub asks of whoever looks for unclean things in what people send.

use model::Envelope;

/// What is to become of something unclean, the mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Remedy {
    /// It passes, and the record says what was found.
    Note,
    /// It passes, and whoever of the two is ours is told, the addressee first.
    Warn,
    /// A person looks at it.
    Hold,
    /// It does not pass.
    Block,
}

/// Something unclean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule that found it, such as `hygiene:lookalike`.
    pub rule: String,
    /// What is to become of it.
    pub remedy: Remedy,
    /// In words, for whoever sent it; nothing of the content.
    pub text: String,
}

/// Looks for unclean things. What it looks for may change at any time.
pub trait Hygiene: Send + Sync {
    /// Must somebody be waited for to say whether it is clean? Quick.
    fn must_wait(&self, envelope: &Envelope) -> bool;

    /// Everything unclean about an envelope. Blocks where [`Self::must_wait`] says so, for as long as was configured
    /// at most.
    fn look(&self, envelope: &Envelope) -> Vec<Finding>;

    /// What can be said without waiting for anybody, of an envelope that has been looked at before.
    fn look_again(&self, envelope: &Envelope) -> Vec<Finding>;

    /// Tells whoever of the two is ours. Must not block.
    fn warn(&self, envelope: &Envelope, text: &str);
}

use model::{Envelope, Hold, Refusal, Timestamp};

/// Watches for what spreads like a worm. Must not block: it is on the sender's path.
pub trait Watch: Send + Sync {
    /// Notes who sends what to whom, at the time at which the envelope entered. Gives the hold of what is contained.
    ///
    /// # Errors
    /// The refusal of what does not pass at all: its sender is muted, a partner isolated, or everything stopped.
    fn look(&self, envelope: &Envelope) -> Result<Option<Hold>, Refusal>;

    /// Does what has waited still pass?
    ///
    /// # Errors
    /// The refusal of what carries something that was contained meanwhile.
    fn still_passes(&self, envelope: &Envelope, now: Timestamp) -> Result<(), Refusal>;
}

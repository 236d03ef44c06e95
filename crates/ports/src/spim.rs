use model::{Address, Envelope, Hold, Outcome, Refusal, Seq, Timestamp};

/// How the two of an envelope stand to one another, as far as the hub knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The sender has an account here.
    pub ours: bool,
    /// So has the addressee.
    pub to_ours: bool,
    /// One of them has consented to the other's presence, or the addressee has the sender on the contact list.
    pub acquainted: bool,
    /// There is an agreement with the sender's company.
    pub agreed: bool,
}

/// What is to become of an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruling {
    /// It passes.
    Pass,
    /// It does not, and its sender hears why.
    Refuse(Refusal),
    /// It does not, and only the record says so.
    Drop(Refusal),
    /// It waits.
    Hold(Hold),
}

/// Guards people against what strangers send. Must not block: it is on the sender's path.
pub trait Spim: Send + Sync {
    /// Judges an envelope, and remembers who wrote to whom.
    fn look(&self, envelope: &Envelope, standing: Standing) -> Ruling;

    /// Does what has waited still pass?
    ///
    /// # Errors
    /// The refusal of what comes from somebody who was blocked meanwhile.
    fn still_passes(&self, envelope: &Envelope, now: Timestamp) -> Result<(), Refusal>;

    /// May one see the other's presence, as far as both want it?
    fn may_see(&self, watcher: &Address, presentity: &Address) -> bool;

    /// An envelope was stopped, by whatever rule.
    fn stopped(&self, envelope: &Envelope, outcome: &Outcome);

    /// An envelope waits under this number, by whatever rule.
    fn held(&self, envelope: &Envelope, hold: &Hold, seq: Seq);
}

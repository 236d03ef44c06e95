use crate::{Address, Dialect, Seq};
use compact_str::CompactString;
use std::fmt;

/// Whose fault a refusal is: what an operator and a peer ask first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The sender's: mend the request.
    Sender,
    /// The addressee's side: unknown, away, unwilling.
    Recipient,
    /// A third server's.
    Peer,
    /// Ours: broken, full, or our rules.
    Server,
}

/// Why an envelope was not delivered. Closed: every door maps each one (RFC 7247 section 7).
/// The numbers are part of the journal's row format and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Reason {
    /// The request makes no sense (bad-request; 400).
    BadRequest = 1,
    /// The address is not one (jid-malformed; 400, 484, 485).
    BadAddress = 2,
    /// It clashes with what exists (conflict; 400).
    Conflict = 3,
    /// We or they cannot do that (feature-not-implemented; 405, 501).
    Unsupported = 4,
    /// You may not (forbidden; 403, 603).
    Forbidden = 5,
    /// Moved away for good, perhaps to `alternative` (gone; 410, 301).
    Gone = 6,
    /// Try `alternative` (redirect; 302).
    Redirect = 7,
    /// Something broke (internal-server-error; 500).
    Internal = 8,
    /// No such user (item-not-found; 404, 604).
    NotFound = 9,
    /// The content or its form is not acceptable (not-acceptable; 406, 606, 415).
    NotAcceptable = 10,
    /// A rule forbids it (policy-violation, not-allowed; 403).
    Policy = 11,
    /// Prove who you are first (not-authorized; 401).
    NotAuthorized = 12,
    /// The addressee cannot be reached now (recipient-unavailable; 480, 600).
    Unavailable = 13,
    /// Register first (registration-required; 407).
    RegistrationRequired = 14,
    /// No such server (remote-server-not-found; 404).
    RemoteNotFound = 15,
    /// The other server or device did not answer in time (remote-server-timeout; 408).
    RemoteTimeout = 16,
    /// Too much just now (resource-constraint; 500, not 503).
    Overloaded = 17,
    /// Subscribe first (subscription-required; 400).
    SubscriptionRequired = 18,
    /// Not now, or not in this order (unexpected-request; 491).
    Unexpected = 19,
    /// Too long for the way it would have to go (policy-violation; 413, 513).
    TooLarge = 20,
    /// It went in circles or through too many gateways (not-acceptable; 482, 483).
    Loop = 21,
}

impl Reason {
    /// Every reason, in row-format order; lets each door's table be tested for gaps.
    pub const ALL: [Reason; 21] = [
        Reason::BadRequest,
        Reason::BadAddress,
        Reason::Conflict,
        Reason::Unsupported,
        Reason::Forbidden,
        Reason::Gone,
        Reason::Redirect,
        Reason::Internal,
        Reason::NotFound,
        Reason::NotAcceptable,
        Reason::Policy,
        Reason::NotAuthorized,
        Reason::Unavailable,
        Reason::RegistrationRequired,
        Reason::RemoteNotFound,
        Reason::RemoteTimeout,
        Reason::Overloaded,
        Reason::SubscriptionRequired,
        Reason::Unexpected,
        Reason::TooLarge,
        Reason::Loop,
    ];

    /// The reason of a row-format number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }

    /// Whose fault this usually is.
    pub fn fault(self) -> Fault {
        match self {
            Self::BadRequest
            | Self::BadAddress
            | Self::Conflict
            | Self::NotAcceptable
            | Self::NotAuthorized
            | Self::RegistrationRequired
            | Self::SubscriptionRequired
            | Self::Unexpected
            | Self::TooLarge => Fault::Sender,
            Self::Unsupported
            | Self::Forbidden
            | Self::Gone
            | Self::Redirect
            | Self::NotFound
            | Self::Unavailable => Fault::Recipient,
            Self::RemoteNotFound | Self::RemoteTimeout | Self::Loop => Fault::Peer,
            Self::Internal | Self::Policy | Self::Overloaded => Fault::Server,
        }
    }

    /// True where nobody decided anything: the way was broken, so the same request may succeed later without anybody
    /// changing their mind. A device that answered "not now" ([`Reason::Unavailable`]) has decided.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Internal | Self::RemoteTimeout | Self::RemoteNotFound | Self::Overloaded)
    }

    /// A short name for logs, journal and console.
    pub fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::BadAddress => "bad-address",
            Self::Conflict => "conflict",
            Self::Unsupported => "unsupported",
            Self::Forbidden => "forbidden",
            Self::Gone => "gone",
            Self::Redirect => "redirect",
            Self::Internal => "internal-error",
            Self::NotFound => "not-found",
            Self::NotAcceptable => "not-acceptable",
            Self::Policy => "policy",
            Self::NotAuthorized => "not-authorized",
            Self::Unavailable => "unavailable",
            Self::RegistrationRequired => "registration-required",
            Self::RemoteNotFound => "remote-not-found",
            Self::RemoteTimeout => "remote-timeout",
            Self::Overloaded => "overloaded",
            Self::SubscriptionRequired => "subscription-required",
            Self::Unexpected => "unexpected",
            Self::TooLarge => "too-large",
            Self::Loop => "loop",
        }
    }
}

/// A "no", with its reason. Not an error of ours: those are `Trouble`, and not found is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// Whose fault.
    pub fault: Fault,
    /// In words, for the sender (XMPP `<text/>`, SIP reason phrase).
    pub text: Option<CompactString>,
    /// Which stage or rule decided, for "explain".
    pub rule: Option<CompactString>,
    /// Where to go instead, for `Gone` and `Redirect`.
    pub alternative: Option<Address>,
}

/// The rule that refuses what cannot be put on record.
const JOURNAL: &str = "journal";

impl Refusal {
    /// A refusal with the reason's usual fault and no words.
    pub fn new(reason: Reason) -> Self {
        Self { reason, fault: reason.fault(), text: None, rule: None, alternative: None }
    }

    /// It could not be put on record, so it was not taken: true of everything until the disk is well again.
    pub fn unrecorded() -> Self {
        Self::new(Reason::Overloaded).with_text("it could not be recorded").by_rule(JOURNAL)
    }

    /// Is it [`Self::unrecorded`]?
    pub fn is_unrecorded(&self) -> bool {
        self.rule.as_deref() == Some(JOURNAL)
    }

    /// The same with words for the sender.
    pub fn with_text(mut self, text: impl Into<CompactString>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// The same with the name of what decided.
    pub fn by_rule(mut self, rule: impl Into<CompactString>) -> Self {
        self.rule = Some(rule.into());
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.name())?;
        if let Some(text) = &self.text {
            write!(f, ": {text}")?;
        }
        Ok(())
    }
}

/// Kept back until a person decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Which rule keeps it.
    pub rule: CompactString,
    /// What the sender is told; nothing where there are no words.
    pub text: Option<CompactString>,
}

/// The mark, among the rules, of a row that was written late: the envelope passed while nothing could be put on record.
pub const LATE: &str = "record.late";

/// What the pipeline said of an envelope, as the record keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    /// It does not pass.
    pub refused: Option<Refusal>,
    /// And its sender does not hear that.
    pub silent: bool,
    /// It waits for a person.
    pub held: Option<Hold>,
    /// Rules that changed it, or warned its sender, though it passes.
    pub rules: Vec<CompactString>,
    /// It was held before as this row, and a person let it pass.
    pub released: Option<Seq>,
    /// It was said elsewhere, before it came on record here: the system that it was imported from. It never passed us.
    pub imported: Option<CompactString>,
}

impl Judgement {
    /// A plain no.
    pub fn refused(refusal: Refusal) -> Self {
        Self { refused: Some(refusal), ..Self::default() }
    }

    /// Is it on its way to the addressee?
    pub fn passes(&self) -> bool {
        self.refused.is_none() && self.held.is_none()
    }
}

/// How an envelope ended (the response kinds of CPIM, RFC 3860 section 3.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A device has it.
    Delivered,
    /// Whoever says so has it on record and goes on trying (200 against 202, RFC 3428 section 7): we to a sender, another
    /// company's server to us.
    Accepted,
    /// It waits for somebody's decision (a subscription not yet answered, a message held for review).
    Pending,
    /// No.
    Refused(Refusal),
    /// Nobody can tell.
    Unknown,
}

impl Outcome {
    /// Orders forks best first: the lowest rank wins when several devices answer.
    pub fn rank(&self) -> u8 {
        match self {
            Self::Delivered => 0,
            Self::Accepted => 1,
            Self::Pending => 2,
            Self::Refused(_) => 3,
            Self::Unknown => 4,
        }
    }

    /// A short name for logs, journal and console.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Accepted => "accepted",
            Self::Pending => "pending",
            Self::Refused(_) => "refused",
            Self::Unknown => "unknown",
        }
    }
}

/// What kind of loss a translation caused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum LossKind {
    /// The property has no counterpart and was left out.
    Dropped = 1,
    /// The property arrived as something near it.
    Changed = 2,
}

/// One entry of the fidelity ledger: one property that a translation dropped or changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Loss {
    /// Dropped or changed.
    pub kind: LossKind,
    /// Which property, by its name in the source dialect, such as `html-body` or `message-type`. Never content.
    pub what: CompactString,
    /// What it became, if it was changed. Never content.
    pub became: CompactString,
    /// Translated from.
    pub from: Dialect,
    /// Translated to.
    pub to: Dialect,
}

impl Loss {
    /// A property that was left out.
    pub fn dropped(what: impl Into<CompactString>, from: Dialect, to: Dialect) -> Self {
        Self { kind: LossKind::Dropped, what: what.into(), became: CompactString::default(), from, to }
    }

    /// A property that became something near it.
    pub fn changed(
        what: impl Into<CompactString>,
        became: impl Into<CompactString>,
        from: Dialect,
        to: Dialect,
    ) -> Self {
        Self { kind: LossKind::Changed, what: what.into(), became: became.into(), from, to }
    }
}

/// An outcome together with what its translation cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// How it ended.
    pub outcome: Outcome,
    /// What was lost on the way.
    pub losses: Vec<Loss>,
}

impl From<Outcome> for Settlement {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, losses: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_codes_are_dense_and_stable() {
        for (i, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, i + 1);
            assert_eq!(Reason::from_code(reason as u8), Some(reason));
        }
        assert_eq!(Reason::from_code(0), None);
        assert_eq!(Reason::from_code(22), None);
    }
}

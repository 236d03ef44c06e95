use crate::{
    Address, Admission, BlockEdit, Certificates, Device, Dialect, DomainPair, Endpoint, FileOffer, LeaseKey,
    NoSlot, Opener, Refusal, RosterEdit, RosterItem, Slot,
};
use bytes::Bytes;
use compact_str::CompactString;
use std::fmt;
use std::net::IpAddr;

/// Which stored key proves a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Scheme {
    /// SCRAM-SHA-1 (RFC 5802).
    ScramSha1 = 1,
    /// SCRAM-SHA-256 (RFC 7677).
    ScramSha256 = 2,
    /// HTTP digest with MD5 (RFC 7616), for the realm of the account's domain.
    DigestMd5 = 3,
    /// HTTP digest with SHA-256 (RFC 8760), for the realm of the account's domain.
    DigestSha256 = 4,
}

impl Scheme {
    /// Every scheme derived when a password is set.
    pub const ALL: [Scheme; 4] =
        [Scheme::ScramSha1, Scheme::ScramSha256, Scheme::DigestMd5, Scheme::DigestSha256];
}

/// A stored key. Knowing it, one can check a proof, not log in elsewhere (SCRAM) or outside its realm (HA1).
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// SCRAM keys (RFC 5802 section 3).
    Scram {
        /// Salt.
        salt: Bytes,
        /// PBKDF2 iterations.
        iterations: u32,
        /// H(ClientKey).
        stored_key: Bytes,
        /// HMAC(SaltedPassword, "Server Key").
        server_key: Bytes,
    },
    /// Lower-case hex of H(user:realm:password) (RFC 7616 section 3.4.2).
    Ha1(Bytes),
}

impl fmt::Debug for Credential {
    // Keys never reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(..)")
    }
}

/// A secret text that never shows itself and is wiped from memory as far as the language allows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What a door may want to know or have done. Each is answered once, by ticket; an open ask parks one lane of
/// the machine, never the house.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// The stored key of an account. Answered by `Credential`; `None` for an unknown account or scheme.
    Credential {
        /// Whose.
        account: Address,
        /// Which key.
        scheme: Scheme,
        /// Who wants to prove it, where that is not whoever the connection leads to: a datagram's sender.
        from: Option<IpAddr>,
    },
    /// Does this password belong to this account? Answered by `Verified`.
    Verify {
        /// Whose.
        account: Address,
        /// The password.
        password: Secret,
    },
    /// Attach a device of an authenticated account, or a connection to a pair's mailbox, to this machine. Answered by `Bound` or `Refused`.
    /// A device already bound elsewhere moves here, and the other machine hears `Notice::Replaced`.
    Bind {
        /// Whose.
        account: Address,
        /// Which device; `None` lets the hub invent a name.
        device: Option<Device>,
        /// `Some(priority)` makes it at once ready for messages (a SIP contact); `None` waits for `Attend` (an
        /// XMPP session before its first presence).
        attend: Option<i8>,
    },
    /// The contact list. Answered by `Roster`; from then on `device` hears `Notice::Roster` of every change and
    /// gets subscription requests.
    Roster {
        /// The bound device that asks.
        device: Endpoint,
    },
    /// Change the contact list of the bound device's account. Answered by `Done` or `Refused`.
    EditRoster {
        /// The bound device that asks.
        device: Endpoint,
        /// The change.
        edit: RosterEdit,
    },
    /// Whom the bound device's account does not want to hear from. Answered by `Blocked` or `Refused`; from then on `device` hears
    /// `Notice::Blocked` and `Notice::Unblocked`.
    Blocked {
        /// The bound device that asks.
        device: Endpoint,
    },
    /// Change that list. Answered by `Done` or `Refused`.
    EditBlocked {
        /// The bound device that asks.
        device: Endpoint,
        /// The change.
        edit: BlockEdit,
    },
    /// Take over what a machine of this door leased under a key, with the deliveries that wait for it.
    /// Answered by `Claimed`; `None` if the key is unknown, lapsed or belongs to another owner.
    Claim {
        /// Which.
        key: LeaseKey,
        /// Who must own it.
        owner: Address,
    },
    /// Take over everything that machines of this door leased under keys that begin so, and that nobody holds any more.
    /// Answered by `Left`.
    Inherit {
        /// How the keys begin.
        prefix: CompactString,
    },
    /// Go on with a whole session of this door: the devices it bound, and what waits for them. A machine that still
    /// has it hears `Notice::Taken` and hands it over. Answered by `Input::Resumed`, or by `Claimed` with nothing where
    /// there is no such session.
    Resume {
        /// The session's name.
        key: LeaseKey,
        /// Who must own it.
        owner: Address,
    },
    /// Is anybody of an account of ours there to hear how somebody elsewhere is: a session that announced itself, or a phone
    /// that watches? Answered by `Verified`; for somebody else's people always true, because their own server knows.
    Watches {
        /// Who would hear.
        watcher: Address,
        /// Of whom.
        presentity: Address,
    },
    /// May this peer carry what goes between these domains? Asked once for each pair on a connection, as soon as the
    /// peer's certificate is known. Answered by `Admitted` or `Refused`. Whoever is admitted and has proved to be the
    /// remote domain may `Bind` the pair's mailbox.
    Admit {
        /// Between whom.
        pair: DomainPair,
        /// In which dialect.
        dialect: Dialect,
        /// Who opened the connection.
        opener: Opener,
        /// What the peer showed; `None` without TLS, or where it showed nothing.
        certificates: Option<Certificates>,
        /// Is the connection secured at all?
        secured: bool,
    },
    /// Did the remote domain really say this? Asks its own server over a connection of its own (XEP-0220 section 2.1).
    /// Answered by `Verified`, or `Refused` where nobody could be asked.
    Confirm {
        /// The domain that is to be asked, and in whose name.
        pair: DomainPair,
        /// What was said; only doors of the dialect can read it.
        proof: Bytes,
    },
    /// Where may this file be uploaded? Answered by `Slot`, or `Refused` where nothing can be uploaded at all.
    Slot(Box<FileOffer>),
}

/// A lease that outlived its machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Its name.
    pub key: LeaseKey,
    /// Who owns it.
    pub owner: Address,
    /// What was left.
    pub state: Bytes,
    /// The seconds that are left of it.
    pub secs: u32,
}

/// The answer to an [`Ask`].
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// To `Credential`.
    Credential(Option<Credential>),
    /// To `Verify`, `Confirm` and `Watches`.
    Verified(bool),
    /// To `Admit`.
    Admitted(Admission),
    /// To `Bind`: the device as it is now called.
    Bound(Endpoint),
    /// To `Roster`.
    Roster(Vec<RosterItem>),
    /// Whom somebody does not want to hear from.
    Blocked(Vec<Address>),
    /// To `EditRoster`.
    Done,
    /// To `Claim`, and to `Resume` of a session that is gone: the state the door left with the lease.
    Claimed(Option<Bytes>),
    /// To `Inherit`.
    Left(Vec<Left>),
    /// To `Slot`.
    Slot(Result<Slot, NoSlot>),
    /// The hub will not or cannot. Its fault says which.
    Refused(Refusal),
}

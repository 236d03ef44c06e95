//! How this server federates.

use crate::trust::Roots;
use model::Dialect;

/// With whom this server federates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// With nobody.
    #[default]
    Off,
    /// With everybody who can prove who they are.
    Open,
    /// With agreed partners alone.
    Allow,
    /// With everybody but those who are marked as denied.
    Deny,
    /// With everybody, and what `Allow` would refuse is noted.
    Observe,
}

/// How this server federates.
#[derive(Debug, Default)]
pub struct Settings {
    /// With whom.
    pub mode: Mode,
    /// Whose certificates count.
    pub roots: Roots,
    /// May a server whose certificate does not prove who it is be called back instead (XEP-0220)?
    pub dialback: bool,
    /// Does what a domain's signed DNS says of its certificates count (RFC 7673)?
    pub dane: bool,
    /// Does what a domain says over HTTPS of its certificates count, where nothing else does (RFC 7711)?
    pub posh: bool,
    /// What is spoken with whom nothing else was agreed, best first.
    pub dialects: Vec<Dialect>,
    /// Who of ours may talk to other companies: groups, addresses, `*@domain`; empty: everybody.
    pub who: Vec<String>,
    /// Who of them may not.
    pub except: Vec<String>,
}

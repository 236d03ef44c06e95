//! What a stanza leaves behind that is answered later.

use compact_str::CompactString;
use model::Answer;

use crate::translate::refusal::StanzaError;
use crate::wire::Kind;

use super::C2s;

/// What is needed to answer a stanza later.
#[derive(Clone, Debug)]
pub(crate) struct Stub {
    pub kind: Kind,
    pub id: Option<CompactString>,
    /// Who the answer comes from: the stanza's own `to`, empty if it had none.
    pub to: CompactString,
    /// Never answered: results, errors, broadcasts.
    pub quiet: bool,
}

/// Who waits for an answer of the hub.
#[derive(Debug)]
pub(crate) enum Asked {
    /// The log-in.
    Login,
    /// A session to resume.
    Resume,
    /// A feature: the iq to answer, and what to do with the answer.
    Iq(Stub, fn(&mut C2s, Answer) -> Reply),
}

/// What the server answers.
pub(crate) enum Reply {
    /// A result with this content.
    Result(Vec<u8>),
    /// An error.
    Error(StanzaError),
    /// The hub was asked first.
    Later,
}

impl Reply {
    /// An empty result.
    pub const DONE: Reply = Reply::Result(Vec::new());
}

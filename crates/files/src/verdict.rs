//! What became of a file that came.

use store::FileState;

/// A file that is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// The rule that decided, such as `hygiene:malware`.
    pub rule: String,
    /// In words, for whoever sent it.
    pub text: String,
}

/// How it stands with a file, why, and by which rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub state: FileState,
    pub rule: String,
    pub why: String,
}

impl Verdict {
    pub fn new(state: FileState, rule: &str, why: impl Into<String>) -> Self {
        Self { state, rule: rule.to_owned(), why: why.into() }
    }

    pub fn clean() -> Self {
        Self::new(FileState::Clean, "", "")
    }

    pub fn denied(&self) -> Option<Denied> {
        (!self.state.has_content()).then(|| Denied { rule: self.rule.clone(), text: self.why.clone() })
    }
}

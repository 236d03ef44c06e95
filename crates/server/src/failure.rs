//! What a command says when it cannot go on.

use std::fmt;
use std::process::ExitCode;

/// The status of a command that waits for a second administrator.
const WAITING: u8 = 3;

/// A failure in words for the person at the terminal.
#[derive(Debug)]
pub struct Failure {
    text: String,
    status: u8,
}

impl Failure {
    /// A failure with its words.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), status: 1 }
    }

    /// Nothing is wrong, but a second administrator is needed.
    pub fn waiting(text: impl Into<String>) -> Self {
        Self { text: text.into(), status: WAITING }
    }

    /// Is it only that a second administrator is needed?
    pub fn is_waiting(&self) -> bool {
        self.status == WAITING
    }

    /// The status of the process that ends with it.
    pub fn status(&self) -> ExitCode {
        self.status.into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}

macro_rules! from {
    ($($error:ty),*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::new(error.to_string())
            }
        }
    )*};
}
from!(
    std::io::Error,
    store::Trouble,
    net::ListenError,
    net::TlsError,
    ports::PortError,
    rcgen::Error,
    crate::config::Mistake
);

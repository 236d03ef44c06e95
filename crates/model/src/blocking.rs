use crate::Address;
use crate::private::Private;
use std::fmt;

/// Why somebody is reported (XEP-0377).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Complaint {
    /// Unwanted advertising and the like.
    Spam,
    /// Anything else that nobody has to bear.
    Abuse,
}

impl Complaint {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spam => "spam",
            Self::Abuse => "abuse",
        }
    }
}

/// What somebody says of whom they block.
#[derive(Clone, PartialEq, Eq)]
pub struct Report {
    /// What it is.
    pub complaint: Complaint,
    /// In the reporter's words.
    pub text: Option<String>,
    /// The ids that this server gave to the messages it is about (XEP-0359).
    pub messages: Vec<String>,
}

// What somebody says of somebody is theirs.
impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("complaint", &self.complaint)
            .field("text", &self.text.as_ref().map(Private))
            .field("messages", &self.messages)
            .finish()
    }
}

/// A change to the list of those whom somebody does not want to hear from (XEP-0191).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlockEdit {
    /// These are blocked, and perhaps reported.
    Block(Vec<(Address, Option<Report>)>),
    /// These are blocked no more; none: nobody is.
    Unblock(Vec<Address>),
}

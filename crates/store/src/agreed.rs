use crate::Trouble;

/// What kind of document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Shelf {
    /// What was agreed with another company.
    Partner = 1,
    /// A group of people.
    Group = 2,
    /// What the last test of a partner found.
    Tested = 3,
    /// An invitation that waits to be used, or was.
    Invitation = 4,
    /// Over which protocol somebody of a partner was last heard.
    Learnt = 5,
    /// A version of the policy.
    Policy = 6,
    /// What is contained because it spreads like a worm.
    Outbreak = 7,
    /// Somebody who administers.
    Administrator = 8,
    /// An act that waits for a second administrator.
    Request = 9,
    /// Who of ours wrote to whom elsewhere, and what is known of those who write to us.
    Spim = 10,
    /// A matter: what must be kept, and for what reason.
    Matter = 11,
    /// A version of the rules of retention.
    Retention = 12,
    /// What people are to look through.
    Review = 13,
    /// What somebody decided about a row of a review.
    Decision = 14,
}

/// What was agreed with other companies, and what belongs to it: documents by kind and name, which the store does not
/// read.
pub trait Partners: Send + Sync {
    /// One document.
    ///
    /// # Errors
    /// [`Trouble`] when the store cannot be read or written; likewise below.
    fn document(&self, shelf: Shelf, name: &str) -> Result<Option<Vec<u8>>, Trouble>;

    /// Stores one that is new. `false`, and nothing changed, if there is one of that name.
    ///
    /// # Errors
    /// [`Trouble`]
    fn add_document(&self, shelf: Shelf, name: &str, doc: &[u8]) -> Result<bool, Trouble>;

    /// Stores or replaces one.
    ///
    /// # Errors
    /// [`Trouble`]
    fn put_document(&self, shelf: Shelf, name: &str, doc: &[u8]) -> Result<(), Trouble>;

    /// All of a kind, by name.
    ///
    /// # Errors
    /// [`Trouble`]
    fn documents(&self, shelf: Shelf) -> Result<Vec<(String, Vec<u8>)>, Trouble>;

    /// Those of a kind whose names begin so, by name.
    ///
    /// # Errors
    /// [`Trouble`]
    fn documents_under(&self, shelf: Shelf, beginning: &str) -> Result<Vec<(String, Vec<u8>)>, Trouble>;

    /// Removes one. `false` if there was none: of several who remove it, one hears `true`.
    ///
    /// # Errors
    /// [`Trouble`]
    fn remove_document(&self, shelf: Shelf, name: &str) -> Result<bool, Trouble>;
}

//! The row format of an envelope, for ever: tagged fields, so that later versions add and never move.
//!
//! An envelope is written as two byte strings. The *head* holds who, when, which way and what kind, with the verdict;
//! the *body* holds everything a person wrote. The journal keeps them apart so that content can be lawfully destroyed
//! while the chain over the heads still verifies.
//!
//! Layout of both: a version byte (1), then fields `tag (1 byte), length (LEB128), bytes`. Unknown tags are skipped
//! by readers. Nested structures are fields whose bytes are again fields. Texts are UTF-8, integers big-endian
//! without leading zeros. Tag numbers are listed where they are written and are never reused.

mod body;
mod head;
mod outcomes;
mod refusal;
mod tlv;

pub use body::encode_body;
pub use head::{Kept, decode, decode_id, encode_head};
pub use outcomes::{SettledEntry, decode_outcomes, encode_outcome};

/// A row that cannot be read: written by a newer version or damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the record's {0} cannot be read")]
pub struct CodecError(pub &'static str);

/// The version byte both parts start with.
const VERSION: u8 = 1;

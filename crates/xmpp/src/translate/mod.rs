//! Stanzas to neutral events and back: pure functions, the tables of RFC 7247, RFC 7572 and RFC 8048.
//!
//! Between two XMPP clients nothing is translated: the sender's bytes travel along as `Original` and only the
//! start tag is patched. What is rendered from neutral nouns says what it lost.

pub mod composing;
pub mod message;
pub mod presence;
pub mod receipt;
pub mod refusal;
pub(crate) mod render;
pub mod rewrite;

use model::{Dialect, Original};

/// The sender's bytes, if they are XMPP.
pub(crate) fn ours(original: &Option<Original>) -> Option<&bytes::Bytes> {
    original.as_ref().filter(|o| o.dialect == Dialect::Xmpp).map(|o| &o.bytes)
}

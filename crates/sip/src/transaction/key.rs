//! How a repeated request is known again.

use super::Hop;
use crate::wire::ReplyHead;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ServerKey {
    pub peer: Hop,
    method: String,
    id: String,
}

/// The key of a request with this head, or of the INVITE that a CANCEL or an ACK is for (RFC 3261 17.2.3).
pub(super) fn key_of(peer: Hop, method: &str, head: &ReplyHead) -> ServerKey {
    let id = if head.branch.starts_with("z9hG4bK") && head.branch.len() > 7 {
        // Sent-by belongs to the key: two clients behind one address may pick the same branch.
        format!("{}|{}|{:?}", head.branch, head.sent_by, head.sent_port)
    } else {
        head.old_key()
    };
    ServerKey { peer, method: method.to_owned(), id }
}

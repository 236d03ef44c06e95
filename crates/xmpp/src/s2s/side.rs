//! The two ends of a connection between servers.

use super::accepted::Accepted;
use super::opened::Opened;

/// Who opened the connection, and what for.
#[derive(Debug)]
pub(super) enum Side {
    /// They did.
    Accepted(Accepted),
    /// We did.
    Opened(Opened),
}

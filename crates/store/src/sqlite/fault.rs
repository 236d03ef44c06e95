use crate::Trouble;
use rusqlite::{Error, ErrorCode};

/// The database's error in the house's words. The text never holds bound values, so no content either.
pub(super) fn trouble(error: Error) -> Trouble {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Trouble::Full(text),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Trouble::ReadOnly(text),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Trouble::Damaged(text),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Trouble::Busy(text),
        _ => Trouble::Failed(text),
    }
}

/// A stored value that is not what this program writes.
pub(super) fn damaged(what: &str) -> Trouble {
    Trouble::Damaged(format!("{what} is not as it was written"))
}

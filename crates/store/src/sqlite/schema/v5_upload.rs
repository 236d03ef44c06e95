//! Files that people uploaded; their content lies beside the store.

use super::Step;

pub(super) const STEP: Step = Step {
    what: "uploaded files",
    up: "
    -- 'state' is a FileState's number; 'at' is Unix milliseconds
    CREATE TABLE upload (
        id TEXT PRIMARY KEY, secret TEXT NOT NULL, owner TEXT NOT NULL, hash BLOB NOT NULL, size INTEGER NOT NULL,
        name TEXT NOT NULL, mime TEXT NOT NULL, at INTEGER NOT NULL, state INTEGER NOT NULL, why TEXT NOT NULL)
        WITHOUT ROWID;
    CREATE INDEX upload_owner ON upload (owner, at);
    CREATE INDEX upload_hash ON upload (hash);
    CREATE INDEX upload_at ON upload (at);
    CREATE INDEX upload_state ON upload (state, at);
    ",
    down: "
    DROP TABLE upload;
    ",
};

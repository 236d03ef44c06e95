//! What doors left that outlives the process.

use super::Step;

pub(super) const STEP: Step = Step {
    what: "registrations, dialogs and sessions that outlive a restart",
    up: "
    -- 'until' in Unix milliseconds
    CREATE TABLE lease (
        key TEXT PRIMARY KEY, owner TEXT NOT NULL, until INTEGER NOT NULL, state BLOB NOT NULL) WITHOUT ROWID;
    ",
    down: "
    DROP TABLE lease;
    ",
};

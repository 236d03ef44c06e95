//! Signed checkpoints.

use super::Step;

pub(super) const STEP: Step = Step {
    what: "signed checkpoints of the journal",
    up: "
    -- 'last' is the last row that it closes; 'line' the checkpoint as JSON
    CREATE TABLE checkpoint (last INTEGER PRIMARY KEY, line TEXT NOT NULL);
    ",
    down: "
    DROP TABLE checkpoint;
    ",
};

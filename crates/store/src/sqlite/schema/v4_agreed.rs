//! What was agreed with other companies.

use super::Step;

pub(super) const STEP: Step = Step {
    what: "partners, groups, invitations and what tests of partners found",
    up: "
    -- 'shelf' is a Shelf's number
    CREATE TABLE agreed (
        shelf INTEGER NOT NULL, name TEXT NOT NULL, doc BLOB NOT NULL, PRIMARY KEY (shelf, name)) WITHOUT ROWID;
    ",
    down: "
    DROP TABLE agreed;
    ",
};

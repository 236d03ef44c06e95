//! Rows that retention passed over because they still wait for somebody.

use super::Step;

pub(super) const STEP: Step = Step {
    what: "rows that retention passed over while they wait",
    up: "
    CREATE TABLE held (seq INTEGER PRIMARY KEY);
    ",
    down: "
    DROP TABLE held;
    -- whoever comes back to this step looks for them anew
    DELETE FROM meta WHERE key = 'retained';
    ",
};

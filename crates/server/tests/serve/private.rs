//! What the server makes is for its owner alone.

use crate::harness::{LISTEN, Serve};
use std::os::unix::fs::PermissionsExt;

#[test]
fn nobody_else_reads_or_enters_what_the_server_makes() {
    let server = Serve::start(&[], LISTEN);
    for made in ["data", "data/rialto.db", "data/rialto.db-wal", "data/rialto.db.lock", "data/control.sock"] {
        let mode = std::fs::metadata(server.path(made)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{made}: {mode:o}");
    }
}

//! The first schema.

use super::Step;

pub(super) const STEP: Step = Step {
    what: "the first tables",
    up: "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE setting (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

    CREATE TABLE address (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
    CREATE TABLE conversation (
        id INTEGER PRIMARY KEY, a INTEGER NOT NULL, b INTEGER NOT NULL,
        counter INTEGER NOT NULL DEFAULT 0, last BLOB, UNIQUE (a, b));

    -- which month table holds the rows from 'first' on
    CREATE TABLE month (first INTEGER PRIMARY KEY, name TEXT NOT NULL);
    -- runs of journal numbers of one mailbox, delta coded; written behind the journal
    CREATE TABLE stream (
        account INTEGER NOT NULL, last INTEGER NOT NULL, seqs BLOB NOT NULL,
        PRIMARY KEY (account, last)) WITHOUT ROWID;
    CREATE TABLE cursor (account INTEGER PRIMARY KEY, low INTEGER NOT NULL, above BLOB NOT NULL);

    CREATE TABLE account (address TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE credential (
        account TEXT NOT NULL, scheme INTEGER NOT NULL, salt BLOB, iterations INTEGER, key BLOB NOT NULL,
        server_key BLOB, PRIMARY KEY (account, scheme)) WITHOUT ROWID;
    -- passwords of an account at other networks, sealed with a key kept outside this file
    CREATE TABLE sealed (
        account TEXT NOT NULL, network TEXT NOT NULL, box BLOB NOT NULL,
        PRIMARY KEY (account, network)) WITHOUT ROWID;
    CREATE TABLE roster (
        owner TEXT NOT NULL, contact TEXT NOT NULL, name TEXT, in_groups BLOB NOT NULL,
        PRIMARY KEY (owner, contact)) WITHOUT ROWID;
    CREATE TABLE authorization (
        presentity TEXT NOT NULL, watcher TEXT NOT NULL, consent INTEGER NOT NULL, note TEXT,
        PRIMARY KEY (presentity, watcher)) WITHOUT ROWID;
    CREATE INDEX authorization_watcher ON authorization (watcher);
",
    // There is nothing to go back to.
    down: "",
};

//! The list of what is known not to work, each with its reason.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::have;

/// Run a story under its name, `file::test`.
///
/// A failure passes through, unless `known.toml` names the story; a named story that succeeds is a failure of the list.
///
/// # Panics
/// If the story fails and is not known to, or succeeds and is known not to.
pub fn judge(name: &str, story: impl FnOnce()) {
    let reason = reason(name);
    match (catch_unwind(AssertUnwindSafe(story)), reason) {
        (Ok(()), None) => {}
        (Ok(()), Some(reason)) => panic!("{name} works: take it out of known.toml (reason was: {reason})"),
        (Err(fault), None) => resume_unwind(fault),
        (Err(_), Some(reason)) => eprintln!("known: {name}: {reason}"),
    }
}

fn reason(name: &str) -> Option<String> {
    let text = std::fs::read_to_string(have::file("known.toml")).expect("known.toml is there");
    let table: toml::Table = text.parse().expect("known.toml is TOML");
    let reason = table.get("known")?.get(name)?.as_str().expect("a reason is a text");
    assert!(!reason.is_empty(), "{name} is in known.toml without a reason");
    Some(reason.to_owned())
}

//! The command line: every command is in the handbook and the manual page, and no page names one that is not there.

use std::collections::BTreeSet;
use std::process::Command;

use crate::page::at;
use crate::summary::pages;

/// The commands that the program says it has.
fn commands() -> BTreeSet<String> {
    let help = Command::new(env!("CARGO_BIN_EXE_rialto")).arg("--help").output().expect("it starts");
    let help = String::from_utf8(help.stdout).expect("text");
    let list = help.split("Commands:\n").nth(1).expect("a list of commands");
    let names =
        list.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(ToOwned::to_owned).collect()
}

#[test]
fn every_command_is_named_and_no_other() {
    let commands = commands();
    assert!(commands.len() > 10, "{commands:?}");
    let read = |path: &str| std::fs::read_to_string(at(path)).expect("text");
    let (table, manual) = (read("docs/src/commands.md"), read("packaging/rialto.1"));
    for name in &commands {
        assert!(table.contains(&format!("| `rialto {name} ")), "commands.md has no row for {name}");
        assert!(manual.contains(&format!("\n.B {name}")), "the manual page says nothing of {name}");
    }
    for (page, text) in pages() {
        for (i, _) in text.match_indices("`rialto ") {
            let name: String = text[i + 8..].chars().take_while(char::is_ascii_lowercase).collect();
            assert!(name.is_empty() || commands.contains(&name), "{page}: there is no `rialto {name}`");
        }
    }
}

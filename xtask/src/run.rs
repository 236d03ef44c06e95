//! Starting programs, and saying how long each stage took.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::place;

/// Run a command to its end, in sight.
pub fn must(command: &mut Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{}: {status}", shown(command))),
        Err(fault) => Err(format!("{}: {fault}", shown(command))),
    }
}

/// Run a command to its end and return what it printed; `None` if it failed or is not there.
pub fn answer(command: &mut Command) -> Option<String> {
    let done = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    done.status.success().then(|| String::from_utf8_lossy(&done.stdout).into_owned())
}

/// A cargo command in the workspace, with the common build directory.
pub fn cargo_command(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(place::root()).env("CARGO_TARGET_DIR", place::target());
    command
}

/// Run cargo.
pub fn cargo(args: &[&str]) -> Result<(), String> {
    must(&mut cargo_command(args))
}

/// Is there such a program on the search path?
pub fn is_there(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|dir: std::path::PathBuf| Path::new(&dir).join(program).is_file())
}

/// The stages of a long run, each with the time it took.
pub struct Stages {
    started: Instant,
    done: Vec<(String, f64)>,
}

impl Stages {
    /// Nothing done yet.
    pub fn new() -> Self {
        Self { started: Instant::now(), done: Vec::new() }
    }

    /// Do one stage; the first that fails ends the run.
    pub fn stage(&mut self, name: &str, work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
        println!("==> {name}");
        let start = Instant::now();
        let result = work();
        let minutes = start.elapsed().as_secs_f64() / 60.0;
        println!("==> {name}: {} after {minutes:.1} min", if result.is_ok() { "done" } else { "FAILED" });
        self.done.push((name.to_owned(), minutes));
        result.map_err(|fault| format!("stage `{name}` failed: {fault}"))
    }

    /// The table of what was done so far.
    pub fn report(&self) {
        println!("\nminutes  stage");
        for (name, minutes) in &self.done {
            println!("{minutes:7.1}  {name}");
        }
        println!("{:7.1}  all of it so far\n", self.started.elapsed().as_secs_f64() / 60.0);
    }
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

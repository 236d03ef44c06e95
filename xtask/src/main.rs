//! The project's own commands, as a program of the workspace: nothing to install first but Rust itself.

mod crash;
mod deb;
mod fuzz;
mod place;
mod run;
mod test;
mod tools;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask demo [ARGUMENTS]     build the server and let it play a conversation between XMPP and SIP
cargo xtask test [OPTIONS]       everything that must hold before a change goes in:
    --no-interop                     leave out the real clients
    --interop-only                   only the real clients
    --repeat N                       the tests N times over, to find the one that fails now and then
cargo xtask crash [--rounds N] [--power] [--seed N]
                                 kill the server in the middle of its work, or cut its power, N times (200)
cargo xtask fuzz [TARGET]... [--seconds N]
                                 libFuzzer over every parser and machine, N seconds each (60)
cargo xtask deb [--profile P] [--output FILE]
                                 the Debian package, of the `dist` profile if not told otherwise
cargo xtask tidy                 only the laws of the house (import table, file lengths, lints)
";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    let done = match command.as_str() {
        "demo" => demo(&rest),
        "test" => test::Plan::parse(&rest).and_then(|plan| test::run(&plan)),
        "crash" => crash::run(&rest),
        "fuzz" => fuzz::Plan::parse(&rest).and_then(|plan| fuzz::run(&plan)),
        "deb" => deb::Plan::parse(&rest).and_then(|plan| deb::run(&plan)),
        "tidy" => run::cargo(&["test", "--quiet", "--package", "xtask"]),
        "" | "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(format!("no command `{other}`\n\n{HELP}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("{fault}");
            ExitCode::FAILURE
        }
    }
}

/// Build the server as it would be shipped, then hand over to its own demonstration.
fn demo(args: &[String]) -> Result<(), String> {
    tools::check_machine()?;
    run::cargo(&["build", "--release", "--package", "rialto"])?;
    let binary = place::target().join("release/rialto");
    run::must(std::process::Command::new(binary).arg("demo").args(args))
}

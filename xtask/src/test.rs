//! `cargo xtask test`: the stages in their order.

use crate::run::{self, Stages};
use crate::{place, tools};

/// What to run.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    interop: bool,
    rest: bool,
    repeat: u32,
}

impl Plan {
    /// Read the options.
    pub fn parse(args: &[String]) -> Result<Self, String> {
        let mut plan = Self { interop: true, rest: true, repeat: 1 };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--no-interop" => plan.interop = false,
                "--interop-only" => plan.rest = false,
                "--repeat" => {
                    let count = args.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
                    plan.repeat = count.ok_or("--repeat needs a number")?;
                }
                other => return Err(format!("no option `{other}`; see `cargo xtask help`")),
            }
        }
        if !plan.interop && !plan.rest {
            return Err("--no-interop and --interop-only leave nothing to do".into());
        }
        Ok(plan)
    }
}

/// Run the stages; the test runner comes last, so that its summary is the last line.
pub fn run(plan: &Plan) -> Result<(), String> {
    let mut stages = Stages::new();
    println!("building in {}", place::target().display());
    stages.stage("machine", tools::check_machine)?;
    if plan.rest {
        stages.stage("format", || run::cargo(&["fmt", "--all", "--check"]))?;
    }
    if plan.interop {
        stages.stage("install real clients", tools::install_peers)?;
    }
    if plan.rest {
        stages.stage("lints", || {
            run::cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--quiet",
                "--",
                "-D",
                "warnings",
            ])
        })?;
        stages.stage("dependencies", dependencies)?;
    }
    stages.stage("build", || {
        // The server itself too: the interop tests start it as a process.
        run::cargo(&["build", "--package", "rialto", "--locked"])?;
        if plan.rest {
            // Its test installs it.
            tools::cargo_deb()?;
        }
        run::cargo(&["test", "--no-run", "--workspace", "--locked", "--quiet"])
    })?;
    stages.report();
    let mut fault = Ok(());
    let mut failed = 0;
    for round in 1..=plan.repeat {
        if plan.repeat > 1 {
            println!("==> tests, round {round} of {}, {failed} of them failed so far", plan.repeat);
        }
        // On with the next: how often it fails says more than that it does.
        if let Err(why) = tests(plan) {
            (fault, failed) = (Err(why), failed + 1);
        }
    }
    if plan.repeat > 1 {
        println!("==> {failed} of {} rounds failed", plan.repeat);
    }
    fault
}

/// Licences, sources and banned crates. Advisories need a database from outside; a release checks them.
fn dependencies() -> Result<(), String> {
    let mut deny = tools::cargo_deny()?;
    deny.args(["--locked", "--all-features", "check", "bans", "licenses", "sources"]);
    run::must(deny.current_dir(place::root()))
}

/// One run of the test runner.
fn tests(plan: &Plan) -> Result<(), String> {
    let mut args = if tools::has_nextest() { vec!["nextest", "run"] } else { vec!["test"] };
    args.extend(["--locked", "--no-fail-fast"]);
    args.extend(match (plan.rest, plan.interop) {
        (true, true) => &["--workspace"][..],
        (true, false) => &["--workspace", "--exclude", "interop"],
        (false, _) => &["--package", "interop"],
    });
    let mut command = run::cargo_command(&args);
    command.env("RIALTO_BIN", place::target().join("debug/rialto"));
    run::must(&mut command)
}

#[cfg(test)]
mod tests {
    use super::Plan;

    fn plan(args: &[&str]) -> Result<Plan, String> {
        Plan::parse(&args.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn options() {
        assert_eq!(plan(&[]), Ok(Plan { interop: true, rest: true, repeat: 1 }));
        assert_eq!(plan(&["--no-interop"]), Ok(Plan { interop: false, rest: true, repeat: 1 }));
        let twenty = Plan { interop: true, rest: false, repeat: 20 };
        assert_eq!(plan(&["--interop-only", "--repeat", "20"]), Ok(twenty));
        for wrong in [&["--interop-only", "--no-interop"][..], &["--repeat"], &["--repeat", "0"], &["--fast"]]
        {
            assert!(plan(wrong).is_err(), "{wrong:?}");
        }
    }
}

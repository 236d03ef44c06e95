//! `cargo xtask crash`: the crash test, for as many rounds as one has time for.

use crate::{place, run};

/// What to do, and how often.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    rounds: u64,
    power: bool,
    seed: Option<u64>,
}

impl Plan {
    fn parse(args: &[String]) -> Result<Self, String> {
        let mut plan = Self { rounds: 200, power: false, seed: None };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut number = || {
                let count: Option<u64> = args.next().and_then(|n| n.parse().ok());
                count.filter(|n| *n > 0).ok_or(format!("{arg} needs a number"))
            };
            match arg.as_str() {
                "--rounds" => plan.rounds = number()?,
                "--seed" => plan.seed = Some(number()?),
                "--power" => plan.power = true,
                other => return Err(format!("no option `{other}`; see `cargo xtask help`")),
            }
        }
        Ok(plan)
    }
}

/// Runs it in sight; the rounds are told as they end.
pub fn run(args: &[String]) -> Result<(), String> {
    let plan = Plan::parse(args)?;
    run::cargo(&["build", "--package", "rialto", "--locked"])?;
    let story =
        if plan.power { "acknowledged_is_delivered_after_a_power_cut" } else { "acknowledged_is_delivered" };
    let mut command =
        run::cargo_command(&["test", "--package", "interop", "--locked", "--test", "crash", "--", "--exact"]);
    command.args([story, "--nocapture"]);
    command.env("RIALTO_BIN", place::target().join("debug/rialto"));
    command.env("RIALTO_CRASH_ROUNDS", plan.rounds.to_string());
    if let Some(seed) = plan.seed {
        command.env("RIALTO_CRASH_SEED", seed.to_string());
    }
    run::must(&mut command)
}

#[cfg(test)]
mod tests {
    use super::Plan;

    #[test]
    fn options() {
        let plan = |text: &str| Plan::parse(&text.split_whitespace().map(String::from).collect::<Vec<_>>());
        assert_eq!(plan(""), Ok(Plan { rounds: 200, power: false, seed: None }));
        assert_eq!(plan("--rounds 3 --power --seed 9"), Ok(Plan { rounds: 3, power: true, seed: Some(9) }));
        for wrong in ["--rounds", "--rounds 0", "--seed x", "--slow"] {
            assert!(plan(wrong).is_err(), "{wrong}");
        }
    }
}

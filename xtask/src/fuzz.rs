//! `cargo xtask fuzz`: the targets of `fuzz/` in libFuzzer, for as long as one likes.

use std::path::Path;
use std::time::Instant;

use crate::{place, run, tools};

/// What to run.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    targets: Vec<String>,
    seconds: u32,
}

impl Plan {
    /// Read the options: names of targets (none: all), and `--seconds N` for each (60).
    pub fn parse(args: &[String]) -> Result<Self, String> {
        let mut plan = Self { targets: Vec::new(), seconds: 60 };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--seconds" => {
                    let count = args.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
                    plan.seconds = count.ok_or("--seconds needs a number")?;
                }
                name if !name.starts_with('-') => plan.targets.push(name.to_owned()),
                other => return Err(format!("no option `{other}`; see `cargo xtask help`")),
            }
        }
        Ok(plan)
    }
}

/// Run them one after the other; what was found in earlier runs is where the next one begins.
pub fn run(plan: &Plan) -> Result<(), String> {
    tools::check_machine()?;
    if !run::is_there("c++") {
        return Err("libFuzzer is built with a C++ compiler: apt-get install g++".into());
    }
    let all = known(&place::root().join("fuzz/libfuzzer/targets"))?;
    if let Some(wrong) = plan.targets.iter().find(|name| !all.contains(name)) {
        return Err(format!("no target `{wrong}`; there are: {}", all.join(" ")));
    }
    let corpus = place::target().join("fuzz/corpus");
    let seeds = corpus.to_string_lossy().into_owned();
    run::cargo(&["run", "--quiet", "--locked", "--package", "fuzz", "--example", "seeds", "--", &seeds])?;
    let chosen = if plan.targets.is_empty() { all } else { plan.targets.clone() };
    let mut found = Vec::new();
    for name in chosen {
        println!("==> {name}, {} s", plan.seconds);
        let start = Instant::now();
        let mut fuzz = tools::cargo_fuzz()?;
        fuzz.args(["run", "--fuzz-dir", "fuzz/libfuzzer", "--sanitizer", "none", &name]);
        fuzz.arg(corpus.join(&name)).arg("--").arg(format!("-max_total_time={}", plan.seconds));
        fuzz.args([
            "-timeout=10",
            "-rss_limit_mb=2048",
            "-max_len=20000",
            "-print_final_stats=1",
            "-verbosity=0",
        ]);
        fuzz.current_dir(place::root()).env("CARGO_TARGET_DIR", place::target().join("fuzz/build"));
        // The coverage flags are for compiler developers' builds, or for those who say that they know.
        fuzz.env("RUSTC_BOOTSTRAP", "1");
        let log = corpus.with_file_name(format!("{name}.log"));
        let said = std::fs::File::create(&log).map_err(|fault| format!("{}: {fault}", log.display()))?;
        let done = run::must(fuzz.stderr(said));
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        said.lines().filter(|line| line.starts_with("stat::")).for_each(|line| println!("    {line}"));
        let seconds = start.elapsed().as_secs();
        match done {
            Ok(()) => println!("==> {name}: nothing found in {seconds} s"),
            // On to the next: one night should find more than one thing.
            Err(fault) => {
                println!("==> {name}: FOUND something after {seconds} s; see {}", log.display());
                found.push(format!("{fault}\nthe input is in fuzz/libfuzzer/artifacts/{name}"));
            }
        }
    }
    if !found.is_empty() {
        return Err(found.join("\n"));
    }
    Ok(())
}

fn known(folder: &Path) -> Result<Vec<String>, String> {
    let entries = std::fs::read_dir(folder).map_err(|fault| format!("{}: {fault}", folder.display()))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.path().file_stem().map(|stem| stem.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::Plan;

    #[test]
    fn options() {
        let plan = |args: &[&str]| Plan::parse(&args.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(plan(&[]), Ok(Plan { targets: Vec::new(), seconds: 60 }));
        let one = Plan { targets: vec!["cpim".into()], seconds: 5 };
        assert_eq!(plan(&["cpim", "--seconds", "5"]), Ok(one));
        assert!(plan(&["--seconds"]).is_err() && plan(&["--minutes", "1"]).is_err());
    }
}

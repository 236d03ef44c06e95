//! `cargo xtask deb`: the Debian package.

use std::path::PathBuf;

use crate::{place, run, tools};

/// What to build.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    profile: String,
    output: Option<PathBuf>,
}

impl Plan {
    /// Read the options.
    pub fn parse(args: &[String]) -> Result<Self, String> {
        let mut plan = Self { profile: "dist".into(), output: None };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
            match arg.as_str() {
                "--profile" => plan.profile.clone_from(value),
                "--output" => plan.output = Some(value.into()),
                other => return Err(format!("no option `{other}`; see `cargo xtask help`")),
            }
        }
        Ok(plan)
    }
}

/// Build the server and pack it.
pub fn run(plan: &Plan) -> Result<(), String> {
    run::cargo(&["build", "--package", "rialto", "--locked", "--quiet", "--profile", &plan.profile])?;
    let mut deb = tools::cargo_deb()?;
    deb.args(["--no-build", "--package", "rialto", "--locked", "--profile", &plan.profile]);
    if plan.profile == "dev" {
        // For a test: nobody downloads it.
        deb.arg("--fast");
    }
    if let Some(output) = &plan.output {
        deb.arg("--output").arg(output);
    }
    run::must(deb.current_dir(place::root()).env("CARGO_TARGET_DIR", place::target()))
}

#[cfg(test)]
mod tests {
    use super::Plan;

    #[test]
    fn options() {
        let plan = |args: &[&str]| Plan::parse(&args.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(plan(&[]), Ok(Plan { profile: "dist".into(), output: None }));
        let both = Plan { profile: "dev".into(), output: Some("x.deb".into()) };
        assert_eq!(plan(&["--profile", "dev", "--output", "x.deb"]), Ok(both));
        assert!(plan(&["--profile"]).is_err() && plan(&["--fast", "1"]).is_err());
    }
}

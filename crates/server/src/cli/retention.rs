use super::offline::with_server;
use super::{Reach, json};
use crate::failure::Failure;
use clap::Subcommand;
use matters::{Preview, Version};
use std::path::PathBuf;
use std::process::ExitCode;
use web::{Expired, RulesInForce, RulesText};

/// `rialto retention`
#[derive(Debug, clap::Args)]
pub struct Retention {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Shows the rules in force.
    Show {
        /// An earlier version instead.
        #[arg(long)]
        version: Option<u32>,
        #[command(flatten)]
        file: Reach,
    },
    /// Puts the rules of a file in force.
    Set {
        /// The file; - reads them from the standard input.
        rules: PathBuf,
        #[command(flatten)]
        file: Reach,
    },
    /// Lists the versions of the rules.
    Versions {
        #[command(flatten)]
        file: Reach,
    },
    /// Says what a run would destroy now, of whom and by which rule, and what matters would keep.
    Preview {
        /// By the rules of this file instead of those in force.
        #[arg(long)]
        rules: Option<PathBuf>,
        /// For programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: Reach,
    },
    /// Destroys now the content that the rules no longer keep, and takes the server's clock as right; the server does it by
    /// itself every hour, unless its clock has leapt ahead.
    Run {
        #[command(flatten)]
        file: Reach,
    },
}

fn read(path: &PathBuf) -> Result<String, Failure> {
    let text = match path.as_os_str() == "-" {
        true => std::io::read_to_string(std::io::stdin()),
        false => std::fs::read_to_string(path),
    };
    text.map_err(|error| Failure::new(format!("{}: {error}", path.display())))
}

impl Retention {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self.act {
            Act::Show { version, file } => {
                let which = version.map(|n| format!("?version={n}")).unwrap_or_default();
                let path = format!("/v1/retention{which}");
                let rules: RulesInForce = with_server(&file, |c| async move { c.get(&path).await })?;
                match rules.version {
                    None => println!("# no rules were ever set"),
                    Some(version) => {
                        line(&version);
                        print!("{}", version.text);
                    }
                }
                println!("# for what no rule fits, [record] retention: {}", rules.general);
            }
            Act::Set { rules, file } => {
                let text = RulesText { text: Some(read(&rules)?) };
                let set: Version =
                    with_server(&file, |c| async move { c.put("/v1/retention", &text).await })?;
                println!(
                    "version {} is in force; `rialto retention preview` says what it would destroy",
                    set.number
                );
            }
            Act::Versions { file } => {
                let all: Vec<Version> =
                    with_server(&file, |c| async move { c.get("/v1/retention/versions").await })?;
                all.iter().for_each(line);
            }
            Act::Preview { rules, json: for_programs, file } => {
                let text = RulesText { text: rules.as_ref().map(read).transpose()? };
                let preview: Preview =
                    with_server(&file, |c| async move { c.post("/v1/retention/preview", &text).await })?;
                match for_programs {
                    true => print!("{}", json(&preview)?),
                    false => show(&preview),
                }
            }
            Act::Run { file } => {
                let done: Expired =
                    with_server(&file, |c| async move { c.post("/v1/retention", &()).await })?;
                print(&done);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn line(version: &Version) {
    println!("# version {} by {}, {}", version.number, version.by, model::Timestamp(version.at));
}

fn show(preview: &Preview) {
    for rule in &preview.rules {
        println!(
            "{}: keeps {}; would go: {} row(s), {} bytes, of {} people",
            rule.rule, rule.keep, rule.rows, rule.bytes, rule.people
        );
        for person in &rule.most {
            println!("    {:<40} {} row(s), {} bytes", person.who, person.rows, person.bytes);
        }
        for (matter, rows) in &rule.kept {
            println!("    kept by the matter {matter}: {rows} row(s)");
        }
        if rule.waiting > 0 {
            println!("    kept while they wait for somebody: {} row(s)", rule.waiting);
        }
    }
    println!("{} row(s) with content were looked at; nothing was destroyed", preview.looked_at);
}

/// What a run came to.
pub(super) fn print(done: &Expired) {
    println!("content of {} row(s) destroyed", done.destroyed);
    for (rule, rows) in &done.rules {
        println!("    {rule}: {rows} row(s)");
    }
    for (matter, rows) in &done.kept {
        println!("kept by the matter {matter}: {rows} row(s)");
    }
    if done.waiting > 0 {
        println!("{} older row(s) still wait for somebody and keep theirs", done.waiting);
    }
}

use super::offline::with_server;
use super::{Reach, json};
use crate::client::Control;
use crate::failure::Failure;
use clap::Subcommand;
use rulebook::{Difference, Replayed, Report, Version};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use web::{
    Back, Differences, Explained, PolicyChecked, PolicyText, Question, Replaying, RuleShown, VersionList,
};

/// Rows of the record that are replayed at a time.
const STRETCH: usize = 20_000;
/// Differences that are shown.
const SHOWN: usize = 50;

/// `rialto policy`
#[derive(Debug, clap::Args)]
pub struct Policy {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Shows the policy in force, or an earlier version.
    Show {
        /// Its number.
        #[arg(long)]
        version: Option<u32>,
        #[command(flatten)]
        file: Reach,
    },
    /// Looks a policy over: mistakes with their places, what it costs, whom it names.
    Check {
        /// The policy; `-` reads it from the input.
        policy: PathBuf,
        #[command(flatten)]
        file: Reach,
    },
    /// Puts a policy in force, at once and for everybody.
    Set {
        /// The policy; `-` reads it from the input. An empty one puts none in force.
        policy: PathBuf,
        /// Why, for those who come later.
        #[arg(long, default_value = "")]
        note: String,
        /// The version it was made from; refused if another is in force meanwhile.
        #[arg(long)]
        after: Option<u32>,
        #[command(flatten)]
        file: Reach,
    },
    /// Lists all versions.
    History {
        #[command(flatten)]
        file: Reach,
    },
    /// Shows what is different between two versions.
    Diff {
        /// The older.
        from: u32,
        /// The newer; without it, the one in force.
        to: Option<u32>,
        #[command(flatten)]
        file: Reach,
    },
    /// Puts the text of an earlier version in force again, as a new version.
    Rollback {
        /// Its number; without it, the one before the last.
        to: Option<u32>,
        #[command(flatten)]
        file: Reach,
    },
    /// Says what the policy decides, which rule decided, and which nearly did.
    Explain {
        /// Sender: user@domain or user@domain/device.
        #[arg(long)]
        from: String,
        /// Addressee.
        #[arg(long)]
        to: String,
        /// What is written; without it, presence is asked about.
        #[arg(long)]
        text: Option<String>,
        /// xmpp or sip.
        #[arg(long)]
        protocol: Option<String>,
        /// How the server of a sender from elsewhere was proved: certificate or dialback.
        #[arg(long)]
        verified: Option<String>,
        /// When, such as 2026-11-21T14:30:00Z; without it, now.
        #[arg(long)]
        at: Option<jiff::Timestamp>,
        /// Another policy than the one in force.
        #[arg(long)]
        policy: Option<PathBuf>,
        /// For programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: Reach,
    },
    /// Runs a candidate beside the policy in force, and counts what it would decide otherwise. Without a file: shows that.
    DryRun {
        /// The candidate.
        policy: Option<PathBuf>,
        /// Ends it.
        #[arg(long, conflicts_with = "policy")]
        end: bool,
        /// For programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: Reach,
    },
    /// Runs a policy over the record: what it would have decided of what has been.
    Replay {
        /// The policy; without one, that in force.
        policy: Option<PathBuf>,
        /// From then on, such as 2026-11-01T00:00:00Z.
        #[arg(long)]
        since: Option<jiff::Timestamp>,
        /// Before then.
        #[arg(long)]
        until: Option<jiff::Timestamp>,
        /// For programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: Reach,
    },
}

fn text_of(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = match path.to_str() {
        Some("-") => std::io::stdin().read_to_string(&mut text).map(drop),
        _ => std::fs::read_to_string(path).map(|all| text = all),
    };
    read.map_err(|e| Failure::new(format!("{}: {e}", path.display())))?;
    Ok(text)
}

fn unix_ms(at: jiff::Timestamp) -> u64 {
    u64::try_from(at.as_millisecond()).unwrap_or_default()
}

impl Policy {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self.act {
            Act::Show { version, file } => {
                let path =
                    version.map_or_else(|| "/v1/policy".to_owned(), |n| format!("/v1/policy?version={n}"));
                let version: Version = with_server(&file, |c| async move { c.get(&path).await })?;
                print!("{}", version.text);
            }
            Act::Check { policy, file } => return check(&policy, &file),
            Act::Set { policy, note, after, file } => {
                let body = PolicyText { text: text_of(&policy)?, note, after };
                let (checked, version): (PolicyChecked, Version) = with_server(&file, |c| async move {
                    let checked = c.post("/v1/policy/check", &body).await.map_err(|e| placed(&policy, e))?;
                    Ok((checked, c.put("/v1/policy", &body).await?))
                })?;
                warn(&checked);
                println!("version {} is in force, with {} rules", version.number, checked.rules);
            }
            Act::History { file } => {
                let list: VersionList =
                    with_server(&file, |c| async move { c.get("/v1/policy/versions").await })?;
                for v in list.versions {
                    let at = jiff::Timestamp::from_millisecond(v.at as i64).unwrap_or_default();
                    println!("{:>4}  {at:.0}  {:<12} {}", v.number, v.by, v.note);
                }
            }
            Act::Diff { from, to, file } => {
                let to = to.map(|to| format!("&to={to}")).unwrap_or_default();
                let path = format!("/v1/policy/diff?from={from}{to}");
                let found: Differences = with_server(&file, |c| async move { c.get(&path).await })?;
                print!("{}", found.diff);
            }
            Act::Rollback { to, file } => {
                let back = Back { to };
                let version: Version =
                    with_server(&file, |c| async move { c.post("/v1/policy/rollback", &back).await })?;
                println!("version {} is in force: {}", version.number, version.note);
            }
            Act::Explain { from, to, text, protocol, verified, at, policy, json: for_programs, file } => {
                let policy = policy.as_deref().map(text_of).transpose()?;
                let question = Question { from, to, text, protocol, verified, at: at.map(unix_ms), policy };
                let explained: Explained =
                    with_server(&file, |c| async move { c.post("/v1/policy/explain", &question).await })?;
                match for_programs {
                    true => print!("{}", json(&explained)?),
                    false => explain(&explained),
                }
            }
            Act::DryRun { policy, end, json: for_programs, file } => {
                let text = policy.as_deref().map(text_of).transpose()?;
                return dry_run(text, policy, end, for_programs, &file);
            }
            Act::Replay { policy, since, until, json: for_programs, file } => {
                let text = policy.as_deref().map(text_of).transpose()?;
                let (since, until) = (since.map(unix_ms), until.map(unix_ms));
                let found = with_server(&file, |c| replay(c, text, since, until))?;
                match for_programs {
                    true => print!("{}", json(&found)?),
                    false => {
                        report(&found.report);
                        if found.unreadable > 0 {
                            println!(
                                "{} rows have no content any more and were not asked about",
                                found.unreadable
                            );
                        }
                    }
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A mistake with the file's name before its place.
fn placed(policy: &Path, failure: Failure) -> Failure {
    if failure.is_waiting() {
        return failure;
    }
    let text = failure.to_string();
    let lines = text.lines().map(|line| match line.starts_with(|c: char| c.is_ascii_digit()) {
        true => format!("{}:{line}", policy.display()),
        false => line.to_owned(),
    });
    Failure::new(lines.collect::<Vec<_>>().join("\n"))
}

fn warn(checked: &PolicyChecked) {
    for stranger in &checked.strangers {
        eprintln!("warning: there is no {stranger}; the word means nobody");
    }
}

fn check(policy: &Path, file: &Reach) -> Result<ExitCode, Failure> {
    let body = PolicyText { text: text_of(policy)?, note: String::new(), after: None };
    let checked: PolicyChecked =
        with_server(file, |c| async move { c.post("/v1/policy/check", &body).await })
            .map_err(|e| placed(policy, e))?;
    warn(&checked);
    let cost = checked.nanos as f64 / 1000.0;
    println!("{} rules; looking into a message of 300 bytes costs {cost:.1} microseconds", checked.rules);
    Ok(ExitCode::SUCCESS)
}

fn explain(explained: &Explained) {
    let named = |said: &RuleShown| match &said.text {
        Some(text) => format!("{} ({text:?})", said.rule),
        None => said.rule.clone(),
    };
    let by = explained.by.as_ref().map_or_else(|| "the policy's default".to_owned(), named);
    println!("{}: {by}", explained.verdict);
    println!("  the sender is verified by: {}", explained.verified);
    explained.warned.iter().for_each(|said| println!("  warns the sender: {}", named(said)));
    explained.changed.iter().for_each(|said| println!("  changes the message: {}", said.rule));
    if let Some(text) = &explained.text {
        println!("  passes as: {text}");
    }
    for near in &explained.near {
        println!(
            "  nearly: {} (line {}) would {}, but for `{}`",
            near.rule, near.line, near.then, near.missing
        );
    }
}

fn dry_run(
    text: Option<String>,
    policy: Option<PathBuf>,
    end: bool,
    for_programs: bool,
    file: &Reach,
) -> Result<ExitCode, Failure> {
    if let (Some(text), Some(policy)) = (text, policy) {
        let body = PolicyText { text, note: policy.display().to_string(), after: None };
        let checked: PolicyChecked =
            with_server(file, |c| async move { c.put("/v1/policy/trial", &body).await })
                .map_err(|e| placed(&policy, e))?;
        warn(&checked);
        println!(
            "on trial, with {} rules; `rialto policy dry-run` shows what it would do otherwise",
            checked.rules
        );
        return Ok(ExitCode::SUCCESS);
    }
    let found: Report = with_server(file, |c| async move {
        match end {
            true => c.delete("/v1/policy/trial").await,
            false => c.get("/v1/policy/trial").await,
        }
    })?;
    match for_programs {
        true => print!("{}", json(&found)?),
        false => report(&found),
    }
    Ok(ExitCode::SUCCESS)
}

fn report(found: &Report) {
    let differ: u64 = found.counts.iter().map(|c| c.times).sum();
    println!("{} looked at, {differ} decided otherwise", found.compared);
    for c in &found.counts {
        println!("  {:>8}  {} -> {}", c.times, c.was, c.would);
    }
    found.examples.iter().rev().take(SHOWN).for_each(example);
}

fn example(d: &Difference) {
    let at = jiff::Timestamp::from_millisecond(d.at as i64).unwrap_or_default();
    println!("  {at:.0} {} {} > {}: {} -> {} ({})", d.kind, d.from, d.to, d.was, d.would, d.id);
}

/// The record in stretches, with a word on how far it is.
async fn replay(
    control: Control,
    text: Option<String>,
    since: Option<u64>,
    until: Option<u64>,
) -> Result<Replayed, Failure> {
    let text = match text {
        Some(text) => text,
        None => control.get::<Version>("/v1/policy").await?.text,
    };
    let mut all = Replayed::default();
    let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut first = 0;
    loop {
        let stretch = Replaying { text: text.clone(), first, limit: STRETCH, since, until };
        let found: Replayed = control.post("/v1/policy/replay", &stretch).await?;
        all.unreadable += found.unreadable;
        all.report.compared += found.report.compared;
        for c in found.report.counts {
            *counts.entry((c.was, c.would)).or_default() += c.times;
        }
        all.report.examples.extend(found.report.examples);
        let surplus = all.report.examples.len().saturating_sub(SHOWN);
        all.report.examples.drain(..surplus);
        let Some(next) = found.next else { break };
        first = next;
        if std::io::stderr().is_terminal() {
            eprint!("\rrow {next}, {} looked at", all.report.compared);
            let _ = std::io::stderr().flush();
        }
    }
    if first > 0 && std::io::stderr().is_terminal() {
        eprintln!();
    }
    let counted = |((was, would), times)| rulebook::Counted { was, would, times };
    all.report.counts = counts.into_iter().map(counted).collect();
    Ok(all)
}

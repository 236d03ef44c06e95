use super::offline::with_server;
use super::{Reach, json, proof};
use crate::failure::Failure;
use clap::Subcommand;
use std::path::PathBuf;
use std::process::ExitCode;
use web::{Expired, JournalRow, JournalRows, LossView, RefusalView, RowContent};

/// `rialto journal`
#[derive(Debug, clap::Args)]
pub struct Journal {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Shows the last rows, without content.
    Tail {
        /// How many.
        #[arg(short, default_value_t = 20)]
        n: u64,
        /// Only acts of administration: who did what, and how it ended.
        #[arg(long)]
        admin: bool,
        #[command(flatten)]
        file: Reach,
    },
    /// Shows one row with its content. That you read it is on record.
    Show {
        /// Its number.
        row: u64,
        /// For programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: Reach,
    },
    /// Destroys now the content that the rules of retention no longer keep, as `rialto retention run`; the server does it by itself every hour.
    Expire {
        #[command(flatten)]
        file: Reach,
    },
    /// Proves that every row is as it was written. Status 0 only if so.
    Verify {
        /// Checkpoints that were kept elsewhere, a file of lines: what was cut off or written anew since is found.
        #[arg(long, value_name = "FILE")]
        anchors: Option<PathBuf>,
        /// The public key that must have signed; as often as there were others.
        #[arg(long = "key", value_name = "HEX")]
        keys: Vec<String>,
        #[command(flatten)]
        file: Reach,
    },
    /// Closes what is new with a signed checkpoint now; the server does it by itself as `[record] checkpoint_minutes` says.
    Checkpoint {
        #[command(flatten)]
        file: Reach,
    },
    /// Shows signed checkpoints.
    Checkpoints {
        /// Only the last so many.
        #[arg(short, default_value_t = 20)]
        n: usize,
        /// All of them, one line of JSON each: to be kept elsewhere.
        #[arg(long)]
        lines: bool,
        #[command(flatten)]
        file: Reach,
    },
    /// Shows the public key that checkpoints are signed with: to be kept elsewhere.
    Key {
        #[command(flatten)]
        file: Reach,
    },
}

impl Journal {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self.act {
            Act::Tail { n, admin, file } => with_server(&file, |c| async move {
                let page: JournalRows = c.get(&format!("/v1/journal?last={n}&admin={admin}")).await?;
                for row in &page.rows {
                    print(row);
                }
                Ok(ExitCode::SUCCESS)
            }),
            Act::Show { row, json: for_programs, file } => {
                let path = format!("/v1/journal/{row}");
                let found: RowContent = with_server(&file, |c| async move { c.get(&path).await })?;
                match for_programs {
                    true => print!("{}", json(&found)?),
                    false => println!("{}", found.text),
                }
                Ok(ExitCode::SUCCESS)
            }
            Act::Expire { file } => with_server(&file, |c| async move {
                let done: Expired = c.post("/v1/retention", &()).await?;
                super::retention::print(&done);
                Ok(ExitCode::SUCCESS)
            }),
            Act::Verify { anchors, keys, file } => proof::verify(&file, anchors.as_deref(), keys),
            Act::Checkpoint { file } => proof::checkpoint(&file),
            Act::Checkpoints { n, lines, file } => proof::checkpoints(&file, n, lines),
            Act::Key { file } => proof::key(&file),
        }
    }
}

fn verdict(row: &JournalRow) -> String {
    let mut verdict = match (&row.refused, &row.held) {
        (Some(refusal), _) => refused(refusal),
        (None, Some(rule)) => format!("held by {rule}"),
        (None, None) => match &row.imported {
            Some(system) => format!("imported from {system}"),
            None => "passed".to_owned(),
        },
    };
    if row.silent {
        verdict += ", its sender not told";
    }
    if let Some(before) = row.released {
        verdict += &format!(", released from {before}");
    }
    if !row.rules.is_empty() {
        verdict += &format!(", by way of {}", row.rules.join(", "));
    }
    verdict
}

/// A row for people, in one line or a few.
pub(super) fn print(row: &JournalRow) {
    let text = |o: &Option<String>| o.clone().unwrap_or_default();
    match row.kind.as_str() {
        "envelope" => {
            let verdict = verdict(row);
            println!(
                "{:>8}  {}  {:<10} {:<5} {} -> {}  {verdict}",
                row.seq,
                row.at,
                text(&row.event),
                text(&row.dialect),
                text(&row.from),
                text(&row.to),
            );
        }
        "outcomes" => {
            println!("{:>8}  {}  outcomes of {} row(s)", row.seq, row.at, row.settled.len());
            for entry in &row.settled {
                let why = entry.refused.as_ref().map(|r| format!(" {}", refused(r))).unwrap_or_default();
                println!("{:>18}: {}{why}", entry.seq, entry.outcome);
                for loss in &entry.losses {
                    println!("{:>20}{}", "", lost(loss));
                }
            }
        }
        other => println!("{:>8}  {}  {other:<10} {}", row.seq, row.at, text(&row.act)),
    }
}

/// What a translation lost, in words.
pub(super) fn lost(loss: &LossView) -> String {
    let became = if loss.became.is_empty() { String::new() } else { format!(" to {}", loss.became) };
    format!("{} {}{became} ({} to {})", loss.kind, loss.what, loss.from, loss.to)
}

/// A refusal in words.
pub(super) fn refused(r: &RefusalView) -> String {
    let by = r.rule.as_ref().map(|r| format!(" by {r}")).unwrap_or_default();
    let text = r.text.as_ref().map(|t| format!(": {t}")).unwrap_or_default();
    format!("refused{by} ({}{text})", r.reason)
}

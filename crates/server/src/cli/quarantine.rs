use super::offline::with_server;
use super::{ConfigFile, json};
use crate::failure::Failure;
use clap::Subcommand;
use std::process::ExitCode;
use web::{Discard, HeldList, HeldView};

/// `rialto quarantine`
#[derive(Debug, clap::Args)]
pub struct Quarantine {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Lists what waits for a decision, oldest first.
    List {
        /// After this row.
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// For programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Shows one message as text. That you looked is on record.
    Show {
        /// Its row.
        row: u64,
        /// For programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Lets messages pass as they were sent.
    Release {
        /// Their rows.
        #[arg(required = true)]
        rows: Vec<u64>,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Ends messages: they are not delivered, and stay on record.
    Delete {
        /// Their rows.
        #[arg(required = true)]
        rows: Vec<u64>,
        /// Their senders hear it.
        #[arg(long)]
        tell: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
}

impl Quarantine {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self.act {
            Act::List { after, limit, json: for_programs, file } => {
                let path = format!("/v1/quarantine?after={after}&limit={limit}");
                let list: HeldList = with_server(&file, |c| async move { c.get(&path).await })?;
                match for_programs {
                    true => print!("{}", json(&list)?),
                    false if list.held.is_empty() => println!("nothing waits"),
                    false => list.held.iter().for_each(line),
                }
            }
            Act::Show { row, json: for_programs, file } => {
                let path = format!("/v1/quarantine/{row}");
                let held: HeldView = with_server(&file, |c| async move { c.get(&path).await })?;
                match for_programs {
                    true => print!("{}", json(&held)?),
                    false => {
                        line(&held);
                        println!("{}", held.preview.as_deref().unwrap_or("(its content was destroyed)"));
                        held.parts.iter().for_each(|part| println!("[{}, {} bytes]", part.mime, part.bytes));
                    }
                }
            }
            Act::Release { rows, file } => {
                with_server(&file, |c| async move {
                    for row in rows {
                        c.post::<_, ()>(&format!("/v1/quarantine/{row}/release"), &()).await?;
                        println!("released {row}");
                    }
                    Ok(())
                })?;
            }
            Act::Delete { rows, tell, file } => {
                with_server(&file, |c| async move {
                    for row in rows {
                        c.post::<_, ()>(&format!("/v1/quarantine/{row}/delete"), &Discard { tell }).await?;
                        println!("deleted {row}");
                    }
                    Ok(())
                })?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn line(held: &HeldView) {
    let at = jiff::Timestamp::from_millisecond(held.at as i64).unwrap_or_default();
    println!("{:>8}  {at:.0}  {} > {}  {}", held.seq, held.from, held.to, held.rule);
}

use super::offline::with_server;
use super::{Reach, json};
use crate::failure::Failure;
use clap::Subcommand;
use std::process::ExitCode;
use web::{Discard, Ended, HeldList, HeldView, Late};

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
        file: Reach,
    },
    /// Shows one message as text. That you looked is on record.
    Show {
        /// Its row.
        row: u64,
        /// For programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: Reach,
    },
    /// Lets messages pass as they were sent.
    Release {
        /// Their rows.
        #[arg(required = true)]
        rows: Vec<u64>,
        #[command(flatten)]
        file: Reach,
    },
    /// Ends what nobody decided about in time; the senders hear it. The server does it every hour by `[quarantine] days`.
    Expire {
        /// Held longer ago than so many days, instead of what the configuration says.
        #[arg(long)]
        days: Option<u32>,
        #[command(flatten)]
        file: Reach,
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
        file: Reach,
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
                    let mut waiting = Waiting::default();
                    for row in rows {
                        let done = c.post::<_, ()>(&format!("/v1/quarantine/{row}/release"), &()).await;
                        waiting.or_say(done, || println!("released {row}"))?;
                    }
                    waiting.end()
                })?;
            }
            Act::Expire { days, file } => {
                let done: Ended =
                    with_server(
                        &file,
                        |c| async move { c.post("/v1/quarantine/expire", &Late { days }).await },
                    )?;
                println!("{} message(s) ended", done.messages);
            }
            Act::Delete { rows, tell, file } => {
                with_server(&file, |c| async move {
                    let mut waiting = Waiting::default();
                    for row in rows {
                        let path = format!("/v1/quarantine/{row}/delete");
                        let done = c.post::<_, ()>(&path, &Discard { tell }).await;
                        waiting.or_say(done, || println!("deleted {row}"))?;
                    }
                    waiting.end()
                })?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What waits for a second administrator, of several acts that are asked for at once.
#[derive(Default)]
struct Waiting(Vec<String>);

impl Waiting {
    /// Says that it is done, or keeps that it waits.
    fn or_say(&mut self, done: Result<(), Failure>, say: impl FnOnce()) -> Result<(), Failure> {
        match done {
            Err(failure) if failure.is_waiting() => self.0.push(failure.to_string()),
            Err(failure) => return Err(failure),
            Ok(()) => say(),
        }
        Ok(())
    }

    fn end(self) -> Result<(), Failure> {
        if self.0.is_empty() { Ok(()) } else { Err(Failure::waiting(self.0.join("\n"))) }
    }
}

fn line(held: &HeldView) {
    let at = jiff::Timestamp::from_millisecond(held.at as i64).unwrap_or_default();
    println!("{:>8}  {at:.0}  {} > {}  {}", held.seq, held.from, held.to, held.rule);
}

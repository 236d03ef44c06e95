use super::offline::with_server;
use super::{Reach, json};
use crate::failure::Failure;
use clap::{Subcommand, ValueEnum};
use std::process::ExitCode;
use web::{Decided, Decision, OrderView, OutbreakStatus, Stop};

/// `rialto outbreak`
#[derive(Debug, clap::Args)]
pub struct Outbreak {
    #[command(subcommand)]
    act: Act,
}

/// What can be stopped.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    /// A link, in every spelling: it is held wherever it turns up.
    Link,
    /// A file, by the SHA-256 of its content.
    File,
    /// What an account sends, or somebody elsewhere.
    User,
    /// Everything to and from a partner, with all its domains; or one domain.
    Partner,
    /// Everybody's messages.
    Network,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Lists what is contained and how much it has stopped.
    Status {
        /// For programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: Reach,
    },
    /// Stops a link, a file, an account, a partner or everything, at once.
    Stop {
        /// What.
        what: What,
        /// Which: the link, the SHA-256, user@domain, the partner's name, or a domain.
        #[arg(required_if_eq_any([("what", "link"), ("what", "file"), ("what", "user"), ("what", "partner")]))]
        which: Option<String>,
        /// For so many minutes; without it, until you release it.
        #[arg(long)]
        minutes: Option<u32>,
        /// Why, for those who come later.
        #[arg(long, default_value = "")]
        note: String,
        #[command(flatten)]
        file: Reach,
    },
    /// Ends a containment, and lets pass what it held.
    Release {
        /// Its name, as `status` shows it.
        name: String,
        /// What it held stays in the quarantine.
        #[arg(long)]
        keep: bool,
        #[command(flatten)]
        file: Reach,
    },
    /// Deletes all that a containment held; it stays in force, and the messages stay on record.
    Delete {
        /// Its name, as `status` shows it.
        name: String,
        /// Their senders hear it.
        #[arg(long)]
        tell: bool,
        #[command(flatten)]
        file: Reach,
    },
}

impl Outbreak {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self.act {
            Act::Status { json: for_programs, file } => {
                let status: OutbreakStatus =
                    with_server(&file, |c| async move { c.get("/v1/outbreak").await })?;
                match for_programs {
                    true => print!("{}", json(&status)?),
                    false => {
                        if status.contained.is_empty() {
                            println!("nothing is contained");
                        }
                        status.contained.iter().for_each(line);
                        println!(
                            "since the start: {} outbreaks found, {} messages held, {} refused, {} accounts muted, {} partners isolated",
                            status.found, status.held, status.refused, status.muted, status.isolated
                        );
                    }
                }
            }
            Act::Stop { what, which, minutes, note, file } => {
                let kind = what.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default();
                let stop = Stop { kind, what: which.unwrap_or_default(), minutes, note };
                let order: OrderView =
                    with_server(&file, |c| async move { c.post("/v1/outbreak/stop", &stop).await })?;
                println!("stopped: {}; `rialto outbreak release {}` ends it", order.name, order.name);
            }
            Act::Release { name, keep, file } => {
                let decision = Decision { name: name.clone(), keep, tell: false };
                let done: Decided =
                    with_server(&file, |c| async move { c.post("/v1/outbreak/release", &decision).await })?;
                println!("{name} is released, and {} messages that waited", done.messages);
                if done.failed > 0 {
                    println!("{} could not be passed on and stay in the quarantine", done.failed);
                }
            }
            Act::Delete { name, tell, file } => {
                let decision = Decision { name, keep: false, tell };
                let done: Decided =
                    with_server(&file, |c| async move { c.post("/v1/outbreak/delete", &decision).await })?;
                println!("deleted {} messages", done.messages);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn line(order: &OrderView) {
    let time = |ms: u64| jiff::Timestamp::from_millisecond(ms.cast_signed()).unwrap_or_default();
    let host = order.host.as_deref().map(|host| format!(" ({host})")).unwrap_or_default();
    let until = order.until.map_or("released".to_owned(), |until| format!("{:.0}", time(until)));
    let verb = if order.kind == "cleared" { "passes" } else { "stopped" };
    println!(
        "{}{host}  {verb} since {:.0} until {until} by {}; {} stopped, {} wait{}{}",
        order.name,
        time(order.since),
        order.by,
        order.stopped,
        order.waiting,
        if order.note.is_empty() { "" } else { "; " },
        order.note
    );
}

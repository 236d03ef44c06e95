use super::offline::with_server;
use super::{Reach, escape, json};
use crate::failure::Failure;
use clap::Subcommand;
use std::process::ExitCode;
use web::{BlockOrder, BlockView, PartyView, SpimStatus};

/// `rialto spim`
#[derive(Debug, clap::Args)]
pub struct Spim {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Lists who stands out, who is blocked, and what was stopped.
    Status {
        /// For programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: Reach,
    },
    /// Shows what is known of an address or a domain.
    Show {
        /// Which.
        who: String,
        /// For programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: Reach,
    },
    /// Ends a block, and forgets what is held against an address or a domain.
    Forgive {
        /// Which.
        who: String,
        #[command(flatten)]
        file: Reach,
    },
    /// Refuses whatever an address or a domain sends, from now on.
    Block {
        /// Which.
        who: String,
        /// For so many minutes; without it, until you forgive it.
        #[arg(long)]
        minutes: Option<u32>,
        /// Why, for those who come later.
        #[arg(long, default_value = "")]
        note: String,
        #[command(flatten)]
        file: Reach,
    },
}

impl Spim {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self.act {
            Act::Status { json: for_programs, file } => {
                let status: SpimStatus = with_server(&file, |c| async move { c.get("/v1/spim").await })?;
                match for_programs {
                    true => print!("{}", json(&status)?),
                    false => print_status(&status),
                }
            }
            Act::Show { who, json: for_programs, file } => {
                let path = format!("/v1/spim/{}", escape(&who));
                let party: PartyView = with_server(&file, |c| async move { c.get(&path).await })?;
                match for_programs {
                    true => print!("{}", json(&party)?),
                    false => print_party(&party),
                }
            }
            Act::Forgive { who, file } => {
                let path = format!("/v1/spim/{}/forgive", escape(&who));
                let party: PartyView = with_server(&file, |c| async move { c.post(&path, &()).await })?;
                println!("forgiven: {}", party.who);
            }
            Act::Block { who, minutes, note, file } => {
                let path = format!("/v1/spim/{}/block", escape(&who));
                let order = BlockOrder { minutes, note };
                let block: BlockView = with_server(&file, |c| async move { c.post(&path, &order).await })?;
                println!("blocked: {}; `rialto spim forgive {}` ends it", block.who, block.who);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print_status(status: &SpimStatus) {
    for party in &status.worst {
        println!("{}  {}", party.who, standing(party));
    }
    for block in &status.blocked {
        println!("{}  {}", block.who, blocked(block));
    }
    for list in &status.lists {
        let trouble =
            list.trouble.as_deref().map(|why| format!("; CANNOT BE READ: {why}")).unwrap_or_default();
        println!("list {}: {} entries, {} lines skipped{trouble}", list.name, list.entries, list.skipped);
    }
    let stopped: Vec<String> =
        status.stopped.iter().filter(|(_, n)| **n > 0).map(|(cause, n)| format!("{n} by {cause}")).collect();
    let stopped = if stopped.is_empty() { "nothing stopped".to_owned() } else { stopped.join(", ") };
    println!(
        "since the start: {} first contacts, {stopped}; {} reports; {} pairs know one another, {} wait",
        status.first_contacts, status.reports, status.known, status.waiting
    );
}

fn print_party(party: &PartyView) {
    println!("{}  {}", party.who, standing(party));
    if let Some(block) = &party.blocked {
        println!("{}", blocked(block));
    }
    if let Some(list) = &party.list {
        println!("on the list {list}");
    }
}

fn standing(party: &PartyView) -> String {
    format!(
        "reputation {:+.1}: {} reports, {} refused, {} held, {} consents",
        party.score, party.reports, party.refused, party.held, party.consents
    )
}

fn blocked(block: &BlockView) -> String {
    let time = |ms: u64| jiff::Timestamp::from_millisecond(ms.cast_signed()).unwrap_or_default();
    let until = block.until.map_or("forgiven".to_owned(), |until| format!("{:.0}", time(until)));
    let note = if block.note.is_empty() { String::new() } else { format!("; {}", block.note) };
    format!("blocked since {:.0} until {until} by {}{note}", time(block.since), block.by)
}

use super::offline::with_server;
use super::when::Stretch;
use super::{Reach, escape, json};
use crate::failure::Failure;
use clap::Subcommand;
use matters::{Hold, Matter as View, Wanted};
use std::process::ExitCode;
use web::{MatterList, NewMatter, Release};

/// `rialto matter`
#[derive(Debug, clap::Args)]
pub struct Matter {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Opens a matter. It keeps nothing before a hold is put.
    Open {
        /// Its name: small letters, digits, - _ .
        name: String,
        /// What it is about.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        file: Reach,
    },
    /// Puts a hold: nothing that it fits is destroyed from now on. All that is said must fit; a matter may have many holds.
    Hold {
        /// The matter.
        name: String,
        /// Sender or addressee is one of these: addresses or domains.
        #[arg(long, num_args = 1.., value_delimiter = ',', value_name = "WHO")]
        people: Vec<String>,
        /// What passed between just these two.
        #[arg(long, num_args = 2, value_name = "WHO")]
        conversation: Vec<String>,
        /// What passed between us and a partner, by name.
        #[arg(long)]
        partner: Option<String>,
        /// Of everybody.
        #[arg(long)]
        everybody: bool,
        #[command(flatten)]
        stretch: Stretch,
        #[command(flatten)]
        file: Reach,
    },
    /// Ends a hold, or all holds of a matter: what no other hold keeps may be destroyed then.
    Release {
        /// The matter.
        name: String,
        /// The number of the hold; all of them without.
        #[arg(long)]
        hold: Option<u32>,
        #[command(flatten)]
        file: Reach,
    },
    /// Closes a matter that has no hold in force; it stays readable.
    Close {
        /// The matter.
        name: String,
        #[command(flatten)]
        file: Reach,
    },
    /// Lists matters.
    List {
        /// For programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: Reach,
    },
    /// Shows a matter with its holds.
    Show {
        /// The matter.
        name: String,
        /// For programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: Reach,
    },
}

impl Matter {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let path = |name: &str| format!("/v1/matters/{}", escape(name));
        match self.act {
            Act::Open { name, reason, file } => {
                let new = NewMatter { name, reason };
                let matter: View = with_server(&file, |c| async move { c.post("/v1/matters", &new).await })?;
                println!("opened {}; `rialto matter hold {}` puts a hold", matter.name, matter.name);
            }
            Act::Hold { name, people, conversation, partner, everybody, stretch, file } => {
                let (since, until) = (stretch.since, stretch.until);
                let wanted = Wanted { people, conversation, partner, since, until, everybody };
                let path = format!("{}/holds", path(&name));
                let hold: Hold = with_server(&file, |c| async move { c.post(&path, &wanted).await })?;
                println!("{name}, hold {}: {}", hold.number, hold.in_words());
            }
            Act::Release { name, hold, file } => {
                let (path, release) = (format!("{}/release", path(&name)), Release { hold });
                let ended: Vec<Hold> = with_server(&file, |c| async move { c.post(&path, &release).await })?;
                for hold in ended {
                    println!("released {name}, hold {}: {}", hold.number, hold.in_words());
                }
            }
            Act::Close { name, file } => {
                let path = format!("{}/close", path(&name));
                let matter: View = with_server(&file, |c| async move { c.post(&path, &()).await })?;
                println!("closed {}", matter.name);
            }
            Act::List { json: for_programs, file } => {
                let list: MatterList = with_server(&file, |c| async move { c.get("/v1/matters").await })?;
                match for_programs {
                    true => print!("{}", json(&list)?),
                    false if list.matters.is_empty() => println!("there are no matters"),
                    false => list.matters.iter().for_each(line),
                }
            }
            Act::Show { name, json: for_programs, file } => {
                let path = path(&name);
                let matter: View = with_server(&file, |c| async move { c.get(&path).await })?;
                match for_programs {
                    true => print!("{}", json(&matter)?),
                    false => {
                        line(&matter);
                        matter.holds.iter().for_each(hold_line);
                    }
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn line(matter: &View) {
    let force = matter.holds.iter().filter(|hold| hold.released.is_none()).count();
    let state = match &matter.closed {
        Some(closed) => format!("closed {} by {}", model::Timestamp(closed.at), closed.by),
        None => format!("{force} hold(s) in force"),
    };
    println!(
        "{:<20} {state}; opened {} by {}: {}",
        matter.name,
        model::Timestamp(matter.at),
        matter.by,
        matter.reason
    );
}

fn hold_line(hold: &Hold) {
    let end = match &hold.released {
        Some(released) => format!("; released {} by {}", model::Timestamp(released.at), released.by),
        None => String::new(),
    };
    println!(
        "  hold {}, {} by {}: {}{end}",
        hold.number,
        model::Timestamp(hold.at),
        hold.by,
        hold.in_words()
    );
}

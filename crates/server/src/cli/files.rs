use super::offline::with_server;
use super::{Reach, escape, json};
use crate::failure::Failure;
use clap::Subcommand;
use std::process::ExitCode;
use web::{FileList, FileView};

/// `rialto files`
#[derive(Debug, clap::Args)]
pub struct Files {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Lists files that wait, the newest first.
    List {
        /// The others too.
        #[arg(long)]
        all: bool,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// For programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: Reach,
    },
    /// Lets files that wait be fetched as they are, and messages with their links pass.
    Release {
        /// Their ids.
        #[arg(required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        file: Reach,
    },
    /// Takes files away; that they were there stays on record.
    Delete {
        /// Their ids.
        #[arg(required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        file: Reach,
    },
}

impl Files {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self.act {
            Act::List { all, limit, json: for_programs, file } => {
                let path = format!("/v1/files?all={all}&limit={limit}");
                let list: FileList = with_server(&file, |c| async move { c.get(&path).await })?;
                match for_programs {
                    true => print!("{}", json(&list)?),
                    false if list.files.is_empty() => println!("no files"),
                    false => list.files.iter().for_each(line),
                }
            }
            Act::Release { ids, file } => {
                with_server(&file, |c| async move {
                    for id in ids {
                        c.post::<_, FileView>(&format!("/v1/files/{}/release", escape(&id)), &()).await?;
                        println!("released {id}");
                    }
                    Ok(())
                })?;
            }
            Act::Delete { ids, file } => {
                with_server(&file, |c| async move {
                    for id in ids {
                        c.delete::<FileView>(&format!("/v1/files/{}", escape(&id))).await?;
                        println!("deleted {id}");
                    }
                    Ok(())
                })?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn line(file: &FileView) {
    let at = jiff::Timestamp::from_millisecond(file.at as i64).unwrap_or_default();
    let why = if file.why.is_empty() { String::new() } else { format!(": {}", file.why) };
    let text = format!(
        "{}  {at:.0}  {}  {:?}, {} bytes  {}{why}",
        file.id, file.owner, file.name, file.bytes, file.state
    );
    println!("{}", text.replace(char::is_control, "\u{fffd}"));
}

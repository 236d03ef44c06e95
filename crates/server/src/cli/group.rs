use super::offline::with_server;
use super::{Reach, escape};
use crate::failure::Failure;
use clap::Subcommand;
use partner::Group as People;
use std::process::ExitCode;
use web::{GroupList, Members};

/// `rialto group`
#[derive(Debug, clap::Args)]
pub struct Group {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Makes a group, or puts more people into it.
    Add {
        /// The group.
        name: String,
        /// user@domain, or *@domain for everybody of a domain.
        members: Vec<String>,
        #[command(flatten)]
        file: Reach,
    },
    /// Takes people out of a group; without names, removes the group.
    Remove {
        /// The group.
        name: String,
        /// As they are listed.
        members: Vec<String>,
        #[command(flatten)]
        file: Reach,
    },
    /// Lists groups, each with how many members it has.
    List {
        #[command(flatten)]
        file: Reach,
    },
    /// Lists a group's members.
    Show {
        /// The group.
        name: String,
        #[command(flatten)]
        file: Reach,
    },
}

impl Group {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let path = |name: &str| format!("/v1/groups/{}", escape(name));
        match self.act {
            Act::Add { name, members, file } => {
                let path = path(&name);
                let members = Members { members };
                let group: People = with_server(&file, |c| async move { c.post(&path, &members).await })?;
                println!("{}: {} members", group.name, group.members.len());
            }
            Act::Remove { name, members, file } if members.is_empty() => {
                let path = path(&name);
                with_server(&file, |c| async move { c.delete::<()>(&path).await })?;
                println!("removed {name}");
            }
            Act::Remove { name, members, file } => {
                let path = format!("{}/remove", path(&name));
                let who = members.join(", ");
                let members = Members { members };
                with_server(&file, |c| async move { c.post::<_, ()>(&path, &members).await })?;
                println!("removed {who} from {name}");
            }
            Act::List { file } => {
                let list: GroupList = with_server(&file, |c| async move { c.get("/v1/groups").await })?;
                list.groups.iter().for_each(|group| println!("{:<20} {}", group.name, group.members.len()));
            }
            Act::Show { name, file } => {
                let path = path(&name);
                let group: People = with_server(&file, |c| async move { c.get(&path).await })?;
                group.members.iter().for_each(|member| println!("{member}"));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

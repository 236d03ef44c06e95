use super::offline::with_server;
use super::{Reach, escape, json};
use crate::failure::Failure;
use ::admin::{ACTS, Role, Second};
use clap::Subcommand;
use std::process::ExitCode;
use web::{AdminChange, AdminList, AdminView, Me, NewAdmin, TokenMade, TokenWish, TokensEnded};

/// `rialto admin`
#[derive(Debug, clap::Args)]
pub struct Admin {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Adds an administrator.
    Add {
        /// What they are to be called, here and on record.
        name: String,
        /// administrator, security-officer, compliance-reviewer, auditor, help-desk or read-only.
        #[arg(long)]
        role: Role,
        /// The user of this system that they are, by name or number; without one they need a token.
        #[arg(long)]
        user: Option<String>,
        #[command(flatten)]
        file: Reach,
    },
    /// Lists administrators.
    List {
        /// For programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: Reach,
    },
    /// Gives an administrator another role, or says which user of the system they are.
    Role {
        /// Whom.
        name: String,
        /// The role.
        role: Option<Role>,
        /// The user of this system that they are, by name or number.
        #[arg(long, conflicts_with = "no_user")]
        user: Option<String>,
        /// They are no user of this system any more.
        #[arg(long)]
        no_user: bool,
        #[command(flatten)]
        file: Reach,
    },
    /// Removes an administrator, with their tokens.
    Remove {
        /// Whom.
        name: String,
        #[command(flatten)]
        file: Reach,
    },
    /// Makes an access token, which is shown once; or ends tokens.
    Token {
        /// Whose.
        name: String,
        /// For how many days it counts.
        #[arg(long, default_value_t = 90)]
        days: u32,
        /// End this token instead, by what it is called.
        #[arg(long)]
        revoke: Option<String>,
        /// End all of them instead.
        #[arg(long, conflicts_with = "revoke")]
        revoke_all: bool,
        #[command(flatten)]
        file: Reach,
    },
    /// Says who you are to the server, and what you may do.
    Whoami {
        /// For programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: Reach,
    },
    /// Lists every act, the roles that may do it, and whether two can be demanded for it.
    Acts,
}

impl Admin {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let path = |name: &str| format!("/v1/admins/{}", escape(name));
        match self.act {
            Act::Add { name, role, user, file } => {
                let new = NewAdmin { name, role, user };
                let made: AdminView =
                    with_server(&file, |c| async move { c.post("/v1/admins", &new).await })?;
                line(&made);
                if made.user.is_none() {
                    println!("make a token for {0} with `rialto admin token {0}`", made.name);
                }
            }
            Act::List { json: for_programs, file } => {
                let list: AdminList = with_server(&file, |c| async move { c.get("/v1/admins").await })?;
                match for_programs {
                    true => print!("{}", json(&list)?),
                    false if list.admins.is_empty() => println!("nobody but the owner of the server"),
                    false => list.admins.iter().for_each(line),
                }
            }
            Act::Role { name, role, user, no_user, file } => {
                let user = if no_user { Some(String::new()) } else { user };
                if role.is_none() && user.is_none() {
                    return Err(Failure::new(
                        "what is to be different? Name a role, `--user` or `--no-user`",
                    ));
                }
                let (path, change) = (path(&name), AdminChange { role, user });
                let changed: AdminView = with_server(&file, |c| async move { c.put(&path, &change).await })?;
                line(&changed);
            }
            Act::Remove { name, file } => {
                let path = path(&name);
                with_server(&file, |c| async move { c.delete::<()>(&path).await })?;
                println!("removed {name}");
            }
            Act::Token { name, revoke, revoke_all, file, .. } if revoke_all || revoke.is_some() => {
                let which = revoke.map(|id| format!("?id={}", escape(&id))).unwrap_or_default();
                let path = format!("{}/tokens{which}", path(&name));
                let done: TokensEnded = with_server(&file, |c| async move { c.delete(&path).await })?;
                println!("ended {} token(s) of {name}", done.ended);
            }
            Act::Token { name, days, file, .. } => {
                let path = format!("{}/tokens", path(&name));
                let made: TokenMade =
                    with_server(&file, |c| async move { c.post(&path, &TokenWish { days }).await })?;
                eprintln!("token {} of {name}, good until {}; it is not shown again:", made.id, made.until);
                println!("{}", made.token);
            }
            Act::Whoami { json: for_programs, file } => {
                let me: Me = with_server(&file, |c| async move { c.get("/v1/admins/me").await })?;
                if for_programs {
                    print!("{}", json(&me)?);
                } else {
                    println!("{}, {} ({})", me.name, me.role, me.how);
                    for act in &me.may {
                        let two = if me.two.contains(act) { "  two are needed" } else { "" };
                        println!("  {act}{two}");
                    }
                }
            }
            Act::Acts => acts(),
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn acts() {
    let mut last = "";
    for act in ACTS.iter().filter(|act| act.name != std::mem::replace(&mut last, act.name)) {
        let roles: Vec<&str> = act.roles().map(Role::name).collect();
        let roles = if roles.len() == Role::ALL.len() { "everybody".to_owned() } else { roles.join(", ") };
        let alone = if act.second == Second::Never { "  (one alone)" } else { "" };
        println!("{:<20} {roles}{alone}", act.name);
    }
}

fn line(one: &AdminView) {
    println!(
        "{:<20} {:<20} {}",
        one.name,
        one.role.name(),
        one.user.as_deref().unwrap_or("no user of this system")
    );
    for token in &one.tokens {
        let end = if token.expired { "expired" } else { "until" };
        println!("{:<20} token {} {end} {}", "", token.id, token.until);
    }
}

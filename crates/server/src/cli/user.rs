use super::offline::with_server;
use super::{Reach, escape};
use crate::failure::Failure;
use clap::Subcommand;
use std::io::{BufRead, IsTerminal, Write};
use std::process::{Command, ExitCode, Stdio};
use web::{PasswordChange, UserList};

/// `rialto user`
#[derive(Debug, clap::Args)]
pub struct User {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Creates an account.
    Add {
        /// user@domain
        account: String,
        /// Read the password from standard input, one line.
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        file: Reach,
    },
    /// Sets an account's password and signs its devices out.
    Passwd {
        /// user@domain
        account: String,
        /// Read the password from standard input, one line.
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        file: Reach,
    },
    /// Lists accounts.
    List {
        #[command(flatten)]
        file: Reach,
    },
    /// Removes an account; what it wrote stays on record.
    Remove {
        /// user@domain
        account: String,
        #[command(flatten)]
        file: Reach,
    },
}

impl User {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self.act {
            Act::Add { account, password_stdin, file } => {
                let first = PasswordChange { password: password(password_stdin)? };
                let path = format!("/v1/users/{}", escape(&account));
                with_server(&file, |c| async move { c.put::<_, ()>(&path, &first).await })?;
                println!("added {account}");
            }
            Act::Passwd { account, password_stdin, file } => {
                let change = PasswordChange { password: password(password_stdin)? };
                let path = format!("/v1/users/{}/password", escape(&account));
                with_server(&file, |c| async move { c.put::<_, ()>(&path, &change).await })?;
                println!("changed the password of {account}");
            }
            Act::List { file } => with_server(&file, |c| async move {
                let mut after = String::new();
                loop {
                    let page: UserList = c.get(&format!("/v1/users?limit=1000{after}")).await?;
                    for account in &page.accounts {
                        println!("{account}");
                    }
                    match page.accounts.last() {
                        Some(last) if page.accounts.len() == 1000 => {
                            after = format!("&after={}", escape(last))
                        }
                        _ => return Ok(()),
                    }
                }
            })?,
            Act::Remove { account, file } => {
                let path = format!("/v1/users/{}", escape(&account));
                with_server(&file, |c| async move { c.delete::<()>(&path).await })?;
                println!("removed {account}");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Reads a password: one line of standard input, or asked for twice without echo.
fn password(from_stdin: bool) -> Result<String, Failure> {
    let stdin = std::io::stdin();
    if from_stdin || !stdin.is_terminal() {
        let mut line = String::new();
        stdin.lock().read_line(&mut line)?;
        return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
    }
    echo(false);
    let both = ask("password: ").and_then(|first| Ok((first, ask("once more: ")?)));
    echo(true);
    let (first, second) = both?;
    if first != second {
        return Err(Failure::new("the two passwords differ"));
    }
    Ok(first)
}

fn ask(prompt: &str) -> Result<String, Failure> {
    eprint!("{prompt}");
    std::io::stderr().flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    eprintln!();
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Switches the terminal's echo by its own command: no unsafe call, no crate.
fn echo(on: bool) {
    let _ = Command::new("stty").arg(if on { "echo" } else { "-echo" }).stdin(Stdio::inherit()).status();
}

//! `rialto partner invite` and `rialto partner accept`.

use super::shown;
use super::terms::{Route, Terms};
use crate::cli::offline::with_server;
use crate::cli::{Reach, escape};
use crate::client::Control;
use crate::failure::Failure;
use partner::{Accepted, Invitation, Partner, Shown, StaticRoute, Wish};
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use web::{Acceptance, InvitationList, Paper, Probed, Status};

/// What is told of our own servers.
#[derive(Debug, clap::Args)]
pub struct Ours {
    /// Where our server is, if DNS does not say: `xmpp:host[:port]` or `sip:host[:port]`.
    #[arg(long = "at")]
    at: Vec<Route>,
    /// Whom they may call at ours.
    #[arg(long = "our-contact")]
    our_contacts: Vec<String>,
}

impl Ours {
    fn told(self) -> (Vec<StaticRoute>, Vec<String>) {
        (self.at.into_iter().map(|Route(route)| route).collect(), self.our_contacts)
    }
}

#[derive(Debug, clap::Args)]
pub struct Invite {
    /// The partner's name here. Without one: lists the invitations that wait.
    #[arg(required_unless_present_any = ["list", "withdraw"])]
    name: Option<String>,
    /// Lists the invitations that wait for their answers.
    #[arg(long)]
    list: bool,
    /// Takes an invitation back, by its id.
    #[arg(long, value_name = "ID")]
    withdraw: Option<String>,
    #[command(flatten)]
    terms: Box<Terms>,
    #[command(flatten)]
    ours: Ours,
    /// Let whoever has it answer it over HTTPS, which completes it: then it is a link, to be sent where only they read it.
    #[arg(long)]
    link: bool,
    /// Days until it expires.
    #[arg(long, default_value_t = 7)]
    days: u32,
    /// Writes it here instead of to standard output.
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    file: Reach,
}

#[derive(Debug, clap::Args)]
pub struct Accept {
    /// A file with the invitation or the answer, or the word itself; `-` for standard input.
    paper: String,
    #[command(flatten)]
    terms: Box<Terms>,
    #[command(flatten)]
    ours: Ours,
    /// The partner's name here, instead of one after its domain.
    #[arg(long)]
    name: Option<String>,
    /// Accept only what was signed by this key; then nobody is asked.
    #[arg(long)]
    fingerprint: Option<String>,
    /// Accept without asking.
    #[arg(long)]
    yes: bool,
    /// Writes the answer to an invitation here instead of to standard output.
    #[arg(long)]
    reply: Option<PathBuf>,
    #[command(flatten)]
    file: Reach,
}

/// A file for the other company, which is not to overwrite another.
pub fn write(to: &Path, text: &str) -> Result<(), Failure> {
    let fail = |e: std::io::Error| Failure::new(format!("{}: {e}", to.display()));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(to).map_err(fail)?;
    file.write_all(text.as_bytes()).map_err(fail)
}

impl Invite {
    pub fn run(self) -> Result<(), Failure> {
        if let Some(id) = &self.withdraw {
            let path = format!("/v1/invitations/{}", escape(id));
            with_server(&self.file, |c| async move { c.delete::<()>(&path).await })?;
            println!("withdrawn {id}");
            return Ok(());
        }
        let Some(name) = self.name.filter(|_| !self.list) else {
            let list: InvitationList =
                with_server(&self.file, |c| async move { c.get("/v1/invitations").await })?;
            for one in list.invitations {
                let until = model::Timestamp(one.expires);
                println!(
                    "{} {:<20} until {until} for {}",
                    one.id,
                    one.partner.name,
                    one.partner.domains.join(", ")
                );
            }
            return Ok(());
        };
        let mut partner = Partner::new(&name, Vec::new());
        self.terms.applied_to(&mut partner)?;
        let domains = partner.domains.join(", ");
        let (routes, contacts) = self.ours.told();
        let wish = Wish { partner, days: self.days, routes, contacts, link: self.link };
        if let Some(out) = self.out.as_ref().filter(|out| out.exists()) {
            return Err(Failure::new(format!("{} exists already", out.display())));
        }
        let made: Invitation =
            with_server(&self.file, |c| async move { c.post("/v1/invitations", &wish).await })?;
        let text = format!(
            "This invites {domains} to federate. It is for one use, until {}.\nAccept it with `rialto partner accept FILE`, \
             and compare the fingerprint by telephone first:\n{}\n\n{}\n",
            made.expires,
            shown::fingerprint(&made.fingerprint),
            made.link.as_ref().unwrap_or(&made.word)
        );
        match &self.out {
            Some(out) => {
                write(out, &text)?;
                println!(
                    "wrote {}: send it to {domains}, who accept it with `rialto partner accept`",
                    out.display()
                );
                println!(
                    "fingerprint, to be compared by telephone: {}",
                    shown::fingerprint(&made.fingerprint)
                );
            }
            None => print!("{text}"),
        }
        Ok(())
    }
}

impl Accept {
    pub fn run(self) -> Result<(), Failure> {
        let word = match self.paper.as_str() {
            "-" => std::io::read_to_string(std::io::stdin())?,
            word if word.contains("rialto1.") => word.to_owned(),
            file => std::fs::read_to_string(file).map_err(|e| Failure::new(format!("{file}: {e}")))?,
        };
        if let Some(reply) = self.reply.as_ref().filter(|reply| reply.exists()) {
            return Err(Failure::new(format!("{} exists already", reply.display())));
        }
        let (yes, fingerprint) = (self.yes, self.fingerprint.clone());
        let (terms, name) = (self.terms, self.name);
        let (routes, contacts) = self.ours.told();
        let (done, found) = with_server(&self.file, |c| async move {
            let paper = Paper { word: word.clone() };
            let mut seen: Shown = c.post("/v1/papers/read", &paper).await?;
            terms.applied_to(&mut seen.partner)?;
            if let Some(name) = name {
                seen.partner.name = name;
            }
            print!("{}", shown::paper(&seen));
            agreed(&seen, yes, fingerprint.as_deref())?;
            let acceptance = Acceptance { word, partner: Some(seen.partner), routes, contacts };
            let done: Accepted = c.post("/v1/papers/accept", &acceptance).await?;
            let found = match done.answer {
                None => tried_out(&c, &done.partner.name).await?,
                Some(_) => None,
            };
            Ok((done, found))
        })?;
        println!("added {}", done.partner.name);
        match (&done.answer, found) {
            (None, Some(found)) => print!("{}", shown::probed(&found)),
            (None, None) => {
                println!("try it out with `rialto partner test {}` once the server runs", done.partner.name);
            }
            (Some(_), _) => {}
        }
        if let (Some(to), None) = (&done.send_to, &done.unsent) {
            println!("sent the answer to {to}: that is all");
            return Ok(());
        }
        if let (Some(to), Some(why)) = (&done.send_to, &done.unsent) {
            println!("the answer did not get to {to}: {why}; send it in another way");
        }
        if let Some(answer) = done.answer {
            let text = format!(
                "This answers an invitation. Take it with `rialto partner accept FILE`.\n\n{answer}\n"
            );
            match &self.reply {
                Some(reply) => {
                    write(reply, &text)?;
                    println!("wrote {}: send it to whoever invited, which completes it", reply.display());
                }
                None => print!("\n{text}"),
            }
        }
        Ok(())
    }
}

/// Both sides know each other now: everything is tried at once, where there is a server to try it with.
async fn tried_out(control: &Control, name: &str) -> Result<Option<Probed>, Failure> {
    let status: Status = control.get("/v1/status").await?;
    if status.listeners.is_empty() {
        return Ok(None);
    }
    control.post(&format!("/v1/partners/{}/test", escape(name)), &()).await.map(Some)
}

/// Does whoever accepts know whose it is?
fn agreed(seen: &Shown, yes: bool, fingerprint: Option<&str>) -> Result<(), Failure> {
    if let Some(expected) = fingerprint {
        let plain =
            |text: &str| text.chars().filter(char::is_ascii_hexdigit).collect::<String>().to_lowercase();
        if plain(expected) != seen.fingerprint {
            return Err(Failure::new(
                "it was signed with another key than that: it is forged, or for somebody else",
            ));
        }
        return Ok(());
    }
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(
            "compare the fingerprint by telephone, then give it with --fingerprint, or say --yes",
        ));
    }
    eprint!("Is that the fingerprint they tell you by telephone? [y/N] ");
    std::io::stderr().flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    match line.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::new("not accepted; nothing has changed")),
    }
}

//! `rialto partner`

mod handshake;
mod shown;
mod terms;

use super::Reach;
use super::escape;
use super::offline::with_server;
use crate::failure::Failure;
use clap::Subcommand;
use partner::Partner as Agreed;
use std::path::PathBuf;
use std::process::ExitCode;
use terms::Terms;
use web::{
    Certificate, CertificateRequest, Forget, Forgotten, ObservedList, PartnerList, PartnerView, Probed,
    Revocation, Revoked,
};

/// `rialto partner`
#[derive(Debug, clap::Args)]
pub struct Partner {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Adds another company.
    Add {
        /// Its name here.
        name: String,
        #[command(flatten)]
        terms: Box<Terms>,
        #[command(flatten)]
        file: Reach,
    },
    /// Changes what was agreed with one.
    Edit {
        /// Its name.
        name: String,
        #[command(flatten)]
        terms: Box<Terms>,
        #[command(flatten)]
        file: Reach,
    },
    /// Shows what was agreed with one, and how its servers are.
    Show {
        /// Its name, or a domain of its.
        name: String,
        /// As the API tells it.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: Reach,
    },
    /// Lists partners, one a line.
    List {
        /// Instead: what would have been refused since the start, had the mode not been `observe`.
        #[arg(long)]
        observed: bool,
        /// As the API tells it.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: Reach,
    },
    /// Invites another company: a signed paper for one use, which makes partners of both when they accept it.
    Invite(handshake::Invite),
    /// Accepts an invitation, or takes the answer to one.
    Accept(handshake::Accept),
    /// Signs a partner's certificate request with the authority that `rialto init` made.
    Sign {
        /// Its name.
        name: String,
        /// The request, PEM.
        request: PathBuf,
        /// For how long.
        #[arg(long, default_value_t = 365)]
        days: u32,
        /// Writes the chain here instead of to standard output.
        #[arg(long)]
        out: Option<PathBuf>,
        #[command(flatten)]
        file: Reach,
    },
    /// Takes back a certificate that `sign` made: it proves nothing any more, here or wherever `ca.crl` is known.
    Revoke {
        /// The partner's name.
        name: String,
        /// The certificate, PEM, or the chain that `sign` wrote.
        certificate: PathBuf,
        #[command(flatten)]
        file: Reach,
    },
    /// Lets nothing pass until it is resumed.
    Suspend {
        /// Its name.
        name: String,
        #[command(flatten)]
        file: Reach,
    },
    /// Ends a suspension.
    Resume {
        /// Its name.
        name: String,
        #[command(flatten)]
        file: Reach,
    },
    /// Forgets over which protocol people of a partner were last heard, so that they are asked for anew.
    Forget {
        /// The partner's name.
        name: String,
        /// One person's address; without it everybody.
        who: Option<String>,
        #[command(flatten)]
        file: Reach,
    },
    /// Tests the servers of a partner, or of any domain, and says what is wrong and what to do. Status 0 if all is well.
    Test {
        /// A partner's name, or a domain.
        name: String,
        /// As the API tells it.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: Reach,
    },
    /// Forgets one; what was written stays on record.
    Remove {
        /// Its name.
        name: String,
        #[command(flatten)]
        file: Reach,
    },
}

/// Where a partner is in the API.
fn path(name: &str) -> String {
    format!("/v1/partners/{}", escape(name))
}

impl Partner {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self.act {
            Act::Add { name, terms, file } => {
                let mut new = Agreed::new(&name, Vec::new());
                terms.applied_to(&mut new)?;
                with_server(&file, |c| async move { c.post::<_, Agreed>("/v1/partners", &new).await })?;
                println!("added {name}");
            }
            Act::Edit { name, terms, file } => {
                let path = path(&name);
                with_server(&file, |c| async move {
                    let PartnerView { mut partner, .. } = c.get(&path).await?;
                    terms.applied_to(&mut partner)?;
                    c.put::<_, Agreed>(&path, &partner).await
                })?;
                println!("changed {name}");
            }
            Act::Show { name, json, file } => {
                let path = path(&name);
                let view: PartnerView = with_server(&file, |c| async move { c.get(&path).await })?;
                print!("{}", if json { super::json(&view)? } else { shown::partner(&view) });
            }
            Act::List { observed: true, json, file } => {
                let seen: ObservedList = with_server(&file, |c| async move { c.get("/v1/observed").await })?;
                print!("{}", if json { super::json(&seen)? } else { shown::observed(&seen) });
            }
            Act::List { json, file, .. } => {
                let list: PartnerList = with_server(&file, |c| async move { c.get("/v1/partners").await })?;
                print!("{}", if json { super::json(&list)? } else { shown::list(&list) });
            }
            Act::Invite(invite) => invite.run()?,
            Act::Accept(accept) => accept.run()?,
            Act::Sign { name, request, days, out, file } => {
                let path = format!("{}/certificate", path(&name));
                let text = std::fs::read_to_string(&request)
                    .map_err(|e| Failure::new(format!("{}: {e}", request.display())))?;
                let asked = CertificateRequest { request: text, days };
                let signed: Certificate = with_server(&file, |c| async move { c.post(&path, &asked).await })?;
                match out {
                    Some(out) => {
                        handshake::write(&out, &signed.chain)?;
                        println!("wrote {}: send it to them; the key stays with them", out.display());
                    }
                    None => print!("{}", signed.chain),
                }
            }
            Act::Revoke { name, certificate, file } => {
                let path = format!("{}/revocation", path(&name));
                let pem = std::fs::read_to_string(&certificate)
                    .map_err(|e| Failure::new(format!("{}: {e}", certificate.display())))?;
                let taken: Revoked =
                    with_server(
                        &file,
                        |c| async move { c.post(&path, &Revocation { certificate: pem }).await },
                    )?;
                println!(
                    "revoked {}; {} lists it: give that to whoever else trusts your authority",
                    taken.serial, taken.list
                );
            }
            Act::Suspend { name, file } => {
                act(&file, &name, "suspend")?;
                println!("suspended {name}");
            }
            Act::Resume { name, file } => {
                act(&file, &name, "resume")?;
                println!("resumed {name}");
            }
            Act::Forget { name, who, file } => {
                let path = format!("{}/forget", path(&name));
                let asked = Forget { who };
                let done: Forgotten = with_server(&file, |c| async move { c.post(&path, &asked).await })?;
                println!("forgotten: {}", done.people);
            }
            Act::Test { name, json, file } => {
                let path = format!("{}/test", path(&name));
                let found: Probed = with_server(&file, |c| async move { c.post(&path, &()).await })?;
                print!("{}", if json { super::json(&found)? } else { shown::probed(&found) });
                return Ok(if found.good { ExitCode::SUCCESS } else { ExitCode::FAILURE });
            }
            Act::Remove { name, file } => {
                let path = path(&name);
                with_server(&file, |c| async move { c.delete::<()>(&path).await })?;
                println!("removed {name}");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn act(file: &Reach, name: &str, what: &str) -> Result<Agreed, Failure> {
    let path = format!("{}/{what}", path(name));
    with_server(file, |c| async move { c.post(&path, &()).await })
}

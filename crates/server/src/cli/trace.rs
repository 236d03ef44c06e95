use super::offline::with_server;
use super::when::Stretch;
use super::{Reach, journal, json};
use crate::failure::Failure;
use std::process::ExitCode;
use web::{Traced, Traces};

/// `rialto trace`
#[derive(Debug, clap::Args)]
pub struct Trace {
    /// A name of the message: the server's (its stanza-id), the one its sender gave it, or its row's number.
    id: Option<String>,
    /// Who sent it: an address, or a domain.
    #[arg(long)]
    from: Option<String>,
    /// Whom it was for: an address, or a domain.
    #[arg(long)]
    to: Option<String>,
    #[command(flatten)]
    stretch: Stretch,
    /// For programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    file: Reach,
}

impl Trace {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let texts = [("id", &self.id), ("from", &self.from), ("to", &self.to)];
        let path = format!("/v1/trace?{}", self.stretch.query(&texts));
        let traces: Traces = with_server(&self.file, |c| async move { c.get(&path).await })?;
        if self.json {
            print!("{}", json(&traces)?);
            return Ok(ExitCode::SUCCESS);
        }
        for message in &traces.messages {
            show(message);
        }
        if traces.more {
            println!("there are more: say more of the one you look for");
        }
        if traces.messages.is_empty() {
            println!("there is no such message on record");
            return Ok(ExitCode::FAILURE);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn show(message: &Traced) {
    let came = &message.came;
    let name = came.id.as_deref().unwrap_or("?");
    match &message.own_id {
        Some(own) => println!("{name} (its sender calls it {own:?})"),
        None => println!("{name}"),
    }
    journal::print(came);
    let way = if message.encrypted { "encrypted" } else { "in clear" };
    println!("{:>10}came {way}; its sender's word is that of {}", "", message.vouched);
    for step in &message.steps {
        let after = format!("+{} ms", step.after_ms);
        match &step.ended {
            None => println!("{:>8}  {after:>12}  a person let it pass", step.row),
            Some(ended) => {
                let why =
                    ended.refused.as_ref().map(|r| format!(" {}", journal::refused(r))).unwrap_or_default();
                println!("{:>8}  {after:>12}  {}{why}", step.row, ended.outcome);
                for loss in &ended.losses {
                    println!("{:>24}{}", "", journal::lost(loss));
                }
            }
        }
    }
    println!("{:>10}now: {}\n", "", message.now);
}

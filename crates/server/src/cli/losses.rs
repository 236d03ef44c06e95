use super::offline::with_server;
use super::when::Stretch;
use super::{Reach, journal, json};
use crate::failure::Failure;
use std::process::ExitCode;
use web::Ledger;

/// `rialto losses`
#[derive(Debug, clap::Args)]
pub struct Losses {
    /// Only with this partner, by name, or with this domain; `here` for what passed between our own people.
    #[arg(long)]
    partner: Option<String>,
    #[command(flatten)]
    stretch: Stretch,
    /// For programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    file: Reach,
}

impl Losses {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let path = format!("/v1/losses?{}", self.stretch.query(&[("partner", &self.partner)]));
        let ledger: Ledger = with_server(&self.file, |c| async move { c.get(&path).await })?;
        if self.json {
            print!("{}", json(&ledger)?);
            return Ok(ExitCode::SUCCESS);
        }
        for line in &ledger.losses {
            println!(
                "{:>8}  {:<20} {}  (last: row {})",
                line.times,
                line.partner,
                journal::lost(&line.loss),
                line.last
            );
        }
        println!("{} message(s) lost something on their way between protocols", ledger.messages);
        Ok(ExitCode::SUCCESS)
    }
}

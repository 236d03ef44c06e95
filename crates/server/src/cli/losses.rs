use super::offline::with_server;
use super::when::when;
use super::{Reach, escape, journal, json};
use crate::failure::Failure;
use std::process::ExitCode;
use web::Ledger;

/// `rialto losses`
#[derive(Debug, clap::Args)]
pub struct Losses {
    /// Only with this partner, by name, or with this domain; `here` for what passed between our own people.
    #[arg(long)]
    partner: Option<String>,
    /// Not earlier: a time, a day, or how long ago (30m, 12h, 7d).
    #[arg(long, value_parser = when)]
    since: Option<u64>,
    /// Earlier than this.
    #[arg(long, value_parser = when)]
    until: Option<u64>,
    /// For programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    file: Reach,
}

impl Losses {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let partner = self.partner.iter().map(|name| format!("partner={}", escape(name)));
        let times = [("since", self.since), ("until", self.until)];
        let times = times.into_iter().filter_map(|(k, v)| Some(format!("{k}={}", v?)));
        let path = format!("/v1/losses?{}", partner.chain(times).collect::<Vec<_>>().join("&"));
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

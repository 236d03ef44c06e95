use super::{Reach, runtime};
use crate::failure::Failure;
use std::process::ExitCode;

/// `rialto reload`
#[derive(Debug, clap::Args)]
pub struct Reload {
    #[command(flatten)]
    file: Reach,
}

impl Reload {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        // The same mistakes would be found by the server; here they are found even where `data` cannot be read.
        self.file.config()?;
        let control = self.file.control()?;
        let done: web::Reloaded = runtime(1)?.block_on(control.post("/v1/reload", &()))?;
        for line in &done.changed {
            println!("changed  {line}");
        }
        for line in &done.restart {
            println!("RESTART  {line}");
        }
        if done.changed.is_empty() && done.restart.is_empty() {
            println!("nothing has changed");
        }
        Ok(ExitCode::SUCCESS)
    }
}

use super::offline::with_server;
use super::{ConfigFile, Reach};
use crate::backup;
use crate::config::Config;
use crate::failure::Failure;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// `rialto backup`
#[derive(Debug, clap::Args)]
pub struct Backup {
    /// The directory to make; it must not exist.
    to: PathBuf,
    /// Copy certificate and private key too.
    #[arg(long)]
    with_keys: bool,
    #[command(flatten)]
    file: ConfigFile,
}

impl Backup {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let config = Config::load(&self.file.config)?;
        let manifest =
            backup::make(&config, &self.file.config, &self.to, self.with_keys, &mut Progress::new())?;
        let made = web::BackupMade { to: self.to.display().to_string(), rows: manifest.head };
        // The copy is good whatever becomes of this; that it was made belongs on record.
        let noted =
            with_server(
                &Reach::of(&self.file),
                |c| async move { c.post::<_, ()>("/v1/backups", &made).await },
            );
        println!(
            "{}: {} rows in {} conversations, {} accounts, chain verified; last link {}",
            self.to.display(),
            manifest.head,
            manifest.conversations,
            manifest.accounts,
            manifest.link
        );
        noted.map_err(|e| {
            Failure::new(format!("the backup is whole, but it could not be put on record: {e}"))
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Tells how far the work is: over and over on a terminal, in steps of a quarter elsewhere.
pub(super) struct Progress {
    told: u64,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { told: 0 }
    }
}

impl backup::Listener for Progress {
    fn hear(&mut self, what: &str, done: u64, total: u64) {
        let percent = (done * 100).checked_div(total).unwrap_or(100);
        let mut err = std::io::stderr().lock();
        let grain = if err.is_terminal() { 1 } else { 25 };
        if percent / grain == self.told / grain && percent < 100 {
            return;
        }
        if percent != self.told || percent == 100 {
            let end = if err.is_terminal() && percent < 100 { "\r" } else { "\n" };
            let _ = write!(err, "{what}: {percent:3} %{end}");
        }
        self.told = if percent == 100 { 0 } else { percent };
    }
}

use super::backup::Progress;
use crate::failure::Failure;
use crate::restore;
use std::path::PathBuf;
use std::process::ExitCode;

/// `rialto restore`
#[derive(Debug, clap::Args)]
pub struct Restore {
    /// The backup's directory.
    from: PathBuf,
    /// The server's directory to make, with configuration and store.
    #[arg(long, required_unless_present = "config", conflicts_with = "config")]
    data: Option<PathBuf>,
    /// Keep this configuration and put only the store where it says.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Put aside a store that is there already, under another name.
    #[arg(long)]
    replace: bool,
}

impl Restore {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let place = match (self.data, self.config) {
            (Some(dir), _) => restore::Place::Directory(dir),
            (None, Some(config)) => restore::Place::Config(config),
            (None, None) => return Err(Failure::new("restore to where? --data DIR or --config FILE")),
        };
        let done = restore::put_back(&self.from, &place, self.replace, &mut Progress::new())?;
        for line in done {
            println!("{line}");
        }
        Ok(ExitCode::SUCCESS)
    }
}

use super::ConfigFile;
use crate::config::{Config, reference};
use crate::failure::Failure;
use clap::Subcommand;
use std::process::ExitCode;

/// `rialto config`
#[derive(Debug, clap::Args)]
pub struct Explain {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Every key with its default and meaning, as Markdown.
    Reference,
    /// A file with every key, to be edited.
    Sample,
    /// The configuration as it is read: the file with what the environment sets.
    Show {
        #[command(flatten)]
        file: ConfigFile,
    },
}

impl Explain {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self.what {
            What::Reference => print!("{}", reference::markdown()),
            What::Sample => print!("{}", reference::sample()),
            What::Show { file } => {
                let config = Config::load(&file.config).map_err(|m| Failure::new(m.to_string()))?;
                print!("{}", config.source.text());
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

use super::ConfigFile;
use crate::config::Config;
use crate::failure::Failure;
use std::process::ExitCode;

/// `rialto check`
#[derive(Debug, clap::Args)]
pub struct Check {
    #[command(flatten)]
    file: ConfigFile,
}

impl Check {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let config = Config::load(&self.file.config).map_err(|m| Failure::new(m.to_string()))?;
        crate::certificates::open(&config)?;
        let listeners = config.xmpp.len() + config.sip.len();
        if listeners == 0 {
            return Err(Failure::new(format!(
                "{}: no listener: add a [[xmpp.listen]] or [[sip.listen]] section",
                self.file.config.display()
            )));
        }
        println!(
            "{}: {} domain(s), {listeners} listener(s): good",
            self.file.config.display(),
            config.domains.len()
        );
        Ok(ExitCode::SUCCESS)
    }
}

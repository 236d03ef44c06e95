//! Answers an authority's dns-01 challenges (RFC 8555 section 8.4) through a command of the administrator, because every
//! DNS is changed in another way: `HOOK set|clear _acme-challenge.DOMAIN VALUE`, status 0 once the record is published.

use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Command;

/// A hook that takes this long never ends.
const PATIENCE: Duration = Duration::from_secs(300);

/// The administrator's command.
#[derive(Debug, Clone)]
pub(super) struct Hook(PathBuf);

impl Hook {
    pub fn new(command: &Path) -> Self {
        Self(command.to_owned())
    }

    pub async fn set(&self, domain: &str, value: &str) -> Result<(), String> {
        self.run("set", domain, value).await
    }

    pub async fn clear(&self, domain: &str, value: &str) {
        if let Err(why) = self.run("clear", domain, value).await {
            tracing::warn!(why, domain, "the dns-01 record was not taken away");
        }
    }

    async fn run(&self, act: &str, domain: &str, value: &str) -> Result<(), String> {
        let name = format!("_acme-challenge.{domain}");
        let hook = self.0.display();
        let run = Command::new(&self.0).args([act, &name, value]).kill_on_drop(true).output();
        match tokio::time::timeout(PATIENCE, run).await {
            Err(_) => Err(format!("{hook} {act} does not end")),
            Ok(Err(error)) => Err(format!("{hook}: {error}")),
            Ok(Ok(output)) if output.status.success() => Ok(()),
            Ok(Ok(output)) => {
                let said = String::from_utf8_lossy(&output.stderr);
                Err(format!("{hook} {act}: {}: {}", output.status, said.trim()))
            }
        }
    }
}

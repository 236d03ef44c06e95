//! Trying partners out: by hand, and when their last test is too long ago.

use super::{Inner, Live, wall};
use crate::config::FederationMode;
use crate::house;
use crate::probe::{self, Ground};
use model::{Address, Timestamp};

impl Live {
    /// Tests partners whose last test is older than the configuration wants, one after the other.
    pub async fn try_out_the_overdue(&self) {
        let config = self.inner.in_force.config();
        let hours = config.federation.test_hours;
        if hours == 0 || config.federation.mode == FederationMode::Off {
            return;
        }
        let before = Timestamp(wall().unix_ms().saturating_sub(u64::from(hours) * 3_600_000)).to_string();
        for partner in self.inner.partners.partners() {
            let (partners, name) = (self.inner.partners.clone(), partner.name.clone());
            let tested = tokio::task::spawn_blocking(move || partners.tested(&name)).await;
            let Ok(Ok(tested)) = tested else { continue };
            let last = tested.and_then(|found| serde_json::from_slice::<web::Probed>(&found).ok());
            // Times are written so that the earlier is the lesser.
            let overdue = last.is_none_or(|last| last.at < before);
            if partner.suspended || partner.denied || !overdue {
                continue;
            }
            match self.inner.try_out(&partner.name).await {
                Ok(found) if found.good => tracing::info!(partner = partner.name, "tested, and well"),
                Ok(_) => tracing::warn!(
                    partner = partner.name,
                    "tested, and not well; `rialto partner show` says what is wrong"
                ),
                Err(why) => tracing::warn!(partner = partner.name, why, "not tested"),
            }
        }
    }
}

impl Inner {
    pub(super) fn ground(&self) -> Result<Ground, String> {
        let (config, tls) = (self.in_force.config(), self.in_force.tls());
        let local = config.domains.first().cloned().ok_or("this server has no domain")?;
        let resolver = house::resolver(&config).map_err(|failure| failure.to_string())?;
        Ok(Ground { partners: self.partners.clone(), resolver, tls, local })
    }

    /// Looks at somebody's servers; tries everything with a partner, and keeps what was found.
    pub(super) async fn try_out(&self, name: &str) -> Result<web::Probed, String> {
        let ground = self.ground()?;
        let mut found = probe::probe(&ground, name).await?;
        let Some(partner) = found.partner.as_ref().and_then(|name| self.partners.partner(name).ok()) else {
            return Ok(found);
        };
        let domain = Address::parse(&found.domain).map_err(|e| e.to_string())?;
        if found.good && self.conformance.is_started() {
            let mut more = probe::forged(&ground, &partner, &domain, &found.checks).await;
            more.extend(self.conformance.table(&ground.local, &domain).await?);
            found.good = more.iter().all(|check| check.verdict != web::Verdict::Bad);
            found.checks.extend(more);
        }
        let (partners, kept) =
            (self.partners.clone(), serde_json::to_vec(&found).map_err(|e| e.to_string())?);
        let keeping = tokio::task::spawn_blocking(move || partners.keep_tested(&partner.name, &kept));
        match keeping.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "what a test found could not be kept"),
            Err(_) => tracing::error!("what a test found could not be kept"),
        }
        Ok(found)
    }
}

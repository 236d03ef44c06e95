//! What the HTTP API asks of the server that runs.

use super::{Live, wall};
use crate::authority;
use crate::certificates;
use crate::checkpoints;
use crate::failure::Failure;
use crate::journaling::Standing;
use crate::metrics::Sources;
use crate::probe;
use crate::usage;
use matters::{Erased, MatterError, Preview, Subject};
use model::Timestamp;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::sync::atomic::Ordering;
use web::{Answered, ListenerView, Operator, Reloaded};

impl Live {
    fn journaling_standing(&self) -> Option<Standing> {
        self.inner.in_force.config().journaling()?;
        self.inner.journaling.get().map(|journaling| journaling.standing())
    }

    fn destroy_by_rule(&self, by: record::Act) -> Result<web::Expired, MatterError> {
        let rule = self.inner.in_force.config().record.rule();
        let done = self.inner.keeping.run(rule, by)?;
        if done.rows() > 0 {
            tracing::info!(%rule, rows = done.rows(), waiting = done.waiting, "content destroyed by rule");
        }
        Ok(web::Expired {
            rule: rule.to_string(),
            destroyed: done.rows(),
            waiting: done.waiting,
            rules: done.destroyed,
            kept: done.kept,
        })
    }

    /// Destroys what the rules no longer keep, without being asked: only where the clock can be believed. Blocks.
    ///
    /// # Errors
    /// [`MatterError`]
    pub fn expire_by_itself(&self) -> Result<(), MatterError> {
        self.inner.keeping.believe_the_clock()?;
        self.destroy_by_rule(record::Act::done("retention", "server")).map(drop)
    }
}

impl Operator for Live {
    fn reload(&self) -> Answered<Result<Reloaded, String>> {
        let inner = self.inner.clone();
        Box::pin(async move {
            let supervisor = inner.supervisor.clone();
            supervisor.reloading();
            let done = tokio::task::spawn_blocking(move || inner.reload()).await;
            supervisor.ready();
            let done = done.unwrap_or_else(|_| Err(Failure::new("the reload broke off")));
            match &done {
                Ok(done) => {
                    done.changed.iter().for_each(|what| tracing::info!(what, "reloaded"));
                    done.restart.iter().for_each(|what| tracing::warn!(what, "waits for a restart"));
                    tracing::info!("configuration and certificate were read again");
                }
                Err(failure) => tracing::error!(%failure, "reload refused; nothing has changed"),
            }
            done.map_err(|failure| format!("{failure}\nnothing has changed"))
        })
    }

    fn expire(&self, by: record::Act) -> Result<web::Expired, MatterError> {
        self.inner.keeping.trust_the_clock(&by)?;
        self.destroy_by_rule(by)
    }

    fn preview_retention(&self, rules: Option<&str>) -> Result<Preview, MatterError> {
        self.inner.keeping.preview(self.inner.in_force.config().record.rule(), rules)
    }

    fn file_kept_by(&self, id: &str) -> Result<Option<String>, MatterError> {
        self.inner.keeping.file_kept_by(id)
    }

    fn erase(&self, subject: &Subject, by: Option<record::Act>) -> Result<Erased, MatterError> {
        self.inner.keeping.erase(subject, by)
    }

    fn scrub(&self) -> Result<(), MatterError> {
        self.inner.keeping.scrub()
    }

    fn tell_of(
        &self,
        subject: &Subject,
        line: &mut dyn FnMut(serde_json::Value) -> Result<(), String>,
    ) -> Result<(), String> {
        let blocked = ports::Blocking::blocked(
            self.inner.guard.as_ref(),
            &subject.address().map_err(|e| e.to_string())?,
        );
        self.inner.keeping.tell_of(subject, &blocked, line)
    }

    fn retention(&self) -> record::Rule {
        self.inner.in_force.config().record.rule()
    }

    fn checkpoint(&self, by: record::Act) -> Result<Vec<record::Signed>, String> {
        self.inner.notary.close(&by)
    }

    fn sign_export(&self, digest: &[u8; 32]) -> [u8; 64] {
        self.inner.notary.signer().sign(&[&b"RialtoX1"[..], digest].concat())
    }

    fn signing_key(&self) -> [u8; 32] {
        self.inner.notary.signer().key()
    }

    fn signing(&self) -> web::Signing {
        self.inner.notary.standing().view()
    }

    fn anchored(&self) -> Option<Result<Vec<String>, String>> {
        let config = self.inner.in_force.config();
        checkpoints::anchored(&config, self.inner.notary.node())
    }

    fn look_at(&self, file: &record::FileAct) -> Result<Option<record::Fault>, store::Trouble> {
        let blobs = self.inner.in_force.config().data.join(crate::backup::BLOBS);
        crate::contents::look(self.inner.store.as_ref(), &blobs, file)
    }

    fn report(&self, period: &str, aggregates: bool) -> Result<reports::Report, String> {
        let now = wall();
        self.inner.usage.report(usage::period(period, now)?, aggregates, now)
    }

    fn quarantine_days(&self) -> Option<u32> {
        self.inner.in_force.config().quarantine_days
    }

    fn four_eyes(&self) -> web::FourEyes {
        self.inner.in_force.config().administration.four_eyes()
    }

    fn probe(&self, name: String) -> Answered<Result<web::Probed, String>> {
        let inner = self.inner.clone();
        Box::pin(async move { inner.try_out(&name).await })
    }

    fn renew_certificates(&self) -> bool {
        let hurry = self.inner.hurry.get();
        hurry.inspect(|hurry| hurry.notify_one()).is_some()
    }

    fn sign(&self, partner: &partner::Partner, request: &str, days: u32) -> Result<(String, String), String> {
        let config = self.inner.in_force.config();
        let issued = authority::sign(&config, partner, request, days).map_err(|e| e.to_string())?;
        Ok((issued.chain, issued.authority))
    }

    fn revoke(&self, certificate: &str) -> Result<(String, String), String> {
        // Two lists at a time would forget one another.
        let _one = self.inner.change.lock();
        authority::revoke(&self.inner.in_force.config(), certificate).map_err(|e| e.to_string())
    }

    fn url(&self) -> Option<String> {
        let config = self.inner.in_force.config();
        config.federation.url.as_ref().map(|url| url.get_ref().clone())
    }

    fn send(&self, url: String, word: String, partner: String) -> Answered<Result<(), String>> {
        let inner = self.inner.clone();
        Box::pin(async move {
            let ground = inner.ground()?;
            probe::send(&ground, &url, &word, &partner).await
        })
    }

    fn chain(&self) -> Result<Vec<Vec<u8>>, String> {
        let config = self.inner.in_force.config();
        let (files, first) =
            (certificates::files(&config), config.domains.first().map(|d| d.domain().to_owned()));
        let own = files.iter().rev().find(|f| f.domain.is_some() && f.domain == first);
        let Some(file) = own.or(files.first()).map(|f| f.certificate.clone()) else { return Ok(Vec::new()) };
        let wrong = |error: rustls_pki_types::pem::Error| format!("{}: {error}", file.display());
        let certificates = CertificateDer::pem_file_iter(&file).map_err(wrong)?;
        certificates.map(|one| one.map(|der| der.to_vec()).map_err(wrong)).collect()
    }

    fn listeners(&self) -> Vec<ListenerView> {
        self.inner.listeners()
    }

    fn state(&self) -> &'static str {
        if self.inner.stopping.load(Ordering::Acquire) { "stopping" } else { "running" }
    }

    fn metrics(&self) -> String {
        let inner = &self.inner;
        let listeners = inner.net.counts();
        let leaves = inner.in_force.tls().as_ref().map(|tls| tls.leaves()).unwrap_or_default();
        let certificates = leaves.iter().filter_map(|leaf| certificates::paper::Paper::read(leaf)).collect();
        let (started, now) = (inner.started, wall());
        let (outbreaks, guard) = (inner.outbreaks.as_ref(), inner.guard.as_ref());
        Sources {
            hub: &inner.hub,
            store: &inner.store,
            journaling: self.journaling_standing(),
            search: inner.search.as_deref(),
            signing: inner.notary.standing(),
            clock_ill: inner.keeping.clock_trouble().is_some(),
            outbreaks,
            guard,
            scanner: inner.eyes.scanner(),
            yara: inner.eyes.yara(),
            files: inner.files.as_ref().map(|files| files.counts()),
            listeners,
            certificates,
            started,
            now,
        }
        .text()
    }

    fn scanner(&self) -> Option<String> {
        let s = self.inner.eyes.scanner()?;
        let trouble = s.trouble.map(|why| format!("; CANNOT BE ASKED: {why}")).unwrap_or_default();
        let (at, scanned, found, failed) = (s.at, s.scanned, s.found, s.failed);
        Some(format!(
            "clamd at {at}: {scanned} file(s), {found} with malware, {failed} not looked into{trouble}"
        ))
    }

    fn clock_trouble(&self) -> Option<String> {
        self.inner.keeping.clock_trouble()
    }

    fn yara(&self) -> Option<String> {
        let s = self.inner.eyes.yara()?;
        let trouble = s.trouble.map(|why| format!("; CANNOT BE READ: {why}")).unwrap_or_default();
        let (rules, scanned, found, failed) = (s.rules, s.scanned, s.found, s.failed);
        Some(format!(
            "{rules} rule(s): {scanned} look(s), {found} with a find, {failed} without an end{trouble}"
        ))
    }

    fn journaling(&self) -> Option<String> {
        let s = self.journaling_standing()?;
        let late =
            s.overdue.map(|at| format!("; LATE: it should have what was said since {}", Timestamp(at)));
        let trouble = s.trouble.map(|why| format!("; NOT TAKEN: {why}")).unwrap_or_default();
        let late = late.filter(|_| !trouble.is_empty()).unwrap_or_default();
        Some(format!(
            "the archive has rows up to {}, {} mail(s) since the start{late}{trouble}",
            s.cursor, s.sent
        ))
    }

    fn connections(&self) -> usize {
        self.inner.net.connections()
    }
}

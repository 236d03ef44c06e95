//! What may change while the server runs: listeners, certificate, limits and rules.

use crate::authority;
use crate::certificates;
use crate::clean;
use crate::config::{Config, FederationMode, SipListen, SipTransport, XmppListen};
use crate::conformance::Conformance;
use crate::failure::Failure;
use crate::house::{self, House};
use crate::log::Log;
use crate::metrics::Sources;
use crate::probe::{self, Ground};
use crate::published::Look;
use crate::recording::Recorder;
use crate::supervisor::Supervisor;
use connector::TlsMode;
use hub::{Hub, Rules};
use model::{Address, Timestamp};
use net::{Admission, Bound, ListenError, Net, Opening, Tls};
use parking_lot::{Mutex, RwLock};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use store::SqliteStore;
use tokio::sync::Notify;
use web::{Answered, ListenerView, Operator, Reloaded};

/// How often we look whether everybody has gone.
const LOOK: Duration = Duration::from_millis(10);

/// Between two steps of destruction by rule, so that messages need not wait for it.
const PAUSE: Duration = Duration::from_millis(20);

/// The changeable part of a server that runs.
pub struct Live {
    inner: Arc<Inner>,
}

struct Inner {
    net: Net,
    store: Arc<SqliteStore>,
    rules: Arc<Rules>,
    outbreaks: Arc<outbreak::Outbreaks>,
    now: Mutex<Now>,
    bound: RwLock<Vec<Bound>>,
    stopping: AtomicBool,
    partners: Arc<partner::Federation>,
    conformance: Arc<Conformance>,
    eyes: Arc<hygiene::Eyes>,
    hub: Arc<Hub>,
    started: Timestamp,
    supervisor: Supervisor,
    log: Option<Log>,
    recorder: Option<Arc<Recorder>>,
    hurry: OnceLock<Arc<Notify>>,
}

/// What is in force.
struct Now {
    config: Config,
    tls: Option<Arc<Tls>>,
}

/// When a changed key shows.
enum When {
    /// At once, for connections that exist or for those that come.
    Now,
    /// Only in a new process, because of this.
    Restart(&'static str),
    /// Machines of datagram sockets live as long as their socket.
    NewSocket,
}

type Reading = fn(&Config) -> String;

/// Every key but listeners and certificate, when a change of it shows, and how to see that it changed.
const KEYS: &[(&str, When, Reading)] = &[
    ("domains", When::Restart("accounts and sessions are tied to it"), |c| format!("{:?}", c.domains)),
    ("data", When::Restart("the store is open"), |c| format!("{:?}", c.data)),
    ("workers", When::Restart("threads are made at the start"), |c| format!("{}", c.workers)),
    ("xmpp.require_tls", When::Now, |c| format!("{}", c.xmpp_require_tls)),
    ("xmpp.resume_seconds", When::Now, |c| format!("{}", c.xmpp_resume_secs)),
    ("sip.md5", When::NewSocket, |c| format!("{}", c.sip_md5)),
    ("sip.public_host", When::NewSocket, |c| format!("{:?}", c.sip_public_host)),
    ("limits.messages_per_second", When::Now, |c| format!("{}", c.limits.messages_per_second)),
    ("limits.burst", When::Now, |c| format!("{}", c.limits.burst)),
    ("limits.message_bytes", When::Now, |c| format!("{}", c.limits.message_bytes)),
    ("limits.connections", When::Now, |c| format!("{}", c.limits.connections)),
    ("limits.connections_per_source", When::Now, |c| format!("{}", c.limits.connections_per_source)),
    ("record.retention", When::Now, |c| format!("{}", c.retention)),
    ("xmpp.listen.trusted", When::Now, |c| {
        format!("{:?}", c.xmpp.iter().map(XmppListen::proxies).collect::<Vec<_>>())
    }),
    ("sip.listen.trusted", When::Now, |c| {
        format!("{:?}", c.sip.iter().map(SipListen::proxies).collect::<Vec<_>>())
    }),
    ("drain.seconds", When::Now, |c| format!("{}", c.drain.as_secs())),
    ("drain.go_to", When::Now, |c| format!("{:?}", c.go_to)),
    ("log.format", When::Now, |c| format!("{:?}", c.log.format)),
    ("log.level", When::Now, |c| format!("{:?}", c.log.level)),
    ("log.targets", When::Now, |c| format!("{:?}", c.log.targets)),
    ("traces", When::Restart("the exporter begins with the server"), |c| format!("{:?}", c.traces)),
    ("acme", When::Restart("the keeper of certificates begins with the server"), |c| format!("{:?}", c.acme)),
    ("metrics.listen", When::Restart("it is opened at the start"), |c| format!("{:?}", c.metrics)),
    ("federation", When::Now, |c| {
        let f = &c.federation;
        let authorities: Vec<&String> = f.authorities.iter().map(toml::Spanned::get_ref).collect();
        let who = [&f.who, &f.except].map(|all| all.iter().map(|w| w.get_ref().clone()).collect::<Vec<_>>());
        let anchors = f.dnssec_anchors.as_ref().map(toml::Spanned::get_ref);
        let dns: Vec<_> = f.dns.iter().map(toml::Spanned::get_ref).collect();
        format!(
            "{:?}, {:?}, who {who:?}, authorities {authorities:?}, system's {}, dialback {}, dane {}, posh {}, anchors {anchors:?}, dns {dns:?}, deadline {}, tests {}",
            f.mode,
            f.protocols,
            f.system_authorities,
            f.dialback,
            f.dane,
            f.posh,
            f.deadline_seconds,
            f.test_hours
        )
    }),
    ("federation.listen", When::Restart("it is opened at the start"), |c| {
        format!("{:?}", c.federation.listen.as_ref().map(toml::Spanned::get_ref))
    }),
    ("federation.url", When::Now, |c| format!("{:?}", c.federation.url.as_ref().map(toml::Spanned::get_ref))),
    ("hygiene", When::Now, |c| c.hygiene.shown()),
    ("outbreak", When::Now, |c| format!("{:?}", c.outbreak.settings())),
    ("consent.messages", When::Now, |c| format!("{:?}", c.consent.messages)),
    ("consent.presence", When::Now, |c| format!("{:?}", c.consent.presence)),
];

/// Who may see whom is another matter now.
fn look_again(hub: &Arc<Hub>) -> impl Fn() + Send + Sync + 'static {
    let hub = Arc::downgrade(hub);
    move || {
        if let Some(hub) = hub.upgrade() {
            hub.rules_changed();
        }
    }
}

impl Live {
    /// Opens the listeners of a house.
    ///
    /// # Errors
    /// [`Failure`] with file and line of what cannot be opened.
    pub fn open(
        config: Config,
        house: &House,
        workers: usize,
        supervisor: Supervisor,
        log: Option<Log>,
    ) -> Result<Self, Failure> {
        if config.acme.is_some() && certificates::files(&config).is_empty() {
            certificates::shelf::make_stand_in(&config)?;
        }
        let net = Net::new(house.hub.clone(), admission(&config), workers);
        let tls = certificates::open(&config)?;
        let change = net
            .prepare(
                wanted(&config, &house.store, &house.partners, house.recorder.as_deref())?,
                tls.is_some(),
            )
            .map_err(|error| misplaced(&config, &error))?;
        let bound = RwLock::new(net.commit(change, tls.clone()));
        let doors = house::doors(&config, &house.store, &house.partners, house.recorder.as_deref())?;
        let resolver = house::resolver(&config)?;
        house.partners.look_up_with(Arc::new(Look::new(resolver.clone(), &doors, &house.partners)));
        net.federate(house.partners.clone(), resolver, doors)?;
        let conformance = Conformance::new(house.hub.clone(), house.partners.clone(), config.domains.clone());
        if config.federation.mode != FederationMode::Off {
            conformance.start();
        }
        let now = Mutex::new(Now { config, tls });
        let (store, rules) = (house.store.clone(), house.rules.clone());
        let inner = Arc::new(Inner {
            net,
            store,
            rules,
            outbreaks: house.outbreaks.clone(),
            now,
            bound,
            stopping: AtomicBool::new(false),
            partners: house.partners.clone(),
            conformance,
            eyes: house.eyes.clone(),
            hub: house.hub.clone(),
            started: wall(),
            supervisor,
            log,
            recorder: house.recorder.clone(),
            hurry: OnceLock::new(),
        });
        let tester = Arc::downgrade(&inner);
        inner.conformance.tell(Box::new(move |name| {
            if let Some(inner) = tester.upgrade() {
                tokio::spawn(async move { inner.try_out(&name).await });
            }
        }));
        let conformance = Arc::downgrade(&inner.conformance);
        inner.partners.tell(Box::new(move |due| {
            if let Some(conformance) = conformance.upgrade() {
                conformance.disclaim(due);
            }
        }));
        let hub = Arc::downgrade(&house.hub);
        house.rulebook.tell_by(move |sender, text| {
            if let Some(hub) = hub.upgrade() {
                hub.say(sender, text);
            }
        });
        let hub = Arc::downgrade(&house.hub);
        house.eyes.tell_by(move |to, text| {
            if let Some(hub) = hub.upgrade() {
                hub.say(to, text);
            }
        });
        crate::outbreaks::attend(house);
        house.rulebook.on_change(look_again(&house.hub));
        let (look, owner) = (look_again(&house.hub), Arc::downgrade(&inner));
        house.partners.on_change(move || {
            look();
            if let Some(inner) = owner.upgrade() {
                clean::acquaint(&inner.eyes, &inner.partners, &inner.store);
            }
        });
        Ok(Self { inner })
    }

    /// The configuration in force.
    pub fn config(&self) -> Config {
        self.inner.now.lock().config.clone()
    }

    /// Uses the certificates that are on disk now, for handshakes from now on.
    ///
    /// # Errors
    /// [`Failure`] where one cannot be used; nothing has changed then.
    pub fn renew_certificates(&self) -> Result<(), Failure> {
        let mut now = self.inner.now.lock();
        let tls = certificates::open(&now.config)?;
        self.inner.net.secure(tls.clone());
        now.tls = tls;
        Ok(())
    }

    /// What makes the keeper of certificates look now.
    pub fn hurry_with(&self, hurry: Arc<Notify>) {
        let _ = self.inner.hurry.set(hurry);
    }

    /// Reads lists again whose files have changed, and who there is. Blocks.
    pub fn look_for_lists(&self, and_people: bool) {
        self.inner.eyes.refresh();
        if and_people {
            clean::acquaint(&self.inner.eyes, &self.inner.partners, &self.inner.store);
        }
    }

    /// Our certificates, as they are now.
    pub fn tls(&self) -> Option<Arc<Tls>> {
        self.inner.now.lock().tls.clone()
    }

    /// When it was opened.
    pub fn started(&self) -> Timestamp {
        self.inner.started
    }

    /// Tests partners whose last test is older than the configuration wants, one after the other.
    pub async fn try_out_the_overdue(&self) {
        let hours = self.inner.now.lock().config.federation.test_hours;
        if hours == 0 || self.inner.now.lock().config.federation.mode == FederationMode::Off {
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

    /// Lets everybody finish and says goodbye, for as long as the configuration allows or until `hurry` is ready.
    pub async fn drain(&self, hurry: impl Future<Output = ()>) {
        let inner = &self.inner;
        inner.stopping.store(true, Ordering::Release);
        let (patience, go_to) = {
            let now = inner.now.lock();
            (now.config.drain, now.config.go_to.clone())
        };
        inner.supervisor.stopping(patience);
        // While there are connections to say it over.
        inner.hub.farewell();
        inner.net.drain(go_to.map(Into::into));
        let goodbyes = async {
            while !inner.net.is_quiet() {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            done = tokio::time::timeout(patience, goodbyes) => if done.is_err() {
                tracing::warn!(connections = inner.net.connections(), "not everybody was done in time");
            },
            () = hurry => tracing::warn!("told twice to stop: no more waiting"),
        }
    }
}

impl Inner {
    /// Reads, checks and opens everything first; only what is whole is put into force.
    fn reload(&self) -> Result<Reloaded, Failure> {
        if self.stopping.load(Ordering::Acquire) {
            return Err(Failure::new("the server is stopping"));
        }
        let mut now = self.now.lock();
        let mut config = Config::load(&now.config.source.path)?;
        let tls = certificates::open(&config)?;
        let mut done = compare(&now.config, &config);
        // What needs a restart stays as it is, in what the doors are told, too; the next reload says so again.
        config.domains.clone_from(&now.config.domains);
        config.data.clone_from(&now.config.data);
        config.workers = now.config.workers;
        config.metrics = now.config.metrics;
        config.traces.clone_from(&now.config.traces);
        config.acme.clone_from(&now.config.acme);
        let (federation, resolver) = (house::federation(&config)?, house::resolver(&config)?);
        let doors = house::doors(&config, &self.store, &self.partners, self.recorder.as_deref())?;
        let change = self
            .net
            .prepare(wanted(&config, &self.store, &self.partners, self.recorder.as_deref())?, tls.is_some())
            .map_err(|error| misplaced(&config, &error))?;
        if now.tls.as_ref().map(|t| t.leaves()) != tls.as_ref().map(|t| t.leaves()) {
            done.changed.push("tls: another certificate, for handshakes from now on".into());
        }
        let before = self.listeners();
        *self.bound.write() = self.net.commit(change, tls.clone());
        let after = self.listeners();
        let shown = |l: &ListenerView| format!("{} on {} (tls: {})", l.name, l.address, l.tls);
        done.changed
            .extend(after.iter().filter(|l| !before.contains(l)).map(|l| format!("open: {}", shown(l))));
        done.changed
            .extend(before.iter().filter(|l| !after.contains(l)).map(|l| format!("closed: {}", shown(l))));
        self.net.admit(admission(&config));
        if let Some(log) = &self.log {
            log.set(&config.log);
        }
        self.rules.set(house::rules_of(&config));
        self.outbreaks.set(config.outbreak.settings());
        self.partners.set(federation);
        self.eyes.set(config.hygiene.settings(config.base(), &config.domains));
        clean::acquaint(&self.eyes, &self.partners, &self.store);
        if config.federation.mode != FederationMode::Off {
            self.conformance.start();
        }
        self.partners.look_up_with(Arc::new(Look::new(resolver.clone(), &doors, &self.partners)));
        self.net.federate(self.partners.clone(), resolver, doors)?;
        *now = Now { config, tls };
        Ok(done)
    }

    fn listeners(&self) -> Vec<ListenerView> {
        self.bound.read().iter().map(view).collect()
    }
}

impl Inner {
    fn ground(&self) -> Result<Ground, String> {
        let now = self.now.lock();
        let local = now.config.domains.first().cloned().ok_or("this server has no domain")?;
        let resolver = house::resolver(&now.config).map_err(|failure| failure.to_string())?;
        Ok(Ground { partners: self.partners.clone(), resolver, tls: now.tls.clone(), local })
    }

    /// Looks at somebody's servers; tries everything with a partner, and keeps what was found.
    async fn try_out(&self, name: &str) -> Result<web::Probed, String> {
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

    fn expire(&self, who: &str) -> Result<web::Expired, String> {
        let rule = self.inner.now.lock().config.retention;
        let done = record::expire(self.inner.store.as_ref(), rule, who, wall(), || std::thread::sleep(PAUSE));
        let done = done.map_err(|trouble| trouble.to_string())?;
        if let Some(done) = done.filter(|d| d.rows > 0) {
            tracing::info!(%rule, rows = done.rows, held = done.held, "content destroyed by rule");
        }
        let done = done.unwrap_or_default();
        Ok(web::Expired { rule: rule.to_string(), destroyed: done.rows, waiting: done.held })
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
        let config = self.inner.now.lock().config.clone();
        let issued = authority::sign(&config, partner, request, days).map_err(|e| e.to_string())?;
        Ok((issued.chain, issued.authority))
    }

    fn revoke(&self, certificate: &str) -> Result<(String, String), String> {
        // Held meanwhile: two lists at a time would forget one another.
        let now = self.inner.now.lock();
        authority::revoke(&now.config, certificate).map_err(|e| e.to_string())
    }

    fn url(&self) -> Option<String> {
        let now = self.inner.now.lock();
        now.config.federation.url.as_ref().map(|url| url.get_ref().clone())
    }

    fn send(&self, url: String, word: String, partner: String) -> Answered<Result<(), String>> {
        let inner = self.inner.clone();
        Box::pin(async move {
            let ground = inner.ground()?;
            probe::send(&ground, &url, &word, &partner).await
        })
    }

    fn chain(&self) -> Result<Vec<Vec<u8>>, String> {
        let (files, first) = {
            let now = self.inner.now.lock();
            (certificates::files(&now.config), now.config.domains.first().map(|d| d.domain().to_owned()))
        };
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
        let leaves = inner.now.lock().tls.as_ref().map(|tls| tls.leaves()).unwrap_or_default();
        let certificates = leaves.iter().filter_map(|leaf| certificates::paper::Paper::read(leaf)).collect();
        let (started, now) = (inner.started, wall());
        let outbreaks = inner.outbreaks.as_ref();
        Sources { hub: &inner.hub, store: &inner.store, outbreaks, listeners, certificates, started, now }
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

    fn connections(&self) -> usize {
        self.inner.net.connections()
    }
}

/// What differs, key by key.
fn compare(before: &Config, after: &Config) -> Reloaded {
    let mut done = Reloaded::default();
    let has_udp = |c: &Config| c.sip.iter().any(|l| l.transport == SipTransport::Udp);
    for (key, when, read) in KEYS.iter().filter(|(_, _, read)| read(before) != read(after)) {
        let (old, new, place) = (read(before), read(after), after.source.place(key));
        let why = match when {
            When::Now => None,
            When::Restart(why) => Some(*why),
            When::NewSocket => (has_udp(before) && has_udp(after))
                .then_some("open UDP listeners keep the old value, new connections have the new one"),
        };
        match why {
            None => done.changed.push(format!("{key}: {old} -> {new}")),
            Some(why) => done.restart.push(format!("{place}: `{key}`: {old} -> {new} ({why})")),
        }
    }
    done
}

fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn admission(config: &Config) -> Admission {
    Admission { total: config.limits.connections, per_source: config.limits.connections_per_source }
}

fn wanted(
    config: &Config,
    store: &SqliteStore,
    partners: &Arc<partner::Federation>,
    recorder: Option<&Recorder>,
) -> Result<Vec<Opening>, Failure> {
    let doors = house::doors(config, store, partners, recorder)?;
    let mut wanted: Vec<Opening> = doors.iter().flat_map(Opening::of).collect();
    // The doors have their listeners in the order of the configuration.
    let proxies =
        config.xmpp.iter().map(XmppListen::proxies).chain(config.sip.iter().map(SipListen::proxies));
    for (opening, proxies) in wanted.iter_mut().zip(proxies) {
        opening.proxies = proxies;
    }
    Ok(wanted)
}

/// A listener that cannot be opened, said where the configuration names it.
fn misplaced(config: &Config, error: &ListenError) -> Failure {
    let addresses = config.xmpp.iter().map(|l| &l.address).chain(config.sip.iter().map(|l| &l.address));
    let what = format!("{error}; choose another address, or end what uses it");
    match addresses.into_iter().find(|a| *a.get_ref() == error.addr()) {
        Some(address) => config.source.mistake_at(address, what).into(),
        None => Failure::new(what),
    }
}

fn view(bound: &Bound) -> ListenerView {
    let tls = match bound.listener.tls {
        TlsMode::None => "none",
        TlsMode::Direct => "direct",
        TlsMode::Upgrade => "starttls",
    };
    ListenerView {
        name: bound.listener.name.clone(),
        address: bound.listener.addr.to_string(),
        tls: tls.to_owned(),
    }
}

//! What may change while the server runs: listeners, certificate, limits and rules.

mod keys;
mod opening;
mod operate;
mod trying;

use keys::compare;
use opening::{admission, misplaced, view, wanted};

use crate::certificates;
use crate::checkpoints::Notary;
use crate::clean;
use crate::config::{Config, FederationMode};
use crate::conformance::Conformance;
use crate::failure::Failure;
use crate::house::{self, House};
use crate::in_force::InForce;
use crate::journaling::Journaling;
use crate::keeping::Keeping;
use crate::log::Log;
use crate::published::Look;
use crate::recording::Recorder;
use crate::supervisor::Supervisor;
use crate::unrecorded::Exceptions;
use crate::usage::Usage;
use hub::{Hub, Rules};
use model::Timestamp;
use net::{Bound, Net};
use parking_lot::{Mutex, RwLock};
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use store::SqliteStore;
use tokio::sync::Notify;
use web::{ListenerView, Reloaded};

/// How often we look whether everybody has gone.
const LOOK: Duration = Duration::from_millis(10);

/// The changeable part of a server that runs.
pub struct Live {
    inner: Arc<Inner>,
}

struct Inner {
    net: Net,
    store: Arc<SqliteStore>,
    rules: Arc<Rules>,
    outbreaks: Arc<outbreak::Outbreaks>,
    guard: Arc<spim::Guard>,
    exceptions: Arc<Exceptions>,
    usage: Arc<Usage>,
    search: Option<Arc<search::Index>>,
    notary: Arc<Notary>,
    keeping: Arc<Keeping>,
    in_force: Arc<InForce>,
    /// One change at a time.
    change: Mutex<()>,
    bound: RwLock<Vec<Bound>>,
    stopping: AtomicBool,
    partners: Arc<partner::Federation>,
    conformance: Arc<Conformance>,
    eyes: Arc<hygiene::Eyes>,
    files: Option<Arc<files::Files>>,
    hub: Arc<Hub>,
    started: Timestamp,
    supervisor: Supervisor,
    log: Option<Log>,
    recorder: Option<Arc<Recorder>>,
    hurry: OnceLock<Arc<Notify>>,
    journaling: OnceLock<Arc<Journaling>>,
}

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
        if !config.alone {
            net.federate(house.partners.clone(), resolver, doors)?;
        }
        let conformance = Conformance::new(house.hub.clone(), house.partners.clone(), config.domains.clone());
        if config.federation.mode != FederationMode::Off && !config.alone {
            conformance.start();
        }
        let usage = Arc::new(Usage::new(&config, house));
        let in_force = Arc::new(InForce::new(config, tls));
        let (store, rules) = (house.store.clone(), house.rules.clone());
        let inner = Arc::new(Inner {
            net,
            store,
            rules,
            outbreaks: house.outbreaks.clone(),
            guard: house.guard.clone(),
            exceptions: house.exceptions.clone(),
            usage,
            search: house.search.clone(),
            notary: house.notary.clone(),
            keeping: house.keeping.clone(),
            in_force,
            change: Mutex::default(),
            bound,
            stopping: AtomicBool::new(false),
            partners: house.partners.clone(),
            conformance,
            eyes: house.eyes.clone(),
            files: house.files.clone(),
            hub: house.hub.clone(),
            started: wall(),
            supervisor,
            log,
            recorder: house.recorder.clone(),
            hurry: OnceLock::new(),
            journaling: OnceLock::new(),
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
        crate::strangers::attend(house);
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

    /// Who makes usage reports.
    pub fn usage(&self) -> Arc<Usage> {
        self.inner.usage.clone()
    }

    /// Configuration and certificates.
    pub fn in_force(&self) -> Arc<InForce> {
        self.inner.in_force.clone()
    }

    /// Uses the certificates that are on disk now, for handshakes from now on.
    ///
    /// # Errors
    /// [`Failure`] where one cannot be used; nothing has changed then.
    pub fn renew_certificates(&self) -> Result<(), Failure> {
        let _one = self.inner.change.lock();
        let tls = certificates::open(&self.inner.in_force.config())?;
        self.inner.net.secure(tls.clone());
        self.inner.in_force.secure(tls);
        Ok(())
    }

    /// Who sends to the archive.
    pub fn journals_with(&self, journaling: Arc<Journaling>) {
        let _ = self.inner.journaling.set(journaling);
    }

    /// What makes the keeper of certificates look now.
    pub fn hurry_with(&self, hurry: Arc<Notify>) {
        let _ = self.inner.hurry.set(hurry);
    }

    /// Ends what was held for longer than the configuration says, where the clock can be believed, and puts that on record.
    /// Blocks.
    ///
    /// # Errors
    /// In words.
    pub fn end_what_waits_too_long(&self, store: &SqliteStore) -> Result<(), String> {
        let Some(days) = self.inner.in_force.config().quarantine_days else { return Ok(()) };
        self.inner.keeping.believe_the_clock().map_err(|error| error.to_string())?;
        let before = Timestamp(wall().unix_ms().saturating_sub(u64::from(days) * 86_400_000));
        let ended = self.inner.hub.expire_held(before).map_err(|error| error.to_string())?;
        if ended > 0 {
            tracing::info!(ended, "held messages ended: nobody decided in time");
            let act = record::Act::done("quarantine.expire", "server");
            let act = act.on(format!("{ended} message(s) held before {before}"));
            act.note(store, wall()).map_err(|trouble| trouble.to_string())?;
        }
        Ok(())
    }

    /// When it was opened.
    pub fn started(&self) -> Timestamp {
        self.inner.started
    }

    /// Nobody is connected any more: what clients may come back to is left to the next process. Blocks.
    pub fn keep_sessions(&self) {
        let kept = self.inner.hub.keep_sessions();
        if kept > 0 {
            tracing::info!(sessions = kept, "left for their clients to resume");
        }
    }

    /// Lets everybody finish and says goodbye, for as long as the configuration allows or until `hurry` is ready.
    pub async fn drain(&self, hurry: impl Future<Output = ()>) {
        let inner = &self.inner;
        inner.stopping.store(true, Ordering::Release);
        let config = inner.in_force.config();
        let (patience, go_to) = (config.drain, config.go_to.clone());
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
        let _one = self.change.lock();
        let (before, presented) = (self.in_force.config(), self.in_force.tls());
        let mut config = Config::load(&before.source.path)?;
        let mut done = compare(&before, &config);
        // What needs a restart stays as it is, in what the doors are told, too; the next reload says so again.
        config.domains.clone_from(&before.domains);
        config.data.clone_from(&before.data);
        config.workers = before.workers;
        config.metrics = before.metrics;
        config.traces.clone_from(&before.traces);
        config.acme.clone_from(&before.acme);
        config.upload.listen.clone_from(&before.upload.listen);
        config.upload.plain = before.upload.plain;
        config.federation.listen.clone_from(&before.federation.listen);
        config.administration.socket.clone_from(&before.administration.socket);
        config.administration.group.clone_from(&before.administration.group);
        (config.record.search, config.record.presence) = (before.record.search, before.record.presence);
        config.alone = before.alone;
        let tls = certificates::open(&config)?;
        let (federation, resolver) = (house::federation(&config)?, house::resolver(&config)?);
        let hygiene = house::hygiene(&config)?;
        let doors = house::doors(&config, &self.store, &self.partners, self.recorder.as_deref())?;
        let change = self
            .net
            .prepare(wanted(&config, &self.store, &self.partners, self.recorder.as_deref())?, tls.is_some())
            .map_err(|error| misplaced(&config, &error))?;
        if presented.as_ref().map(|t| t.leaves()) != tls.as_ref().map(|t| t.leaves()) {
            done.changed.push("tls: another certificate, for handshakes from now on".into());
        }
        let closed = self.listeners();
        *self.bound.write() = self.net.commit(change, tls.clone());
        let open = self.listeners();
        let name = |l: &ListenerView| format!("{} on {} (tls: {})", l.name, l.address, l.tls);
        let those = |these: &[ListenerView], but: &[ListenerView], what: &str| {
            let only = these.iter().filter(|l| !but.contains(l));
            only.map(|l| format!("{what}: {}", name(l))).collect::<Vec<_>>()
        };
        done.changed.extend(those(&open, &closed, "open"));
        done.changed.extend(those(&closed, &open, "closed"));
        self.net.admit(admission(&config));
        if let Some(log) = &self.log {
            log.set(&config.log);
        }
        self.rules.set(house::rules_of(&config));
        self.outbreaks.set(config.outbreak.settings());
        self.exceptions.set(config.record.fail_open.clone());
        self.guard.set(config.spim.settings(config.base()));
        self.partners.set(federation);
        self.eyes.set(hygiene);
        clean::acquaint(&self.eyes, &self.partners, &self.store);
        if let (Some(files), Some(settings)) = (&self.files, config.upload.settings()) {
            files.set(settings);
        }
        if config.federation.mode != FederationMode::Off {
            self.conformance.start();
        }
        self.partners.look_up_with(Arc::new(Look::new(resolver.clone(), &doors, &self.partners)));
        self.net.federate(self.partners.clone(), resolver, doors)?;
        self.in_force.set(config, tls);
        // Who looks for places to anchor looks again, once this is in force.
        self.notary.ring();
        Ok(done)
    }

    fn listeners(&self) -> Vec<ListenerView> {
        self.bound.read().iter().map(view).collect()
    }
}

fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

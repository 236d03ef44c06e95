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
use net::{Bound, Net, Tls};
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
    now: Mutex<Now>,
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

/// What is in force.
struct Now {
    config: Config,
    tls: Option<Arc<Tls>>,
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
        net.federate(house.partners.clone(), resolver, doors)?;
        let conformance = Conformance::new(house.hub.clone(), house.partners.clone(), config.domains.clone());
        if config.federation.mode != FederationMode::Off {
            conformance.start();
        }
        let usage = Arc::new(Usage::new(&config, house));
        let now = Mutex::new(Now { config, tls });
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
            now,
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

    /// Who sends to the archive.
    pub fn journals_with(&self, journaling: Arc<Journaling>) {
        let _ = self.inner.journaling.set(journaling);
    }

    /// What makes the keeper of certificates look now.
    pub fn hurry_with(&self, hurry: Arc<Notify>) {
        let _ = self.inner.hurry.set(hurry);
    }

    /// Ends what was held for longer than the configuration says, and puts that on record. Blocks.
    ///
    /// # Errors
    /// In words.
    pub fn end_what_waits_too_long(&self, store: &SqliteStore) -> Result<(), String> {
        let Some(days) = self.inner.now.lock().config.quarantine_days else { return Ok(()) };
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
        config.upload.listen.clone_from(&now.config.upload.listen);
        config.upload.plain = now.config.upload.plain;
        let (federation, resolver) = (house::federation(&config)?, house::resolver(&config)?);
        let hygiene = house::hygiene(&config)?;
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
        *now = Now { config, tls };
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

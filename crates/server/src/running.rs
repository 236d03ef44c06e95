//! A server that runs: the house with its sockets open.

use crate::answers;
use crate::certificates;
use crate::certificates::acme::{Keeper, Kept};
use crate::checkpoints::{self, Notary};
use crate::config::{Config, ControlPart, Source};
use crate::failure::Failure;
use crate::house;
use crate::journaling::Journaling;
use crate::live::Live;
use crate::log::Log;
use crate::recording::Recorder;
use crate::supervisor::Supervisor;
use crate::traces::Exporter;
use crate::upload;
use std::future::Future;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;
use web::Operator;

/// How long after the start retention looks for the first time: not while everybody logs in again.
const FIRST_LOOK: Duration = Duration::from_secs(60);

/// A server that runs.
pub struct Running {
    /// The control socket.
    pub control: PathBuf,
    live: Arc<Live>,
    exporter: Option<Arc<Exporter>>,
    metrics_at: Option<SocketAddr>,
    answers_at: Option<SocketAddr>,
    files_at: Option<SocketAddr>,
    /// What is done beside serving, until the stop.
    tasks: Vec<JoinHandle<()>>,
    store: Arc<store::SqliteStore>,
    search: Option<Arc<search::Index>>,
    notary: Arc<Notary>,
    guard: Arc<spim::Guard>,
    _keeper: Option<Kept>,
}

/// Worker threads for this configuration.
pub fn workers(config: &Config) -> usize {
    match config.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    }
}

impl Running {
    /// Opens everything. When this returns, all listeners are open.
    ///
    /// # Errors
    /// [`Failure`] naming what could not be opened.
    pub async fn start(
        config: Config,
        supervisor: Supervisor,
        log: Option<Log>,
        recorder: Option<Arc<Recorder>>,
    ) -> Result<Self, Failure> {
        let workers = workers(&config);
        let mut house = house::build(&config, workers)?;
        house.recorder = recorder;
        let hub = house.hub.clone();
        let started = Self::open(config, house, workers, supervisor, log).await;
        if started.is_err() {
            // Whoever waits for a server waits for the next try.
            let _ = tokio::task::spawn_blocking(move || hub.keep_sessions()).await;
        }
        started
    }

    async fn open(
        config: Config,
        house: house::House,
        workers: usize,
        supervisor: Supervisor,
        log: Option<Log>,
    ) -> Result<Self, Failure> {
        let control = config.control();
        let place = config.source.clone();
        let part = config.administration.clone();
        let metrics = open_metrics(&config).await?;
        let answers = answers::open(&config).await?;
        let upload = upload::open(&config, house.files.as_ref()).await?;
        let live = Arc::new(Live::open(config, &house, workers, supervisor, log)?);
        let in_force = live.in_force();
        let socket = open_control(&control, &part, &place)?;
        let desk = web::Desk {
            hub: house.hub.clone(),
            accounts: house.identity.clone(),
            partners: house.partners.clone(),
            rulebook: house.rulebook.clone(),
            outbreaks: house.outbreaks.clone(),
            admins: Arc::new(admin::Administrators::open(house.store.clone())?),
            requests: admin::Requests::new(house.store.clone()),
            owner: rustix::process::geteuid().as_raw(),
            guard: house.guard.clone(),
            files: house.files.clone(),
            signer: partner::Signer::new(house.store.clone()),
            journal: house.store.clone(),
            checkpoints: house.store.clone(),
            search: house.search.clone(),
            matters: house.keeping.matters.clone(),
            reviews: house.keeping.reviews.clone(),
            rules: house.keeping.rules.clone(),
            selections: web::Selections::default(),
            imports: web::Imports::default(),
            closed: web::Closed::default(),
            chain: house.chain,
            operator: live.clone(),
            started: live.started(),
            version: env!("CARGO_PKG_VERSION"),
        };
        let desk = Arc::new(desk);
        let mut metrics_at = None;
        if let Some(socket) = metrics {
            metrics_at = Some(socket.local_addr()?);
            let desk = desk.clone();
            tokio::spawn(async move {
                if let Err(error) = web::serve_metrics(socket, desk).await {
                    tracing::error!(%error, "the metrics listener failed");
                }
            });
        }
        let mut answers_at = None;
        if let Some(socket) = answers {
            answers_at = Some(socket.local_addr()?);
            tokio::spawn(answers::serve(socket, in_force.clone(), desk.clone()));
        }
        let mut files_at = None;
        let mut tasks: Vec<JoinHandle<()>> = Vec::new();
        if let (Some(socket), Some(kept)) = (upload, &house.files) {
            files_at = Some(socket.local_addr()?);
            tasks.push(tokio::spawn(upload::serve(socket, in_force.clone(), kept.clone())));
        }
        let router = web::router(desk);
        tasks.push(tokio::spawn(async move {
            if let Err(error) = web::serve(socket, router).await {
                tracing::error!(%error, "the control socket failed");
            }
        }));
        let journaling = Journaling::open(house.store.clone(), house.files.clone(), house.chain)?;
        let journaling = Arc::new(journaling);
        live.journals_with(journaling.clone());
        let mut keeper = None;
        if !in_force.config().alone {
            tasks.extend(by_the_clock(&live, &house, journaling));
            keeper = keep_certificates(&live, &house.store).await?;
        }
        Ok(Self {
            tasks,
            guard: house.guard,
            _keeper: keeper,
            live,
            exporter: house.exporter,
            metrics_at,
            answers_at,
            files_at,
            control,
            store: house.store,
            search: house.search,
            notary: house.notary,
        })
    }

    /// What is listened on.
    pub fn listeners(&self) -> Vec<web::ListenerView> {
        let mut all = self.live.listeners();
        let metrics = self.metrics_at.map(|addr| web::ListenerView {
            name: "metrics".into(),
            address: addr.to_string(),
            tls: "none".into(),
        });
        all.extend(metrics);
        all.extend(self.answers_at.map(|addr| web::ListenerView {
            name: "answers".into(),
            address: addr.to_string(),
            tls: "direct".into(),
        }));
        let plain = self.live.in_force().config().upload.plain;
        all.extend(self.files_at.map(|addr| web::ListenerView {
            name: "files".into(),
            address: addr.to_string(),
            tls: if plain { "none" } else { "direct" }.into(),
        }));
        all
    }

    /// Reads configuration and certificate again, and logs what came of it.
    pub async fn reload(&self) {
        let end = self.live.reload().await;
        let mut act = record::Act::done("reload", "the system, by signal");
        match end {
            Ok(done) => act = act.on(done.changed.join(", ")),
            Err(why) => act.result = format!("refused: {why}"),
        }
        let store = self.store.clone();
        // A failure is logged by the store itself.
        let _ = tokio::task::spawn_blocking(move || act.note(store.as_ref(), crate::clock::now())).await;
    }

    /// Says goodbye to everybody, writes what is queued and stops; in a hurry when `hurry` is ready.
    pub async fn stop(self, hurry: impl Future<Output = ()>) {
        self.live.drain(hurry).await;
        if let Some(exporter) = &self.exporter {
            exporter.flush().await;
        }
        self.tasks.iter().for_each(JoinHandle::abort);
        let _ = std::fs::remove_file(&self.control);
        let (store, guard, search) = (self.store, self.guard, self.search);
        let live = self.live.clone();
        // What is new is closed with a checkpoint.
        let notary = (!self.live.in_force().config().alone).then_some(self.notary);
        let last = move || {
            live.keep_sessions();
            guard.write_down(usize::MAX, crate::clock::now().unix_ms());
            if let Some(notary) = notary {
                // What went wrong was logged; the next start goes on.
                let _ = notary.close(&record::Act::done("checkpoint", "server"));
            }
            if let Some(search) = search {
                search.close();
            }
            store.close();
        };
        let _ = tokio::task::spawn_blocking(last).await;
    }
}

/// What a server does by itself from time to time.
fn by_the_clock(live: &Arc<Live>, house: &house::House, journaling: Arc<Journaling>) -> Vec<JoinHandle<()>> {
    let (in_force, hub, guard) = (live.in_force(), &house.hub, &house.guard);
    let mut tasks = vec![
        tokio::spawn(forget(live.clone(), house.store.clone())),
        tokio::spawn(checkpoints::by_the_clock(in_force.clone(), house.notary.clone())),
        tokio::spawn(checkpoints::keep(in_force.clone(), house.notary.clone())),
        tokio::spawn(try_out(live.clone())),
        tokio::spawn(crate::usage::attend(in_force.clone(), live.usage())),
        tokio::spawn(crate::clean::keep(house.eyes.clone(), house.partners.clone(), house.store.clone())),
        tokio::spawn(crate::strangers::keep(hub.clone(), guard.clone())),
        tokio::spawn(journaling.run(in_force.clone())),
        tokio::spawn(certificates::watch(in_force.clone())),
    ];
    if let Some(domain) = in_force.config().domains.first().cloned() {
        tasks.push(tokio::spawn(crate::following::keep(hub.clone(), guard.clone(), domain)));
    }
    if let Some(files) = &house.files {
        tasks.push(tokio::spawn(upload::keep(files.clone(), hub.clone())));
    }
    tasks
}

/// Sees to it that certificates come by themselves, if the configuration wants that.
async fn keep_certificates(
    live: &Arc<Live>,
    store: &Arc<store::SqliteStore>,
) -> Result<Option<Kept>, Failure> {
    let (renewed, journal) = (live.clone(), store.clone());
    let issued = move |domain: &str| {
        let mut act = record::Act::done("certificate", "server").on(domain);
        let used = renewed.renew_certificates();
        if let Err(failure) = &used {
            tracing::error!(%failure, "the new certificate cannot be used");
            act.result = format!("refused: {failure}");
        }
        let journal = journal.clone();
        tokio::task::spawn_blocking(move || act.note(journal.as_ref(), crate::clock::now()));
        used.is_ok()
    };
    let keeper = Keeper::start(&live.in_force().config(), Box::new(issued)).await?;
    if let Some(keeper) = &keeper {
        live.hurry_with(keeper.hurry.clone());
    }
    Ok(keeper)
}

/// Looks every hour which partners were not tested for too long.
async fn try_out(live: Arc<Live>) {
    let mut hours =
        tokio::time::interval_at(tokio::time::Instant::now() + FIRST_LOOK, Duration::from_secs(3600));
    loop {
        hours.tick().await;
        live.try_out_the_overdue().await;
    }
}

/// Looks every hour whether content has become older than the rule of retention says, and what is held older than it may.
async fn forget(live: Arc<Live>, store: Arc<store::SqliteStore>) {
    let mut hours =
        tokio::time::interval_at(tokio::time::Instant::now() + FIRST_LOOK, Duration::from_secs(3600));
    loop {
        hours.tick().await;
        let (late, store) = (live.clone(), store.clone());
        let live = live.clone();
        let end = tokio::task::spawn_blocking(move || live.expire_by_itself()).await;
        if let Ok(Err(trouble)) = end {
            tracing::error!(%trouble, "content could not be destroyed by rule; the next run goes on");
        }
        let end = tokio::task::spawn_blocking(move || late.end_what_waits_too_long(store.as_ref())).await;
        if let Ok(Err(trouble)) = end {
            tracing::error!(trouble, "what is held too long could not be ended; the next run goes on");
        }
    }
}

/// The listener for metrics, if one is configured.
async fn open_metrics(config: &Config) -> Result<Option<TcpListener>, Failure> {
    let Some(addr) = config.metrics else { return Ok(None) };
    match TcpListener::bind(addr).await {
        Ok(socket) => Ok(Some(socket)),
        Err(error) => {
            let what = format!("cannot listen for metrics on {addr}: {error}; choose another address");
            Err(config.source.mistake("metrics.listen", what).into())
        }
    }
}

/// A socket only the owner can open, and the group that the configuration names. One left by a server that was killed is replaced; the store's lock has made
/// sure that no other server runs on this data.
fn open_control(path: &Path, part: &ControlPart, place: &Source) -> Result<UnixListener, Failure> {
    let fail = |e: std::io::Error| {
        let what = format!("control socket {}: {e}", path.display());
        match &part.socket {
            Some(socket) => {
                let what = format!(
                    "{what}; its directory must be there, and the server's user must be able to write to it"
                );
                place.mistake_at(socket, what).into()
            }
            None => Failure::new(what),
        }
    };
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(fail(error)),
    }
    let socket = UnixListener::bind(path).map_err(fail)?;
    let mode = match (&part.group, part.gid()) {
        (Some(group), gid) => {
            std::os::unix::fs::chown(path, None, gid).map_err(|e| {
                let what = format!("the control socket cannot be given to this group: {e}; make the server's user a member of it");
                Failure::from(place.mistake_at(group, what))
            })?;
            0o660
        }
        (None, _) => 0o600,
    };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(fail)?;
    Ok(socket)
}

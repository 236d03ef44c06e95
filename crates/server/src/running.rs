//! A server that runs: the house with its sockets open.

use crate::config::Config;
use crate::failure::Failure;
use crate::house;
use crate::live::Live;
use crate::supervisor::Supervisor;
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;
use web::Operator;

/// A server that runs.
pub struct Running {
    /// The control socket.
    pub control: PathBuf,
    live: Arc<Live>,
    store: Arc<store::SqliteStore>,
    api: JoinHandle<()>,
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
    pub async fn start(config: Config, supervisor: Supervisor) -> Result<Self, Failure> {
        let workers = workers(&config);
        let house = house::build(&config, workers)?;
        let control = config.control();
        let live = Arc::new(Live::open(config, &house, workers, supervisor)?);
        let socket = open_control(&control)?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let desk = web::Desk {
            hub: house.hub.clone(),
            accounts: house.identity.clone(),
            journal: house.store.clone(),
            chain: house.chain,
            operator: live.clone(),
            started: model::Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
            version: env!("CARGO_PKG_VERSION"),
        };
        let router = web::router(Arc::new(desk));
        let api = tokio::spawn(async move {
            if let Err(error) = web::serve(socket, router).await {
                tracing::error!(%error, "the control socket failed");
            }
        });
        Ok(Self { live, control, store: house.store, api })
    }

    /// What is listened on.
    pub fn listeners(&self) -> Vec<web::ListenerView> {
        self.live.listeners()
    }

    /// Reads configuration and certificate again, and logs what came of it.
    pub async fn reload(&self) {
        let _ = self.live.reload().await;
    }

    /// Says goodbye to everybody, writes what is queued and stops; in a hurry when `hurry` is ready.
    pub async fn stop(self, hurry: impl Future<Output = ()>) {
        self.live.drain(hurry).await;
        self.api.abort();
        let _ = std::fs::remove_file(&self.control);
        let store = self.store;
        let _ = tokio::task::spawn_blocking(move || store.close()).await;
    }
}

/// A socket only the owner can open. One left by a server that was killed is replaced; the store's lock has made
/// sure that no other server runs on this data.
fn open_control(path: &Path) -> Result<UnixListener, Failure> {
    let fail = |e: std::io::Error| Failure::new(format!("control socket {}: {e}", path.display()));
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(fail(error)),
    }
    let socket = UnixListener::bind(path).map_err(fail)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(fail)?;
    Ok(socket)
}

//! A server that runs: the house with its sockets open.

use crate::config::Config;
use crate::failure::Failure;
use crate::house;
use connector::TlsMode;
use net::{Admission, Bound, Net, Tls};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

/// How long connections get at most to say goodbye when the server stops.
const DRAIN: Duration = Duration::from_secs(3);
/// How often we look whether they have.
const LOOK: Duration = Duration::from_millis(10);

/// A server that runs.
pub struct Running {
    /// What is listened on.
    pub bound: Vec<Bound>,
    /// The control socket.
    pub control: PathBuf,
    net: Net,
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
    pub async fn start(config: Config) -> Result<Self, Failure> {
        let workers = workers(&config);
        let house = house::build(&config, workers)?;
        let tls = match &config.tls {
            Some((certificate, key)) => Some(Arc::new(Tls::open(certificate, key)?)),
            None => None,
        };
        let admission =
            Admission { total: config.limits.connections, per_source: config.limits.connections_per_source };
        let net = Net::new(house.hub.clone(), tls, admission, workers);
        let mut bound = Vec::new();
        for door in &house.doors {
            bound.extend(net.open(door.clone()).await?);
        }
        let control = config.control();
        let socket = open_control(&control)?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let desk = web::Desk {
            hub: house.hub.clone(),
            accounts: house.identity.clone(),
            journal: house.store.clone(),
            chain: house.chain,
            listeners: bound.iter().map(view).collect(),
            started: model::Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
            version: env!("CARGO_PKG_VERSION"),
        };
        let router = web::router(Arc::new(desk));
        let api = tokio::spawn(async move {
            if let Err(error) = web::serve(socket, router).await {
                tracing::error!(%error, "the control socket failed");
            }
        });
        Ok(Self { bound, control, net, store: house.store, api })
    }

    /// Says goodbye to everybody, writes what is queued and stops.
    pub async fn stop(self) {
        self.net.drain();
        let goodbyes = async {
            while self.net.connections() > 0 {
                tokio::time::sleep(LOOK).await;
            }
        };
        let _ = tokio::time::timeout(DRAIN, goodbyes).await;
        self.api.abort();
        let _ = std::fs::remove_file(&self.control);
        let store = self.store;
        let _ = tokio::task::spawn_blocking(move || store.close()).await;
    }
}

fn view(bound: &Bound) -> web::ListenerView {
    let tls = match bound.listener.tls {
        TlsMode::None => "none",
        TlsMode::Direct => "direct",
        TlsMode::Upgrade => "starttls",
    };
    web::ListenerView {
        name: bound.listener.name.clone(),
        address: bound.listener.addr.to_string(),
        tls: tls.to_owned(),
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

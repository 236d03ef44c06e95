//! What domains publish about the certificates of their servers, looked up for whoever judges them.

use crate::posh;
use connector::{Connector, Search};
use model::{Address, Dialect};
use partner::Federation;
use ports::{Hop, Published, Signed};
use std::future::Future;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Weak, mpsc};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// Look-ups at a time: whoever connects makes us look something up.
pub const AT_ONCE: usize = 64;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whoever looks.
pub struct Look {
    resolver: net::Resolver,
    searches: Vec<(Dialect, Search)>,
    /// Who judges web servers.
    web: Weak<Federation>,
    memory: Arc<posh::Memory>,
    runtime: Handle,
    places: Arc<Semaphore>,
}

impl Look {
    /// With this resolver, for what these doors speak. Uses the current runtime.
    pub fn new(resolver: net::Resolver, doors: &[Arc<dyn Connector>], web: &Arc<Federation>) -> Self {
        let searches = doors.iter().filter_map(|door| Some((door.dialect(), door.search()?)));
        Self {
            resolver,
            searches: searches.collect(),
            web: Arc::downgrade(web),
            memory: Arc::default(),
            runtime: Handle::current(),
            places: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Does this on the runtime, and waits for it.
    fn wait<T: Send + 'static>(
        &self,
        what: impl Future<Output = Result<T, String>> + Send + 'static,
    ) -> Result<T, String> {
        let place = self.places.clone().try_acquire_owned();
        let place =
            place.map_err(|_| "too much is looked up at the same time; it is tried again".to_owned())?;
        let (done, told) = sync_channel(1);
        let late = || format!("no answer within {} seconds", PATIENCE.as_secs());
        self.runtime.spawn(async move {
            let _place = place;
            let found = tokio::time::timeout(PATIENCE, what).await;
            let _ = done.send(found.unwrap_or_else(|_| Err(late())));
        });
        told.recv().unwrap_or_else(|mpsc::RecvError| Err("the look-up broke off".into()))
    }
}

impl Published for Look {
    fn tlsa(&self, domain: &Address, dialect: Dialect, hops: &[Hop]) -> Result<Vec<Signed>, String> {
        let Some((_, search)) = self.searches.iter().find(|(of, _)| *of == dialect) else {
            return Ok(Vec::new());
        };
        let hops = hops.iter().map(|hop| (hop.host.clone(), hop.port.unwrap_or(search.fallback.0))).collect();
        let (resolver, search, domain) = (self.resolver.clone(), search.clone(), domain.domain().to_owned());
        self.wait(async move { resolver.tlsa(&domain, &search, hops).await })
    }

    fn posh(&self, domain: &Address, dialect: Dialect) -> Result<Vec<Vec<u8>>, String> {
        if posh::service(dialect).is_none() {
            return Ok(Vec::new());
        }
        let (memory, resolver, web) = (self.memory.clone(), self.resolver.clone(), self.web.clone());
        let domain = domain.domain().to_owned();
        self.wait(async move { memory.ask(resolver, web, domain).await })
    }
}

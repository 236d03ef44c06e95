//! Connections to other companies' servers: one at a time for each pair of domains, tried again with growing pauses
//! for as long as something waits.

use crate::clock::Clock;
use crate::draining::Draining;
use crate::drive::{Gear, drive};
use crate::resolve::{Resolver, Target, Unresolved};
use crate::tally::Tally;
use crate::tls::{Side, Tls};
use connector::{Connector, Errand, Peer, TlsMode};
use hub::Hub;
use model::{Dialect, DomainPair, Reason, Refusal, Way};
use parking_lot::{Mutex, RwLock};
use ports::{HopSecurity, Partners, Route, Told};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;

/// A server that takes this long to take a connection is not there.
const CONNECT: Duration = Duration::from_secs(5);
/// A machine that has not done its errand after this long never will.
const ERRAND: Duration = Duration::from_secs(60);
/// Later than this no other server of theirs is tried, whatever the first ones did.
const LATEST: Duration = Duration::from_secs(90);
/// Pauses between attempts: doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Attempts under way at a time: for pairs that were well when last tried, and for those that were not, so that the
/// dead never keep the living waiting.
const FRESH: usize = 256;
const RETRIES: usize = 32;
/// One that has taken so long gives its place to the next, and goes on among the slow ones, if there is room.
const BRISK: Duration = Duration::from_secs(3);
const SLOW: usize = 512;

/// What is under way for a pair, or for one protocol of a pair.
enum Attempt {
    Dialling,
    /// Not for a while, because of this.
    Pausing(Refusal),
}

/// Opens connections.
pub(crate) struct Dialler {
    me: Weak<Self>,
    hub: Arc<Hub>,
    partners: Arc<dyn Partners>,
    doors: RwLock<Vec<Arc<dyn Connector>>>,
    resolver: RwLock<Arc<Resolver>>,
    tls: Arc<RwLock<Option<Arc<Tls>>>>,
    clock: Clock,
    drain: Arc<Draining>,
    ways: Mutex<HashMap<Way, Attempt>>,
    fresh: Semaphore,
    retries: Semaphore,
    slow: Semaphore,
    tally: Arc<Tally>,
    runtime: Handle,
}

/// What a connection is opened with besides what it is opened for.
pub(crate) struct Ground {
    pub hub: Arc<Hub>,
    pub partners: Arc<dyn Partners>,
    pub resolver: Resolver,
    pub tls: Arc<RwLock<Option<Arc<Tls>>>>,
    pub clock: Clock,
    pub drain: Arc<Draining>,
}

impl Dialler {
    pub fn new(ground: Ground) -> Arc<Self> {
        let Ground { hub, partners, resolver, tls, clock, drain } = ground;
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            hub,
            partners,
            doors: RwLock::default(),
            resolver: RwLock::new(Arc::new(resolver)),
            tls,
            clock,
            drain,
            ways: Mutex::default(),
            fresh: Semaphore::new(FRESH),
            retries: Semaphore::new(RETRIES),
            slow: Semaphore::new(SLOW),
            tally: Arc::default(),
            runtime: Handle::current(),
        })
    }

    /// Through which doors connections go from now on.
    pub fn through(&self, doors: Vec<Arc<dyn Connector>>) {
        *self.doors.write() = doors;
    }

    /// Whom to ask for addresses from now on.
    pub fn ask(&self, resolver: Resolver) {
        *self.resolver.write() = Arc::new(resolver);
    }

    /// Opened connections that have not ended.
    pub fn open(&self) -> u64 {
        self.tally.open()
    }

    /// Keeps trying while something waits.
    async fn reach(self: Arc<Self>, way: Way) {
        let mut pause = FIRST_PAUSE;
        let mut failed = false;
        loop {
            let slots = if failed { &self.retries } else { &self.fresh };
            let refusal = match self.try_routes(&way, slots).await {
                Ok(()) => {
                    // A server that takes a connection and drops it at once is not called without end.
                    tokio::time::sleep(FIRST_PAUSE).await;
                    if !self.hub.wants(&way) {
                        break;
                    }
                    continue;
                }
                Err(refusal) => refusal,
            };
            tracing::info!(%way, %refusal, "not reached");
            failed = true;
            self.ways.lock().insert(way.clone(), Attempt::Pausing(refusal.clone()));
            self.hub.unreached(&way, &refusal);
            tokio::time::sleep(jittered(pause)).await;
            if !self.hub.wants(&way) {
                break;
            }
            self.ways.lock().insert(way.clone(), Attempt::Dialling);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.ways.lock().remove(&way);
    }

    /// Every route, best first, until one carries: those that are known before those that can only be guessed at, for
    /// what a domain says of itself counts for more than what is preferred here (RFC 7247 section 4). Says why the one
    /// that came furthest did not carry.
    async fn try_routes(&self, way: &Way, slots: &Semaphore) -> Result<(), Refusal> {
        let pair = &way.pair;
        let mut telling: Option<Refusal> = None;
        let mut guesses = Vec::new();
        let mut failed = |dialect, refusal: Refusal| {
            let result = Err(refusal);
            self.partners.noted(pair, dialect, &result);
            if let Err(refusal) = result
                && telling.as_ref().is_none_or(|t| progress(&refusal) > progress(t))
            {
                telling = Some(refusal);
            }
        };
        let mut routes = self.partners.routes(pair)?;
        routes.retain(|route| way.by.is_none_or(|by| route.dialect == by));
        for route in &routes {
            let result = match self.targets(pair, route, false).await {
                Ok(targets) if targets.is_empty() => {
                    guesses.push(route);
                    continue;
                }
                Ok(targets) => self.run(Errand::Carry(pair.clone()), way.by, route, targets, slots).await,
                Err(refusal) => Err(refusal),
            };
            match result {
                Ok(()) => return self.reached(pair, route),
                Err(refusal) => failed(route.dialect, refusal),
            }
        }
        for route in guesses {
            let result = match self.targets(pair, route, true).await {
                Ok(targets) => self.run(Errand::Carry(pair.clone()), way.by, route, targets, slots).await,
                Err(refusal) => Err(refusal),
            };
            match result {
                Ok(()) => return self.reached(pair, route),
                Err(refusal) => failed(route.dialect, refusal),
            }
        }
        Err(telling.unwrap_or_else(|| Refusal::new(Reason::RemoteNotFound)))
    }

    fn reached(&self, pair: &DomainPair, route: &Route) -> Result<(), Refusal> {
        self.partners.noted(pair, route.dialect, &Ok(()));
        Ok(())
    }

    fn door(&self, dialect: Dialect) -> Result<Arc<dyn Connector>, Refusal> {
        let door = self.doors.read().iter().find(|d| d.dialect() == dialect).cloned();
        door.ok_or_else(|| Refusal::new(Reason::Unsupported))
    }

    /// Where a route leads; nowhere, if that could only be guessed and `guess` is not wanted.
    async fn targets(&self, pair: &DomainPair, route: &Route, guess: bool) -> Result<Vec<Target>, Refusal> {
        let Some(search) = self.door(route.dialect)?.search() else {
            return Err(Refusal::new(Reason::Unsupported));
        };
        let resolver = self.resolver.read().clone();
        let found = match &route.at {
            None if guess => resolver.guess(pair.remote.domain(), &search).await,
            None => resolver.announced(pair.remote.domain(), &search).await,
            Some(hop) => {
                let tls = match hop.security {
                    HopSecurity::Usual => search.fallback.1,
                    HopSecurity::Direct => TlsMode::Direct,
                    HopSecurity::None => TlsMode::None,
                };
                resolver.host(&hop.host, hop.port.unwrap_or(search.fallback.0), tls).await
            }
        };
        found.map_err(|why| unresolved(&why))
    }

    /// Connects and runs an errand, with each target in turn. The connection then goes on by itself.
    async fn run(
        &self,
        errand: Errand,
        by: Option<Dialect>,
        route: &Route,
        targets: Vec<Target>,
        slots: &Semaphore,
    ) -> Result<(), Refusal> {
        // What they answer about a domain is a word of theirs, and not a fault of the server that gives it.
        let asking = matches!(errand, Errand::Confirm(..));
        let alone = |reason| match reason {
            Reason::RemoteTimeout => true,
            Reason::NotAuthorized => !asking,
            _ => false,
        };
        one_of(targets, alone, |target| self.run_at(errand.clone(), by, route, target, slots)).await
    }

    /// Connects to one target and runs an errand there.
    async fn run_at(
        &self,
        errand: Errand,
        by: Option<Dialect>,
        route: &Route,
        target: Target,
        slots: &Semaphore,
    ) -> Result<(), Refusal> {
        let door = self.door(route.dialect)?;
        let slot = slots.acquire().await;
        let stream = connect(target.addr).await?;
        let peer = match (stream.peer_addr(), stream.local_addr()) {
            (Ok(remote), Ok(local)) => Peer { remote, local },
            _ => return Err(gone()),
        };
        let seed = crate::seed::seed().map_err(|_| Refusal::new(Reason::Internal))?;
        let remote = errand.pair().remote.domain().to_owned();
        let calling = match self.tls.read().as_ref() {
            Some(tls) => tls.calling(errand.pair().local.domain()),
            None => Tls::anonymous(),
        };
        let Ok(tls) = calling else {
            return Err(Refusal::new(Reason::Internal));
        };
        let way = Way { pair: errand.pair().clone(), by };
        let Some(machine) = door.dial(errand, target.tls, peer, seed) else {
            return Err(Refusal::new(Reason::Unsupported));
        };
        let (link, inbox) = self.hub.join_for(door.dialect(), way);
        let alpn = door.search().and_then(|s| s.alpn);
        let (done, told) = oneshot::channel();
        self.tally.accepted.one();
        let gear = Gear {
            machine,
            link,
            inbox,
            clock: self.clock,
            side: Side::Client { tls, name: remote, alpn },
            mode: target.tls,
            drain: self.drain.clone(),
            pass: None,
            server: true,
            tally: self.tally.clone(),
            errand: Some(done),
        };
        let driven = self.runtime.spawn(drive(stream, gear));
        let silent = || Refusal::new(Reason::RemoteTimeout).with_text("their server does not answer");
        let mut told = told;
        let told = match tokio::time::timeout(BRISK, &mut told).await {
            Ok(told) => told,
            Err(_) => {
                drop(slot);
                let Ok(_place) = self.slow.try_acquire() else {
                    driven.abort();
                    return Err(silent());
                };
                match tokio::time::timeout(ERRAND, &mut told).await {
                    Ok(told) => told,
                    Err(_) => {
                        driven.abort();
                        return Err(silent());
                    }
                }
            }
        };
        told.unwrap_or_else(|_| Err(gone()))
    }
}

async fn connect(to: SocketAddr) -> Result<TcpStream, Refusal> {
    let why = match tokio::time::timeout(CONNECT, TcpStream::connect(to)).await {
        Ok(Ok(stream)) => {
            let _ = stream.set_nodelay(true);
            return Ok(stream);
        }
        Ok(Err(error)) => format!("{to} does not take connections: {error}"),
        Err(_) => format!("{to} does not answer"),
    };
    Err(Refusal::new(Reason::RemoteTimeout).with_text(why))
}

/// Tries one target after the other until one will do (RFC 3263 section 4.3, RFC 6120 section 3.2.1). Where an errand has
/// failed nothing was carried, so another server of theirs may: one that is down, has the wrong certificate or says
/// nothing fails `alone`. What one of them decides holds for all. Says why the one that came furthest failed.
async fn one_of<T, F: Future<Output = Result<(), Refusal>>>(
    targets: Vec<T>,
    alone: impl Fn(Reason) -> bool,
    mut attempt: impl FnMut(T) -> F,
) -> Result<(), Refusal> {
    let begun = Instant::now();
    let mut telling: Option<Refusal> = None;
    for target in targets {
        if telling.is_some() && begun.elapsed() >= LATEST {
            break;
        }
        let Err(refusal) = attempt(target).await else { return Ok(()) };
        let ends = !alone(refusal.reason);
        if telling.as_ref().is_none_or(|t| progress(&refusal) >= progress(t)) {
            telling = Some(refusal);
        }
        if ends {
            break;
        }
    }
    Err(telling.unwrap_or_else(|| Refusal::new(Reason::RemoteTimeout)))
}

impl ports::Dialler for Dialler {
    fn call(&self, way: &Way) {
        let Some(me) = self.me.upgrade() else { return };
        let paused = match self.ways.lock().entry(way.clone()) {
            Entry::Vacant(free) => {
                free.insert(Attempt::Dialling);
                None
            }
            Entry::Occupied(under_way) => match under_way.get() {
                Attempt::Dialling => return,
                Attempt::Pausing(refusal) => Some(refusal.clone()),
            },
        };
        let way = way.clone();
        self.runtime.spawn(async move {
            match paused {
                // What came while nothing is tried hears at once why.
                Some(refusal) => me.hub.unreached(&way, &refusal),
                None => me.reach(way).await,
            }
        });
    }

    fn confirm(&self, pair: &DomainPair, dialect: Dialect, proof: bytes::Bytes, told: Told) {
        let Some(me) = self.me.upgrade() else { return told(Err(gone())) };
        let pair = pair.clone();
        self.runtime.spawn(async move {
            let route = match me.partners.routes(&pair) {
                Ok(routes) => routes.into_iter().find(|r| r.dialect == dialect),
                Err(refusal) => return told(Err(refusal)),
            };
            let Some(route) = route else { return told(Err(Refusal::new(Reason::RemoteNotFound))) };
            let targets = match me.targets(&pair, &route, false).await {
                Ok(targets) if targets.is_empty() => me.targets(&pair, &route, true).await,
                found => found,
            };
            told(match targets {
                Ok(targets) => me.run(Errand::Confirm(pair, proof), None, &route, targets, &me.fresh).await,
                Err(refusal) => Err(refusal),
            });
        });
    }
}

/// How far an attempt came, by how it failed: who was not found says less than who did not answer, and that less than
/// who answered.
fn progress(refusal: &Refusal) -> u8 {
    match refusal.reason {
        Reason::Unsupported => 0,
        Reason::RemoteNotFound => 1,
        Reason::RemoteTimeout => 2,
        _ => 3,
    }
}

fn gone() -> Refusal {
    Refusal::new(Reason::RemoteTimeout).with_text("their server ended the connection")
}

fn unresolved(why: &Unresolved) -> Refusal {
    let reason = match why {
        Unresolved::Nothing(_) | Unresolved::Declined(_) => Reason::RemoteNotFound,
        Unresolved::Failed(..) => Reason::RemoteTimeout,
    };
    Refusal::new(reason).with_text(why.to_string())
}

/// Somewhat less or more, so that a thousand servers that went at once are not called at once.
fn jittered(pause: Duration) -> Duration {
    let mut byte = [0u8; 1];
    let _ = getrandom::fill(&mut byte);
    pause.mul_f64(0.75 + f64::from(byte[0]) / 512.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    /// How one server of theirs fails, or that it does not; and how many were tried.
    async fn tried(outcomes: Vec<Result<(), Reason>>) -> (Result<(), Reason>, usize) {
        let mut count = 0;
        let result = one_of(
            outcomes,
            |reason| reason != Reason::Forbidden,
            |outcome| {
                count += 1;
                async move { outcome.map_err(Refusal::new) }
            },
        );
        (result.await.map_err(|no| no.reason), count)
    }

    #[tokio::test]
    async fn another_server_of_theirs_may_do() {
        let (broken, untrusted) = (Err(Reason::RemoteTimeout), Err(Reason::NotAuthorized));
        assert_eq!(tried(vec![broken, untrusted, Ok(()), Ok(())]).await, (Ok(()), 3));
        assert_eq!(tried(vec![untrusted, broken]).await, (untrusted, 2));
        assert_eq!(tried(vec![Err(Reason::Forbidden), Ok(())]).await, (Err(Reason::Forbidden), 1));
        assert_eq!(tried(Vec::new()).await, (broken, 0));
    }

    /// The first takes the connection and then knows nothing of TLS.
    #[tokio::test]
    async fn a_server_without_tls_is_not_the_last() {
        let dir = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let names = vec!["partner.example".to_owned()];
        let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        let files = crate::KeyFiles {
            domain: None,
            certificate: dir.path().join("c.pem"),
            key: dir.path().join("c.key"),
        };
        std::fs::write(&files.certificate, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        let tls = Tls::open(&[files]).unwrap();
        let (bad, good) = (
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
        );
        let targets = vec![bad.local_addr().unwrap(), good.local_addr().unwrap()];
        tokio::spawn(async move {
            let (mut stream, _) = bad.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1]).await;
        });
        let served = tokio::spawn(async move {
            let (stream, _) = good.accept().await.unwrap();
            tls.accept(stream).await.is_ok()
        });
        let side =
            || Side::Client { tls: Tls::anonymous().unwrap(), name: "partner.example".into(), alpn: None };
        let shake = |to| async move {
            let shaken = crate::tls::handshake(connect(to).await?, &side(), None).await;
            shaken.map(|_| ()).map_err(|_| Refusal::new(Reason::RemoteTimeout))
        };
        assert_eq!(one_of(targets, |_| true, shake).await, Ok(()));
        assert!(served.await.unwrap());
    }
}

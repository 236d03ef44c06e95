//! The watch: looks at all that passes, finds outbreaks, and does what is in force about them.

use crate::artefact::Artefact;
use crate::gather::{Carried, artefacts, followed};
use crate::link;
use crate::order::{Live, Order, Orders, Target};
use crate::settings::Settings;
use crate::spread::Tracker;
use model::{Address, Envelope, Event, Hold, Reason, Refusal, Timestamp, Vouch};
use parking_lot::{Mutex, RwLock};
use policy::Society;
use std::collections::{HashMap, HashSet};
use std::hash::RandomState;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use store::{Partners, Shelf, Trouble};

/// Senders of contained things that are remembered.
const PUSHERS: usize = 4_096;
/// Orders in force at once, those of administrators not counted.
const ORDERS: usize = 1_024;
/// How long a false alarm stays cleared.
const CLEARED: u64 = 24 * 3_600_000;

const MUTED: &str =
    "this account is muted for a while: it sends what spreads like a worm; ask your administrator";
const ISOLATED: &str = "no messages pass between this server and that domain at the moment";
const STOPPED: &str = "no messages pass at the moment; ask your administrator";
const HELD: &str = "What you send spreads like a worm, so it is held back here. If it was not you who wrote it, your device may be infected.";

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutbreakError {
    /// The words make no sense.
    #[error("{0}")]
    Wrong(String),
    /// There is no such containment.
    #[error("nothing of the name {0:?} is contained; `rialto outbreak status` lists what is")]
    Missing(String),
    /// The store failed.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// Something the watch has done by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// `outbreak.hold`, `outbreak.mute` or `outbreak.isolate`.
    pub act: &'static str,
    /// The containment's name.
    pub name: String,
    /// In words, without content.
    pub why: String,
}

/// What was counted since the start, and what is remembered now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Outbreaks found.
    pub found: u64,
    /// Accounts muted automatically.
    pub muted: u64,
    /// Partners isolated automatically.
    pub isolated: u64,
    /// Messages held.
    pub held: u64,
    /// Messages refused, of somebody muted or isolated.
    pub refused: u64,
    /// Things that are remembered.
    pub watched: u64,
}

#[derive(Default)]
struct Counting {
    found: AtomicU64,
    muted: AtomicU64,
    isolated: AtomicU64,
    held: AtomicU64,
    refused: AtomicU64,
}

/// Who sends what is contained.
#[derive(Default)]
struct Pushers {
    counts: HashMap<Address, (u32, u64)>,
    /// By the name of what would isolate them.
    domains: HashMap<String, HashSet<Address>>,
}

type Hearer = Box<dyn Fn(Step) + Send + Sync>;
type Teller = Box<dyn Fn(&Address, &str) + Send + Sync>;

/// The watch. [`ports::Watch`] never blocks; everything else here may.
pub struct Outbreaks {
    store: Arc<dyn Partners>,
    settings: RwLock<Settings>,
    tracker: Tracker,
    orders: RwLock<Arc<Orders>>,
    pushers: Mutex<Pushers>,
    dice: RandomState,
    counting: Counting,
    society: OnceLock<Arc<dyn Society>>,
    hearer: OnceLock<Hearer>,
    teller: OnceLock<Teller>,
}

impl Outbreaks {
    /// The watch with the orders that the store has.
    ///
    /// # Errors
    /// [`Trouble`] when it cannot be read.
    pub fn open(store: Arc<dyn Partners>, settings: Settings) -> Result<Self, Trouble> {
        let mut orders = Orders::default();
        for (name, doc) in store.documents(Shelf::Outbreak)? {
            let damaged = |e: serde_json::Error| Trouble::Damaged(format!("containment {name}: {e}"));
            orders.put(Live::new(serde_json::from_slice(&doc).map_err(damaged)?));
        }
        Ok(Self {
            store,
            settings: RwLock::new(settings),
            tracker: Tracker::default(),
            orders: RwLock::new(Arc::new(orders)),
            pushers: Mutex::default(),
            dice: RandomState::new(),
            counting: Counting::default(),
            society: OnceLock::new(),
            hearer: OnceLock::new(),
            teller: OnceLock::new(),
        })
    }

    /// Other thresholds, from now on.
    pub fn set(&self, settings: Settings) {
        *self.settings.write() = settings;
    }

    /// Who knows which domain is which partner's. Without that, each domain is for itself.
    pub fn know_by(&self, society: Arc<dyn Society>) {
        let _ = self.society.set(society);
    }

    /// Who hears what the watch does by itself. Must not block.
    pub fn on_step(&self, hear: impl Fn(Step) + Send + Sync + 'static) {
        let _ = self.hearer.set(Box::new(hear));
    }

    /// Who tells senders that what they send is held. Must not block.
    pub fn tell_by(&self, tell: impl Fn(&Address, &str) + Send + Sync + 'static) {
        let _ = self.teller.set(Box::new(tell));
    }

    /// What is in force, and how much each has stopped since the start.
    pub fn orders(&self, now: u64) -> Vec<(Order, u64)> {
        let orders = self.orders.read().clone();
        let mut all: Vec<_> = orders
            .all()
            .filter(|live| live.holds(now))
            .map(|live| (live.shown(), live.stopped.load(Relaxed)))
            .collect();
        all.sort_by_key(|(order, _)| (order.since, order.target.name()));
        all
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        let c = &self.counting;
        Counts {
            found: c.found.load(Relaxed),
            muted: c.muted.load(Relaxed),
            isolated: c.isolated.load(Relaxed),
            held: c.held.load(Relaxed),
            refused: c.refused.load(Relaxed),
            watched: self.tracker.len() as u64,
        }
    }

    /// What an administrator names: `link URL`, `file SHA256`, `user ADDRESS`, `partner NAME`, `partner DOMAIN` or `network`.
    ///
    /// # Errors
    /// [`OutbreakError::Wrong`] with what to write instead.
    pub fn target(&self, kind: &str, what: &str) -> Result<Target, OutbreakError> {
        let wrong = |text: String| Err(OutbreakError::Wrong(text));
        let what = what.trim();
        match kind {
            "link" => match link::read(what) {
                Some(link) => {
                    let carried = Carried::from(link);
                    Ok(Target::of(&carried.exact, false))
                }
                None => wrong(format!("{what:?} is no link: write https://host/path")),
            },
            "file" => {
                let hex: Option<Vec<u8>> = (what.len() == 64 && what.is_ascii())
                    .then(|| {
                        (0..32).map(|at| u8::from_str_radix(&what[2 * at..2 * at + 2], 16).ok()).collect()
                    })
                    .flatten();
                match hex {
                    Some(hash) => Ok(Target::of(&Artefact::file(&hash), false)),
                    None => wrong(format!(
                        "{what:?} is no SHA-256: write 64 hexadecimal digits, as `sha256sum` does"
                    )),
                }
            }
            "user" => match Address::parse(&what.to_lowercase()) {
                Ok(address) if address.user().is_some() => Ok(Target::User { address: address.to_string() }),
                _ => wrong(format!("{what:?} is no address: write user@domain")),
            },
            "partner" => {
                let name = what.to_lowercase();
                if self.society.get().is_some_and(|society| society.has_partner(&name)) {
                    return Ok(Target::Company { partner: name });
                }
                match Address::parse(&name) {
                    // A name without a dot was meant to be a partner's.
                    Ok(domain) if domain.user().is_none() && name.contains('.') => {
                        Ok(Target::Partner { domain: domain.to_string() })
                    }
                    _ => wrong(format!(
                        "{what:?} is no partner and no domain; `rialto partner list` lists partners"
                    )),
                }
            }
            "network" => Ok(Target::Network),
            other => wrong(format!("{other:?} cannot be stopped: link, file, user, partner or network")),
        }
    }

    /// Puts an order in force, and keeps it.
    ///
    /// # Errors
    /// [`OutbreakError::Trouble`]
    pub fn stop(&self, order: Order) -> Result<(), OutbreakError> {
        self.keep(&order)?;
        self.put(order);
        Ok(())
    }

    /// Ends one. A thing that was contained passes from then on, and is not found again for a day.
    ///
    /// # Errors
    /// [`OutbreakError`]
    pub fn release(&self, name: &str, by: &str, now: u64) -> Result<(), OutbreakError> {
        let orders = self.orders.read().clone();
        let live = orders
            .all()
            .find(|live| live.order.target.name() == name && live.holds(now))
            .ok_or_else(|| OutbreakError::Missing(name.to_owned()))?;
        let (order, wrong) = (&live.order, OutbreakError::Missing(name.to_owned()));
        match &order.target {
            Target::Artefact { cleared: true, .. } => return Err(wrong),
            Target::Artefact { kind, key, host, .. } => {
                let target =
                    Target::Artefact { kind: *kind, key: key.clone(), host: host.clone(), cleared: true };
                let note = "released".to_owned();
                let until = Some(now + CLEARED);
                self.stop(Order { target, since: now, until, by: by.to_owned(), note, automatic: false })?;
            }
            _ => {
                self.store.remove_document(Shelf::Outbreak, name)?;
                self.change(|orders| orders.retain(|live| live.order.target.name() != name));
            }
        }
        let mut pushers = self.pushers.lock();
        match &order.target {
            Target::User { address } => pushers.counts.retain(|who, _| who.as_str() != address),
            Target::Partner { .. } | Target::Company { .. } => drop(pushers.domains.remove(name)),
            _ => *pushers = Pushers::default(),
        }
        Ok(())
    }

    /// Keeps what the watch has put in force by itself, so that it outlives the process, and drops from the store
    /// what has ended.
    ///
    /// # Errors
    /// [`Trouble`]
    pub fn keep_step(&self, name: &str, now: u64) -> Result<(), OutbreakError> {
        for (name, doc) in self.store.documents(Shelf::Outbreak)? {
            let over = serde_json::from_slice::<Order>(&doc).is_ok_and(|o| o.until.is_some_and(|u| u <= now));
            let in_force = || self.orders.read().all().any(|l| l.order.target.name() == name && l.holds(now));
            if over && !in_force() {
                self.store.remove_document(Shelf::Outbreak, &name)?;
            }
        }
        let live = self.orders.read().all().find(|live| live.order.target.name() == name).cloned();
        live.map_or(Ok(()), |live| self.keep(&live.shown()))
    }

    fn keep(&self, order: &Order) -> Result<(), OutbreakError> {
        let doc = serde_json::to_vec(order).map_err(|e| OutbreakError::Wrong(e.to_string()))?;
        Ok(self.store.put_document(Shelf::Outbreak, &order.target.name(), &doc)?)
    }

    fn put(&self, order: Order) {
        let now = order.since;
        self.change(|orders| {
            orders.retain(|live| live.holds(now));
            orders.put(Live::new(order));
        });
    }

    fn change(&self, change: impl FnOnce(&mut Orders)) {
        let mut orders = self.orders.write();
        let mut fresh = (**orders).clone();
        change(&mut fresh);
        *orders = Arc::new(fresh);
    }

    /// The watch's own order.
    fn order(&self, target: Target, act: &'static str, why: String, now: u64, settings: &Settings) {
        if self.orders.read().all().filter(|live| live.order.automatic).count() >= ORDERS {
            return;
        }
        let name = target.name();
        tracing::warn!(what = name, why, "{act}");
        let until = Some(now + settings.expire);
        let by = "server".to_owned();
        self.put(Order { target, since: now, until, by, note: why.clone(), automatic: true });
        if let Some(hear) = self.hearer.get() {
            hear(Step { act, name, why });
        }
    }

    /// Somebody sends what is contained.
    fn pushed(&self, from: &Address, local: bool, now: u64, settings: &Settings) {
        let mut pushers = self.pushers.lock();
        if pushers.counts.len() >= PUSHERS && !pushers.counts.contains_key(from) {
            pushers.counts.retain(|_, (_, last)| now.saturating_sub(*last) < settings.window);
            if pushers.counts.len() >= PUSHERS {
                return;
            }
        }
        let (count, last) = pushers.counts.entry(from.clone()).or_insert((0, now));
        if now.saturating_sub(*last) > settings.window {
            *count = 0;
        }
        *count += 1;
        *last = now;
        let count = *count;
        let mut isolate = None;
        if !local && settings.isolate_after > 0 && count == 1 {
            let target = match self.partner_of(from) {
                Some(partner) => Target::Company { partner },
                None => Target::Partner { domain: from.domain().to_owned() },
            };
            let name = target.name();
            let senders = pushers.domains.entry(name.clone()).or_default();
            senders.insert(from.clone());
            if senders.len() >= settings.isolate_after as usize {
                isolate = Some((target, senders.len()));
                pushers.domains.remove(&name);
            }
        }
        drop(pushers);
        if count == 1
            && let Some(tell) = self.teller.get()
        {
            tell(from, HELD);
        }
        if settings.mute_after > 0 && count == settings.mute_after {
            self.counting.muted.fetch_add(1, Relaxed);
            let why = format!("{count} messages with what spreads");
            self.order(Target::User { address: from.to_string() }, "outbreak.mute", why, now, settings);
        }
        if let Some((target, senders)) = isolate {
            self.counting.isolated.fetch_add(1, Relaxed);
            let why = format!("{senders} of its people send what spreads");
            self.order(target, "outbreak.isolate", why, now, settings);
        }
    }

    /// The partner that somebody is of.
    fn partner_of(&self, who: &Address) -> Option<String> {
        let society = self.society.get()?;
        society.belonging(who).partner.map(|partner| partner.to_string())
    }

    /// May this pass at all?
    fn may_pass(
        &self,
        envelope: &Envelope,
        orders: &Orders,
        now: u64,
        settings: &Settings,
    ) -> Result<(), Refusal> {
        let (from, to) = (&envelope.from.address, &envelope.to.address);
        if orders.is_empty() || from == to {
            return Ok(());
        }
        let no = |live: &Arc<Live>, text: &str| {
            live.stop(now, settings.expire);
            self.counting.refused.fetch_add(1, Relaxed);
            let rule = format!("outbreak:{}", live.order.target.name());
            Err(Refusal::new(Reason::Policy).with_text(text).by_rule(rule))
        };
        if let Some(live) = self.isolated(from, to, orders, now) {
            return no(live, ISOLATED);
        }
        if !matches!(envelope.event, Event::Message(_) | Event::Opaque(_) | Event::Subscribe(_)) {
            return Ok(());
        }
        if let Some(live) = orders.users.get(from).filter(|live| live.holds(now)) {
            return no(live, MUTED);
        }
        match orders.network.as_ref().filter(|live| live.holds(now)) {
            Some(live) if matches!(envelope.event, Event::Message(_)) => no(live, STOPPED),
            _ => Ok(()),
        }
    }

    /// The order by which nothing passes between the servers of these two.
    fn isolated<'a>(
        &self,
        from: &Address,
        to: &Address,
        orders: &'a Orders,
        now: u64,
    ) -> Option<&'a Arc<Live>> {
        let holds = |live: &&Arc<Live>| live.holds(now);
        let by_domain = |who: &Address| orders.partners.get(who.domain()).filter(holds);
        let by_company = |who: &Address| orders.companies.get(&self.partner_of(who)?).filter(holds);
        let both = [from, to];
        let domain = both.into_iter().find_map(by_domain);
        domain.or_else(|| both.into_iter().filter(|_| !orders.companies.is_empty()).find_map(by_company))
    }

    fn held(&self, live: &Live, envelope: &Envelope, now: u64, settings: &Settings) -> Hold {
        live.stop(now, settings.expire);
        self.counting.held.fetch_add(1, Relaxed);
        let local = matches!(envelope.origin.vouch, Vouch::Account(_));
        self.pushed(&envelope.from.address, local, now, settings);
        Hold { rule: format!("outbreak:{}", live.order.target.name()).into(), text: None }
    }
}

/// Is it something that passes between people, so that it can be followed?
fn is_followed(event: &Event) -> bool {
    matches!(event, Event::Message(_) | Event::Opaque(_) | Event::Subscribe(_))
}

/// The order that stops one of these; `Err` where it is cleared.
fn contained(orders: &Orders, carried: &Carried, now: u64) -> Option<Result<Arc<Live>, ()>> {
    let names = [Some(&carried.exact), carried.folded.as_ref()];
    let live = names.into_iter().flatten().find_map(|one| orders.artefacts.get(&one.key))?;
    live.holds(now).then(|| match live.order.target {
        Target::Artefact { cleared: true, .. } => Err(()),
        _ => Ok(live.clone()),
    })
}

impl ports::Watch for Outbreaks {
    fn look(&self, envelope: &Envelope) -> Result<Option<Hold>, Refusal> {
        // What the server says itself; nothing of people's is in it.
        if envelope.origin.vouch == Vouch::Server {
            return Ok(None);
        }
        let (settings, orders) = (*self.settings.read(), self.orders.read().clone());
        let now = envelope.at.unix_ms();
        self.may_pass(envelope, &orders, now, &settings)?;
        let follows = settings.enabled && is_followed(&envelope.event);
        if !follows && orders.artefacts.is_empty() {
            return Ok(None);
        }
        let carried = artefacts(envelope);
        for one in &carried {
            if let Some(Ok(live)) = contained(&orders, one, now) {
                return Ok(Some(self.held(&live, envelope, now, &settings)));
            }
        }
        let (from, to) = (&envelope.from.address, &envelope.to.address);
        if !follows || from == to {
            return Ok(None);
        }
        for one in followed(&carried, &self.dice) {
            if contained(&orders, one, now).is_some() {
                continue;
            }
            for name in [Some(&one.exact), one.folded.as_ref()].into_iter().flatten() {
                let Some(found) = self.tracker.note(name, from, to, now, &settings) else { continue };
                self.counting.found.fetch_add(1, Relaxed);
                // What it brought with it is not to be found as well.
                carried.iter().flat_map(|c| [Some(&c.exact), c.folded.as_ref()]).flatten().for_each(|name| {
                    self.tracker.forget(&name.key);
                });
                let host = name.host.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
                let (reached, senders) = (found.reached, found.senders);
                let why = format!(
                    "{}{host}: {senders} sent it to many at once, {reached} have it",
                    name.kind.name()
                );
                self.order(Target::of(name, false), "outbreak.hold", why, now, &settings);
                let orders = self.orders.read().clone();
                if let Some(live) = orders.artefacts.get(&name.key) {
                    return Ok(Some(self.held(live, envelope, now, &settings)));
                }
            }
        }
        Ok(None)
    }

    fn still_passes(&self, envelope: &Envelope, now: Timestamp) -> Result<(), Refusal> {
        let orders = self.orders.read().clone();
        let (from, to, now) = (&envelope.from.address, &envelope.to.address, now.unix_ms());
        let no = |live: &Live, text: &str| {
            live.stopped.fetch_add(1, Relaxed);
            self.counting.refused.fetch_add(1, Relaxed);
            let rule = format!("outbreak:{}", live.order.target.name());
            Err(Refusal::new(Reason::Policy).with_text(text).by_rule(rule))
        };
        if envelope.origin.vouch != Vouch::Server
            && let Some(live) = self.isolated(from, to, &orders, now)
        {
            return no(live, ISOLATED);
        }
        if orders.artefacts.is_empty() {
            return Ok(());
        }
        let found =
            artefacts(envelope).iter().find_map(|one| contained(&orders, one, now).and_then(Result::ok));
        found.map_or(Ok(()), |live| no(&live, "it carries what spreads like a worm, and was not delivered"))
    }
}

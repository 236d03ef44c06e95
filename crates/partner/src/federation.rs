//! What the hub asks of us.

use crate::RESPONDER;
use crate::agreement::{Day, Partner, Protocol};
use crate::clock::wall;
use crate::disclaim::Disclaimer;
use crate::learnt::Memory;
use crate::notes::{Contact, Notes, Observed};
use crate::people::Group;
use crate::rules::{No, Way, is_answer};
use crate::settings::{Mode, Settings};
use crate::snapshot::Snapshot;
use crate::trust::has_just_expired;
use model::{Address, Admission, Dialect, DomainPair, Envelope, Event, Reason, Refusal, Timestamp};
use parking_lot::{Mutex, RwLock};
use ports::{Applicant, Partners, Published, Route, Ways};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use store::{MemoryStore, Shelf, Trouble};

/// Told of each disclaimer that is due. Must not block.
type Teller = Box<dyn Fn(Disclaimer) + Send + Sync>;

/// Other companies.
pub struct Federation {
    /// The domains this server hosts.
    domains: BTreeSet<Address>,
    pub(crate) store: Arc<dyn store::Partners>,
    now: RwLock<Arc<Snapshot>>,
    notes: Notes,
    pub(crate) memory: Memory,
    /// Who tells disclaimers.
    teller: OnceLock<Teller>,
    /// Who looks up what domains publish of their certificates.
    pub(crate) published: RwLock<Option<Arc<dyn Published>>>,
    /// Who wants to hear of changes.
    changed: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// Held while what was agreed is changed.
    pub(crate) writing: Mutex<()>,
}

impl Federation {
    /// A server of these domains, and how it federates, with nobody in particular.
    pub fn new(domains: BTreeSet<Address>, settings: Settings) -> Self {
        let store = Arc::new(MemoryStore::new());
        let now = Snapshot::new(Arc::new(settings), [], BTreeMap::new(), None);
        Self::with(domains, store, now, Memory::default())
    }

    /// The same with what was agreed before. Blocks.
    ///
    /// # Errors
    /// [`Trouble`] when it cannot be read.
    pub fn open(
        domains: BTreeSet<Address>,
        settings: Settings,
        store: Arc<dyn store::Partners>,
    ) -> Result<Self, Trouble> {
        let mut partners = Vec::new();
        for (name, doc) in store.documents(Shelf::Partner)? {
            partners.push(read::<Partner>(&name, &doc)?);
        }
        let mut groups = BTreeMap::new();
        for (name, doc) in store.documents(Shelf::Group)? {
            let group = read::<Group>(&name, &doc)?;
            groups.insert(name, group);
        }
        let now = Snapshot::new(Arc::new(settings), partners, groups, None);
        now.warn_of_strangers();
        let memory = Memory::read(store.as_ref())?;
        Ok(Self::with(domains, store, now, memory))
    }

    fn with(
        domains: BTreeSet<Address>,
        store: Arc<dyn store::Partners>,
        now: Snapshot,
        memory: Memory,
    ) -> Self {
        let now = RwLock::new(Arc::new(now));
        Self {
            domains,
            store,
            now,
            notes: Notes::default(),
            memory,
            teller: OnceLock::new(),
            published: RwLock::default(),
            changed: OnceLock::new(),
            writing: Mutex::default(),
        }
    }

    /// Federates otherwise from now on.
    pub fn set(&self, settings: Settings) {
        let _writing = self.writing.lock();
        let before = self.snapshot();
        let partners: Vec<Partner> = before.partners.values().map(|agreed| agreed.partner.clone()).collect();
        let next = Snapshot::new(Arc::new(settings), partners, before.groups.clone(), Some(&before));
        next.warn_of_strangers();
        self.replace(next);
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.now.read().clone()
    }

    pub(crate) fn replace(&self, next: Snapshot) {
        *self.now.write() = Arc::new(next);
        if let Some(changed) = self.changed.get() {
            changed();
        }
    }

    pub(crate) fn domains(&self) -> impl Iterator<Item = &Address> {
        self.domains.iter()
    }

    pub(crate) fn hosts(&self, domain: &Address) -> bool {
        self.domains.contains(domain)
    }

    /// The same by the domain's name.
    pub(crate) fn hosts_domain(&self, domain: &str) -> bool {
        self.domains.iter().any(|hosted| hosted.domain() == domain)
    }

    /// Who wants to hear that partners or groups are others now. Must not block.
    pub fn on_change(&self, hear: impl Fn() + Send + Sync + 'static) {
        let _ = self.changed.set(Box::new(hear));
    }

    /// Who is told of disclaimers that are due.
    pub fn tell(&self, teller: Teller) {
        let _ = self.teller.set(teller);
    }

    /// Who looks up what domains publish of their certificates, from now on.
    pub fn look_up_with(&self, published: Arc<dyn Published>) {
        *self.published.write() = Some(published);
    }

    /// Somebody of ours writes to somebody of theirs, and may.
    fn disclaim(&self, snapshot: &Snapshot, envelope: &Envelope) {
        let (from, to) = (&envelope.from.address, &envelope.to.address);
        let Some(agreed) = snapshot.of(to.domain()) else { return };
        let Some(text) = &agreed.partner.disclaimer else { return };
        let people = [from, to].iter().all(|who| who.user().is_some_and(|user| user != RESPONDER));
        if !people || !matches!(&envelope.event, Event::Message(message) if message.lasting) {
            return;
        }
        if agreed.used.told.is_first(from, to, envelope.at.unix_ms())
            && let Some(teller) = self.teller.get()
        {
            teller(Disclaimer { from: from.to_domain(), to: to.clone(), text: text.clone() });
        }
    }

    /// What is known of connections with domains that satisfy this, since the start.
    pub fn contacts(&self, which: impl Fn(&str) -> bool) -> Vec<Contact> {
        self.notes.contacts(|remote| which(remote.domain()))
    }

    /// What would have been refused since the start, had it not only been observed.
    pub fn observed(&self) -> Vec<Observed> {
        self.notes.observed()
    }

    /// May these two be spoken of at all?
    fn place(&self, snapshot: &Snapshot, pair: &DomainPair) -> Result<(), Refusal> {
        if !self.hosts(&pair.local) && !snapshot.may_pass_through(pair) {
            let text = format!("this server does not serve {}", pair.local);
            return Err(Refusal::new(Reason::RemoteNotFound).with_text(text).by_rule("federation.transit"));
        }
        if self.hosts(&pair.remote) {
            let text = format!("{} is served here, and nowhere else", pair.remote);
            return Err(Refusal::new(Reason::NotAuthorized).with_text(text).by_rule("federation.own"));
        }
        Ok(())
    }

    /// The end of a judgement: where things are only observed, most of what is refused is noted and passes.
    fn verdict(
        &self,
        snapshot: &Snapshot,
        remote: &Address,
        judged: Result<(), No>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        match judged {
            Ok(()) => Ok(()),
            Err(No { refusal, firm: false }) if snapshot.settings.mode == Mode::Observe => {
                self.notes.let_pass(remote, &refusal, now);
                Ok(())
            }
            Err(No { refusal, .. }) => Err(refusal),
        }
    }

    fn allow(&self, snapshot: &Snapshot, pair: &DomainPair, dialect: Option<Dialect>) -> Result<(), Refusal> {
        let now = wall();
        // Whoever federates with nobody has nothing else to explain.
        let judged = snapshot.allow(&pair.remote, dialect, Day::of(now));
        if snapshot.settings.mode != Mode::Off {
            self.place(snapshot, pair)?;
        }
        self.verdict(snapshot, &pair.remote, judged, now)
    }
}

fn read<T: serde::de::DeserializeOwned>(name: &str, doc: &[u8]) -> Result<T, Trouble> {
    serde_json::from_slice(doc).map_err(|e| Trouble::Damaged(format!("what was agreed on as {name}: {e}")))
}

impl Partners for Federation {
    fn admit(&self, applicant: &Applicant) -> Result<Admission, Refusal> {
        let Applicant { pair, dialect, opener, secured, certificates } = applicant;
        let snapshot = self.snapshot();
        self.allow(&snapshot, pair, Some(*dialect))?;
        let agreed = snapshot.of(pair.remote.domain());
        if !secured && !agreed.is_some_and(|a| a.partner.trust.insecure) {
            let text = format!("{} must use TLS", pair.remote);
            return Err(Refusal::new(Reason::Policy).with_text(text).by_rule("federation.tls"));
        }
        let proof = self.prove(&snapshot, applicant);
        self.notes.shown(&pair.remote, *dialect, *opener, &proof.proved, wall());
        if let (true, Err(why)) = (proof.is_passing, &proof.proved) {
            let text = format!("the server of {} is not trusted for now: {why}", pair.remote);
            return Err(Refusal::new(Reason::RemoteTimeout).with_text(text).by_rule("federation.dane"));
        }
        let usual = snapshot.settings.dialback && agreed.is_none_or(|a| a.may_call_back());
        if let Err(why) = &proof.proved
            && !usual
            && certificates.as_ref().is_some_and(has_just_expired)
        {
            // It may be renewed at any moment; what is under way waits for that.
            let text = format!("the server of {} is not trusted: {why}", pair.remote);
            return Err(Refusal::new(Reason::RemoteTimeout).with_text(text).by_rule("federation.expired"));
        }
        Ok(Admission { certified: proof.proved.map(drop), dialback: usual && !proof.is_final })
    }

    fn permit(&self, envelope: &Envelope) -> Result<(), Refusal> {
        let (from, to) = (envelope.from.address.to_domain(), envelope.to.address.to_domain());
        let answer = is_answer(envelope);
        let (pair, way) = match (self.hosts(&from), self.hosts(&to)) {
            (true, true) => return Ok(()),
            // It is we who say it, whoever was asked: those who are refused must hear that.
            (false, true) if answer => return Ok(()),
            (hosted, _) if hosted || answer => (DomainPair { local: from, remote: to }, Way::Outward),
            _ => (DomainPair { local: to, remote: from }, Way::Inward),
        };
        let snapshot = self.snapshot();
        let hosted = self.hosts(&pair.local);
        let judged = snapshot.judge(&pair, envelope, way, hosted);
        if snapshot.settings.mode != Mode::Off {
            self.place(&snapshot, &pair)?;
        }
        self.verdict(&snapshot, &pair.remote, judged, envelope.at)?;
        if answer {
            return Ok(());
        }
        if !hosted {
            // On its way from one partner to another: what was agreed with either holds.
            let onward = DomainPair { local: pair.remote, remote: pair.local };
            let judged = snapshot.judge(&onward, envelope, Way::Outward, false);
            self.verdict(&snapshot, &onward.remote, judged, envelope.at)?;
            if snapshot.is_inside(&onward.local) {
                self.disclaim(&snapshot, envelope);
            }
        } else if way == Way::Outward {
            self.disclaim(&snapshot, envelope);
        }
        Ok(())
    }

    fn has_agreed(&self, domain: &str) -> bool {
        self.snapshot().of(domain).is_some_and(|agreed| !agreed.partner.denied)
    }

    fn carries(&self, domain: &Address) -> bool {
        let snapshot = self.snapshot();
        // Who is inside reaches everybody through us, as far as the rules let them; others are told so by [`Self::admit`].
        let transit = || snapshot.of(domain.domain()).is_some_and(|agreed| agreed.partner.transit);
        self.hosts(domain) || snapshot.has_inside || transit()
    }

    fn routes(&self, pair: &DomainPair) -> Result<Vec<Route>, Refusal> {
        let snapshot = self.snapshot();
        self.allow(&snapshot, pair, None)?;
        let usual = &snapshot.settings.dialects;
        Ok(match snapshot.of(pair.remote.domain()) {
            Some(agreed) => agreed.routes(usual),
            None => usual.iter().map(|dialect| Route { dialect: *dialect, at: None }).collect(),
        })
    }

    fn ways(&self, pair: &DomainPair, who: &Address) -> Ways {
        let snapshot = self.snapshot();
        let protocols =
            snapshot.of(pair.remote.domain()).map(|agreed| agreed.protocols()).unwrap_or_default();
        if protocols.is_empty() {
            return Ways::default();
        }
        let known = self.memory.over(who).filter(|known| protocols.contains(known));
        let others = protocols.iter().filter(|p| Some(**p) != known);
        let order = known.iter().chain(others).map(|p| p.dialect()).collect();
        Ways { order, known: known.map(Protocol::dialect) }
    }

    fn heard(&self, who: &Address, over: Option<Dialect>) -> bool {
        self.memory.note(who, over.and_then(Protocol::of))
    }

    fn write_down(&self) {
        if let Err(error) = self.memory.write(self.store.as_ref()) {
            tracing::error!(%error, "what was learnt of a partner's people could not be kept");
        }
    }

    fn noted(&self, pair: &DomainPair, dialect: Dialect, how: &Result<(), Refusal>) {
        self.notes.tried(pair, dialect, how, wall());
    }
}

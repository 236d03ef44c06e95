//! The hub itself: the parts it was given, and the tables it keeps.

use crate::account::Account;
use crate::choice::Choices;
use crate::expiry::Expiries;
use crate::kept::is_paper;
use crate::late::Late;
use crate::lease::Leases;
use crate::lines::Lines;
use crate::link::LinkCore;
use crate::logins::Logins;
use crate::pipeline::Pipeline;
use crate::presence::Watched;
use crate::quarantine::Quarantine;
use crate::remote::Waiting;
use crate::router::Lanes;
use crate::rules::Rules;
use crate::sessions::Sessions;
use crate::settle::Awaiting;
use crate::tally::Counting;
use crate::trace::Tracer;
use crate::twice::Twice;
use bus::Bus;
use model::{Address, Way};
use parking_lot::{Mutex, MutexGuard, RwLock, RwLockReadGuard};
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, OnceLock};
use store::{Accounts, Authorizations, Journal, Rosters, Trouble};
use tokio::runtime::Handle;

/// Who sees a colleague's presence without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consents {
    /// Everybody must be asked.
    #[default]
    Ask,
    /// A request from the same domain is granted at once.
    Colleagues,
}

/// What a hub is made of. Each is a trait or a plain value: nothing is global.
pub struct Parts {
    /// The domains this server hosts.
    pub domains: BTreeSet<Address>,
    /// The stages, in order.
    pub pipeline: Pipeline,
    /// The record.
    pub journal: Arc<dyn Journal>,
    /// Who has an account.
    pub accounts: Arc<dyn Accounts>,
    /// Contact lists.
    pub rosters: Arc<dyn Rosters>,
    /// Consents.
    pub authorizations: Arc<dyn Authorizations>,
    /// What outlives machines.
    pub leases: Arc<dyn store::Leases>,
    /// Keys and passwords.
    pub credentials: Arc<dyn ports::Credentials>,
    /// Other companies.
    pub partners: Arc<dyn ports::Partners>,
    /// The bell.
    pub bus: Arc<dyn Bus>,
    /// The rules in force.
    pub rules: Arc<Rules>,
    /// Whom people do not want to hear from, if anybody keeps that.
    pub blocking: Option<Arc<dyn ports::Blocking>>,
    /// What may pass while nothing can be put on record, if anything may.
    pub unrecorded: Option<Arc<dyn ports::Unrecorded>>,
    /// Is presence put on record, too?
    pub presence: bool,
    /// Who follows envelopes on their way, if anybody does.
    pub tracer: Option<Arc<dyn Tracer>>,
    /// Threads that route: as many as there are workers.
    pub lanes: usize,
}

const SHARDS: usize = 64;

type Shard = RwLock<HashMap<Address, Arc<Account>>>;

/// The protocol-neutral middle.
pub struct Hub {
    pub(crate) parts: Parts,
    pub(crate) runtime: Handle,
    pub(crate) lanes: Lanes,
    pub(crate) awaiting: Awaiting,
    pub(crate) leases: Leases,
    pub(crate) sessions: Sessions,
    /// Sessions that the last process wrote down, until they are taken up.
    pub(crate) papers: Mutex<Vec<store::Lease>>,
    /// What is said of anybody from now on is for the next process to say. Held while something is said.
    pub(crate) ended: RwLock<bool>,
    pub(crate) watched: Watched,
    pub(crate) lines: Lines,
    pub(crate) expiries: Expiries,
    pub(crate) counting: Counting,
    pub(crate) quarantine: Quarantine,
    pub(crate) late: Late,
    pub(crate) logins: Logins,
    /// Pairs of domains for which rows wait.
    pub(crate) waiting: Waiting,
    /// Over which protocol people elsewhere are being tried.
    pub(crate) choices: Choices,
    /// What partners' servers have named.
    pub(crate) twice: Twice,
    pub(crate) hasher: RandomState,
    /// In whose name the hub itself submits.
    pub(crate) own: Arc<LinkCore>,
    accounts: Vec<Shard>,
    /// Who opens connections to other servers, once there is a network.
    pub(crate) dialler: OnceLock<Arc<dyn ports::Dialler>>,
    /// Who keeps what people upload, if anybody does.
    pub(crate) uploads: OnceLock<Arc<dyn ports::Uploads>>,
    /// Held while a consent between two parties changes; by the parties.
    consents: Vec<Mutex<()>>,
}

impl Hub {
    /// Opens the hub on the current runtime, and starts its lanes and its clock. Reads what outlived the last process.
    ///
    /// # Errors
    /// [`Trouble`] when the store cannot be read.
    pub fn open(parts: Parts) -> Result<Arc<Self>, Trouble> {
        let expiries = Expiries::default();
        let lasting = parts.leases.lasting(crate::clock::wall())?;
        let (papers, lasting) = lasting.into_iter().partition(|lease| is_paper(&lease.key));
        let leases = Leases::restore(lasting, &expiries);
        let (lanes, queues) = Lanes::new(parts.lanes);
        let hub = Arc::new(Self {
            parts,
            runtime: Handle::current(),
            lanes,
            awaiting: Awaiting::default(),
            leases,
            sessions: Sessions::default(),
            papers: Mutex::new(papers),
            ended: RwLock::new(false),
            watched: Watched::default(),
            lines: Lines::default(),
            expiries,
            counting: Counting::default(),
            quarantine: Quarantine::default(),
            late: Late::default(),
            logins: Logins::default(),
            waiting: Waiting::default(),
            choices: Choices::default(),
            twice: Twice::default(),
            hasher: RandomState::new(),
            own: LinkCore::new(model::Dialect::Hub),
            dialler: OnceLock::new(),
            uploads: OnceLock::new(),
            accounts: (0..SHARDS).map(|_| Shard::default()).collect(),
            consents: (0..SHARDS).map(|_| Mutex::default()).collect(),
        });
        hub.remember_names()?;
        for queue in queues {
            hub.runtime.spawn(Lanes::run(Arc::downgrade(&hub), queue));
        }
        hub.runtime.spawn(Self::tick(Arc::downgrade(&hub)));
        hub.runtime.spawn(Self::look_after_pairs(Arc::downgrade(&hub)));
        Ok(hub)
    }

    /// Who keeps what people upload, from now on.
    pub fn keep_files_with(&self, uploads: Arc<dyn ports::Uploads>) {
        let _ = self.uploads.set(uploads);
    }

    /// Is this one of our domains?
    pub fn hosts(&self, domain: &str) -> bool {
        self.parts.domains.iter().any(|d| d.as_str() == domain)
    }

    /// Held by whoever changes what others are told, so that the end of the process comes before or after it; `None`
    /// after it.
    pub(crate) fn unended(&self) -> Option<RwLockReadGuard<'_, bool>> {
        Some(self.ended.read()).filter(|ended| !**ended)
    }

    /// Runs what may wait for the disk away from the threads that serve connections.
    pub(crate) fn blocking(&self, work: impl FnOnce() + Send + 'static) {
        self.runtime.spawn_blocking(work);
    }

    /// Acts between the same two parties come one after the other: each reads, decides, writes and tells. Taken
    /// before any account's lock, and never twice.
    pub(crate) fn consenting(&self, presentity: &Address, watcher: &Address) -> MutexGuard<'_, ()> {
        self.consents[self.hasher.hash_one((presentity, watcher)) as usize % SHARDS].lock()
    }

    fn shard(&self, address: &Address) -> &Shard {
        &self.accounts[self.hasher.hash_one(address) as usize % SHARDS]
    }

    /// An account that is in memory.
    pub(crate) fn account_at_hand(&self, address: &Address) -> Option<Arc<Account>> {
        self.shard(address).read().get(address).cloned()
    }

    /// An account, read from the store if need be. Blocks. `None` if there is no such account.
    pub(crate) fn account(self: &Arc<Self>, address: &Address) -> Result<Option<Arc<Account>>, Trouble> {
        if let Some(account) = self.account_at_hand(address) {
            return Ok(Some(account));
        }
        if let Some(way) = Way::of_mailbox(address) {
            return Ok(Some(self.way_account(&way)));
        }
        if address.user().is_none()
            || !self.hosts(address.domain())
            || !self.parts.accounts.exists(address)?
        {
            return Ok(None);
        }
        let fresh = Account::load(self, address)?;
        let mut shard = self.shard(address).write();
        // Another thread may have been quicker; there must be one object for each account.
        Ok(Some(shard.entry(address.clone()).or_insert(fresh).clone()))
    }

    /// The mailbox of a pair of domains, or of one protocol of a pair.
    pub(crate) fn way_account(self: &Arc<Self>, way: &Way) -> Arc<Account> {
        let mailbox = way.mailbox();
        if let Some(account) = self.account_at_hand(&mailbox) {
            return account;
        }
        let fresh = Account::of_way(self, way);
        self.shard(&mailbox).write().entry(mailbox).or_insert(fresh).clone()
    }

    /// Lets go of pairs for which nothing waits and which nobody carries for.
    pub(crate) fn forget_idle_pairs(&self) {
        for shard in &self.accounts {
            // Whoever is about to post to one holds it.
            shard
                .write()
                .retain(|_, account| Arc::strong_count(account) > 1 || !account.state.lock().is_idle_pair());
        }
    }

    /// Forgets an account that was removed, and ends its devices. Call after the store has removed it.
    pub fn revoke(self: &Arc<Self>, address: &Address, removed: bool) {
        let account =
            if removed { self.shard(address).write().remove(address) } else { self.account_at_hand(address) };
        self.end_leases(address);
        self.end_sessions(address);
        if let Some(account) = account {
            self.end_devices(&account, removed);
        }
    }

    /// Every account in memory.
    pub(crate) fn accounts_at_hand(&self) -> Vec<Arc<Account>> {
        self.accounts.iter().flat_map(|s| s.read().values().cloned().collect::<Vec<_>>()).collect()
    }
}

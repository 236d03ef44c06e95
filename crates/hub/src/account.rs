//! What is held in memory of one local account.

use crate::book::Book;
use crate::house::Hub;
use crate::link::LinkCore;
use crate::mailbox::Mailbox;
use crate::presence::{Abroad, Publication, Recorded, Watch, granted};
use crate::remote::Remote;
use bus::{Ear, Parcel};
use model::{Address, Device, Endpoint, Envelope, Seq, Way};
use parking_lot::Mutex;
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use store::{Consent, Trouble};

/// A device that some machine bound.
pub(crate) struct Slot {
    pub device: Device,
    pub link: Arc<LinkCore>,
    /// Ready for messages, with this priority.
    pub attend: Option<i8>,
    /// It announced its own presence, so it hears that of the account's contacts (RFC 6121 section 4.2).
    pub announces: bool,
    /// It asked for the contact list, so it hears of changes and of subscription requests.
    pub roster: bool,
    /// It asked for the list of those who are blocked, so it hears of changes.
    pub blocks: bool,
    /// Unacknowledged deliveries.
    pub in_flight: u32,
    /// To whom it sent presence directly, and who must hear when it goes (RFC 6121 section 4.6).
    pub directed: Vec<Endpoint>,
}

#[derive(Default)]
pub(crate) struct State {
    pub devices: Vec<Slot>,
    pub mailbox: Mailbox,
    pub publications: Vec<Publication>,
    /// What of them is on record, where presence is.
    pub recorded: Recorded,
    pub watches: Vec<Watch>,
    pub book: Book,
    pub removed: bool,
    /// Set for the mailbox of a pair of domains, which is nobody's account.
    pub remote: Option<Box<Remote>>,
    /// What this account knows of the presence of people elsewhere, by presentity.
    pub abroad: BTreeMap<Address, Abroad>,
    /// Watchers who have consent and are kept from seeing this account by the rules, as far as they were told.
    pub veiled: BTreeSet<Address>,
}

impl State {
    pub fn slot(&mut self, link: &Arc<LinkCore>, endpoint: &Endpoint) -> Option<&mut Slot> {
        self.devices
            .iter_mut()
            .find(|s| Some(&s.device) == endpoint.device.as_ref() && Arc::ptr_eq(&s.link, link))
    }

    /// A delivery is no longer in hand. Which of the link's devices had it does not matter: windows are per link and
    /// account.
    pub fn landed(&mut self, link: &Arc<LinkCore>, path: u64) {
        if let Some(remote) = &mut self.remote {
            remote.paths.landed(path);
        }
        if let Some(slot) = self.devices.iter_mut().find(|s| Arc::ptr_eq(&s.link, link) && s.in_flight > 0) {
            slot.in_flight -= 1;
        }
    }

    /// Those who let this account see them.
    pub fn watching(&self) -> Vec<Address> {
        let rows = self.book.rows().iter();
        rows.filter(|row| row.watching == Some(Consent::Granted)).map(|row| row.who.clone()).collect()
    }

    /// Has this account consented to the other, or asked for their consent and got it? What the other one does alone is not
    /// enough, or anybody could make themselves known.
    pub fn knows(&self, other: &Address) -> bool {
        let given = |row: &crate::book::Row| {
            matches!(row.watcher, Some(Consent::Granted | Consent::PreApproved))
                || row.watching == Some(Consent::Granted)
        };
        self.book.row(other).is_some_and(given)
    }
}

/// One local account. Its lock is never held together with another account's.
pub(crate) struct Account {
    pub address: Address,
    pub state: Mutex<State>,
    /// Held while watchers are told: in the order in which things happened. Taken before any account's state.
    pub telling: Mutex<()>,
    hub: Weak<Hub>,
}

impl Account {
    /// Reads an account's contacts and consents. Blocks.
    pub fn load(hub: &Arc<Hub>, address: &Address) -> Result<Arc<Self>, Trouble> {
        let (rosters, consents) = (&hub.parts.rosters, &hub.parts.authorizations);
        let (watchers, watching) = (consents.of_presentity(address)?, consents.of_watcher(address)?);
        let book = Book::of(rosters.entries(address)?, watchers, watching);
        let mut state = State { book, ..State::default() };
        // Nobody was told anything yet.
        state.veiled = granted(&state).into_iter().filter(|who| !hub.is_unveiled(who, address)).collect();
        Ok(Self::with(hub, address, state))
    }

    /// The hub it belongs to.
    pub fn hub(&self) -> Option<Arc<Hub>> {
        self.hub.upgrade()
    }

    /// The mailbox of a pair of domains, or of one protocol of a pair.
    pub fn of_way(hub: &Arc<Hub>, way: &Way) -> Arc<Self> {
        let state = State { remote: Some(Box::new(Remote::new(way.clone()))), ..State::default() };
        Self::with(hub, &way.mailbox(), state)
    }

    fn with(hub: &Arc<Hub>, address: &Address, state: State) -> Arc<Self> {
        Arc::new(Self {
            address: address.clone(),
            state: Mutex::new(state),
            telling: Mutex::default(),
            hub: Arc::downgrade(hub),
        })
    }
}

/// What rings an account: a row on record that its mailbox should hand out.
pub(crate) struct Posted {
    pub seq: Seq,
    pub envelope: Arc<Envelope>,
    /// False for what is not kept for somebody who is away.
    pub lasting: bool,
    /// It was kept back until it was noted here ([`crate::mailbox::Mailbox::keep_back`]).
    pub departing: bool,
}

impl Parcel for Posted {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.seq.0.to_be_bytes().to_vec();
        bytes.push(u8::from(self.lasting));
        bytes.extend(model::codec::encode_head(&self.envelope, &model::Judgement::default()));
        bytes
    }
}

impl Ear for Account {
    fn hear(&self, parcel: &Arc<dyn Parcel>) {
        let any: &dyn Any = parcel.as_ref();
        if let (Some(posted), Some(hub)) = (any.downcast_ref::<Posted>(), self.hub.upgrade()) {
            hub.post(&self.address, posted);
        }
    }
}

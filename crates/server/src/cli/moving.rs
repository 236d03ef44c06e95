//! Accounts of another server, on their way here.

use crate::client::Control;
use crate::failure::Failure;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use export::{Account, Contact, Scram};
use std::collections::BTreeMap;
use web::{AccountBatch, AccountCounts};

/// Accounts, and bytes of them, that are sent at a time.
const BATCH: usize = 50;
const BATCH_BYTES: usize = 512 * 1024;
/// Notes that are shown one by one.
const SHOWN: usize = 20;

/// Where accounts go.
pub(super) struct Moving {
    control: Control,
    /// The import; none: they are only looked at.
    id: Option<u64>,
    batch: Vec<Account>,
    bytes: usize,
    counts: AccountCounts,
    /// Of how many accounts something else is kept that stays there.
    left: BTreeMap<String, u64>,
}

impl Moving {
    pub fn new(control: Control, id: Option<u64>) -> Self {
        let (counts, left) = (AccountCounts::default(), BTreeMap::new());
        Self { control, id, batch: Vec::new(), bytes: 0, counts, left }
    }

    /// Takes one; says whether it is time to send.
    pub fn hear(&mut self, account: import::Account) -> bool {
        for what in &account.left {
            *self.left.entry(what.clone()).or_default() += 1;
        }
        let account = moved(account);
        self.bytes += 500 + account.contacts.iter().map(|one| one.who.len() + 150).sum::<usize>();
        self.batch.push(account);
        self.batch.len() >= BATCH || self.bytes >= BATCH_BYTES
    }

    pub async fn send(&mut self) -> Result<(), Failure> {
        self.bytes = 0;
        let accounts = std::mem::take(&mut self.batch);
        if accounts.is_empty() {
            return Ok(());
        }
        let path = self.id.map_or("look".to_owned(), |id| id.to_string());
        let path = format!("/v1/imports/{path}/accounts");
        let counts: AccountCounts = self.control.post(&path, &AccountBatch { accounts }).await?;
        self.counts.new += counts.new;
        self.counts.known += counts.known;
        self.counts.refused += counts.refused;
        self.counts.contacts += counts.contacts;
        self.counts.notes.extend(counts.notes);
        Ok(())
    }

    /// What came of it, in words.
    pub fn tell(&self) {
        let AccountCounts { new, known, refused, contacts, notes } = &self.counts;
        let would = if self.id.is_none() { "would be " } else { "" };
        println!(
            "{new} account(s) {would}made, {known} there already, {refused} not taken over; {contacts} new contact(s)"
        );
        notes.iter().take(SHOWN).for_each(|(who, note)| println!("{who}: {note}"));
        if notes.len() > SHOWN {
            println!("and {} more of that kind", notes.len() - SHOWN);
        }
        for (what, accounts) in &self.left {
            println!("not taken over: {what} of {accounts} account(s)");
        }
    }
}

/// An account as the server takes it: addresses are in one spelling.
fn moved(account: import::Account) -> Account {
    let spelt =
        |jid: &str| xmpp::jid::parse(jid).map_or_else(|_| jid.to_owned(), |end| end.address.to_string());
    let keys = |keys: &import::Scram| Scram {
        mechanism: keys.mechanism.clone(),
        iterations: keys.iterations,
        salt: STANDARD.encode(&keys.salt),
        stored_key: STANDARD.encode(&keys.stored_key),
        server_key: STANDARD.encode(&keys.server_key),
    };
    let contact = |one: import::Contact| Contact {
        who: spelt(&one.who),
        name: one.name,
        groups: one.groups,
        to: one.to,
        from: one.from,
        asks: one.asks,
        approved: one.approved,
    };
    Account {
        address: spelt(&account.address),
        password: account.password,
        scram: account.scram.iter().map(keys).collect(),
        digest: account.digest,
        contacts: account.contacts.into_iter().map(contact).collect(),
        blocked: account.blocked.iter().map(|who| spelt(who)).collect(),
        asked: account.asked.into_iter().map(|(who, words)| (spelt(&who), words)).collect(),
        waiting: Vec::new(),
    }
}

//! Accounts that move: to another server with an export, and here with an import. What is secret of them passes by the control
//! socket alone, and stands neither on record nor in the log.

use crate::acts::now;
use crate::problem::{Problem, ProblemBody, blocking};
use crate::users::account;
use crate::{Desk, ExportOrder, Who};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use export::{Account, Contact, Scram};
use hub::{MovedContact, MovedList};
use model::{Address, Credential, RosterItem, Scheme, Secret, Seq, Subscription};
use ports::Blocking;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Accounts of a page.
const PAGE: usize = 100;
/// Rows that are read of a mailbox at a time.
const WAITING: usize = 1_000;
/// More iterations would keep those waiting who log in.
const ITERATIONS: std::ops::RangeInclusive<u32> = 1..=1_000_000;
/// SCRAM's mechanisms, and how long their keys are.
const SCRAM: [(Scheme, &str, usize); 2] =
    [(Scheme::ScramSha1, "SCRAM-SHA-1", 20), (Scheme::ScramSha256, "SCRAM-SHA-256", 32)];
/// Digest's algorithms, and how long their keys are.
const DIGEST: [(Scheme, &str, usize); 2] =
    [(Scheme::DigestMd5, "MD5", 32), (Scheme::DigestSha256, "SHA-256", 64)];

/// Accounts of another server.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct AccountBatch {
    /// The accounts, as an export tells them.
    #[schema(value_type = Vec<Object>)]
    pub accounts: Vec<Account>,
}

/// What became of them.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct AccountCounts {
    /// Made.
    pub new: u64,
    /// There already; their passwords stay.
    pub known: u64,
    /// Not taken over.
    pub refused: u64,
    /// Contacts that are new on their lists.
    pub contacts: u64,
    /// What is to be known of some: who, and in words.
    pub notes: Vec<(String, String)>,
}

/// From where on.
#[derive(Deserialize, IntoParams)]
pub struct After {
    /// The last account of the page before.
    after: Option<String>,
}

impl Desk {
    /// Is this account one of those that an export is about?
    fn moves(order: &ExportOrder, account: &Address) -> bool {
        let question = &order.question;
        let people: Vec<&String> = question.with.iter().chain(&question.from).chain(&question.to).collect();
        people.is_empty()
            || people.iter().any(|who| {
                let who = who.to_lowercase();
                who == account.as_str() || who == account.domain()
            })
    }

    fn moving(&self, address: &Address) -> Result<Option<Account>, Problem> {
        let Some(list) = self.hub.contact_list(address)? else { return Ok(None) };
        let mut moving = Account { address: address.to_string(), ..Account::default() };
        for (scheme, key) in self.accounts.keys(address)? {
            match key {
                Credential::Scram { salt, iterations, stored_key, server_key } => {
                    let named = SCRAM.iter().find(|(one, _, _)| *one == scheme);
                    moving.scram.extend(named.map(|(_, mechanism, _)| Scram {
                        mechanism: (*mechanism).to_owned(),
                        iterations,
                        salt: STANDARD.encode(salt),
                        stored_key: STANDARD.encode(stored_key),
                        server_key: STANDARD.encode(server_key),
                    }));
                }
                Credential::Ha1(hex) => {
                    let named = DIGEST.iter().find(|(one, _, _)| *one == scheme);
                    let hex = String::from_utf8_lossy(&hex).into_owned();
                    moving.digest.extend(named.map(|(_, algorithm, _)| ((*algorithm).to_owned(), hex)));
                }
            }
        }
        moving.contacts = list.contacts.into_iter().map(contact).collect();
        moving.blocked =
            Blocking::blocked(self.guard.as_ref(), address).iter().map(ToString::to_string).collect();
        moving.asked = list.asked.into_iter().map(|(who, words)| (who.to_string(), words)).collect();
        let mut after = Seq(0);
        loop {
            let some = self.journal.waiting(address, after, WAITING)?;
            let Some(last) = some.last() else { break };
            after = last.seq;
            moving.waiting.extend(some.iter().map(|row| row.seq.0));
        }
        Ok(Some(moving))
    }

    /// Takes accounts over, or (`try_only`) says what that would do.
    fn take_over(&self, who: Option<(&Who, u64)>, batch: AccountBatch) -> Result<AccountCounts, Problem> {
        let mut counts = AccountCounts::default();
        for moved in batch.accounts {
            let said = moved.address.clone();
            let address = match account(self, &said) {
                Ok(address) if address.user() == Some(partner::RESPONDER) => {
                    Err(Problem::bad(format!("{address} answers partners' tests, and is nobody's")))
                }
                other => other,
            };
            let address = match address {
                Ok(address) => address,
                Err(Problem(_, why)) => {
                    counts.refused += 1;
                    counts.notes.push((said, why));
                    continue;
                }
            };
            let (keys, notes) = keys(&moved);
            let password = moved.password.filter(|password| identity::prepare(password).is_ok());
            let mut list = MovedList::default();
            let mut bad = 0;
            for contact in &moved.contacts {
                match from_contact(contact) {
                    Some(contact) if contact.item.contact != address => list.contacts.push(contact),
                    Some(_) => {}
                    None => bad += 1,
                }
            }
            for (asker, words) in &moved.asked {
                list.asked.extend(Address::parse(asker).ok().map(|asker| (asker, words.clone())));
            }
            let blocked: Vec<Address> =
                moved.blocked.iter().filter_map(|who| Address::parse(who).ok()).collect();
            let before = self.hub.contact_list(&address)?;
            let (is_new, contacts) = match who {
                None => {
                    let has = |one: &&MovedContact| {
                        let on = |list: &MovedList| {
                            list.contacts.iter().any(|kept| kept.item.contact == one.item.contact)
                        };
                        before.as_ref().is_some_and(on)
                    };
                    let contacts = list.contacts.iter().filter(|one| !has(one)).count();
                    (before.is_none(), contacts)
                }
                Some((who, id)) => self.take(who, id, &address, (password, &keys), (&list, &blocked))?,
            };
            match is_new {
                true => counts.new += 1,
                false => counts.known += 1,
            }
            counts.contacts += contacts as u64;
            if is_new {
                counts.notes.extend(notes.into_iter().map(|note| (address.to_string(), note)));
            }
            if bad > 0 {
                counts.notes.push((address.to_string(), format!("{bad} contact(s) whose address is none")));
            }
        }
        Ok(counts)
    }

    fn take(
        &self,
        who: &Who,
        id: u64,
        address: &Address,
        (password, keys): (Option<String>, &[(Scheme, Credential)]),
        (list, blocked): (&MovedList, &[Address]),
    ) -> Result<(bool, usize), Problem> {
        let made = || {
            let end = match &password {
                Some(password) => self.accounts.create(address, &Secret::new(password.clone())),
                None => self.accounts.adopt(address, keys),
            };
            Ok(end?)
        };
        // What changes nothing is no act.
        let known = self.hub.contact_list(address)?.is_some();
        let is_new = !known && self.act(who, "import.account", &format!("{address} (row {id})"), made)?;
        let contacts = self.hub.adopt_contacts(address, list)?;
        let had = Blocking::blocked(self.guard.as_ref(), address);
        let blocked: Vec<Address> = blocked.iter().filter(|who| !had.contains(who)).cloned().collect();
        Blocking::block(self.guard.as_ref(), address, &blocked)?;
        if contacts + blocked.len() > 0 {
            let mut act = who.done("import.contacts").on(format!("{address} (row {id})"));
            act.result = format!("done: {contacts} new, {} blocked", blocked.len());
            act.note(self.journal.as_ref(), now())?;
        }
        Ok((is_new, contacts))
    }
}

fn contact(MovedContact { item, approved }: MovedContact) -> Contact {
    let Subscription { to, from, asked } = item.subscription;
    Contact {
        who: item.contact.to_string(),
        name: item.name,
        groups: item.groups.iter().map(ToString::to_string).collect(),
        to,
        from,
        asks: asked,
        approved,
    }
}

fn from_contact(contact: &Contact) -> Option<MovedContact> {
    let item = RosterItem {
        contact: Address::parse(&contact.who).ok()?,
        name: contact.name.clone(),
        groups: contact.groups.iter().map(|group| group.as_str().into()).collect(),
        subscription: Subscription { to: contact.to, from: contact.from, asked: contact.asks },
    };
    Some(MovedContact { item, approved: contact.approved })
}

/// The keys that can be used here, and in words what cannot.
fn keys(moved: &Account) -> (Vec<(Scheme, Credential)>, Vec<String>) {
    let (mut keys, mut notes) = (Vec::new(), Vec::new());
    if let Some(password) = &moved.password {
        if let Err(unfit) = identity::prepare(password) {
            notes.push(format!("{unfit}, so it gets none: `rialto user passwd` sets one"));
        }
        return (keys, notes);
    }
    for one in &moved.scram {
        let known = SCRAM.iter().find(|(_, name, _)| *name == one.mechanism);
        let bytes = |text: &str| STANDARD.decode(text).unwrap_or_default();
        let (salt, stored_key, server_key) =
            (bytes(&one.salt), bytes(&one.stored_key), bytes(&one.server_key));
        match known {
            Some((scheme, _, len))
                if stored_key.len() == *len
                    && server_key.len() == *len
                    && !salt.is_empty()
                    && ITERATIONS.contains(&one.iterations) =>
            {
                let (salt, stored_key, server_key) = (salt.into(), stored_key.into(), server_key.into());
                let iterations = one.iterations;
                keys.push((*scheme, Credential::Scram { salt, iterations, stored_key, server_key }));
            }
            Some((_, name, _)) => notes.push(format!("its keys for {name} are none")),
            None => notes.push(format!("its keys for {} cannot be used here", one.mechanism)),
        }
    }
    for (algorithm, hex) in &moved.digest {
        let known = DIGEST.iter().find(|(_, name, len)| name == algorithm && *len == hex.len());
        if let Some((scheme, _, _)) = known.filter(|_| hex.bytes().all(|b| b.is_ascii_hexdigit())) {
            keys.push((*scheme, Credential::Ha1(hex.to_ascii_lowercase().into())));
        }
    }
    let has = |scheme: Scheme| keys.iter().any(|(one, _)| *one == scheme);
    let lacks = match (has(Scheme::ScramSha1), has(Scheme::ScramSha256), has(Scheme::DigestSha256)) {
        (false, false, _) => "has no password that can be taken over: `rialto user passwd` sets one",
        (true, false, _) => {
            "has keys for SCRAM-SHA-1 alone: clients that insist on SCRAM-SHA-256, and SIP phones, need the first login with \
             PLAIN, or a new password"
        }
        (_, true, false) => {
            "has no keys for SIP phones: they need the first login with PLAIN, or a new password"
        }
        _ => return (keys, notes),
    };
    notes.push(lacks.to_owned());
    (keys, notes)
}

/// Accounts of an export of the form `xep0227`, in order.
#[utoipa::path(get, path = "/v1/exports/{id}/accounts", params(After), responses(
    (status = 200, description = "a list; an empty one after the last"), (status = 404, body = ProblemBody)))]
pub async fn moving(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(id): Path<u64>,
    Query(After { after }): Query<After>,
) -> Result<Json<Vec<Account>>, Problem> {
    blocking(move || {
        let (order, _) = desk.export(&who, id, None)?;
        if !order.forms.iter().any(|form| form == export::Form::Xep0227.name()) {
            return Err(Problem::missing(format!("export {id} is without accounts")));
        }
        let mut after =
            after.as_deref().map(Address::parse).transpose().map_err(|e| Problem::bad(e.to_string()))?;
        let mut all = Vec::new();
        while all.len() < PAGE {
            let some = desk.accounts.list(after.as_ref(), PAGE)?;
            let Some(last) = some.last() else { break };
            after = Some(last.clone());
            for address in some.iter().filter(|address| Desk::moves(&order, address)) {
                all.extend(desk.moving(address)?);
            }
        }
        Ok(Json(all))
    })
    .await
}

/// What an import would make of these accounts. Nothing is changed.
#[utoipa::path(post, path = "/v1/imports/look/accounts", request_body = AccountBatch, responses(
    (status = 200, body = AccountCounts)))]
pub async fn look(
    State(desk): State<Arc<Desk>>,
    Json(batch): Json<AccountBatch>,
) -> Result<Json<AccountCounts>, Problem> {
    blocking(move || desk.take_over(None, batch).map(Json)).await
}

/// Takes accounts over with their contact lists. Whatever is there already stays as it is.
#[utoipa::path(post, path = "/v1/imports/{id}/accounts", request_body = AccountBatch, responses(
    (status = 200, body = AccountCounts), (status = 404, body = ProblemBody)))]
pub async fn add(
    State(desk): State<Arc<Desk>>,
    who: Who,
    Path(id): Path<u64>,
    Json(batch): Json<AccountBatch>,
) -> Result<Json<AccountCounts>, Problem> {
    blocking(move || {
        desk.import(&who, id)?;
        desk.take_over(Some((&who, id)), batch).map(Json)
    })
    .await
}

/// Accounts are for administrators alone.
pub(crate) fn may_move(who: &Who, order: &ExportOrder) -> Result<(), Problem> {
    let asked = order.forms.iter().any(|form| form == export::Form::Xep0227.name());
    match asked && who.role() != Some(admin::Role::Administrator) {
        true => Err(Problem(
            StatusCode::FORBIDDEN,
            "the form xep0227 has the keys of accounts in it: administrators alone may ask for it".into(),
        )),
        false => Ok(()),
    }
}

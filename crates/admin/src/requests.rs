//! What waits for a second administrator: kept until somebody decides, or until it is too late.

use crate::token::{hex, random};
use crate::{Act, AdminError, Role, Second, acts};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use store::{Partners, Shelf, Trouble};
use utoipa::ToSchema;

/// Requests of one administrator that wait at a time.
const EACH: usize = 20;
/// Requests that are open at a time; so many are kept, those that are over among them.
const MOST: usize = 500;
/// Bytes of one request.
const BYTES: usize = 4 << 20;
/// Characters of an answer that are kept.
const ANSWER: usize = 4_000;

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nobody has decided.
    Waiting,
    /// A second one allows it: who asked may do it once.
    Granted,
    /// It was done.
    Done,
    /// A second one has said no.
    Refused,
}

/// How a second one decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Decided {
    /// Who.
    pub by: String,
    /// As what.
    pub role: Role,
    /// How it was known that it was them.
    pub how: String,
    /// When, Unix milliseconds.
    pub at: u64,
    /// Why.
    pub note: String,
}

/// An act that two administrators are needed for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Request {
    /// Its name.
    pub id: String,
    /// The act.
    pub act: String,
    /// The HTTP method.
    pub method: String,
    /// Path and query.
    pub uri: String,
    /// The body, where it is kept.
    pub body: Option<String>,
    /// SHA-256 of the body, hex; none where a secret is in it.
    pub digest: Option<String>,
    /// Who asks.
    pub by: String,
    /// As what.
    pub role: Role,
    /// How it was known that it was them.
    pub how: String,
    /// When, Unix milliseconds.
    pub at: u64,
    /// Nobody can decide any more from then on, Unix milliseconds.
    pub until: u64,
    /// Where it stands.
    pub state: State,
    /// How a second one decided.
    pub decided: Option<Decided>,
    /// What came of it.
    pub answer: Option<Answer>,
}

/// What came of an act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The beginning of the answer.
    pub text: String,
}

/// What somebody asks for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The act.
    pub act: &'static Act,
    /// Path and query.
    pub uri: &'a str,
    /// The body.
    pub body: &'a [u8],
    /// Who.
    pub by: &'a str,
    /// As what.
    pub role: Role,
    /// How it is known that it is them.
    pub how: &'a str,
}

impl Request {
    /// Is it still to be decided, or to be used?
    fn is_open(&self) -> bool {
        matches!(self.state, State::Waiting | State::Granted)
    }
}

impl Asked<'_> {
    fn digest(&self) -> Option<String> {
        (self.act.second != Second::Blind).then(|| hex(&Sha256::digest(self.body)))
    }

    fn is(&self, request: &Request) -> bool {
        request.by == self.by
            && request.method == self.act.method
            && request.uri == self.uri
            && request.digest == self.digest()
    }
}

/// All requests.
pub struct Requests {
    store: Arc<dyn Partners>,
    /// Held while one is changed.
    changing: Mutex<()>,
}

impl Requests {
    /// Those of a store.
    pub fn new(store: Arc<dyn Partners>) -> Self {
        Self { store, changing: Mutex::new(()) }
    }

    /// All, the oldest first. Blocks, as all that follow.
    ///
    /// # Errors
    /// [`AdminError::Trouble`]; likewise below.
    pub fn all(&self) -> Result<Vec<Request>, AdminError> {
        let read = |(id, doc): (String, Vec<u8>)| {
            serde_json::from_slice(&doc)
                .map_err(|e| Trouble::Failed(format!("request {id} cannot be read: {e}")))
        };
        let docs = self.store.documents(Shelf::Request)?;
        let mut all = docs.into_iter().map(read).collect::<Result<Vec<Request>, _>>()?;
        all.sort_by_key(|request| request.at);
        Ok(all)
    }

    /// One.
    ///
    /// # Errors
    /// [`AdminError::Missing`]
    pub fn named(&self, id: &str) -> Result<Request, AdminError> {
        let missing = || {
            AdminError::Missing(format!(
                "there is no request {id:?}: `rialto approve list` lists those there are"
            ))
        };
        self.all()?.into_iter().find(|request| request.id == id).ok_or_else(missing)
    }

    /// Removes what is too late; gives those that nobody has decided, or that were granted and not used.
    ///
    /// # Errors
    /// [`AdminError`]
    pub fn expire(&self, now: u64) -> Result<Vec<Request>, AdminError> {
        let _changing = self.changing.lock();
        let mut late = self.all()?;
        late.retain(|request| request.until <= now);
        for request in &late {
            self.store.remove_document(Shelf::Request, &request.id)?;
        }
        late.retain(Request::is_open);
        Ok(late)
    }

    /// Keeps what somebody asks for, until it is decided or `until`; the same that waits already is not kept twice, and
    /// `false` then.
    ///
    /// # Errors
    /// [`AdminError`]
    pub fn ask(&self, asked: &Asked<'_>, now: u64, until: u64) -> Result<(Request, bool), AdminError> {
        let _changing = self.changing.lock();
        let all = self.all()?;
        let mut waiting = all.iter().filter(|r| r.state == State::Waiting && r.by == asked.by);
        if let Some(same) = waiting.clone().find(|r| asked.is(r)) {
            return Ok((same.clone(), false));
        }
        let over: Vec<&Request> = all.iter().filter(|request| !request.is_open()).collect();
        if waiting.nth(EACH - 1).is_some() || all.len() - over.len() >= MOST {
            return Err(AdminError::Conflict(
                "too many requests wait for a second administrator already; `rialto approve list` lists them"
                    .into(),
            ));
        }
        if asked.body.len() > BYTES {
            return Err(AdminError::Bad("this is too long to wait for a second administrator".into()));
        }
        let body = match asked.act.second {
            Second::Blind => None,
            _ => Some(
                String::from_utf8(asked.body.to_vec())
                    .map_err(|_| AdminError::Bad("the request is no text".into()))?,
            ),
        };
        let request = Request {
            id: hex(&random::<4>()?),
            act: asked.act.name.to_owned(),
            method: asked.act.method.to_owned(),
            uri: asked.uri.to_owned(),
            body: body.filter(|body| !body.is_empty()),
            digest: asked.digest(),
            by: asked.by.to_owned(),
            role: asked.role,
            how: asked.how.to_owned(),
            at: now,
            until,
            state: State::Waiting,
            decided: None,
            answer: None,
        };
        // What is over is on record, and makes room for what is not: the oldest first.
        for old in over.iter().take((all.len() + 1).saturating_sub(MOST)) {
            self.store.remove_document(Shelf::Request, &old.id)?;
        }
        self.put(&request)?;
        Ok((request, true))
    }

    /// What was granted for just this, which is used up by it.
    ///
    /// # Errors
    /// [`AdminError`]
    pub fn take(&self, asked: &Asked<'_>) -> Result<Option<Request>, AdminError> {
        let _changing = self.changing.lock();
        let granted = |r: &Request| r.state == State::Granted && asked.is(r);
        let Some(mut request) = self.all()?.into_iter().find(granted) else { return Ok(None) };
        request.state = State::Done;
        self.put(&request)?;
        Ok(Some(request))
    }

    /// Decides as a second administrator. What is to be done after a yes is the caller's; nobody else will hear `Done`.
    ///
    /// # Errors
    /// [`AdminError`]
    pub fn decide(&self, id: &str, yes: bool, decided: Decided) -> Result<Request, AdminError> {
        let _changing = self.changing.lock();
        let mut request = self.named(id)?;
        if request.state != State::Waiting {
            let by = request.decided.map(|d| format!(" by {}", d.by)).unwrap_or_default();
            return Err(AdminError::Conflict(format!("request {id} was decided already{by}")));
        }
        // A request may be taken back, but not approved, by whoever asked.
        if yes && request.by == decided.by {
            return Err(AdminError::Refused(format!(
                "{} has asked for this: somebody else must decide",
                decided.by
            )));
        }
        let known = acts::ACTS.iter().find(|act| act.name == request.act && act.method == request.method);
        let Some(act) = known else {
            return Err(AdminError::Conflict(format!("this server knows no act {}", request.act)));
        };
        if request.by != decided.by && !act.is_for(decided.role) {
            return Err(AdminError::Refused(crate::needs(act, &decided.by, decided.role)));
        }
        request.state = match (yes, act.second) {
            (false, _) => State::Refused,
            (true, Second::Does | Second::Never) => State::Done,
            (true, Second::Grants | Second::Blind) => State::Granted,
        };
        request.decided = Some(decided);
        self.put(&request)?;
        Ok(request)
    }

    /// Notes what came of it.
    ///
    /// # Errors
    /// [`AdminError`]
    pub fn answered(&self, mut request: Request, mut answer: Answer) -> Result<Request, AdminError> {
        let _changing = self.changing.lock();
        answer.text = answer.text.chars().take(ANSWER).collect();
        request.answer = Some(answer);
        self.put(&request)?;
        Ok(request)
    }

    fn put(&self, request: &Request) -> Result<(), AdminError> {
        let doc = serde_json::to_vec(request).map_err(|e| Trouble::Failed(e.to_string()))?;
        Ok(self.store.put_document(Shelf::Request, &request.id, &doc)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::MemoryStore;

    fn asked<'a>(method: &str, path: &str, body: &'a [u8], by: &'a str) -> Asked<'a> {
        let act = acts::find(method, path).unwrap();
        Asked { act, uri: "/v1/x", body, by, role: Role::Administrator, how: "a token" }
    }

    fn by(name: &str, role: Role) -> Decided {
        Decided { by: name.into(), role, how: "a token".into(), at: 2, note: String::new() }
    }

    #[test]
    fn what_changes_something_is_done_once_and_by_two() {
        let all = Requests::new(Arc::new(MemoryStore::default()));
        let set = asked("PUT", "/v1/policy", b"{}", "alice");
        let (request, new) = all.ask(&set, 1, 100).unwrap();
        assert!(new && !all.ask(&set, 2, 100).unwrap().1, "not twice");
        let id = request.id.as_str();
        let own = all.decide(id, true, by("alice", Role::Administrator)).unwrap_err().to_string();
        assert_eq!(own, "alice has asked for this: somebody else must decide");
        let desk = all.decide(id, true, by("dave", Role::HelpDesk)).unwrap_err().to_string();
        assert_eq!(
            desk,
            "policy.set needs the role administrator, security-officer or compliance-reviewer; dave is help-desk"
        );
        let done = all.decide(id, true, by("bob", Role::ComplianceReviewer)).unwrap();
        assert_eq!((done.state, done.body.as_deref()), (State::Done, Some("{}")));
        assert!(matches!(
            all.decide(id, true, by("carol", Role::Administrator)),
            Err(AdminError::Conflict(_))
        ));
        assert_eq!(all.take(&set).unwrap(), None, "it was no permission");
        assert!(all.ask(&set, 3, 100).unwrap().1, "the same may be asked for again");
    }

    #[test]
    fn what_has_an_answer_is_allowed_once_for_just_that() {
        let all = Requests::new(Arc::new(MemoryStore::default()));
        let replay = asked("POST", "/v1/policy/replay", b"one", "alice");
        let (request, _) = all.ask(&replay, 1, 100).unwrap();
        assert_eq!(all.take(&replay).unwrap(), None, "nobody has decided");
        let granted = all.decide(&request.id, true, by("bob", Role::Administrator)).unwrap();
        assert_eq!(granted.state, State::Granted);
        assert_eq!(all.take(&Asked { body: b"two", ..replay }).unwrap(), None, "something else");
        assert_eq!(all.take(&Asked { by: "eve", ..replay }).unwrap(), None, "somebody else");
        assert!(all.take(&replay).unwrap().is_some());
        assert_eq!(all.take(&replay).unwrap(), None, "once");
    }

    #[test]
    fn secrets_are_not_kept_and_a_no_is_a_no() {
        let store = Arc::new(MemoryStore::default());
        let all = Requests::new(store.clone());
        let add = asked("PUT", "/v1/users/{account}", b"a secret", "alice");
        let (request, _) = all.ask(&add, 1, 100).unwrap();
        let kept = String::from_utf8(store.document(Shelf::Request, &request.id).unwrap().unwrap()).unwrap();
        assert!(!kept.contains("a secret") && request.digest.is_none(), "{kept}");
        let no = all.decide(&request.id, false, by("bob", Role::Administrator)).unwrap();
        assert_eq!(no.state, State::Refused);
        assert_eq!(all.take(&add).unwrap(), None);
    }

    #[test]
    fn what_is_too_late_is_gone_and_nobody_fills_the_store() {
        let all = Requests::new(Arc::new(MemoryStore::default()));
        for i in 0..EACH {
            let uri = format!("/v1/{i}");
            all.ask(&Asked { uri: &uri, ..asked("PUT", "/v1/policy", b"", "alice") }, 1, 100).unwrap();
        }
        let more = asked("PUT", "/v1/policy", b"", "alice");
        assert!(matches!(all.ask(&more, 1, 100), Err(AdminError::Conflict(_))));
        all.ask(&Asked { by: "bob", ..more }, 1, 200).unwrap();
        assert_eq!(all.expire(99).unwrap().len(), 0);
        assert_eq!(all.expire(100).unwrap().len(), EACH);
        assert_eq!(all.all().unwrap().len(), 1);
        all.ask(&more, 1, 100).unwrap();
    }

    #[test]
    fn what_is_over_makes_room() {
        let all = Requests::new(Arc::new(MemoryStore::default()));
        let replay = asked("POST", "/v1/policy/replay", b"", "alice");
        for at in 0..MOST as u64 {
            let (request, _) = all.ask(&replay, at, 1_000_000).unwrap();
            all.decide(&request.id, true, by("bob", Role::Administrator)).unwrap();
            assert!(all.take(&replay).unwrap().is_some());
        }
        let (waits, _) = all.ask(&replay, MOST as u64, 1_000_000).unwrap();
        let kept = all.all().unwrap();
        assert_eq!((kept.len(), kept[0].at), (MOST, 1), "the oldest is forgotten");
        assert_eq!(kept.last(), Some(&waits));
    }
}

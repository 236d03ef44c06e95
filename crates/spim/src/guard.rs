//! The guard: looks at what strangers send, and knows who is one.

use crate::block::Block;
use crate::follow::Change;
use crate::keys::{pair, party};
use crate::known::Known;
use crate::lists::Lists;
use crate::recent::Recent;
use crate::repute::{Mark, Repute};
use crate::settings::{Answer, Greylist, ListSource, Node, Settings};
use crate::waiting::{Reply, Room, Waiting};
use hygiene::leads_somewhere;
use meter::{Meters, Rate};
use model::{Address, Envelope, Event, Hold, Outcome, Reason, Refusal, Seq, Term, Timestamp};
use parking_lot::RwLock;
use policy::Feature;
use ports::{Ruling, Standing};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use store::{Partners, Shelf, Trouble};

const HOUR: u64 = 3_600_000;
/// Pairs whose first contact is remembered.
const CONTACTS: usize = 65_536;
/// Senders and domains whose first contacts are counted.
const METERS: usize = 16_384;
/// So long a first contact is one.
const FIRST: u64 = 24 * HOUR;
/// So long a question waits for its answer.
const PATIENCE: u64 = 24 * HOUR;
/// What of one sender may wait for people to look at it; what comes beyond is refused.
const HOLDS: Rate = Rate::per_hour(20, 20);

const LINK: &str = "who has not heard from you before gets no links and no files from you: write without them, or ask to be a contact first";
const RATE: &str = "you write to many people who do not know you; wait a while";
const LATER: &str = "nobody here knows you yet; write again in a few minutes";
const LISTED: &str = "your address is on a list of senders of unwanted messages";
const REPORTED: &str = "several people have reported what you send";
const BLOCKED: &str = "the administrator does not accept what you send";
const WRONG: &str = "answer the question first, with the number alone";

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpimError {
    /// The words make no sense.
    #[error("{0}")]
    Wrong(String),
    /// Nothing is known of them.
    #[error("nothing is known of {0:?}; `rialto spim status` lists who stands out")]
    Missing(String),
    /// The store failed.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// What is to be done that the guard cannot do itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// These rows pass.
    Release(Vec<Seq>),
    /// These end, and nobody hears it.
    Discard(Vec<Seq>),
    /// The sender is asked something in the addressee's name.
    Ask {
        /// The addressee.
        from: Address,
        /// The sender.
        to: Address,
        /// The question.
        text: String,
    },
    /// Somebody of ours reports somebody, which is to go on record.
    Reported {
        /// Who.
        by: Address,
        /// Whom.
        who: Address,
        /// As what.
        report: model::Report,
    },
}

pub(crate) const CAUSES: [&str; 9] =
    ["personal", "blocked", "list", "reputation", "link", "rate", "greylist", "challenge", "answer"];

type Hearer = Box<dyn Fn(Act) + Send + Sync>;

/// The guard. [`ports::Spim`] never blocks; what says so may.
pub struct Guard {
    pub(crate) store: Arc<dyn Partners>,
    settings: RwLock<Arc<Settings>>,
    /// Has anybody been blocked, and are colleagues strangers too? What most messages are asked.
    pub(crate) blocks_any: AtomicBool,
    colleagues: AtomicBool,
    pub(crate) blocks: RwLock<HashMap<String, Block>>,
    pub(crate) known: Known,
    pub(crate) contacts: Recent,
    grey: Recent,
    senders: Meters<u64>,
    domains: Meters<u64>,
    holds: Meters<u64>,
    pub(crate) waiting: Waiting,
    pub(crate) lists: Lists,
    pub(crate) repute: Repute,
    pub(crate) first: AtomicU64,
    pub(crate) reports: AtomicU64,
    pub(crate) stopped: [AtomicU64; CAUSES.len()],
    pub(crate) personal: RwLock<HashMap<Address, Vec<Address>>>,
    pub(crate) personal_any: AtomicBool,
    hearer: OnceLock<Hearer>,
}

impl Guard {
    /// The guard with what the store knows. Blocks.
    ///
    /// # Errors
    /// [`Trouble`] when it cannot be read.
    pub fn open(store: Arc<dyn Partners>, settings: Settings) -> Result<Self, Trouble> {
        let (known, repute) = (Known::default(), Repute::default());
        let (mut blocks, mut personal) = (HashMap::new(), HashMap::new());
        let lists = Lists::default();
        for (name, doc) in store.documents(Shelf::Spim)? {
            let damaged = |e: serde_json::Error| Trouble::Damaged(format!("{name}: {e}"));
            if name.starts_with("known-") {
                known.read(&doc);
            } else if let Some(who) = name.strip_prefix("who:") {
                repute.put(who.to_owned(), serde_json::from_slice(&doc).map_err(damaged)?);
            } else if let Some(who) = name.strip_prefix("block:") {
                blocks.insert(who.to_owned(), serde_json::from_slice(&doc).map_err(damaged)?);
            } else if let Some((service, node)) = name.strip_prefix("node:").and_then(|n| n.split_once(' ')) {
                if let Ok(service) = Address::parse(service) {
                    lists.nodes.restore(Node { service, name: node.to_owned() }, &doc);
                }
            } else if let Some(Ok(account)) = name.strip_prefix("list:").map(Address::parse) {
                let words: Vec<String> = serde_json::from_slice(&doc).map_err(damaged)?;
                let list: Vec<Address> = words.iter().filter_map(|w| Address::parse(w).ok()).collect();
                personal.insert(account, list);
            }
        }
        let guard = Self {
            store,
            settings: RwLock::default(),
            blocks_any: AtomicBool::new(!blocks.is_empty()),
            colleagues: AtomicBool::new(false),
            blocks: RwLock::new(blocks),
            known,
            contacts: Recent::new(CONTACTS),
            grey: Recent::new(CONTACTS),
            senders: Meters::new(METERS),
            domains: Meters::new(METERS),
            holds: Meters::new(METERS),
            waiting: Waiting::default(),
            lists,
            repute,
            first: AtomicU64::new(0),
            reports: AtomicU64::new(0),
            stopped: Default::default(),
            personal_any: AtomicBool::new(!personal.is_empty()),
            personal: RwLock::new(personal),
            hearer: OnceLock::new(),
        };
        guard.set(settings);
        Ok(guard)
    }

    /// Other settings, from now on. Blocks while it reads lists.
    pub fn set(&self, settings: Settings) {
        for node in self.lists.set(&settings.lists) {
            if let Err(error) = self.store.remove_document(Shelf::Spim, &format!("node:{node}")) {
                tracing::error!(%node, %error, "a list that is not followed any more could not be forgotten");
            }
        }
        self.colleagues.store(settings.enabled && settings.colleagues, Relaxed);
        *self.settings.write() = Arc::new(settings);
    }

    /// Who does what the guard cannot do itself. Must not block.
    pub fn act_by(&self, hear: impl Fn(Act) + Send + Sync + 'static) {
        let _ = self.hearer.set(Box::new(hear));
    }

    pub(crate) fn act(&self, act: Act) {
        let empty = matches!(&act, Act::Release(rows) | Act::Discard(rows) if rows.is_empty());
        if let Some(hear) = self.hearer.get().filter(|_| !empty) {
            hear(act);
        }
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.settings.read().clone()
    }

    /// Somebody of ours reports somebody as a nuisance. False where they have done so before.
    pub fn report(&self, by: &Address, who: &Address, now: u64) -> bool {
        self.reports.fetch_add(1, Relaxed);
        self.repute.note(who, Mark::Report, Some(by), now, self.settings().half_life)
    }

    /// The nodes whose lists are followed.
    pub fn nodes(&self) -> Vec<Node> {
        let settings = self.settings();
        let nodes = settings.lists.iter().filter_map(|list| match &list.source {
            ListSource::Node(node) => Some(node.clone()),
            ListSource::File(_) => None,
        });
        nodes.collect()
    }

    /// News of a node that is followed.
    pub fn heard_of(&self, node: &Node, change: Change) {
        self.lists.nodes.apply(node, change);
    }

    fn blocked(&self, from: &Address, now: u64) -> Option<Refusal> {
        if !self.blocks_any.load(Relaxed) {
            return None;
        }
        let blocks = self.blocks.read();
        let by = [from.as_str(), from.domain()].into_iter().find_map(|name| blocks.get(name));
        by.filter(|block| block.holds(now)).map(|_| {
            self.count("blocked");
            refusal("blocked", BLOCKED)
        })
    }

    fn count(&self, cause: &'static str) {
        if let Some(at) = CAUSES.iter().position(|one| *one == cause) {
            self.stopped[at].fetch_add(1, Relaxed);
        }
    }

    /// Somebody of ours speaks to somebody: no strangers any more.
    fn spoke(&self, from: &Address, to: &Address, settings: &Settings, now: u64) {
        let key = pair(from, to);
        if self.known.note(key, now) {
            self.known.note(party(to.domain()), now);
            self.repute.note(to, Mark::Consent, None, now, settings.half_life);
        }
        if self.waiting.len() > 0 {
            self.act(Act::Release(self.waiting.wanted(key)));
        }
    }

    /// What becomes of something a stranger may not send.
    fn answer(
        &self,
        how: Answer,
        rule: &str,
        text: &'static str,
        envelope: &Envelope,
        settings: &Settings,
    ) -> Ruling {
        let (from, to) = (&envelope.from.address, &envelope.to.address);
        let now = envelope.at.unix_ms();
        let cause = rule.split('.').next().unwrap_or(rule);
        self.count(CAUSES.into_iter().find(|one| *one == cause).unwrap_or("answer"));
        self.repute.note(from, Mark::Refused, None, now, settings.half_life);
        let no = refusal(rule, text);
        let can_wait = matches!(&envelope.event, Event::Message(m) if m.lasting);
        let room = || self.holds.take(&party(from.as_str()), HOLDS, 1, now).is_ok();
        match how {
            Answer::Drop => Ruling::Drop(no),
            Answer::Hold if can_wait && room() => {
                Ruling::Hold(Hold { rule: format!("spim:{rule}").into(), text: None })
            }
            Answer::Challenge if can_wait && room() => {
                self.challenge(from, to, now).unwrap_or(Ruling::Refuse(no))
            }
            _ => Ruling::Refuse(no),
        }
    }

    fn challenge(&self, from: &Address, to: &Address, now: u64) -> Option<Ruling> {
        let question = match self.waiting.ask(pair(to, from), now, PATIENCE) {
            Ok(question) => question,
            Err(Room::Full) => return Some(later()),
            Err(_) => return None,
        };
        if let Some(question) = question {
            let text = format!(
                "{to} does not know you. To have your message delivered, answer this with a number: {question}?"
            );
            self.act(Act::Ask { from: to.clone(), to: from.clone(), text });
        }
        Some(Ruling::Hold(Hold { rule: "spim:challenge".into(), text: None }))
    }

    /// What somebody sends who is a stranger to the addressee.
    fn stranger(&self, envelope: &Envelope, settings: &Settings) -> Ruling {
        let (from, to) = (&envelope.from.address, &envelope.to.address);
        let (now, key) = (envelope.at.unix_ms(), pair(to, from));
        if self.known.has(key) || self.lists.publishes(from) {
            return Ruling::Pass;
        }
        if envelope.event.is_failure_with_words() {
            return Ruling::Refuse(refusal("unasked", UNASKED));
        }
        if let Some((list, how)) = self.lists.find(from) {
            return self.answer(how, &format!("list.{list}"), LISTED, envelope, settings);
        }
        let below = settings.refuse_below;
        if below > 0 && self.repute.is_clear(from, below, now, settings.half_life) {
            return self.answer(Answer::Refuse, "reputation", REPORTED, envelope, settings);
        }
        if let Some(ruling) = self.reply(envelope, key) {
            return ruling;
        }
        if let Some(how) = settings.links.filter(|_| carries(envelope)) {
            return self.answer(how, "link", LINK, envelope, settings);
        }
        if !opens(&envelope.event) || self.contacts.when(key, now.saturating_sub(FIRST)).is_some() {
            return Ruling::Pass;
        }
        // Whose first message waits has met them already.
        if let Err(wait) = if self.waiting.has(key) { Ok(()) } else { self.may_meet(from, now, settings) } {
            self.count("rate");
            let text = format!("{RATE}: {} minutes", wait.div_ceil(60_000));
            return Ruling::Refuse(Refusal::new(Reason::Overloaded).with_text(text).by_rule("spim:rate"));
        }
        if let Some(ruling) = self.greylisted(envelope, key, settings) {
            return ruling;
        }
        self.contacts.note(key, now);
        self.first.fetch_add(1, Relaxed);
        Ruling::Pass
    }

    /// May a stranger write to one more? One of bad repute shares the ten-fold smaller allowance of a bad domain.
    fn may_meet(&self, from: &Address, now: u64, settings: &Settings) -> Result<(), u64> {
        let hourly = |n: u32| match n {
            0 => Rate::NONE,
            n => Rate::per_hour(n.into(), n.into()),
        };
        let bad = self.repute.score(from.domain(), now, settings.half_life) <= -20.0;
        let of_domain = match settings.domain_contacts {
            n if bad && n > 0 => hourly((n / 10).max(1)),
            n => hourly(n),
        };
        // The sender's own comes first: one who writes to everybody leaves the others theirs.
        self.senders.take(&party(from.as_str()), hourly(settings.sender_contacts), 1, now)?;
        self.domains.take(&party(from.domain()), of_domain, 1, now)
    }

    fn greylisted(&self, envelope: &Envelope, key: u64, settings: &Settings) -> Option<Ruling> {
        let (from, now) = (&envelope.from.address, envelope.at.unix_ms());
        if settings.greylist == Greylist::Off || self.known.has(party(from.domain())) {
            return None;
        }
        let sender = party(from.as_str());
        let can_wait = matches!(&envelope.event, Event::Message(m) if m.lasting);
        match settings.greylist {
            Greylist::Challenge if can_wait => {
                self.count("challenge");
                self.challenge(from, &envelope.to.address, now)
            }
            Greylist::Hold if can_wait => {
                self.count("greylist");
                match self.waiting.until(key, now + settings.greylist_for) {
                    Room::Waits => Some(Ruling::Hold(Hold { rule: "spim:greylist".into(), text: None })),
                    Room::Full => Some(later()),
                    Room::None => None,
                }
            }
            _ => match self.grey.when(sender, now.saturating_sub(FIRST)) {
                Some(since) if now >= since + settings.greylist_for => None,
                seen => {
                    if seen.is_none() {
                        self.grey.note(sender, now);
                    }
                    self.count("greylist");
                    Some(later())
                }
            },
        }
    }

    /// Is this the answer to a question?
    fn reply(&self, envelope: &Envelope, key: u64) -> Option<Ruling> {
        let Event::Message(message) = &envelope.event else { return None };
        if self.waiting.len() == 0 || !message.lasting {
            return None;
        }
        match self.waiting.answer(key, message.text().unwrap_or_default(), envelope.at.unix_ms()) {
            Reply::NotAsked => None,
            Reply::Wrong => {
                self.count("answer");
                Some(Ruling::Refuse(refusal("answer", WRONG)))
            }
            Reply::Right(rows) => {
                self.known.note(key, envelope.at.unix_ms());
                self.act(Act::Release(rows));
                // Meant for us, and not for the addressee.
                Some(Ruling::Drop(refusal("answered", "it answered the question")))
            }
        }
    }
}

/// Not now.
fn later() -> Ruling {
    Ruling::Refuse(Refusal::new(Reason::Overloaded).with_text(LATER).by_rule("spim:greylist"))
}

fn refusal(rule: &str, text: &str) -> Refusal {
    Refusal::new(Reason::Policy).with_text(text).by_rule(format!("spim:{rule}"))
}

pub(crate) fn read(who: &str) -> Result<Address, SpimError> {
    Address::parse(&who.trim().to_lowercase())
        .map_err(|_| SpimError::Wrong(format!("{who:?} is no address and no domain")))
}

/// What a stranger says of a message that nobody has sent them.
const UNASKED: &str = "it reports on a message that was never sent";

/// Does it turn to somebody, so that they notice?
fn opens(event: &Event) -> bool {
    match event {
        Event::Message(_) => true,
        Event::Subscribe(subscribe) => !matches!(subscribe.term, Term::End | Term::Once { .. }),
        Event::Call(call) => call.opens,
        _ => false,
    }
}

/// Does somebody of ours turn to somebody by it?
fn invites(event: &Event) -> bool {
    opens(event) || matches!(event, Event::Authorize(a) if a.decision == model::Decision::Granted)
}

/// Does it carry a link or a file?
fn carries(envelope: &Envelope) -> bool {
    match &envelope.event {
        Event::Message(_) | Event::Subscribe(_) | Event::Publish(_) => {
            policy::texts(&envelope.event).iter().any(|text| leads_somewhere(text))
                || policy::features(envelope).contains(&Feature::Files)
        }
        Event::Opaque(_) => policy::features(envelope).contains(&Feature::Files),
        _ => false,
    }
}

impl ports::Spim for Guard {
    fn look(&self, envelope: &Envelope, standing: Standing) -> Ruling {
        let (from, to) = (&envelope.from.address, &envelope.to.address);
        let now = envelope.at.unix_ms();
        if let Some(refusal) = self.blocked(from, now) {
            return Ruling::Refuse(refusal);
        }
        if let Some(ruling) = self.personally(envelope, standing) {
            return ruling;
        }
        // Between colleagues, as most messages are, there is nothing more to do.
        let local = standing.ours && standing.to_ours;
        if from == to || (local && !self.colleagues.load(Relaxed)) {
            return Ruling::Pass;
        }
        let settings = self.settings();
        if !settings.enabled {
            return Ruling::Pass;
        }
        let ruling = match standing.to_ours {
            true if standing.acquainted || (standing.agreed && !settings.partners) => Ruling::Pass,
            true => self.stranger(envelope, &settings),
            false => Ruling::Pass,
        };
        if standing.ours && ruling == Ruling::Pass && invites(&envelope.event) {
            self.spoke(from, to, &settings, now);
        }
        ruling
    }

    fn still_passes(&self, envelope: &Envelope, now: Timestamp) -> Result<(), Refusal> {
        if self.is_unwanted(&envelope.to.address, &envelope.from.address) {
            return Err(unwanted());
        }
        self.blocked(&envelope.from.address, now.unix_ms()).map_or(Ok(()), Err)
    }

    fn may_see(&self, watcher: &Address, presentity: &Address) -> bool {
        !self.is_unwanted(presentity, watcher) && !self.is_unwanted(watcher, presentity)
    }

    fn stopped(&self, envelope: &Envelope, outcome: &Outcome) {
        let Outcome::Refused(refusal) = outcome else { return };
        let rule = refusal.rule.as_deref().unwrap_or_default();
        if rule.starts_with("hygiene:") || rule.starts_with("outbreak:") {
            self.found(envelope, Mark::Refused);
        }
    }

    fn held(&self, envelope: &Envelope, hold: &Hold, seq: Seq) {
        let (from, to) = (&envelope.from.address, &envelope.to.address);
        if hold.rule == "spim:greylist" || hold.rule == "spim:challenge" {
            let (key, asked) = (pair(to, from), hold.rule == "spim:challenge");
            let over = self.waiting.note(key, seq).into_iter().collect();
            // Its wait ended before it had a number: by an answer, or because none came.
            self.act(if asked && !self.known.has(key) { Act::Discard(over) } else { Act::Release(over) });
        } else if hold.rule.starts_with("hygiene:") || hold.rule.starts_with("outbreak:") {
            self.found(envelope, Mark::Held);
        }
    }
}

/// What whoever is blocked hears: what one hears of somebody who is not there (XEP-0191 section 3.5).
fn unwanted() -> Refusal {
    Refusal::new(Reason::Unavailable).by_rule("spim:personal")
}

impl Guard {
    /// Does one of the two not want to hear from the other?
    fn personally(&self, envelope: &Envelope, standing: Standing) -> Option<Ruling> {
        let (from, to) = (&envelope.from.address, &envelope.to.address);
        if standing.to_ours && self.is_unwanted(to, from) {
            self.count("personal");
            let asks =
                opens(&envelope.event) || matches!(&envelope.event, Event::Opaque(o) if o.wants_answer);
            return Some(if asks { Ruling::Refuse(unwanted()) } else { Ruling::Drop(unwanted()) });
        }
        if standing.ours && opens(&envelope.event) && self.is_unwanted(from, to) {
            let text = "you have blocked this address; unblock it first";
            let no = Refusal::new(Reason::NotAcceptable).with_text(text).by_rule("spim:personal");
            return Some(Ruling::Refuse(no));
        }
        None
    }

    fn found(&self, envelope: &Envelope, mark: Mark) {
        let half_life = self.settings().half_life;
        self.repute.note(&envelope.from.address, mark, None, envelope.at.unix_ms(), half_life);
    }
}

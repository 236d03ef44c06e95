//! Load that is written down: who was promised what, and who got what.
//!
//! Senders keep the list of what the server acknowledged: SIP answers 200 or 202, XMPP counts in XEP-0198. Receivers
//! keep the list of what arrived. Nothing else is believed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::dice::Dice;
use crate::raw::sip::Sip;
use crate::raw::xmpp::{Xmpp, attribute, text_of};
use crate::{SOON, at};

/// One text: from whom, to whom, which of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// The sender's user name.
    pub from: String,
    /// The recipient's user name.
    pub to: String,
    /// Counts what this sender sent to this recipient, over all rounds.
    pub number: u32,
}

impl Line {
    /// As it travels.
    #[must_use]
    pub fn text(&self) -> String {
        format!("line {} {} {}", self.from, self.to, self.number)
    }

    /// Out of a text.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let mut words = text.strip_prefix("line ")?.split(' ');
        let (from, to) = (words.next()?.to_owned(), words.next()?.to_owned());
        Some(Self { from, to, number: words.next()?.parse().ok()? })
    }
}

/// Where the server is.
#[derive(Clone, Debug)]
pub struct Place {
    /// SIP over TCP.
    pub sip: u16,
    /// XMPP with TLS.
    pub xmpps: u16,
    /// Whom to trust.
    pub ca: PathBuf,
}

/// When a receiver is done.
#[derive(Debug)]
pub enum Until<'a> {
    /// When the server is gone. It says when it is ready.
    Gone(mpsc::Sender<()>),
    /// When everything of this that is for it has arrived.
    Has(&'a [Line]),
}

/// The lines of one sender, and which of them the server took.
#[derive(Debug)]
pub struct Sender {
    user: String,
    to: Vec<String>,
    next: BTreeMap<String, u32>,
    dice: Dice,
    /// What the server has promised to deliver.
    pub acknowledged: Vec<Line>,
    /// How many lines left in all.
    pub sent: u64,
}

impl Sender {
    /// A sender that writes to these users in turn.
    #[must_use]
    pub fn new(user: &str, to: &[&str], seed: u64) -> Self {
        Self {
            user: user.into(),
            to: to.iter().map(ToString::to_string).collect(),
            next: BTreeMap::new(),
            dice: Dice::new(seed),
            acknowledged: Vec::new(),
            sent: 0,
        }
    }

    fn batch(&mut self) -> Vec<Line> {
        let count = 1 + self.dice.below(12);
        self.sent += count as u64;
        (0..count)
            .map(|_| {
                let to = self.to[self.dice.below(self.to.len())].clone();
                let number = self.next.entry(to.clone()).or_default();
                *number += 1;
                Line { from: self.user.clone(), number: *number, to }
            })
            .collect()
    }

    /// Send this many lines over XMPP, in batches, and return when all are acknowledged; the server must stay.
    ///
    /// # Panics
    /// If the server refuses a line, or goes.
    pub fn xmpp_some(&mut self, place: &Place, count: u64) {
        let mut client = Xmpp::online(place.xmpps, &place.ca, &self.user, "load");
        client.wire.send("<enable xmlns='urn:xmpp:sm:3'/>");
        client.expect("<enabled");
        let (enough, mut handled) = (self.sent + count, 0);
        while self.sent < enough {
            assert!(self.xmpp_batch(&mut client, &mut handled), "{} got no acknowledgement", self.user);
        }
    }

    /// Send over XMPP until the server is gone; say when the login is done.
    ///
    /// # Panics
    /// If the server refuses a line while it lives.
    pub fn xmpp(&mut self, place: &Place, ready: mpsc::Sender<()>) {
        let mut client = Xmpp::online(place.xmpps, &place.ca, &self.user, "load");
        client.wire.send("<enable xmlns='urn:xmpp:sm:3'/>");
        client.expect("<enabled");
        say(ready);
        let mut handled = 0;
        while self.xmpp_batch(&mut client, &mut handled) {}
    }

    /// One batch, until all of it is acknowledged. `false` if the server went.
    fn xmpp_batch(&mut self, client: &mut Xmpp, handled: &mut usize) -> bool {
        let batch = self.batch();
        let stanzas: String = batch
            .iter()
            .map(|line| {
                let (to, text) = (at(&line.to), line.text());
                format!("<message to='{to}' type='chat'><body>{text}</body></message>")
            })
            .collect();
        client.wire.send(stanzas + "<r xmlns='urn:xmpp:sm:3'/>");
        // The server may count in several steps; each `h` covers the first lines of the batch.
        let (start, mut taken) = (*handled, 0);
        while taken < batch.len() {
            let Some(element) = client.next(Instant::now() + SOON) else {
                assert!(client.wire.is_closed(), "{} got no acknowledgement", self.user);
                return false;
            };
            assert!(!element.contains("type='error'"), "{} was refused: {element}", self.user);
            let Some(h) = element.starts_with("<a ").then(|| attribute(&element, "h")).flatten() else {
                continue;
            };
            *handled = h.parse::<usize>().expect("a count");
            self.acknowledged.extend_from_slice(&batch[taken..*handled - start]);
            taken = *handled - start;
            if taken < batch.len() {
                client.wire.send("<r xmlns='urn:xmpp:sm:3'/>");
            }
        }
        true
    }

    /// Send over SIP until the server is gone; say when the registration is done.
    ///
    /// # Panics
    /// If the server refuses a line while it lives.
    pub fn sip(&mut self, place: &Place, ready: mpsc::Sender<()>) {
        let mut agent = Sip::registered(place.sip, &self.user);
        say(ready);
        loop {
            let mut open = BTreeMap::new();
            let mut bytes = Vec::new();
            for line in self.batch() {
                let request = agent.request("MESSAGE", &line.to).saying(&line.text());
                bytes.extend(request.bytes());
                let id = request.headers.iter().find_map(|h| h.strip_prefix("Call-ID: ")).unwrap_or_default();
                open.insert(id.to_owned(), line);
            }
            agent.wire.send(&bytes);
            while !open.is_empty() {
                let Some(answer) = agent.next_answer(Instant::now() + SOON) else {
                    assert!(agent.wire.is_closed(), "{} got no answer", self.user);
                    return;
                };
                let line =
                    answer.header("Call-ID").and_then(|id| open.remove(id)).expect("an answer to a request");
                assert!(matches!(answer.status(), 200 | 202), "{} was refused: {}", self.user, answer.head);
                self.acknowledged.push(line);
            }
        }
    }
}

fn say(ready: mpsc::Sender<()>) {
    // Whoever asked may have given up waiting, and says so itself.
    let _ = ready.send(());
}

/// What one recipient got, in order.
#[derive(Debug)]
pub struct Receiver {
    user: String,
    /// Every arrival, repeated ones too, with its stanza id where the protocol has one.
    pub got: Vec<(Line, Option<String>)>,
    have: BTreeSet<Line>,
    /// What arrived since the client logged in.
    session: BTreeSet<Line>,
    owed: BTreeSet<Line>,
}

impl Receiver {
    /// A recipient with nothing.
    #[must_use]
    pub fn new(user: &str) -> Self {
        Self {
            user: user.into(),
            got: Vec::new(),
            have: BTreeSet::new(),
            session: BTreeSet::new(),
            owed: BTreeSet::new(),
        }
    }

    /// The client is there. Is it known what is still owed to it?
    fn begin(&mut self, until: Until<'_>) -> bool {
        match until {
            Until::Gone(ready) => {
                say(ready);
                false
            }
            Until::Has(owed) => {
                let mine = owed.iter().filter(|line| line.to == self.user && !self.have.contains(line));
                self.owed = mine.cloned().collect();
                true
            }
        }
    }

    fn take(&mut self, text: &str, id: Option<String>) {
        let line = Line::read(text).expect("nobody else writes here");
        self.owed.remove(&line);
        assert!(self.session.insert(line.clone()), "{line:?} came twice within one session");
        self.have.insert(line.clone());
        self.got.push((line, id));
    }

    /// Receive over XMPP with acknowledgements.
    ///
    /// # Panics
    /// If something owed does not come, or something comes twice.
    pub fn xmpp(&mut self, place: &Place, until: Until<'_>) {
        self.session.clear();
        let mut client = Xmpp::logged_in(place.xmpps, &place.ca, &self.user);
        client.bind(&self.user, "load");
        client.wire.send("<enable xmlns='urn:xmpp:sm:3'/>");
        client.expect("<enabled");
        client.wire.send("<presence/>");
        let known = self.begin(until);
        let mut count = 0_u32;
        let mut quiet = Instant::now();
        while !known || !self.owed.is_empty() {
            let Some(element) = client.next(Instant::now() + Duration::from_secs(1)) else {
                if client.wire.is_closed() && !known {
                    return;
                }
                assert!(!known || quiet.elapsed() < SOON, "{}", self.missing());
                continue;
            };
            quiet = Instant::now();
            if element.starts_with("<r ") {
                client.wire.send(format!("<a xmlns='urn:xmpp:sm:3' h='{count}'/>"));
                continue;
            }
            count +=
                ["<message", "<presence", "<iq"].iter().filter(|kind| element.starts_with(**kind)).count()
                    as u32;
            if let Some(text) = text_of(&element, "body") {
                let id = element
                    .split_once("<stanza-id ")
                    .and_then(|(_, rest)| attribute(&format!("<stanza-id {rest}"), "id"));
                self.take(&text, id);
            }
        }
        // All is here; let the mailbox know.
        client.wire.send(format!("<a xmlns='urn:xmpp:sm:3' h='{count}'/>"));
        for extra in client.fence() {
            if let Some(text) = text_of(&extra, "body") {
                self.take(&text, None);
            }
        }
    }

    /// Receive over SIP, in the same way.
    ///
    /// # Panics
    /// If something owed does not come.
    pub fn sip(&mut self, place: &Place, until: Until<'_>) {
        self.session.clear();
        let mut agent = Sip::registered(place.sip, &self.user);
        let known = self.begin(until);
        let mut quiet = Instant::now();
        while !known || !self.owed.is_empty() {
            let Some(message) = agent.next(Instant::now() + Duration::from_secs(1)) else {
                if agent.wire.is_closed() && !known {
                    return;
                }
                assert!(!known || quiet.elapsed() < SOON, "{}", self.missing());
                continue;
            };
            quiet = Instant::now();
            if message.status() == 0 {
                agent.accept(&message);
                self.take(&message.body, None);
            }
        }
    }

    fn missing(&self) -> String {
        let (user, owed) = (&self.user, &self.owed);
        format!("{} never got {} acknowledged messages: {owed:?}", at(user), owed.len())
    }

    /// Nothing out of order: of each sender, every line arrived for the first time only after all earlier ones that ever
    /// arrived. Nothing under two names: a repeated line has the stanza id it had before. Returns how many were repeated.
    ///
    /// # Panics
    /// If one of these does not hold.
    #[must_use]
    pub fn check(&self) -> usize {
        let mut last: BTreeMap<&str, u32> = BTreeMap::new();
        let mut ids: BTreeMap<&Line, Option<&String>> = BTreeMap::new();
        let mut repeated = 0;
        for (line, id) in &self.got {
            if let Some(before) = ids.get_mut(line) {
                repeated += 1;
                assert!(
                    before.is_none() || id.is_none() || *before == id.as_ref(),
                    "{line:?}: {before:?}, then {id:?}"
                );
                *before = before.or(id.as_ref());
                continue;
            }
            ids.insert(line, id.as_ref());
            let last = last.entry(&line.from).or_default();
            assert!(line.number > *last, "{line:?} arrived after number {last}");
            *last = line.number;
        }
        repeated
    }
}

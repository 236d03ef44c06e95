//! Stanzas of a client: where they go (RFC 6120 sections 8 and 10, RFC 6121 sections 3 to 5 and 8).

use bytes::Bytes;
use compact_str::CompactString;
use connector::Output;
use model::{Answer, Ask, Basic, Dialect, Endpoint, Event, LeaseKey, Opaque, Original, Publish};

use crate::features;
use crate::jid;
use crate::translate::refusal::StanzaError;
use crate::translate::{message, presence};
use crate::wire::{CLIENT, ChildRef, Condition, DELAY, Kind, STANZA_ID, Stamp, Stanza, UNFIT, Writer};

use super::C2s;
use super::asked::{Asked, Reply, Stub};
use super::phase::Phase;

/// An iq the server itself is to answer.
pub(crate) struct Request<'a, 's> {
    /// All of it.
    pub stanza: &'s Stanza<'a>,
    /// Its one child.
    pub payload: ChildRef<'a>,
    /// A `set`, not a `get`.
    pub set: bool,
    /// For the server, not for the sender's own account.
    pub server: bool,
    stub: Stub,
}

impl C2s {
    /// A message, presence or iq.
    pub(super) fn stanza(&mut self, kind: Kind, stanza: &Stanza<'_>) {
        if self.phase == Phase::Unbound && kind != Kind::Iq {
            // RFC 6120 section 7.1: bind first.
            return self.fail(Condition::NotAuthorized);
        }
        if let Some(from) = stanza.attr("from")
            && !self.is_own(&from)
        {
            return self.fail(Condition::InvalidFrom);
        }
        let seq = self.submissions.begin();
        let stub = Stub {
            kind,
            id: stanza.attr("id").map(|id| CompactString::from(id.as_ref())),
            to: stanza.attr("to").map(|to| CompactString::from(to.as_ref())).unwrap_or_default(),
            quiet: false,
        };
        let to = match stub.to.as_str() {
            "" => None,
            text => match jid::parse(text) {
                Ok(to) => Some(to),
                Err(_) => {
                    if !matches!(stanza.attr("type").as_deref(), Some("error" | "result")) {
                        self.answer_error(
                            &Stub { to: CompactString::default(), ..stub },
                            &StanzaError::JID_MALFORMED,
                        );
                    }
                    return self.finished(seq);
                }
            },
        };
        if stanza.unfit {
            if !matches!(stanza.attr("type").as_deref(), Some("error" | "result")) {
                self.answer_error(&stub, &StanzaError::BAD_REQUEST.with_text(UNFIT));
            }
            return self.finished(seq);
        }
        let submitted = match kind {
            Kind::Message => self.message(stanza, to, stub, seq),
            Kind::Presence => self.presence(stanza, to, stub, seq),
            _ => self.iq(stanza, to, stub, seq),
        };
        if !submitted {
            self.finished(seq);
        }
    }

    /// RFC 6120 section 8.1.2.1: a client may name itself as sender, and nobody else.
    fn is_own(&self, from: &str) -> bool {
        from == self.full
            || jid::parse(from).is_ok_and(|from| {
                Some(&from.address) == self.account.as_ref()
                    && from
                        .device
                        .is_none_or(|d| self.bound.as_ref().and_then(|b| b.device.as_ref()) == Some(&d))
            })
    }

    /// True: handed to the hub, and done only when that has kept it.
    fn message(&mut self, stanza: &Stanza<'_>, to: Option<Endpoint>, mut stub: Stub, seq: u64) -> bool {
        let Some(me) = self.bound.clone() else { return false };
        let kind = stanza.attr("type").unwrap_or_default();
        stub.quiet = kind == "error";
        let own = to.is_none().then(|| self.bare.clone());
        let to = to.unwrap_or_else(|| Endpoint::bare(me.address.clone()));
        // A message to oneself without `to`, and one to a room that is none: RFC 6121 sections 10.3 and 8.5.
        if kind == "groupchat" || (to.address.user().is_none() && self.config.hosts(to.address.domain())) {
            if !stub.quiet {
                self.answer_error(&stub, &StanzaError::SERVICE_UNAVAILABLE);
            }
            return false;
        }
        let (bytes, moved) = self.stamped(stanza, own.as_deref(), false);
        match message::read(stanza, &kind, bytes, moved) {
            Some(event) => {
                self.submit(event, me, to, stub, seq);
                true
            }
            None => false,
        }
    }

    fn presence(&mut self, stanza: &Stanza<'_>, to: Option<Endpoint>, mut stub: Stub, seq: u64) -> bool {
        let Some(me) = self.bound.clone() else { return false };
        let kind = stanza.attr("type").unwrap_or_default();
        let bare = Endpoint::bare(me.address.clone());
        let event = match &*kind {
            "" | "unavailable" => return self.publish(stanza, &me, to, stub, seq, kind.is_empty()),
            "error" => return false,
            word if presence::is_act(word) => {
                let Some(to) = &to else {
                    self.answer_error(&stub, &StanzaError::BAD_REQUEST);
                    return false;
                };
                // RFC 6121 sections 3.1.2 and 3.2.2: both ends are bare.
                let target = jid::bare(&to.address);
                let own = self.bare.clone();
                let mut out = Vec::new();
                let stamp =
                    Stamp { from: &own, to: Some(&target), lang: self.lang.as_deref(), without_to: false };
                stanza.write(&stamp, |child| self.is_forged(child), b"", &mut out);
                presence::act(&kind, stanza, out.into())
            }
            _ => {
                // RFC 6121 section 4.7.1: no such type.
                self.answer_error(&stub, &StanzaError::BAD_REQUEST);
                return false;
            }
        };
        let Some(to) = to else { return false };
        stub.quiet = &*kind == "probe";
        // Consent is between people; a probe is one device's question.
        let from = if stub.quiet { me } else { bare };
        self.submit(event, from, Endpoint::bare(to.address), stub, seq);
        true
    }

    fn publish(
        &mut self,
        stanza: &Stanza<'_>,
        me: &Endpoint,
        to: Option<Endpoint>,
        mut stub: Stub,
        seq: u64,
        open: bool,
    ) -> bool {
        let broadcast = to.is_none();
        stub.quiet = broadcast || !open;
        let (bytes, _) = self.stamped(stanza, None, true);
        let basic = if open { Basic::Open } else { Basic::Closed };
        let tuple = presence::read(stanza, me.device.clone(), basic, self.now.wall, bytes);
        let priority = tuple.priority.unwrap_or(0);
        // A last word is published too: watchers shall see why somebody left.
        let event = Event::Publish(Publish {
            key: LeaseKey::new(format!("xmpp:{}", self.full)),
            tuples: vec![tuple],
            secs: None,
        });
        let to = to.unwrap_or_else(|| Endpoint::bare(me.address.clone()));
        self.submit(event, me.clone(), to, stub, seq);
        if broadcast {
            self.attending = open;
            self.out.push(Output::Attend(me.clone(), open.then_some(priority)));
        }
        true
    }

    fn iq(&mut self, stanza: &Stanza<'_>, to: Option<Endpoint>, mut stub: Stub, seq: u64) -> bool {
        let kind = stanza.attr("type").unwrap_or_default();
        let asks = matches!(&*kind, "get" | "set");
        stub.quiet = !asks;
        if !asks && !matches!(&*kind, "result" | "error") {
            self.answer_error(&stub, &StanzaError::BAD_REQUEST);
            return false;
        }
        let mut children = stanza.children();
        let payload = (children.next(), children.next());
        // RFC 6120 section 8.2.3: an id always, and exactly one child in a request.
        if asks && (stub.id.is_none() || payload.0.is_none() || payload.1.is_some()) {
            self.answer_error(&stub, &StanzaError::BAD_REQUEST);
            return false;
        }
        let server = match &to {
            None => Some(false),
            Some(to) if to.address.user().is_none() && self.config.hosts(to.address.domain()) => Some(true),
            Some(to) if to.device.is_none() && Some(&to.address) == self.account.as_ref() => Some(false),
            Some(_) => None,
        };
        if let (Some(server), Some(payload)) = (server, payload.0) {
            if !asks {
                // Answers to what we asked: roster pushes and pings. That it came is all we wanted.
                return false;
            }
            let request = Request {
                stanza,
                payload,
                set: &*kind == "set",
                server: server || to.is_none(),
                stub: stub.clone(),
            };
            return match features::iq(self, &request) {
                Reply::Later => true,
                reply => {
                    self.reply(&stub, reply);
                    false
                }
            };
        }
        let (Some(to), Some(me)) = (to, self.bound.clone()) else {
            if self.bound.is_none() && asks {
                self.answer_error(&stub, &StanzaError::NOT_ALLOWED);
            }
            return false;
        };
        if server.is_some() {
            return false;
        }
        if to.device.is_none() && self.config.hosts(to.address.domain()) {
            // For somebody's account: the server would answer in its name (RFC 6121 section 8.5.2.1.3).
            if asks {
                self.answer_error(&stub, &StanzaError::SERVICE_UNAVAILABLE);
            }
            return false;
        }
        let (bytes, _) = self.stamped(stanza, None, false);
        let original = Original { dialect: Dialect::Xmpp, bytes };
        self.submit(Event::Opaque(Opaque { original, wants_answer: asks }), me, to, stub, seq);
        true
    }

    /// The stanza as it goes on: `from` stamped, forgeries out.
    fn stamped(&self, stanza: &Stanza<'_>, to: Option<&str>, without_to: bool) -> (Bytes, Option<isize>) {
        let mut out = Vec::new();
        let stamp = Stamp { from: &self.full, to, lang: self.lang.as_deref(), without_to };
        let report = is_report(stanza);
        let strip = |child: &ChildRef<'_>| self.is_forged(child) || (report && is_beside(child));
        let moved = stanza.write(&stamp, strip, b"", &mut out);
        (out.into(), moved)
    }

    fn is_forged(&self, child: &ChildRef<'_>) -> bool {
        is_forged(child, |domain| self.config.hosts(domain))
    }

    /// Asks the hub in the name of a request; `then` makes the reply.
    pub(crate) fn ask_for(
        &mut self,
        request: &Request<'_, '_>,
        ask: Ask,
        then: fn(&mut C2s, Answer) -> Reply,
    ) -> Reply {
        self.ask(ask, Asked::Iq(request.stub.clone(), then));
        Reply::Later
    }

    pub(super) fn reply(&mut self, stub: &Stub, reply: Reply) {
        match reply {
            Reply::Later => {}
            Reply::Error(error) => self.answer_error(stub, &error),
            Reply::Result(inner) => {
                let mut w = Writer::new();
                w.open("iq").attr("type", "result").attr_if("id", stub.id.as_deref());
                self.answer_ends(stub, &mut w);
                w.raw(&inner);
                self.send(w.finish(), None);
            }
        }
    }

    /// Sends a stanza back as an error (RFC 6120 section 8.3).
    pub(super) fn answer_error(&mut self, stub: &Stub, error: &StanzaError) {
        let mut w = Writer::new();
        w.open(match stub.kind {
            Kind::Message => "message",
            Kind::Presence => "presence",
            _ => "iq",
        });
        w.attr("type", "error").attr_if("id", stub.id.as_deref());
        self.answer_ends(stub, &mut w);
        error.write(self.domain.as_deref().unwrap_or(""), &mut w);
        self.send(w.finish(), None);
    }

    fn answer_ends(&self, stub: &Stub, w: &mut Writer) {
        if !stub.to.is_empty() {
            w.attr("from", &stub.to);
        }
        if !self.full.is_empty() {
            w.attr("to", &self.full);
        }
    }
}

/// Does it report that a message did not arrive?
pub(crate) fn is_report(stanza: &Stanza<'_>) -> bool {
    stanza.kind() == Kind::Message && stanza.attr("type").as_deref() == Some("error")
}

/// In such a report: what is not the error itself. Some servers send the message back with it, and somebody who may not write
/// could write there (RFC 6120 section 8.3.1).
pub(crate) fn is_beside(child: &ChildRef<'_>) -> bool {
    !child.is("error", CLIENT)
}

/// Elements that only we may add: stanza ids in the name of our users and domains (XEP-0359 section 4), and delays in
/// the name of our domains (XEP-0203 section 4).
pub(crate) fn is_forged(child: &ChildRef<'_>, hosts: impl Fn(&str) -> bool) -> bool {
    let ours = |by: &str| jid::parse(by).map(|by| hosts(by.address.domain()));
    if child.is("stanza-id", STANZA_ID) {
        // What cannot be read is not let through either.
        child.attr("by").is_none_or(|by| ours(&by).unwrap_or(true))
    } else if child.is("delay", DELAY) {
        child.attr("from").is_some_and(|by| !by.contains('@') && ours(&by).unwrap_or(true))
    } else {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Item, Limits, Scanner};

    #[test]
    fn a_report_holds_nothing_but_the_error() {
        let error = "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
        let xml = format!(
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>\
             <message type='error' id='m1'><body>secret</body>{error}<x xmlns='urn:x'>secret</x></message>"
        );
        let (mut scanner, mut input) = (Scanner::new(Limits::C2S), xml.as_bytes());
        loop {
            let Some(item) = scanner.next(&mut input).unwrap() else { panic!("no report") };
            let Item::Element(stanza) = item else { continue };
            assert!(is_report(&stanza));
            let mut out = Vec::new();
            let stamp = Stamp { from: "a@b", to: None, lang: None, without_to: false };
            stanza.write(&stamp, is_beside, b"", &mut out);
            let wanted = format!("<message type='error' id='m1' from='a@b'>{error}</message>");
            return assert_eq!(String::from_utf8(out).unwrap(), wanted);
        }
    }
}

//! A connection that we open: STARTTLS, who they are, SASL EXTERNAL (XEP-0178) where they offer it and dialback
//! (XEP-0220) where they do not, and then the mailbox. Or one question, and the answer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use connector::{Errand, Output, TlsMode};
use model::{Answer, DomainPair, Reason, Refusal};

use crate::translate::refusal;
use crate::wire::{
    BIDI_FEATURE, ChildRef, Condition, DIALBACK, Header, SASL, SERVER, SM, STREAM_ERRORS, STREAMS, Stanza,
    TLS, Tree, Writer,
};

use super::S2s;
use super::keys;
use super::phase::{Asked, Phase};

/// What only those who open keep.
#[derive(Debug)]
pub(super) struct Opened {
    errand: Errand,
    step: Step,
    offers: Offers,
    /// What became of the errand is said.
    told: bool,
}

/// What we wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Features,
    Proceed,
    Admission,
    Sasl,
    Dialback,
    Verdict,
    Acknowledging,
    Mailbox,
}

/// Their stream features.
#[derive(Clone, Copy, Debug, Default)]
struct Offers {
    starttls: bool,
    external: bool,
    bidi: bool,
    acks: bool,
}

impl Offers {
    fn of(stanza: &Stanza<'_>) -> Offers {
        let mechanisms = || {
            let tree = Tree::of(stanza)?;
            let list = tree.root().child("mechanisms", SASL)?;
            Some(list.children().any(|m| m.name() == b"mechanism" && m.text().trim() == "EXTERNAL"))
        };
        Offers {
            starttls: stanza.child("starttls", TLS).is_some(),
            external: mechanisms().unwrap_or(false),
            bidi: stanza.child("bidi", BIDI_FEATURE).is_some(),
            acks: stanza.child("sm", SM).is_some(),
        }
    }
}

impl Opened {
    pub fn new(errand: Errand) -> Opened {
        Opened { errand, step: Step::Features, offers: Offers::default(), told: false }
    }
}

impl S2s {
    fn step(&mut self) -> Option<Step> {
        self.opened().map(|opened| opened.step)
    }

    fn next(&mut self, step: Step) {
        if let Some(opened) = self.opened() {
            opened.step = step;
        }
    }

    pub(super) fn header_of_answer(&mut self, header: &Header) {
        self.id = header.id.clone().unwrap_or_default();
        self.phase = Phase::Open;
        self.next(Step::Features);
        if header.content != SERVER {
            self.errand_done(Err(ended("it does not speak to servers here")));
            return self.fail(Condition::InvalidNamespace);
        }
        if header.version.0 < 1 {
            self.errand_done(Err(ended("it is older than XMPP 1.0")));
            self.fail(Condition::UnsupportedVersion);
        }
    }

    /// An element of theirs that is no stanza.
    pub(super) fn nonza_of_answer(&mut self, stanza: &Stanza<'_>) {
        let ns = stanza.ns();
        match (self.step(), stanza.name()) {
            (Some(Step::Features), b"features") if ns == STREAMS.as_bytes() => {
                self.features(Offers::of(stanza))
            }
            (Some(Step::Proceed), b"proceed") if ns == TLS.as_bytes() => self.secure(),
            (Some(Step::Proceed), _) => self.give_up(unencrypted("their server refuses to encrypt")),
            (Some(Step::Sasl), b"success") if ns == SASL.as_bytes() => {
                self.external = true;
                self.restart();
            }
            // XEP-0178 section 4: what their server makes of our certificate is not the last word.
            (Some(Step::Sasl), b"failure") if ns == SASL.as_bytes() => self.call_back(),
            (Some(Step::Sasl), _) if ns == SASL.as_bytes() => self.authenticate(),
            (Some(Step::Dialback), b"result") if ns == DIALBACK.as_bytes() => self.verdict_on_us(stanza),
            (Some(Step::Verdict), b"verify") if ns == DIALBACK.as_bytes() => self.verdict_on_them(stanza),
            (Some(Step::Acknowledging), b"enabled") if ns == SM.as_bytes() => {
                let next = self.submissions.next();
                self.acks.enable(next);
                self.carry();
            }
            (Some(Step::Acknowledging), b"failed") if ns == SM.as_bytes() => self.carry(),
            // Dialback of theirs would make this stream carry for others as well: they may open one of their own.
            _ if ns == DIALBACK.as_bytes() => {}
            _ => {
                self.errand_done(Err(ended("it says what nobody asked")));
                self.fail(Condition::UnsupportedStanzaType);
            }
        }
    }

    fn features(&mut self, offers: Offers) {
        let confirming = self.opened().and_then(|opened| {
            opened.offers = offers;
            match &opened.errand {
                Errand::Confirm(pair, proof) => Some((pair.clone(), proof.clone())),
                Errand::Carry(_) => None,
            }
        });
        if self.tls.is_none() && self.tls_mode == TlsMode::Upgrade {
            if !offers.starttls {
                return self.give_up(unencrypted(
                    "their server offers no encryption, or somebody on the way hides it",
                ));
            }
            self.out.write(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
            return self.next(Step::Proceed);
        }
        if let Some((pair, proof)) = confirming {
            return self.put_question(&pair, &proof);
        }
        if self.external {
            return self.known();
        }
        let Some(pair) = self.pair() else { return };
        self.next(Step::Admission);
        self.ask_to_admit(pair.clone(), Asked::Header(pair));
    }

    /// The hub said what their certificate is worth.
    pub(super) fn admitted_us(&mut self, pair: DomainPair, answer: Answer) {
        if self.step() != Some(Step::Admission) {
            return;
        }
        let admission = match answer {
            Answer::Admitted(admission) => admission,
            Answer::Refused(refusal) => return self.give_up(refusal),
            _ => return self.give_up(Refusal::new(Reason::Internal)),
        };
        if let (Err(why), false) = (&admission.certified, admission.dialback) {
            let text = format!("the server of {} is not trusted: {why}", pair.remote);
            return self
                .give_up(Refusal::new(Reason::NotAuthorized).with_text(text).by_rule("federation.trust"));
        }
        let offers = self.opened().map(|opened| opened.offers).unwrap_or_default();
        // Whose stanzas we take must have proved who they are, and by dialback only we do.
        if offers.bidi && admission.certified.is_ok() {
            self.bidi = true;
            self.out.write(b"<bidi xmlns='urn:xmpp:bidi'/>");
        }
        self.admission = Some(admission);
        if offers.external {
            let mut w = Writer::new();
            w.open_ns("auth", SASL).attr("mechanism", "EXTERNAL").text(&self.authzid());
            self.out.write_vec(w.finish());
            self.next(Step::Sasl);
        } else {
            self.call_back();
        }
    }

    fn authzid(&self) -> String {
        STANDARD.encode(self.local.as_ref().map_or("", |local| local.domain()))
    }

    /// A challenge, although everything was said.
    fn authenticate(&mut self) {
        let mut w = Writer::new();
        w.open_ns("response", SASL).text(&self.authzid());
        self.out.write_vec(w.finish());
    }

    /// We prove ourselves by a key that they may ask our own server about.
    fn call_back(&mut self) {
        let Some(pair) = self.pair() else { return };
        let (local, remote) = (pair.local.domain(), pair.remote.domain());
        let key = keys::key(&self.config.dialback_secret, remote, local, &self.id);
        let mut w = Writer::new();
        w.open("db:result").attr("from", local).attr("to", remote).text(&key);
        self.out.write_vec(w.finish());
        self.timers.confirming(self.now.tick);
        self.next(Step::Dialback);
    }

    fn verdict_on_us(&mut self, stanza: &Stanza<'_>) {
        let text = |why: &str| {
            let remote = self.remote.as_ref().map_or("", |remote| remote.domain());
            format!("the server of {remote} {why}")
        };
        match stanza.attr("type").as_deref() {
            Some("valid") => self.known(),
            Some("error") => {
                let mut refusal = condition_in(stanza);
                let said = refusal.text.take().map(|t| format!(": {t}")).unwrap_or_default();
                refusal.text =
                    Some(text(&format!("does not let us in ({}{said})", refusal.reason.name())).into());
                if refusal.reason == Reason::NotFound {
                    refusal.reason = Reason::RemoteNotFound;
                }
                self.give_up(refusal);
            }
            Some("invalid") => {
                let why = text(
                    "asked ours whether this is us, and heard no; is DNS right, and is there one server only?",
                );
                self.give_up(
                    Refusal::new(Reason::NotAuthorized).with_text(why).by_rule("federation.dialback"),
                );
            }
            _ => {}
        }
    }

    /// Errand::Confirm: did you say this?
    fn put_question(&mut self, pair: &DomainPair, proof: &[u8]) {
        let proof = String::from_utf8_lossy(proof);
        let (id, key) = proof.split_once(' ').unwrap_or((&proof, ""));
        let mut w = Writer::new();
        w.open("db:verify")
            .attr("from", pair.local.as_str())
            .attr("to", pair.remote.as_str())
            .attr("id", id)
            .text(key);
        self.out.write_vec(w.finish());
        self.next(Step::Verdict);
    }

    fn verdict_on_them(&mut self, stanza: &Stanza<'_>) {
        let asked = self.opened().map(|opened| match &opened.errand {
            Errand::Confirm(_, proof) => String::from_utf8_lossy(proof).into_owned(),
            Errand::Carry(_) => String::new(),
        });
        let id = asked.as_deref().and_then(|proof| proof.split(' ').next());
        if stanza.attr("id").as_deref() != id {
            return;
        }
        let verdict = match stanza.attr("type").as_deref() {
            Some("valid") => Ok(()),
            Some("invalid") => Err(Refusal::new(Reason::NotAuthorized)),
            Some("error") => Err(ended("it does not know this domain")),
            _ => return,
        };
        self.errand_done(verdict);
        self.say_goodbye();
    }

    /// They know who we are.
    fn known(&mut self) {
        let certified = self.admission.as_ref().is_some_and(|a| a.certified.is_ok());
        if let Some(pair) = self.pair() {
            self.prove(pair, certified);
        }
        if self.opened().is_some_and(|opened| opened.offers.acks) {
            self.out.write(b"<enable xmlns='urn:xmpp:sm:3'/>");
            return self.next(Step::Acknowledging);
        }
        self.carry();
    }

    fn carry(&mut self) {
        self.next(Step::Mailbox);
        if let Some(pair) = self.pair() {
            self.bind(pair);
        }
    }

    /// The errand came to nothing.
    pub(super) fn give_up(&mut self, refusal: Refusal) {
        self.errand_done(Err(refusal));
        self.say_goodbye();
    }

    /// Says, once, what became of the errand.
    pub(super) fn errand_done(&mut self, how: Result<(), Refusal>) {
        if self.opened().is_some_and(|opened| !std::mem::replace(&mut opened.told, true)) {
            self.out.push(Output::Errand(how));
        }
    }
}

/// Their server went.
pub(super) fn ended(why: &str) -> Refusal {
    let text = match why {
        "" => "their server ended the connection".to_owned(),
        why => format!("their server cannot be used: {why}"),
    };
    Refusal::new(Reason::RemoteTimeout).with_text(text)
}

fn unencrypted(why: &str) -> Refusal {
    Refusal::new(Reason::RemoteTimeout).with_text(why).by_rule("federation.tls")
}

/// What their stream error means.
pub(super) fn stream_error(stanza: &Stanza<'_>) -> Refusal {
    let mut condition = String::new();
    let mut said = String::new();
    for child in stanza.children().filter(|c| c.ns() == STREAM_ERRORS.as_bytes()) {
        match child.name() {
            b"text" => said = format!(": {}", child.text()),
            name => condition = String::from_utf8_lossy(name).into_owned(),
        }
    }
    let reason = match condition.as_str() {
        "host-unknown" | "host-gone" => Reason::RemoteNotFound,
        "not-authorized" | "invalid-from" => Reason::NotAuthorized,
        "policy-violation" => Reason::Policy,
        _ => Reason::RemoteTimeout,
    };
    let mut refusal =
        Refusal::new(reason).with_text(format!("their server ended the stream ({condition}{said})"));
    refusal.fault = model::Fault::Peer;
    refusal
}

/// The `<error/>` in an answer of dialback.
fn condition_in(stanza: &Stanza<'_>) -> Refusal {
    let error: Option<ChildRef<'_>> = stanza.children().find(|c| c.name() == b"error");
    let mut refusal = error.map_or_else(|| Refusal::new(Reason::RemoteTimeout), |e| refusal::read(&e));
    refusal.fault = model::Fault::Peer;
    refusal
}

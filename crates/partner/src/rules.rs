//! The rules, in the order in which they are asked. Each refusal names its rule and says in words whose it is.

use crate::RESPONDER;
use crate::agreement::Day;
use crate::settings::Mode;
use crate::snapshot::{Agreed, Snapshot};
use meter::Rate;
use model::{
    Address, Dialect, DomainPair, Envelope, Event, Fault, Message, Reason, ReceiptKind, Refusal, Timestamp,
    Vouch,
};
use policy::{Feature, features};

/// How many times a second's allowance may come at once.
const BURST: u64 = 4;

/// A no.
#[derive(Debug)]
pub(crate) struct No {
    pub refusal: Refusal,
    /// It holds even where everything is only observed.
    pub firm: bool,
}

/// Which way something goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the other company.
    Outward,
    /// From it.
    Inward,
}

fn ours(rule: impl AsRef<str>, text: String) -> Refusal {
    Refusal::new(Reason::Policy).with_text(text).by_rule(rule.as_ref())
}

fn soft(refusal: Refusal) -> Result<(), No> {
    Err(No { refusal, firm: false })
}

fn firm(refusal: Refusal) -> Result<(), No> {
    Err(No { refusal, firm: true })
}

/// The name of a partner's rule.
fn rule(agreed: &Agreed, what: &str) -> String {
    format!("partner:{}/{what}", agreed.partner.name)
}

impl Snapshot {
    /// May anything at all go between us and this domain?
    pub fn allow(&self, remote: &Address, dialect: Option<Dialect>, today: Day) -> Result<(), No> {
        if self.settings.mode == Mode::Off {
            let text = format!("this server has no way to {remote}: it does not federate");
            return firm(Refusal::new(Reason::RemoteNotFound).with_text(text).by_rule("federation.mode"));
        }
        let Some(agreed) = self.of(remote.domain()) else {
            return match self.settings.mode {
                Mode::Allow | Mode::Observe => {
                    let text = format!(
                        "this server talks to agreed partners only, and {remote} is none; its administrator can add it"
                    );
                    soft(ours("federation.allow", text))
                }
                _ => Ok(()),
            };
        };
        if agreed.partner.denied {
            return firm(ours(rule(agreed, "denied"), format!("this server refuses to talk to {remote}")));
        }
        if agreed.partner.suspended {
            let text = format!("this server's administrator has suspended what goes to and from {remote}");
            return firm(ours(rule(agreed, "suspended"), text));
        }
        if agreed.last_day.is_some_and(|last| last < today) {
            let day = agreed.partner.expires.as_deref().unwrap_or_default();
            let text = format!("this server's agreement with {remote} ended on {day}");
            return soft(ours(rule(agreed, "expired"), text));
        }
        if let Some(dialect) = dialect.filter(|d| !agreed.speaks(*d)) {
            let text = format!("this server has not agreed to speak {} with {remote}", in_words(dialect));
            return soft(ours(rule(agreed, "protocol"), text));
        }
        Ok(())
    }

    /// May this pass? `hosted`: the pair's local side is a domain of this server.
    pub fn judge(&self, pair: &DomainPair, envelope: &Envelope, way: Way, hosted: bool) -> Result<(), No> {
        let dialect = (way == Way::Inward).then_some(envelope.origin.dialect);
        self.allow(&pair.remote, dialect, Day::of(envelope.at))?;
        let (local, remote) = match way {
            Way::Outward => (&envelope.from.address, &envelope.to.address),
            Way::Inward => (&envelope.to.address, &envelope.from.address),
        };
        // The servers themselves, whatever they say in anybody's name, and those who answer their tests, are nobody's people.
        let answer = is_answer(envelope);
        let is_person = |who: &Address| !answer && who.user().is_some_and(|user| user != RESPONDER);
        // In transit nobody is ours, but for those who are behind us; and they are no other company to ours.
        let local_person = is_person(local) && (hosted || self.is_inside(&pair.local));
        let abroad = local_person && !self.is_inside(&pair.remote);
        if abroad && (self.who.as_ref().is_some_and(|who| !who.has(local)) || self.except.has(local)) {
            let text = format!("{local} may not talk to other companies, by a rule of this server");
            return soft(ours("federation.who", text));
        }
        let Some(agreed) = self.of(pair.remote.domain()) else { return Ok(()) };
        if local_person && agreed.local.as_ref().is_some_and(|people| !people.has(local)) {
            let text = format!("{local} may not talk to {}, by a rule of this server", pair.remote);
            return soft(ours(rule(agreed, "local"), text));
        }
        if is_person(remote) && agreed.remote.as_ref().is_some_and(|people| !people.has(remote)) {
            let text = format!("{remote} is not among those whom this server has agreed to talk to");
            return soft(ours(rule(agreed, "remote"), text));
        }
        let allowed = &agreed.partner.features;
        // With everything allowed, nobody needs to know what it is.
        if allowed.len() < Feature::ALL.len()
            && let Some(feature) = features(envelope).iter().find(|feature| !allowed.contains(feature))
        {
            let text =
                format!("this server has not agreed to exchange {} with {}", what(feature), pair.remote);
            return soft(ours(rule(agreed, &format!("feature.{feature}")), text));
        }
        limits(agreed, envelope, way, envelope.at)
    }
}

fn limits(agreed: &Agreed, envelope: &Envelope, way: Way, now: Timestamp) -> Result<(), No> {
    let limits = &agreed.partner.limits;
    if let Event::Message(message) = &envelope.event
        && limits.message_bytes > 0
        && size(message) > limits.message_bytes as usize
    {
        let text =
            format!("the message has more than the {} bytes that were agreed on", limits.message_bytes);
        let refusal = Refusal::new(Reason::TooLarge).with_text(text).by_rule(rule(agreed, "limit.bytes"));
        return soft(refusal);
    }
    if !matches!(envelope.event, Event::Message(_) | Event::Subscribe(_)) {
        return Ok(());
    }
    let (spent, fault, who) = match way {
        Way::Outward => (&agreed.used.outward, Fault::Server, "this server sends"),
        Way::Inward => (&agreed.used.inward, Fault::Peer, "your server sends"),
    };
    let bytes = match &envelope.event {
        Event::Message(message) => size(message) as u64,
        _ => 0,
    };
    for (meter, rate, units, what, name) in [
        (&spent.messages, limits.messages_per_second, 1, "messages", "limit.messages"),
        (&spent.bytes, limits.bytes_per_second, bytes, "bytes", "limit.rate-bytes"),
    ] {
        let rate = u64::from(rate);
        if units > 0 && meter.take(Rate::per_second(rate, rate * BURST), units, now.unix_ms()).is_err() {
            let text =
                format!("{who} more than the {rate} {what} a second that were agreed on; wait a little");
            let refusal = Refusal::new(Reason::Overloaded).with_text(text).by_rule(rule(agreed, name));
            return soft(Refusal { fault, ..refusal });
        }
    }
    Ok(())
}

fn size(message: &Message) -> usize {
    let parts: usize = message.parts.iter().map(|part| part.body.len()).sum();
    let original = message.original.as_ref().map_or(0, |original| original.bytes.len());
    (parts + message.subject.as_ref().map_or(0, String::len)).max(original)
}

fn in_words(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Xmpp => "XMPP",
        Dialect::Sip => "SIP",
        Dialect::Hub => "its own protocol",
    }
}

fn what(feature: Feature) -> &'static str {
    match feature {
        Feature::Im => "messages",
        Feature::Presence => "presence",
        Feature::Typing => "who is typing",
        Feature::Receipts => "receipts",
        Feature::Rooms => "rooms",
        Feature::Files => "files",
        Feature::Calls => "calls",
        Feature::Directory => "profiles and searches",
        Feature::E2e => "what is encrypted end to end",
    }
}

/// Is this an answer of this server in somebody's name: that something did not arrive, or what a server is asked?
pub(crate) fn is_answer(envelope: &Envelope) -> bool {
    let answers = match &envelope.event {
        Event::Receipt(receipt) => matches!(receipt.kind, ReceiptKind::Failed(_)),
        event => matches!(event, Event::Opaque(_)),
    };
    answers && envelope.origin.vouch == Vouch::Server
}

//! The neutral vocabulary: inputs read from, and outputs written to, transcripts.
//!
//! Reading panics on words it does not know: a transcript is part of a test.

use connector::{Flow, Input, Output};
use model::{
    Address, Admission, Answer, Ask, Device, DomainPair, Endpoint, Envelope, Line, LineNews, Loss, NoSlot,
    Notice, Outcome, Proof, Reason, Refusal, RosterItem, Settlement, Slot, Subscription, Ticket, Timestamp,
    Vouch,
};

/// `user@domain` or `user@domain/device`; `ours>theirs/device` for one that carries for a pair of domains.
pub fn endpoint(text: &str) -> Endpoint {
    match text.split_once('/') {
        Some((address, device)) => Endpoint::full(address_of(address), Device::new(device).expect(text)),
        None => Endpoint::bare(address_of(text)),
    }
}

fn address_of(text: &str) -> Address {
    match DomainPair::parse_mailbox(text) {
        Some(pair) => pair.mailbox(),
        None => Address::parse(text).expect(text),
    }
}

/// `3` or `#3`.
pub fn ticket(text: &str) -> Ticket {
    Ticket(text.trim_start_matches('#').parse().expect(text))
}

/// A reason by its name.
pub fn refusal(name: &str) -> Refusal {
    Refusal::new(Reason::ALL.into_iter().find(|r| r.name() == name).expect(name))
}

/// `delivered`, `accepted`, `pending`, or the name of a reason.
pub fn outcome(word: &str) -> Outcome {
    match word {
        "delivered" => Outcome::Delivered,
        "accepted" => Outcome::Accepted,
        "pending" => Outcome::Pending,
        reason => Outcome::Refused(refusal(reason)),
    }
}

/// A contact: `user@domain=both`.
pub fn contact(text: &str) -> RosterItem {
    let (who, state) = text.split_once('=').expect(text);
    let subscription = Subscription {
        to: matches!(state, "to" | "both"),
        from: matches!(state, "from" | "both"),
        asked: state == "asked",
    };
    let (name, groups) = (Some("N & M".into()), vec!["G".into()]);
    RosterItem { contact: address_of(who), name, groups, subscription }
}

/// Those inputs that every door hears; `None` for words of its own.
pub fn input(text: &str) -> Option<Input<'static>> {
    let words: Vec<&str> = text.split(' ').collect();
    let about = |answer| Some(Input::Answer(ticket(words[1]), answer));
    let device = |at: usize| endpoint(words[at]);
    match words[0] {
        "opened" => Some(Input::Opened(Flow::ACCEPTED)),
        "closed" => Some(Input::Closed(Flow::ACCEPTED)),
        "drain" => Some(Input::Drain(words.get(1).map(|host| (*host).into()))),
        "kept" => Some(Input::Kept(ticket(words[1]))),
        "settled" => {
            let word = words[2..].iter().find(|w| **w != "refused").expect(text);
            Some(Input::Settled(ticket(words[1]), Settlement::from(outcome(word))))
        }
        "verified" => about(Answer::Verified(words[2] == "true")),
        // Who proved to be the domain, who did not and may be called back, who did not and may not.
        "admitted" => {
            let certified = (words[2] == "certified").then_some(()).ok_or_else(|| words[2].to_owned());
            about(Answer::Admitted(Admission { certified, dialback: words[2] == "dialback" }))
        }
        "slot" => about(Answer::Slot(Ok(Slot { put: words[2].to_owned(), get: words[3].to_owned() }))),
        "no-slot" => {
            let refusal = refusal(words[2]);
            let most = words.get(3).and_then(|most| most.parse().ok());
            about(Answer::Slot(Err(NoSlot { refusal, most, retry: words.get(4).map(|_| Timestamp(0)) })))
        }
        "nobody" => about(Answer::Credential(None)),
        "bound" => about(Answer::Bound(device(2))),
        "done" => about(Answer::Done),
        "refused" => about(Answer::Refused(refusal(words.get(2).unwrap_or(&"overloaded")))),
        "roster" => about(Answer::Roster(words[2..].iter().map(|w| contact(w)).collect())),
        "blocklist" => about(Answer::Blocked(everybody(&words[2..]))),
        "claimed" => {
            about(Answer::Claimed(Some(words[2..].join(" ").replace("\\n", "\n").into_bytes().into())))
        }
        "unclaimed" => about(Answer::Claimed(None)),
        // Leases, each as it is inherited, apart by a bar.
        "left" => about(Answer::Left(left(&words[2..].join(" ")))),
        "inherited" => Some(Input::Inherited {
            key: model::LeaseKey::new(words[1]),
            owner: address_of(words[2]),
            secs: words[3].parse().expect(text),
            state: words[4..].join(" ").replace("\\n", "\n").into_bytes().into(),
        }),
        // The lines of a call that was submitted.
        "calling" => {
            let lines = words[2..].iter().map(|w| Line(w.parse().expect(text))).collect();
            Some(Input::Line(LineNews::Calling(ticket(words[1]), lines)))
        }
        "said" => {
            let said = words[2..].join(" ").replace("\\n", "\r\n");
            Some(Input::Line(LineNews::Said(Line(words[1].parse().expect(text)), said.into())))
        }
        "ended" => Some(Input::Line(LineNews::Ended(Line(words[1].parse().expect(text))))),
        "blocked" => Some(Input::Notice(device(1), Notice::Blocked(everybody(&words[2..])))),
        "unblocked" => Some(Input::Notice(device(1), Notice::Unblocked(everybody(&words[2..])))),
        "push" => Some(Input::Notice(device(1), Notice::Roster(contact(words[2])))),
        "removed" => Some(Input::Notice(device(1), Notice::RosterRemoved(device(2).address))),
        "replaced" => Some(Input::Notice(device(1), Notice::Replaced)),
        "taken" => Some(Input::Notice(device(1), Notice::Taken)),
        "revoked" => Some(Input::Notice(device(1), Notice::Revoked)),
        "notice" => input(&words[1..].join(" ")),
        // `answer 3 bound ...` is `bound 3 ...`.
        "answer" => {
            let rest = words.get(3..).unwrap_or(&[]).join(" ");
            input(format!("{} {} {rest}", words[2], words[1]).trim_end())
        }
        _ => None,
    }
}

fn everybody(words: &[&str]) -> Vec<model::Address> {
    words.iter().map(|word| address_of(word)).collect()
}

fn left(text: &str) -> Vec<model::Left> {
    let one = |lease: &str| {
        let words: Vec<&str> = lease.trim().splitn(4, ' ').collect();
        model::Left {
            key: model::LeaseKey::new(words[0]),
            owner: address_of(words[1]),
            secs: words[2].parse().expect(lease),
            state: words[3].replace("\\n", "\n").into_bytes().into(),
        }
    };
    text.split(" | ").filter(|lease| !lease.is_empty()).map(one).collect()
}

/// An output in words. Bytes and events are of one dialect: they are told by `bytes` (after `>>`) and `event`.
pub fn output(
    output: &Output,
    bytes: impl Fn(&[u8]) -> String,
    event: impl Fn(&Envelope) -> String,
) -> String {
    match output {
        Output::Bytes(_, b) => format!(">>{}", bytes(b)),
        Output::Datagram(to, b) => format!(">> {to}{}", bytes(b)),
        Output::Secure(..) => "=> secure".to_owned(),
        Output::Close(_) => "=> close".to_owned(),
        Output::Pause(_) => "=> pause".to_owned(),
        Output::Resume(_) => "=> resume".to_owned(),
        Output::Submit { ticket, envelope, outcome_wanted } => {
            let wanted = if *outcome_wanted { "" } else { " (no outcome)" };
            // By certificate it is where nothing else is said.
            let proof = match envelope.origin.vouch {
                Vouch::Domain(_, Proof::Dialback) => " by dialback",
                _ => "",
            };
            let (from, to) = (&envelope.from, &envelope.to);
            format!("=> submit {} {from}{proof} > {to} {}{wanted}", ticket.0, event(envelope).trim_end())
        }
        Output::Ask { ticket, ask } => format!("=> ask {} {}", ticket.0, question(ask)),
        Output::Say(line, said) => format!("=> say {} {}", line.0, folded(said)),
        Output::HangUp(line) => format!("=> hang-up {}", line.0),
        Output::Login { proven, .. } => format!("=> login {}", if *proven { "proven" } else { "failed" }),
        Output::Errand(Ok(())) => "=> errand done".to_owned(),
        Output::Errand(Err(refusal)) => format!("=> errand failed {refusal}"),
        Output::Attend(endpoint, priority) => format!("=> attend {endpoint} {priority:?}"),
        Output::Unbind(endpoint) => format!("=> unbind {endpoint}"),
        Output::Lease { key, owner, state, secs } => {
            let state = String::from_utf8_lossy(state).replace('\n', "\\n");
            format!("=> lease {} {owner} {secs} {state}", key.0).trim_end().to_owned()
        }
        Output::Resumable { key, owner } => format!("=> resumable {} {owner}", key.0),
        Output::Linger { secs, .. } => format!("=> linger {secs}"),
        Output::Ack(id, settlement) => format!("=> ack {} {}", id.0, settled(settlement)),
        Output::AckWhenWritten(ack) => {
            format!("=> ack-when-written {} {}", ack.delivery.0, settled(&ack.settlement))
        }
    }
}

/// Lines of SIP as one, without the blank one that ends a head.
pub(crate) fn folded(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().replace("\r\n", "\\n")
}

fn settled(settlement: &Settlement) -> String {
    let reason = match &settlement.outcome {
        Outcome::Refused(refusal) => format!(" {}", refusal.reason.name()),
        _ => String::new(),
    };
    let losses: String = settlement.losses.iter().map(|Loss { what, .. }| format!(" -{what}")).collect();
    format!("{}{reason}{losses}", settlement.outcome.name())
}

fn question(ask: &Ask) -> String {
    match ask {
        Ask::Credential { account, scheme, from } => {
            format!("credential {account} {scheme:?}{}", if from.is_some() { " by datagram" } else { "" })
        }
        Ask::Verify { account, .. } => format!("verify {account}"),
        Ask::Bind { account, device, attend } => {
            let device = device.as_ref().map_or("-", Device::as_str);
            format!("bind {account} {device} {attend:?}")
        }
        Ask::Roster { device } => format!("roster {device}"),
        Ask::EditRoster { device, edit } => format!("edit-roster {device} {edit:?}"),
        Ask::Blocked { device } => format!("blocked {device}"),
        Ask::EditBlocked { device, edit } => format!("edit-blocked {device} {edit:?}"),
        Ask::Claim { key, owner } => format!("claim {} {owner}", key.0),
        Ask::Inherit { prefix } => format!("inherit {prefix}"),
        Ask::Resume { key, owner } => format!("resume {} {owner}", key.0),
        Ask::Watches { watcher, presentity } => format!("watches {watcher} {presentity}"),
        Ask::Admit { pair, dialect, opener, certificates, secured } => {
            let shown = if certificates.is_some() { "certificate" } else { "nothing" };
            let over = if *secured { "tls" } else { "plain" };
            format!("admit {pair} {dialect} opened by {opener:?} {over} {shown}")
        }
        Ask::Slot(offer) => {
            let mime = offer.mime.as_deref().unwrap_or("-");
            format!("slot {} {:?} {} {mime}", offer.by, offer.name, offer.size)
        }
        Ask::Confirm { pair, proof } => format!("confirm {pair} {}", String::from_utf8_lossy(proof)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_an_answer() {
        for text in ["bound #2 a@b/c", "answer 2 bound a@b/c"] {
            let Some(Input::Answer(ticket, answer)) = input(text) else { panic!("{text}") };
            assert_eq!((ticket, answer), (Ticket(2), Answer::Bound(endpoint("a@b/c"))));
        }
        assert!(input("deliver 1 whatever").is_none());
    }
}

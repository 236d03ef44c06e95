//! Why something is refused, and how each protocol hears it.

use std::fmt::Write as _;

use model::{Address, Fault, Reason, Refusal};

use crate::page::{at, holds};

/// The sentence that stands above a reason in the model.
fn meaning(reason: Reason) -> String {
    let source = std::fs::read_to_string(at("crates/model/src/outcome.rs")).expect("text");
    let (before, _) = source.split_once(&format!("    {reason:?} = ")).expect("every reason has a number");
    let words = before.lines().rev().find_map(|l| l.trim().strip_prefix("/// ")).expect("and a sentence");
    words.split(" (").next().unwrap_or_default().to_owned()
}

fn fault(reason: Reason) -> &'static str {
    match reason.fault() {
        Fault::Sender => "sender",
        Fault::Recipient => "addressee",
        Fault::Peer => "another server",
        Fault::Server => "this server",
    }
}

/// The statuses to a device and to a person; with the new address, where one changes them.
fn sip(reason: Reason) -> String {
    use sip::translate::refusal::status;
    let plain = Refusal::new(reason);
    let (device, person) = (status(&plain, true), status(&plain, false));
    let mut text = if device == person { device.to_string() } else { format!("{device}; {person}") };
    let moved = Refusal { alternative: Address::parse("new@example.com").ok(), ..plain };
    if status(&moved, true) != device {
        let _ = write!(text, "; {} with the new address", status(&moved, true));
    }
    if reason == Refusal::unrecorded().reason {
        let _ = write!(text, "; {} when nothing can be recorded", status(&Refusal::unrecorded(), true));
    }
    text
}

#[test]
fn what_each_side_hears() {
    let mut table =
        "| reason | meaning | at fault | XMPP error (type) | SIP, to a device; to a person |\n|---|---|---|---|---|\n"
            .to_owned();
    for reason in Reason::ALL {
        let stanza = xmpp::translate::refusal::render(&Refusal::new(reason));
        let (name, meaning, fault) = (reason.name(), meaning(reason), fault(reason));
        let error = format!("{} ({})", stanza.condition, stanza.kind);
        let _ = writeln!(table, "| `{name}` | {meaning} | {fault} | {error} | {} |", sip(reason));
    }
    holds("protocols.md", "refusals", &table);
}

#[test]
fn what_an_answer_of_a_sip_device_becomes() {
    // Codes that no rule names share the row of their hundred, so only those that differ from it are listed.
    let mut rows: Vec<(Reason, Vec<String>)> = Vec::new();
    for hundred in (300..700u16).step_by(100) {
        // x99 is in no specification.
        let rest = sip::translate::refusal::reason(hundred + 99);
        let named = (hundred..hundred + 99).map(|s| (sip::translate::refusal::reason(s), s.to_string()));
        let others = std::iter::once((rest, format!("other {}xx", hundred / 100)));
        for (reason, code) in named.filter(|(reason, _)| *reason != rest).chain(others) {
            match rows.iter_mut().find(|(r, _)| *r == reason) {
                Some((_, codes)) => codes.push(code),
                None => rows.push((reason, vec![code])),
            }
        }
    }
    rows.sort();
    let mut table =
        "| answer of the SIP device | reason | what the XMPP sender gets |\n|---|---|---|\n".to_owned();
    for (reason, codes) in rows {
        let stanza = xmpp::translate::refusal::render(&Refusal::new(reason));
        let _ = writeln!(table, "| {} | `{}` | {} |", codes.join(", "), reason.name(), stanza.condition);
    }
    holds("protocols.md", "answers", &table);
}

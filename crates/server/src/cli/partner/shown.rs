//! Partners for people's eyes.

use partner::{Contact, Dane, Feature, Partner, Protocol, RouteSecurity, Shown};
use std::fmt::Write as _;
use web::{ObservedList, PartnerList, PartnerView, Probed, Verdict};

fn protocol(protocol: Protocol) -> &'static str {
    protocol.dialect().name()
}

/// In one word, or two.
fn state(partner: &Partner) -> String {
    let state = match (&partner.expires, partner.denied, partner.suspended) {
        (_, true, _) => "denied".into(),
        (_, _, true) => "suspended".into(),
        (Some(day), ..) => format!("agreed until {day}"),
        (None, ..) => "agreed".into(),
    };
    if partner.inside { format!("{state}, inside") } else { state }
}

/// One line for each.
pub fn list(list: &PartnerList) -> String {
    let mut text = String::new();
    for partner in &list.partners {
        let _ = writeln!(text, "{:<20} {:<24} {}", partner.name, state(partner), partner.domains.join(" "));
    }
    text
}

/// One line for each.
pub fn observed(list: &ObservedList) -> String {
    let mut text = String::new();
    for seen in &list.observed {
        let times = if seen.times == 1 { "once".into() } else { format!("{} times", seen.times) };
        let _ = writeln!(
            text,
            "{:<30} {:<30} {times}, last {}: {}",
            seen.domain, seen.rule, seen.last, seen.words
        );
    }
    text
}

/// Step by step.
pub fn probed(probed: &Probed) -> String {
    let mut text = String::new();
    let of = probed.partner.as_ref().map(|p| format!(", of the partner {p}")).unwrap_or_default();
    let _ = writeln!(text, "{}{of}", probed.domain);
    for check in &probed.checks {
        let verdict = match check.verdict {
            Verdict::Good => "good",
            Verdict::Note => "note",
            Verdict::Bad => "BAD ",
        };
        let (protocol, step) = (&check.protocol, &check.step);
        let _ = writeln!(text, "  {verdict}  {protocol:<5} {step:<12} {:>5} ms  {}", check.ms, check.found);
        if let Some(remedy) = &check.remedy {
            let _ = writeln!(text, "{:36}  -> {remedy}", "");
        }
    }
    let end = if probed.good {
        "this server can federate with it"
    } else {
        "this server cannot federate with it as things are"
    };
    let _ = writeln!(text, "{end}");
    text
}

/// In groups, for two people on the telephone.
pub fn fingerprint(hex: &str) -> String {
    let groups: Vec<&str> =
        hex.as_bytes().chunks(4).filter_map(|four| std::str::from_utf8(four).ok()).collect();
    groups.join(" ")
}

/// An invitation or an answer, for whoever is to accept it.
pub fn paper(seen: &Shown) -> String {
    let what = if seen.is_answer { "the answer to an invitation of ours" } else { "an invitation" };
    let until = seen.expires.as_ref().map(|at| format!(", until {at}")).unwrap_or_default();
    let fingerprint = fingerprint(&seen.fingerprint);
    format!("{what}{until}\nsigned with:  {fingerprint}\n{}", terms(&seen.partner))
}

/// People shown at most.
const PEOPLE: usize = 20;

/// Everything about one.
pub fn partner(view: &PartnerView) -> String {
    let mut text = terms(&view.partner);
    let mut line = |value: String| {
        let _ = writeln!(text, "{:<12} {value}", "connections:");
    };
    if view.contacts.is_empty() {
        line("none since the start".into());
    }
    view.contacts.iter().for_each(|contact| line(connections(contact)));
    for learnt in view.people.iter().take(PEOPLE) {
        let _ =
            writeln!(text, "{:<12} {} by {}, {}", "heard:", learnt.who, protocol(learnt.protocol), learnt.at);
    }
    if let Some(more) = view.people.len().checked_sub(PEOPLE).filter(|more| *more > 0) {
        let _ = writeln!(text, "{:<12} {more} more; --json names them", "heard:");
    }
    if let Some(tested) = &view.tested {
        let _ = write!(text, "\nlast tested {}:\n{}", tested.at, probed(tested));
    }
    text
}

/// What was agreed.
fn terms(p: &Partner) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(text, "{:<12} {value}", format!("{name}:"));
        }
    };
    line("partner", p.name.clone());
    line("state", state(p));
    line("domains", p.domains.join(", "));
    let protocols: Vec<&str> = p.protocols.iter().copied().map(protocol).collect();
    line(
        "protocols",
        if protocols.is_empty() { "whatever is spoken here".into() } else { protocols.join(", ") },
    );
    for route in &p.routes {
        let port = route.port.map(|port| format!(":{port}")).unwrap_or_default();
        let security = match route.security {
            RouteSecurity::Usual => "",
            RouteSecurity::Tls => ", TLS from the first byte",
            RouteSecurity::None => ", without TLS",
        };
        line("route", format!("{} to {}{port}{security}", protocol(route.protocol), route.host));
    }
    line("trust", trust(p));
    p.trust.crl.iter().for_each(|file| line("revoked", format!("whoever {file} lists")));
    p.trust.pins.iter().for_each(|pin| line("pinned key", pin.clone()));
    let features: Vec<&str> = p.features.iter().map(|f| f.name()).collect();
    let all = features.len() == Feature::ALL.len();
    line("features", if all { "everything".into() } else { features.join(", ") });
    line("ours", if p.local.is_empty() { "everybody who may federate".into() } else { p.local.join(", ") });
    line("theirs", if p.remote.is_empty() { "everybody".into() } else { p.remote.join(", ") });
    if p.limits.messages_per_second > 0 {
        line("rate", format!("{} messages a second in each direction", p.limits.messages_per_second));
    }
    if p.limits.bytes_per_second > 0 {
        line("bytes", format!("{} bytes a second in each direction", p.limits.bytes_per_second));
    }
    if p.limits.message_bytes > 0 {
        line("size", format!("{} bytes a message", p.limits.message_bytes));
    }
    line("disclaimer", p.disclaimer.clone().unwrap_or_default());
    line("contacts", p.contacts.join(", "));
    if let Some(key) = &p.signed_by {
        line("handshake", format!("signed with {}", fingerprint(key)));
    }
    text
}

fn trust(partner: &Partner) -> String {
    let trust = &partner.trust;
    let mut words = Vec::new();
    if !trust.pins.is_empty() {
        words.push("the pinned key, and no other".to_owned());
    } else if trust.dane == Dane::Only {
        words.push("what their signed DNS names (DANE), and nothing else".into());
    } else {
        match (&trust.authority, trust.system) {
            (Some(_), true) => words.push("their own authority, and those that this server trusts".into()),
            (Some(_), false) => words.push("their own authority alone".into()),
            (None, true) => words.push("the authorities that this server trusts".into()),
            (None, false) => words.push("no authority".into()),
        }
        if trust.tolerant {
            words.push("certificates without client authentication are tolerated".into());
        }
        if trust.dane == Dane::No {
            words.push("without DANE".into());
        }
        if !trust.posh {
            words.push("without POSH".into());
        }
        if trust.dialback && trust.system {
            words.push("dialback".into());
        }
    }
    if trust.insecure {
        words.push("NO TLS NEEDED".into());
    }
    words.join("; ")
}

fn connections(contact: &Contact) -> String {
    let mut text = format!("{} with {}", protocol(contact.protocol), contact.domain);
    if let Some(at) = &contact.reached {
        let _ = write!(text, "; last reached {at}");
    }
    if let (Some(at), Some(why)) = (&contact.failed, &contact.why) {
        let _ = write!(text, "; last failed {at}: {why}");
    }
    if let (Some(at), Some(opener)) = (&contact.shown, &contact.opener) {
        let who = if opener == "us" { "we" } else { "they" };
        let proof =
            if contact.proved { "the certificate proves it" } else { "the certificate does not prove it" };
        let _ = write!(text, "; {who} connected {at}, {proof}");
        if let Some(remark) = &contact.remark {
            let _ = write!(text, " ({remark})");
        }
    }
    text
}

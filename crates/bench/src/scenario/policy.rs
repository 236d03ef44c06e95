//! What a decision of the policy costs, and looking into a text: no server, one thread.

use crate::{Result, clock, hist::Histogram, report::Report};
use model::{
    Address, Dialect, Envelope, EnvelopeId, Event, MAX_HOPS, Message, Origin, Part, Security, Timestamp,
    Vouch,
};
use outbreak::{Outbreaks, Settings};
use policy::{Belonging, Facts, Policy, Society};
use ports::Watch;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use store::MemoryStore;

const USERS: usize = 100_000;
const GROUPS: usize = 1_000;
const RULES: usize = 10_000;
const EXPRESSIONS: usize = 200;
const WORDS: usize = 5_000;
/// Decisions, or texts, measured.
const TIMES: usize = 200_000;
/// Groups of one person.
const MEMBERSHIPS: usize = 5;

struct Town(HashMap<Address, Vec<Arc<str>>>);

impl Society for Town {
    fn belonging(&self, who: &Address) -> Belonging {
        let groups = self.0.get(who);
        Belonging { local: groups.is_some(), partner: None, groups: groups.cloned().unwrap_or_default() }
    }
    fn has_group(&self, _: &str) -> bool {
        true
    }
    fn has_partner(&self, _: &str) -> bool {
        true
    }
}

/// Numbers that look random and are always the same.
fn scrambled(n: usize) -> usize {
    let n = (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((n ^ (n >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20) as usize
}

fn user(n: usize) -> Result<Address> {
    Ok(Address::new(&format!("user{n}"), "corp.example").map_err(|e| e.to_string())?)
}

/// Rules of every kind: walls between groups, people, domains, features and times.
fn rules() -> String {
    let mut text = String::new();
    let features = ["im", "presence", "files", "calls"];
    for n in 0..RULES {
        let (a, b) = (scrambled(n) % GROUPS, scrambled(n + RULES) % GROUPS);
        let feature = features[n % features.len()];
        let who = match n % 4 {
            0 => format!("from = [\"group:g{a}\"]\nto = [\"group:g{b}\"]"),
            1 => format!("from = [\"user{}@corp.example\"]", scrambled(n) % USERS),
            2 => format!("to = [\"*@partner{n}.example\"]"),
            _ => format!("from = [\"group:g{a}\"]\nto = [\"remote\"]"),
        };
        let _ =
            writeln!(text, "[[rule]]\nname = \"r{n}\"\n{who}\nfeatures = [\"{feature}\"]\nthen = \"block\"");
    }
    text
}

fn detectors() -> String {
    let mut text = String::from("[detect.words]\nwords = [");
    for n in 0..WORDS {
        let _ = write!(text, "\"w{:x}ord{n}\", ", scrambled(n) % 0xffff);
    }
    text.push_str("]\n[detect.patterns]\nregex = [");
    for n in 0..EXPRESSIONS {
        let _ = write!(text, "'\\b(?i)key{n}[-_ ]?[a-z]{{2}}[0-9]{{4,8}}\\b', ");
    }
    text.push_str("]\n[detect.numbers]\nnumbers = [\"payment-card\", \"iban\"]\n");
    text + "[[rule]]\nname = \"all\"\ncontent = [\"words\", \"patterns\", \"numbers\"]\nthen = \"block\"\n"
}

fn compiled(text: &str) -> Result<Policy> {
    Ok(Policy::read(text).map_err(|m| m.first().map(ToString::to_string).unwrap_or_default())?)
}

/// Runs it.
///
/// # Errors
/// In words.
pub fn measure(report: &mut Report) -> Result<()> {
    let mut town = HashMap::with_capacity(USERS);
    for n in 0..USERS {
        let groups =
            (0..MEMBERSHIPS).map(|k| Arc::from(format!("g{}", scrambled(n * MEMBERSHIPS + k) % GROUPS)));
        town.insert(user(n)?, groups.collect());
    }
    let town = Town(town);
    report.put("users", USERS);
    report.put("groups", GROUPS);
    report.put("rules", RULES);
    let text = rules();
    let begun = clock::now();
    let policy = compiled(&text)?;
    report.num("compile_ms", (clock::now() - begun) as f64 / 1e6, 1);
    let (mut each, mut blocked, mut all) = (Histogram::default(), 0u32, 0);
    for n in 0..TIMES {
        let from = user(scrambled(n) % USERS)?;
        let envelope = message(from, user(scrambled(n + 7) % USERS)?, "hello");
        let begun = clock::now();
        let decision = policy.decide(&Facts::of(&envelope, &town));
        let took = clock::now() - begun;
        all += took;
        each.record(took);
        blocked += u32::from(decision.by.is_some());
    }
    report.num("decision_us", all as f64 / TIMES as f64 / 1e3, 3);
    report.num("decision_p99_us", each.quantile(0.99) as f64 / 1e3, 3);
    report.put("decided_by_a_rule", blocked);

    let policy = compiled(&detectors())?;
    report.put("expressions", EXPRESSIONS);
    report.put("words", WORDS);
    let texts: Vec<String> = (0..1_000).map(prose).collect();
    report.put("text_bytes", texts.iter().map(String::len).sum::<usize>() / texts.len());
    let mut found = 0;
    // The automaton is built as it is used.
    texts.iter().for_each(|text| found += policy.found_in(text));
    let begun = clock::now();
    for n in 0..TIMES {
        found += policy.found_in(&texts[n % texts.len()]);
    }
    report.num("look_into_text_us", (clock::now() - begun) as f64 / TIMES as f64 / 1e3, 3);
    report.put("found", found);
    watch(report, &texts)
}

/// What it costs to look whether something spreads: texts that nobody has seen, one in eight with a link that everybody sends.
fn watch(report: &mut Report, texts: &[String]) -> Result<()> {
    let watch = Outbreaks::open(Arc::new(MemoryStore::default()), Settings::default());
    let watch = watch.map_err(|e| e.to_string())?;
    let mut all = 0;
    for n in 0..TIMES {
        let text = format!("{n:x} {}", texts[n % texts.len()]);
        let text = if n % 8 == 0 { text + " see https://wiki.corp.example/page" } else { text };
        let mut envelope = message(user(scrambled(n) % USERS)?, user(scrambled(n + 7) % USERS)?, &text);
        // A busy day goes by.
        envelope.at = Timestamp(envelope.at.unix_ms() + n as u64);
        let begun = clock::now();
        let held = watch.look(&envelope);
        all += clock::now() - begun;
        if held != Ok(None) {
            return Err("an innocent message was held".into());
        }
    }
    report.num("outbreak_look_us", all as f64 / TIMES as f64 / 1e3, 3);
    Ok(())
}

fn message(from: Address, to: Address, text: &str) -> Envelope {
    let part = Part::text(text.to_owned(), None);
    Envelope {
        id: EnvelopeId(1),
        at: Timestamp(1_800_000_000_000),
        origin: Origin {
            dialect: Dialect::Xmpp,
            security: Security::Tls,
            vouch: Vouch::Account(from.clone()),
        },
        from: from.into(),
        to: to.into(),
        hops: MAX_HOPS,
        event: Event::Message(Message { parts: vec![part], lasting: true, ..Message::default() }),
    }
}

/// 300 bytes of words, a few digits among them.
fn prose(n: usize) -> String {
    let mut text = String::with_capacity(310);
    for k in 0.. {
        let word = scrambled(n * 100 + k);
        match word % 12 {
            0 => drop(write!(text, "{} ", word % 10_000)),
            _ => text.extend(
                (0..3 + word % 6).map(|i| char::from(b'a' + (scrambled(word + i) % 26) as u8)).chain([' ']),
            ),
        }
        if text.len() >= 300 {
            break;
        }
    }
    text.truncate(300);
    text
}

//! Building the record's index, and searching in it: a journal that is made up as it is read, no server.

use crate::{Result, clock, hist::Histogram, report::Report};
use model::codec::{encode_body, encode_head};
use model::{
    Address, Dialect, Envelope, EnvelopeId, Event, Judgement, MAX_HOPS, Message, Origin, Part, Security, Seq,
    Timestamp, Vouch,
};
use search::{Ask, Index};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::{Done, Draft, Health, Journal, MailboxCursor, Row, RowKind, SettledRow, Trouble, Waiting};

/// People of the company.
const PEOPLE: u64 = 5_000;
/// Words that people use; the first ones most.
const WORDS: u64 = 50_000;
/// Words of a message.
const LENGTH: u64 = 14;
/// Rows are so far apart: ten million of them make three months.
pub(super) const APART_MS: u64 = 800;
pub(super) const BEGINNING: u64 = 1_780_000_000_000;
/// Questions of each kind.
const QUESTIONS: u64 = 200;

/// A journal of so many rows.
struct MadeUp(u64);

/// Numbers that look random and are always the same.
pub(super) fn scrambled(n: u64) -> u64 {
    let n = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (n ^ (n >> 27)) >> 11
}

/// A word: small ones are common, as in any language.
fn word(random: u64) -> String {
    let share = (random % 1_000_000) as f64 / 1e6;
    let rank = ((WORDS as f64).powf(share)) as u64;
    format!("w{rank:x}")
}

fn text(n: u64) -> String {
    (0..LENGTH).map(|k| word(scrambled(n * LENGTH + k))).collect::<Vec<_>>().join(" ")
}

fn person(n: u64) -> Result<Address> {
    Ok(Address::new(&format!("user{}", n % PEOPLE), "corp.example").map_err(|e| e.to_string())?)
}

fn row(n: u64) -> Result<Row> {
    let at = Timestamp(BEGINNING + n * APART_MS);
    let envelope = message(n, at, person(scrambled(n))?, person(scrambled(n + 1))?);
    Ok(Row {
        seq: Seq(n),
        at,
        kind: RowKind::Envelope,
        conversation: scrambled(n) % 100_000 + 1,
        conversation_seq: 1,
        conversation_prev: [0; 32],
        prev: [0; 32],
        link: [0; 32],
        body_digest: [0; 32],
        salt: Some([0; 16]),
        head: encode_head(&envelope, &Judgement::default()).into(),
        body: Some(encode_body(&envelope).into()),
    })
}

/// A message as people write them.
pub(super) fn message(n: u64, at: Timestamp, from: Address, to: Address) -> Envelope {
    Envelope {
        id: EnvelopeId(u128::from(n)),
        at,
        origin: Origin {
            dialect: Dialect::Xmpp,
            security: Security::Tls,
            vouch: Vouch::Account(from.clone()),
        },
        from: from.into(),
        to: to.into(),
        hops: MAX_HOPS,
        event: Event::Message(Message {
            id: format!("m{n}").into(),
            parts: vec![Part::text(text(n), None)],
            lasting: true,
            ..Message::default()
        }),
    }
}

impl Journal for MadeUp {
    fn append(&self, _: Draft, done: Done) {
        done(Err(Trouble::Busy("it is read only".into())));
    }

    fn settle(&self, _: SettledRow) {}

    fn advance(&self, _: MailboxCursor) {}

    fn waiting(&self, _: &Address, _: Seq, _: usize) -> std::result::Result<Vec<Waiting>, Trouble> {
        Ok(Vec::new())
    }

    fn pairs_waiting(&self) -> std::result::Result<Vec<Address>, Trouble> {
        Ok(Vec::new())
    }

    fn cursor(&self, account: &Address) -> std::result::Result<MailboxCursor, Trouble> {
        Ok(MailboxCursor { account: account.clone(), low: Seq(0), above: Vec::new() })
    }

    fn rows(&self, first: Seq, limit: usize) -> std::result::Result<Vec<Row>, Trouble> {
        let last = self.0.min(first.0 + limit as u64 - 1);
        (first.0..=last).map(|n| row(n).map_err(|e| Trouble::Failed(e.to_string()))).collect()
    }

    fn acts(&self, _: usize) -> std::result::Result<Vec<Row>, Trouble> {
        Ok(Vec::new())
    }

    fn head(&self) -> Seq {
        Seq(self.0)
    }

    fn health(&self) -> Health {
        Health::default()
    }
}

/// A question of some kind.
type Make = fn(u64) -> Ask;

/// What people ask.
const KINDS: &[(&str, Make)] = &[
    ("common_word", |n| words(format!("w{:x}", 1 + n % 8))),
    ("rare_word", |n| words(format!("w{:x}", 20_000 + n * 97 % 30_000))),
    ("two_words", |n| words(format!("w{:x} w{:x}", 2 + n % 50, 100 + n))),
    ("phrase", |n| {
        let said = text(scrambled(n) % 1_000_000 + 1);
        let two: Vec<&str> = said.split(' ').skip(3).take(2).collect();
        words(format!("\"{}\"", two.join(" ")))
    }),
    ("word_of_a_person", |n| Ask {
        from: Some(format!("user{}@corp.example", n * 31 % PEOPLE)),
        ..words(format!("w{:x}", 1 + n % 20))
    }),
    ("between_two_in_a_week", |n| Ask {
        with: vec![format!("user{}@corp.example", n * 17 % PEOPLE)],
        since: Some(BEGINNING + n * 3_600_000),
        until: Some(BEGINNING + n * 3_600_000 + 7 * 86_400_000),
        ..Ask::default()
    }),
    ("beginning_of_a_word", |n| words(format!("w{:x}*", 300 + n))),
];

fn words(words: String) -> Ask {
    Ask { words: Some(words), ..Ask::default() }
}

/// Runs it.
///
/// # Errors
/// In words.
pub fn measure(rows: u64, dir: &Path, report: &mut Report) -> Result<()> {
    if dir.exists() {
        return Err(format!("{} is there already", dir.display()).into());
    }
    report.put("rows", rows);
    let begun = clock::now();
    (1..=10_000.min(rows)).try_for_each(|n| row(n).map(drop))?;
    let making = (clock::now() - begun) as f64 / 10_000.min(rows) as f64;
    let begun = clock::now();
    let index = Index::open(dir, Arc::new(MadeUp(rows)), Arc::new(search::Unread), "bench/1")
        .map_err(|e| e.to_string())?;
    while index.standing().indexed.0 < rows {
        std::thread::sleep(Duration::from_millis(50));
    }
    let took = (clock::now() - begun) as f64;
    report.num("build_rows_per_s", rows as f64 / (took / 1e9), 0);
    report.num(
        "build_rows_per_s_without_making_them_up",
        rows as f64 / ((took - making * rows as f64) / 1e9),
        0,
    );
    report.num("bytes_per_row", index.standing().bytes as f64 / rows as f64, 1);
    let mut all = Histogram::default();
    for (kind, make) in KINDS {
        let (mut each, mut found) = (Histogram::default(), 0);
        for n in 0..QUESTIONS {
            let begun = clock::now();
            found += index.find(&make(n), 50).map_err(|e| e.to_string())?.rows.len();
            let took = clock::now() - begun;
            each.record(took);
            all.record(took);
        }
        report.num(&format!("{kind}_p50_ms"), each.quantile(0.5) as f64 / 1e6, 3);
        report.num(&format!("{kind}_p95_ms"), each.quantile(0.95) as f64 / 1e6, 3);
        report.num(&format!("{kind}_found"), found as f64 / QUESTIONS as f64, 1);
    }
    report.num("p95_ms", all.quantile(0.95) as f64 / 1e6, 3);
    report.num("p99_ms", all.quantile(0.99) as f64 / 1e6, 3);
    drop(index);
    std::fs::remove_dir_all(dir).map_err(|e| e.to_string())?;
    Ok(())
}

//! From rows to what people read.

use jiff::civil::Date;
use model::codec::{encode_body, encode_head, encode_outcome};
use model::{
    Address, Dialect, Envelope, EnvelopeId, Event, Hold, Judgement, Loss, MAX_HOPS, Message, Origin, Outcome,
    Part, Reason, Refusal, Security, Seq, Timestamp, Vouch,
};
use reports::{Books, Day, Every, Ledger, Options, Period, Report, csv, html, pdf, report};
use store::{Row, RowKind, Trouble};

const NOON: u64 = 1_795_046_400_000 + 12 * 3_600_000;

#[derive(Default)]
struct Journal(Vec<Row>);

impl Journal {
    fn put(&mut self, at: u64, kind: RowKind, head: Vec<u8>, body: Vec<u8>) -> Seq {
        let seq = Seq(self.0.len() as u64 + 1);
        self.0.push(Row {
            seq,
            at: Timestamp(at),
            kind,
            conversation: 0,
            conversation_seq: 0,
            conversation_prev: [0; 32],
            prev: [0; 32],
            link: [0; 32],
            body_digest: [0; 32],
            salt: None,
            head: head.into(),
            body: Some(body.into()),
        });
        seq
    }

    fn message(&mut self, at: u64, from: &str, to: &str, judged: &Judgement) -> Seq {
        let [from, to] = [from, to].map(|who| Address::parse(who).unwrap());
        let part = Part { mime: "text/plain".into(), lang: None, body: b"hush".to_vec().into() };
        let envelope = Envelope {
            id: EnvelopeId(1),
            at: Timestamp(at),
            origin: Origin {
                dialect: Dialect::Xmpp,
                security: Security::Tls,
                vouch: Vouch::Account(from.clone()),
            },
            from: from.into(),
            to: to.into(),
            hops: MAX_HOPS,
            event: Event::Message(Message { parts: vec![part], ..Message::default() }),
        };
        self.put(at, RowKind::Envelope, encode_head(&envelope, judged), encode_body(&envelope))
    }

    fn delivered(&mut self, at: u64, seq: Seq, losses: &[Loss]) {
        let mut head = Vec::new();
        encode_outcome(&mut head, seq, &Outcome::Delivered, losses);
        self.put(at, RowKind::Outcomes, head, Vec::new());
    }
}

impl Ledger for Journal {
    fn rows(&self, first: Seq, limit: usize) -> Result<Vec<Row>, Trouble> {
        Ok(self.0.iter().filter(|row| row.seq >= first).take(limit).cloned().collect())
    }

    fn last_before(&self, at: Timestamp) -> Result<Seq, Trouble> {
        Ok(self.0.iter().rev().find(|row| row.at < at).map_or(Seq(0), |row| row.seq))
    }
}

fn a_day() -> Journal {
    let mut journal = Journal::default();
    let passes = Judgement::default();
    // The evening before.
    journal.message(NOON - 86_400_000, "juliet@example.com", "romeo@example.com", &passes);
    let first = journal.message(NOON, "juliet@example.com", "romeo@example.com", &passes);
    journal.delivered(NOON + 20, first, &[]);
    journal.message(NOON + 1_000, "juliet@example.com", "romeo@example.com", &passes);
    journal.message(NOON + 60_000, "romeo@example.com", "juliet@example.com", &passes);
    let abroad = journal.message(NOON + 61_000, "juliet@example.com", "nurse@verona.example", &passes);
    journal.delivered(NOON + 61_100, abroad, &[Loss::dropped("html-body", Dialect::Xmpp, Dialect::Sip)]);
    journal.message(NOON + 62_000, "peter@verona.example", "juliet@example.com", &passes);
    let no = |rule: &str| Judgement::refused(Refusal::new(Reason::Policy).by_rule(rule));
    journal.message(NOON + 63_000, "juliet@example.com", "x@shadow.example", &no("federation.mode"));
    journal.message(NOON + 64_000, "juliet@example.com", "nurse@verona.example", &no("rule.budget"));
    let hold = Hold { rule: "rule.secret".into(), text: None };
    let held = Judgement { held: Some(hold), ..Judgement::default() };
    journal.message(NOON + 65_000, "romeo@example.com", "juliet@example.com", &held);
    journal
}

fn made(journal: &Journal, aggregates: bool) -> (Day, Report) {
    let dir = tempfile::tempdir().unwrap();
    let books = Books::new(dir.path().join("days"), "chain", vec!["example.com".into()]);
    let day: Date = "2026-11-19".parse().unwrap();
    let (period, now) = (Period::of(Every::Day, day), Timestamp(NOON + 2 * 86_400_000));
    let found = books.period(journal, period, now).unwrap();
    let (before, _) = books.period(journal, period.before(), now).unwrap();
    // The next time the counts come from the file.
    assert_eq!(books.period(&Journal::default(), period, now).unwrap(), found);
    let other = Books::new(dir.path().join("days"), "another chain", vec!["example.com".into()]);
    assert_eq!(other.period(&Journal::default(), period, now).unwrap().0, Day::default());
    let naming = |domain: &str| (domain == "verona.example").then(|| "Verona & <Sons>".to_owned());
    let options = Options { aggregates, top: 20, house: "example.com", naming: &naming, now };
    let trend = [
        (period.before(), before.messages(), before.active()),
        (period, found.0.messages(), found.0.active()),
    ];
    let report = report(period, &found, Some(&before), &trend, &options);
    (found.0, report)
}

fn rows(report: &Report, key: &str) -> Vec<String> {
    let section = report.sections.iter().find(|section| section.key == key).unwrap();
    section
        .rows
        .iter()
        .map(|row| row.iter().map(reports::Cell::shown).collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn rows_are_counted() {
    let (day, report) = made(&a_day(), false);
    assert_eq!((day.inside, day.outgoing, day.incoming), (3, 1, 1));
    assert_eq!(day.hours[12], 5);
    assert_eq!((day.active(), day.reached()), (2, 1));
    assert_eq!((day.delivery.count(), day.response.count()), (2, 1));
    assert_eq!((day.said("refused"), day.said("held")), (2, 1));
    assert_eq!(report.title, "Messaging on 19 November 2026");
    assert_eq!(report.figures[0].change().as_deref(), Some("+400 %"));
    // From the first message that waited, not the second: one minute.
    assert_eq!(rows(&report, "times")[1], "answer 1 1 min 05 s 1 min 05 s 1 min 05 s");
    assert_eq!(rows(&report, "partners"), ["Verona & <Sons> 2 1 1 1 1 2"]);
    assert_eq!(rows(&report, "losses"), ["html-body dropped xmpp to sip 1"]);
    assert_eq!(rows(&report, "tried"), ["shadow.example 1 1 0 1"]);
    assert_eq!(rows(&report, "people")[0], "juliet@example.com 5 3 2");
    assert_eq!(
        rows(&report, "verdicts"),
        ["rule.secret held 1", "federation.mode refused 1", "rule.budget refused 1"]
    );
}

#[test]
fn aggregates_name_nobody() {
    let (_, report) = made(&a_day(), true);
    assert!(report.sections.iter().all(|section| section.key != "people"));
    assert_eq!(rows(&report, "partners"), ["others together 2 1 1 1 1 2"]);
    assert_eq!(rows(&report, "tried"), Vec::<String>::new());
    for form in [html(&report), csv(&report), serde_json::to_string(&report).unwrap()] {
        for name in ["juliet", "romeo", "verona", "shadow"] {
            assert!(!form.contains(name), "{name} in {form}");
        }
    }
}

#[test]
fn whoever_was_muted_is_not_named_by_the_rule() {
    let mut journal = a_day();
    for who in ["juliet", "romeo"] {
        let mute = Refusal::new(Reason::Policy).by_rule(format!("outbreak:user:{who}@example.com"));
        let muted = format!("{who}@example.com");
        journal.message(NOON + 70_000, &muted, "nurse@example.com", &Judgement::refused(mute));
    }
    let (_, report) = made(&journal, true);
    assert!(rows(&report, "verdicts").contains(&"outbreak:user refused 2".to_owned()));
    let (_, report) = made(&journal, false);
    assert!(rows(&report, "verdicts").contains(&"outbreak:user:romeo@example.com refused 1".to_owned()));
}

#[test]
fn what_was_imported_or_passed_between_others_is_not_counted_as_ours() {
    let mut journal = a_day();
    let imported = Judgement { imported: Some("prosody".into()), ..Judgement::default() };
    journal.message(NOON + 70_000, "juliet@example.com", "romeo@example.com", &imported);
    journal.message(NOON + 71_000, "peter@verona.example", "x@mantua.example", &Judgement::default());
    let (day, report) = made(&journal, false);
    assert_eq!((day.inside, day.outgoing, day.incoming, day.transit), (3, 1, 1, 1));
    assert_eq!(rows(&report, "ways")[3], "between other companies, through us 1");
    assert_eq!(rows(&report, "people").len(), 2);
    assert_eq!((day.abroad["mantua.example"].sent, day.abroad["mantua.example"].ours.len()), (1, 0));
}

#[test]
fn forms_hold_what_the_report_says() {
    let (_, report) = made(&a_day(), false);
    let page = html(&report);
    assert!(page.contains("Verona &amp; &lt;Sons&gt;") && !page.contains("<Sons>"));
    assert!(!page.contains("http"), "nothing is fetched");
    let table = csv(&report);
    assert!(table.contains("2026-11-19,partners,1,Verona & <Sons>,to them,1\r\n"), "{table}");
    assert!(table.contains("2026-11-19,times,2,answer,half within,"), "{table}");
    let paper = pdf(&report);
    assert!(paper.starts_with(b"%PDF-1.7") && paper.trim_ascii_end().ends_with(b"%%EOF"));
}

#[test]
fn an_empty_house_has_a_report() {
    let (day, report) = made(&Journal::default(), false);
    assert_eq!(day, Day::default());
    assert!(html(&report).contains("Nobody wrote anything."));
    assert!(!pdf(&report).is_empty());
}

//! The verifier finds every kind of tampering, and lawful erasure is none.

use bytes::Bytes;
use model::codec::encode_head;
use model::{
    Address, Envelope, EnvelopeId, Event, Judgement, LATE, Message, Origin, Outcome, Seq, Timestamp,
};
use record::{
    Act, Against, Chain, ChainId, Destruction, Fault, GapAct, OpenGap, Report, Restore, Retention, Signer,
    body_digest, link, verify, verify_against,
};
use store::{
    CHAIN_SETTING, Draft, Erase, Journal, MemoryStore, Row, RowKind, Rows, Settings, SettledRow, Trouble,
};

struct Copy(Vec<Row>);

impl Rows for Copy {
    fn rows(&self, first: Seq, limit: usize) -> Result<Vec<Row>, Trouble> {
        let at = self.0.iter().position(|r| r.seq >= first).unwrap_or(self.0.len());
        Ok(self.0[at..].iter().take(limit).cloned().collect())
    }
}

fn draft(n: u64) -> Draft {
    let address = |n: u64| Address::parse(&format!("u{n}@x")).unwrap();
    Draft {
        kind: RowKind::Envelope,
        at: Timestamp(1_794_744_000_000 + n),
        mailbox: None,
        parties: (address(n % 3), address(n % 4)),
        head: format!("head {n}").into_bytes(),
        body: format!("body {n}").into_bytes(),
    }
}

fn written() -> (MemoryStore, ChainId) {
    let store = MemoryStore::with_sealer(Box::new(Chain::new().unwrap())).unwrap();
    for n in 0..2_500 {
        store.append(draft(n), Box::new(|end| assert!(end.is_ok())));
        if n % 500 == 0 {
            store.settle(SettledRow { seq: Seq(n + 1), outcome: Outcome::Delivered, losses: vec![] });
        }
    }
    let id = ChainId::from_bytes(&store.value(CHAIN_SETTING).unwrap().unwrap()).unwrap();
    (store, id)
}

fn tampered(tamper: impl FnOnce(&mut Vec<Row>, ChainId)) -> Report {
    let (store, id) = written();
    let mut rows = Journal::rows(&store, Seq(1), usize::MAX).unwrap();
    tamper(&mut rows, id);
    verify(&Copy(rows), id, |_| {}).unwrap()
}

#[track_caller]
fn finds(seq: u64, fault: Fault, tamper: impl FnOnce(&mut Vec<Row>, ChainId)) {
    let report = tampered(tamper);
    let finding = report.finding.unwrap();
    assert_eq!((finding.seq.0, finding.fault), (seq, fault), "{finding}");
    assert_eq!(report.last.map_or(0, |(s, _)| s.0), report.rows);
}

/// What a thief with the program would do: make a changed row good again by itself.
fn reseal(row: &mut Row, id: ChainId) {
    if let (Some(salt), Some(body)) = (&row.salt, &row.body) {
        row.body_digest = body_digest(salt, body);
    }
    row.link = link(id, row);
}

#[test]
fn an_untouched_journal_is_good() {
    let (store, id) = written();
    let mut told = Vec::new();
    let report = verify(&store, id, |seq| told.push(seq.0)).unwrap();
    assert_eq!((report.rows, report.erased, report.finding), (2_505, 0, None));
    assert_eq!(told, [1_000, 2_000, 2_505]);
    assert_eq!(report.conversations, 9);
    let empty = MemoryStore::new();
    assert_eq!(verify(&empty, id, |_| {}).unwrap().rows, 0);
}

#[test]
fn erased_content_still_verifies() {
    let (store, id) = written();
    for n in [1, 700, 2_505] {
        assert_eq!(store.erase(Seq(n)), Ok(true));
    }
    // Nobody has said yet that this may be.
    let found = verify(&store, id, |_| {}).unwrap().finding.unwrap();
    assert_eq!((found.seq, found.fault), (Seq(1), Fault::Unexplained));
    let note = |to| {
        let rule = Retention { rule: "30 days".into(), to };
        let act = Act { retention: Some(rule), ..Act::done("retention", "server") };
        act.note(&store, Timestamp(1_794_744_900_000)).unwrap()
    };
    note(2_504);
    assert!(verify(&store, id, |_| {}).unwrap().finding.is_some());
    let last = note(2_505);
    note(700);
    let report = verify(&store, id, |_| {}).unwrap();
    assert_eq!((report.rows, report.erased, report.acts, report.finding), (2_508, 3, 3, None));
    let (seq, retention) = report.retention.unwrap();
    assert_eq!((seq, retention.rule.as_str(), retention.to), (last, "30 days", 2_505));
}

/// A journal of which content of row 1 is gone, and who may say so: acts that are signed or not, in this order.
fn wiped(acts: &[(&str, Option<&Signer>)], keys: &[[u8; 32]]) -> Report {
    let at = Timestamp(1_794_744_900_000);
    let (store, id) = written();
    for (rows, signer) in acts {
        let gone = Destruction { rule: "30 days".into(), rows: (*rows).into(), ..Destruction::default() };
        let gone = signer.map_or(gone.clone(), |signer| gone.sign(signer, id, at));
        Act { destruction: Some(gone), ..Act::done("retention", "server") }.note(&store, at).unwrap();
    }
    for row in [1, 2] {
        store.erase(Seq(row)).unwrap();
    }
    verify_against(&store, id, &Against { keys, ..Against::default() }, |_| {}).unwrap()
}

#[test]
fn who_may_say_that_content_was_destroyed() {
    let dir = tempfile::tempdir().unwrap();
    let signer = |name: &str| Signer::open(&dir.path().join(name)).unwrap();
    let (ours, other) = (signer("ours"), signer("other"));
    let (key, is_good) = ([ours.key()], |report: Report| assert_eq!(report.finding, None));
    let finds = |seq: u64, fault: Fault, report: Report| {
        assert_eq!(report.finding.map(|found| (found.seq.0, found.fault)), Some((seq, fault)));
    };
    is_good(wiped(&[("1-2", Some(&ours))], &key));
    is_good(wiped(&[("1", Some(&other)), ("2", Some(&ours))], &[]));
    // As it was before there were signatures; whoever has a key wants them.
    is_good(wiped(&[("1", None), ("2", Some(&ours))], &[]));
    finds(1, Fault::Unexplained, wiped(&[("1-2", None)], &key));
    // Later anybody may have added them.
    finds(2, Fault::Unexplained, wiped(&[("1", Some(&ours)), ("2", None)], &[]));
    finds(2, Fault::Unexplained, wiped(&[("1", Some(&ours)), ("2", None)], &key));
    let strange = wiped(&[("1", Some(&ours)), ("2", Some(&other))], &key);
    finds(2_507, Fault::DestructionKey(other.key()), strange);
}

/// An act by age says nothing of rows after it, nor after the first act that is signed.
#[test]
fn an_age_counts_below_its_own_row_and_before_signed_acts() {
    let (at, ages) = (Timestamp(1_794_744_900_000), |to| Act {
        retention: Some(Retention { rule: "30 days".into(), to }),
        ..Act::done("retention", "server")
    });
    let (store, id) = written();
    let own = ages(9_999).note(&store, at).unwrap();
    store.append(draft(1), Box::new(|end| assert!(end.is_ok())));
    store.erase(Seq(700)).unwrap();
    assert_eq!(verify(&store, id, |_| {}).unwrap().finding, None);
    store.erase(Seq(own.0 + 1)).unwrap();
    let finding = verify(&store, id, |_| {}).unwrap().finding.unwrap();
    assert_eq!((finding.seq.0, finding.fault), (own.0 + 1, Fault::Unexplained));
    let (store, id) = written();
    let dir = tempfile::tempdir().unwrap();
    let signer = Signer::open(&dir.path().join("key")).unwrap();
    let gone = Destruction { rows: "1".into(), ..Destruction::default() }.sign(&signer, id, at);
    Act { destruction: Some(gone), ..Act::done("retention", "server") }.note(&store, at).unwrap();
    ages(2_000).note(&store, at).unwrap();
    store.erase(Seq(700)).unwrap();
    let finding = verify(&store, id, |_| {}).unwrap().finding.unwrap();
    assert_eq!((finding.seq.0, finding.fault), (700, Fault::Unexplained));
}

/// The same node put back from a backup: its later rows are of another epoch, and the first of them says so.
#[test]
fn a_restored_journal_is_one_chain_of_two_epochs() {
    let restored = |row_says: u64, chain_says: u64| {
        let (store, id) = written();
        let mut rows = Journal::rows(&store, Seq(1), usize::MAX).unwrap();
        let later = ChainId { epoch: chain_says, ..id };
        let act = Act {
            restore: Some(Restore {
                backup: "b".into(),
                made: "2026-11-21T00:00:00Z".into(),
                head: 2_505,
                epoch: row_says,
            }),
            ..Act::done("restore", "uid 0 (root)")
        };
        act.note(&store, Timestamp(1_794_744_900_000)).unwrap();
        store.append(draft(1), Box::new(|end| assert!(end.is_ok())));
        for seq in [Seq(2_506), Seq(2_507)] {
            let mut row = Journal::rows(&store, seq, 1).unwrap().remove(0);
            row.prev = rows.last().unwrap().link;
            row.link = link(later, &row);
            rows.push(row);
        }
        verify(&Copy(rows), later, |_| {}).unwrap()
    };
    let report = restored(77, 77);
    assert_eq!((report.rows, report.finding), (2_507, None));
    let epochs: Vec<_> = report.restores.iter().map(|e| (e.seq, e.restore.epoch, e.restore.head)).collect();
    assert_eq!(epochs, [(Seq(2_506), 77, 2_505)]);
    // The row must name the epoch that it begins, and epochs never go back.
    for (row, chain) in [(77, 78), (0, 0)] {
        assert_eq!(restored(row, chain).finding.unwrap().seq, Seq(2_506));
    }
}

#[test]
fn changed_rows() {
    finds(1_300, Fault::Changed, |rows, _| rows[1_299].head = Bytes::from_static(b"other"));
    finds(1_300, Fault::Changed, |rows, _| rows[1_299].at = Timestamp(1));
    finds(1_300, Fault::Changed, |rows, _| rows[1_299].kind = RowKind::Admin);
    finds(1_300, Fault::Changed, |rows, _| rows[1_299].conversation += 1);
    finds(1_300, Fault::Changed, |rows, _| rows[1_299].conversation_seq += 1);
    finds(1_300, Fault::Changed, |rows, _| rows[1_299].conversation_prev[0] ^= 1);
    finds(1_300, Fault::Changed, |rows, _| rows[1_299].body_digest[31] ^= 1);
    finds(1_300, Fault::Changed, |rows, _| rows[1_299].link[0] ^= 1);
    finds(1, Fault::Changed, |rows, _| rows[0].head = Bytes::from_static(b"other"));
    finds(2_505, Fault::Changed, |rows, _| rows[2_504].head = Bytes::from_static(b"other"));
    finds(1_300, Fault::BodyChanged, |rows, _| rows[1_299].body = Some(Bytes::from_static(b"other")));
    finds(1_300, Fault::BodyChanged, |rows, _| rows[1_299].salt = Some([1; 16]));
    finds(1_300, Fault::HalfErased, |rows, _| rows[1_299].body = None);
    finds(1_300, Fault::HalfErased, |rows, _| rows[1_299].salt = None);
}

#[test]
fn a_row_changed_and_sealed_again_betrays_itself_in_the_next() {
    finds(1_301, Fault::NotNext, |rows, id| {
        rows[1_299].body = Some(Bytes::from_static(b"other"));
        reseal(&mut rows[1_299], id);
    });
}

#[test]
fn missing_rows() {
    finds(1_301, Fault::Missing(Seq(1_300)), |rows, _| drop(rows.remove(1_299)));
    finds(11, Fault::Missing(Seq(1)), |rows, _| drop(rows.drain(..10)));
    // Closing the gap by renumbering does not help.
    finds(1_300, Fault::Foreign, |rows, _| {
        rows.remove(1_299);
        rows[1_299..].iter_mut().for_each(|r| r.seq.0 -= 1);
    });
    // Cutting the end off leaves a good chain that ends too soon; the last link shows it.
    let report = tampered(|rows, _| rows.truncate(2_000));
    assert_eq!((report.finding, report.last.unwrap().0), (None, Seq(2_000)));
}

#[test]
fn inserted_and_reordered_rows() {
    finds(1_300, Fault::Foreign, |rows, _| {
        let mut row = rows[500].clone();
        row.seq = Seq(1_300);
        rows.insert(1_299, row);
        rows[1_300..].iter_mut().for_each(|r| r.seq.0 += 1);
    });
    finds(1_301, Fault::Foreign, |rows, id| {
        let mut row = rows[500].clone();
        (row.seq, row.prev, row.conversation) = (Seq(1_300), rows[1_298].link, 0);
        reseal(&mut row, id);
        rows.insert(1_299, row);
        rows[1_300..].iter_mut().for_each(|r| r.seq.0 += 1);
    });
    finds(1_300, Fault::Foreign, |rows, _| {
        rows.swap(1_299, 1_300);
        (rows[1_299].seq, rows[1_300].seq) = (Seq(1_300), Seq(1_301));
    });
    finds(1_299, Fault::Repeated, |rows, _| {
        let twin = rows[1_298].clone();
        rows.insert(1_299, twin);
        rows[1_299].seq = Seq(1_299);
    });
}

#[test]
fn a_whole_forged_tail_still_needs_gapless_conversations() {
    let forge = |change: fn(&mut Row)| {
        move |rows: &mut Vec<Row>, id: ChainId| {
            let mut prev = rows[1_298].link;
            for (n, row) in rows.iter_mut().enumerate().skip(1_299) {
                if n == 1_299 {
                    change(row);
                }
                row.prev = prev;
                row.link = link(id, row);
                prev = row.link;
            }
        }
    };
    let (store, _) = written();
    let place = Journal::rows(&store, Seq(1_300), 1).unwrap()[0].conversation_seq;
    finds(1_300, Fault::ConversationGap(place), forge(|r| r.conversation_seq += 1));
    finds(1_300, Fault::ConversationBroken, forge(|r| r.conversation_prev[3] ^= 1));
}

#[test]
fn another_chain_is_not_this_one() {
    let (store, id) = written();
    let other = ChainId { node: [9; 16], ..id };
    let finding = verify(&store, other, |_| {}).unwrap().finding.unwrap();
    assert_eq!((finding.seq, finding.fault), (Seq(1), Fault::Foreign));
    // The row that begins the epoch was cut off.
    let other = ChainId { epoch: 2, ..id };
    let finding = verify(&store, other, |_| {}).unwrap().finding.unwrap();
    assert_eq!((finding.seq, finding.fault), (Seq(2_505), Fault::NoEpoch(2)));
}

#[test]
fn a_gap_that_was_announced_and_not_ended_is_told() {
    let (store, id) = written();
    let gap = |begun: Option<u64>| Some(GapAct { passed: begun.is_none().then_some(3), late: 2, begun });
    let act = |name: &str, begun| Act { gap: gap(begun), ..Act::done(name, "server") };
    let note = |act: Act| act.note(&store, Timestamp(1_794_744_000_000)).unwrap();
    let open = |store: &MemoryStore| verify(store, id, |_| {}).unwrap();
    let announced = note(act("record.gap", None));
    let address = Address::parse("a@x").unwrap();
    let envelope = Envelope {
        id: EnvelopeId(1),
        at: Timestamp(1),
        origin: Origin::server(),
        from: address.clone().into(),
        to: address.into(),
        hops: 1,
        event: Event::Message(Message::default()),
    };
    let judged = Judgement { rules: vec![LATE.into()], ..Judgement::default() };
    let late = Draft { head: encode_head(&envelope, &judged), ..draft(1) };
    store.append(late, Box::new(|end| assert!(end.is_ok())));
    store.append(draft(2), Box::new(|end| assert!(end.is_ok())));
    let report = open(&store);
    assert_eq!(report.finding, None);
    assert_eq!(report.gaps, [OpenGap { seq: announced, late: 2, there: 1 }]);
    assert!(report.gaps[0].to_string().contains("announces 2 row(s)"), "{}", report.gaps[0]);
    note(act("record.gap.closed", Some(announced.0)));
    assert_eq!(open(&store).gaps, []);
}

//! Checkpoints find what the chain alone cannot: what was cut off or written anew.

use model::{Address, Seq};
use record::{
    Act, Against, ChainId, Evidence, Fault, Finding, Frontier, NotClosed, Paths, Report, Restore, Signed,
    Signer, close, link, recover, root_of, verify_against,
};
use std::sync::atomic::{AtomicBool, Ordering};
use store::{Checkpoints, Draft, Journal, MemoryStore, Row, RowKind, Rows, Trouble};

mod world;

use world::{NOW, World, forge};

/// Rows to tamper with.
struct Copy(Vec<Row>);

impl Rows for Copy {
    fn rows(&self, first: Seq, limit: usize) -> Result<Vec<Row>, Trouble> {
        let at = self.0.iter().position(|r| r.seq >= first).unwrap_or(self.0.len());
        Ok(self.0[at..].iter().take(limit).cloned().collect())
    }
}

/// Verifies these rows with these checkpoints beside them, against anchors and keys.
fn verify(
    rows: Vec<Row>,
    id: ChainId,
    lines: Vec<(Seq, String)>,
    anchors: &[Signed],
    keys: &[[u8; 32]],
) -> Report {
    let read = |after: Seq, limit: usize| {
        Ok(lines.iter().filter(|(last, _)| *last > after).take(limit).cloned().collect())
    };
    let against = Against { checkpoints: Some(&read), anchors, keys, files: None };
    verify_against(&Copy(rows), id, &against, |_| {}).unwrap()
}

#[track_caller]
fn finds(seq: u64, fault: Fault, report: &Report) {
    assert_eq!(report.finding, Some(Finding { seq: Seq(seq), fault }), "{:?}", report.finding);
}

#[test]
fn segments_follow_one_another_and_what_is_not_new_is_not_signed_again() {
    let world = World::three();
    let signed = world.signed();
    let spans: Vec<_> = signed.iter().map(|s| (s.checkpoint.first.0, s.checkpoint.last.0)).collect();
    assert_eq!(spans, [(1, 1_500), (1_501, 1_601), (1_602, 2_302)]);
    assert_eq!(signed[0].checkpoint.previous, [0; 32]);
    assert_eq!(signed[1].checkpoint.previous, signed[0].checkpoint.digest());
    assert!(signed.iter().all(Signed::is_genuine));
    let report = verify(world.rows(), world.id, world.lines(), &signed, &[world.signer.key()]);
    assert_eq!((report.finding, report.rows, report.acts), (None, 2_313, 3));
    let found = report.signed;
    assert_eq!(
        (found.checkpoints, found.to, found.anchored, found.anchored_to),
        (3, Seq(2_302), 3, Seq(2_302))
    );
    assert_eq!(found.keys, [(world.signer.key(), Seq(1_500))]);
    assert_eq!(world.close().unwrap()[0].checkpoint.rows(), 11);
    // Only its own act since.
    assert_eq!(world.close(), Ok(vec![]));
    assert_eq!(World::new().close(), Ok(vec![]));
}

#[test]
fn a_row_is_proved_by_itself() {
    let world = World::three();
    let (rows, signed) = (world.rows(), world.signed());
    let segment = &signed[2].checkpoint;
    let mut paths = Paths::new(vec![0, 400]);
    let mut tree = Frontier::default();
    for row in &rows[1_601..2_302] {
        paths.push(&row.link);
        tree.push(&row.link);
    }
    assert_eq!((tree.root(), paths.root()), (segment.root, segment.root));
    let row = &rows[2_001];
    let evidence = Evidence::new(world.id, row).withheld().proved(paths.path(400).unwrap());
    let back = Evidence::parse(&evidence.to_line()).unwrap();
    assert_eq!(link(segment.chain, &back.row().unwrap()), back.link);
    let root = root_of(&back.link, back.seq - segment.first.0, segment.rows(), &back.proof.unwrap());
    assert_eq!(root, Some(segment.root));
}

#[test]
fn a_suffix_written_anew_is_found_by_what_was_signed() {
    let world = World::three();
    let mut rows = world.rows();
    forge(&mut rows, 1_550, world.id);
    // The chain alone is content.
    assert_eq!(record::verify(&Copy(rows.clone()), world.id, |_| {}).unwrap().finding, None);
    let report = verify(rows, world.id, world.lines(), &[], &[]);
    finds(1_501, Fault::NotSigned(Seq(1_601)), &report);
}

#[test]
fn whoever_has_the_key_too_is_found_by_what_was_kept_elsewhere() {
    let world = World::three();
    let anchors = world.signed();
    // The same history until row 1549, then another one with checkpoints of its own, all properly signed.
    let mut rows = world.rows();
    rows.truncate(2_312);
    let mut lines = world.lines();
    lines.truncate(1);
    let mut signed = vec![anchors[0].clone()];
    rows.iter_mut().filter(|r| r.seq.0 > 1_501).for_each(|row| {
        if row.kind == RowKind::Admin {
            row.head = b"{}"[..].into();
        }
    });
    forge(&mut rows, 1_550, world.id);
    let mut tree = Frontier::default();
    rows[1_500..1_601].iter().for_each(|row| tree.push(&row.link));
    let forged = record::Checkpoint { link: rows[1_600].link, root: tree.root(), ..anchors[1].checkpoint };
    signed.push(forged.sign(&world.signer));
    lines.push((Seq(1_601), signed[1].to_line()));
    assert_eq!(verify(rows.clone(), world.id, lines.clone(), &[], &[]).finding, None);
    let report = verify(rows, world.id, lines, &anchors, &[]);
    finds(1_501, Fault::NotAnchored(Seq(1_601)), &report);
    assert_eq!(report.signed.anchored, 1);
}

#[test]
fn a_truncated_end() {
    let world = World::three();
    let cut = |to: usize, checkpoints: usize, anchors: &[Signed]| {
        let (mut rows, mut lines) = (world.rows(), world.lines());
        rows.truncate(to);
        lines.truncate(checkpoints);
        verify(rows, world.id, lines, anchors, &[])
    };
    finds(2_001, Fault::Truncated(Seq(2_302)), &cut(2_000, 3, &[]));
    // Cut off with the checkpoint: only one that is elsewhere knows.
    assert_eq!(cut(2_000, 2, &[]).finding, None);
    finds(2_001, Fault::Truncated(Seq(2_302)), &cut(2_000, 2, &world.signed()));
    // After the last checkpoint nobody knows.
    assert_eq!(cut(2_305, 3, &world.signed()).finding, None);
}

type Change<'a> = dyn Fn(&mut Vec<(Seq, String)>) + 'a;

#[test]
fn checkpoints_that_were_changed_taken_away_or_added() {
    let world = World::three();
    let with = |change: &Change<'_>| {
        let mut lines = world.lines();
        change(&mut lines);
        verify(world.rows(), world.id, lines, &[], &[])
    };
    finds(
        1_601,
        Fault::CheckpointChanged,
        &with(&|lines| {
            lines[1].1 = lines[1].1.replace("\"at\":1794744900000", "\"at\":1794744900001");
        }),
    );
    finds(1_601, Fault::CheckpointChanged, &with(&|lines| lines[1].1 = "nonsense".into()));
    finds(1_602, Fault::CheckpointGone(Seq(1_601)), &with(&|lines| drop(lines.remove(1))));
    finds(2_303, Fault::CheckpointGone(Seq(2_302)), &with(&|lines| drop(lines.pop())));
    let other = tempfile::tempdir().unwrap();
    let stranger = Signer::open(&other.path().join("key")).unwrap();
    let resign = |lines: &mut Vec<(Seq, String)>| {
        let again = Signed::parse(&lines[1].1).unwrap().checkpoint.sign(&stranger);
        lines[1].1 = again.to_line();
    };
    finds(1_602, Fault::CheckpointGone(Seq(1_601)), &with(&resign));
    let mut lines = world.lines();
    resign(&mut lines);
    let report = verify(world.rows(), world.id, lines, &[], &[world.signer.key()]);
    finds(1_601, Fault::CheckpointKey(stranger.key()), &report);
    // One more than the acts say.
    let more = |lines: &mut Vec<(Seq, String)>| {
        let rows = world.rows();
        let mut tree = Frontier::default();
        rows[1_500..1_550].iter().for_each(|row| tree.push(&row.link));
        let (first, last) = (Seq(1_501), Seq(1_550));
        let before = Signed::parse(&lines[0].1).unwrap().checkpoint;
        let link = rows[1_549].link;
        let added =
            record::Checkpoint { first, last, link, root: tree.root(), previous: before.digest(), ..before };
        lines.insert(1, (last, added.sign(&world.signer).to_line()));
    };
    finds(1_601, Fault::CheckpointGap, &with(&more));
}

#[test]
fn nobody_signs_what_is_not_as_it_was_written() {
    let world = World::three();
    let good = world.lines()[2].1.clone();
    world.store.keep_checkpoint(Seq(2_302), "nonsense").unwrap();
    assert!(matches!(world.close(), Err(NotClosed::Checkpoint(_))));
    let changed = good.replace("\"at\":1794744900000", "\"at\":1");
    world.store.keep_checkpoint(Seq(2_302), &changed).unwrap();
    assert!(matches!(world.close(), Err(NotClosed::Finding(_))));
    let before = World::three();
    let mut ahead = before.signed()[2].checkpoint;
    ahead.last = Seq(9_999);
    before.store.keep_checkpoint(Seq(9_999), &ahead.sign(&before.signer).to_line()).unwrap();
    let fault = Fault::Truncated(Seq(9_999));
    assert_eq!(before.close(), Err(NotClosed::Finding(Finding { seq: Seq(2_314), fault })));
}

/// An older version of the program has no table for them.
#[test]
fn checkpoints_come_back_from_their_acts() {
    let world = World::three();
    let other = MemoryStore::new();
    let store = Rebuilt { rows: Copy(world.rows()), kept: other };
    assert_eq!(recover(&store), Ok(3));
    assert_eq!(store.kept.checkpoints(Seq(0), 9).unwrap(), world.lines());
    assert_eq!(recover(&store), Ok(0));
}

/// A crash between the checkpoint and its act.
#[test]
fn an_act_that_is_missing_comes_with_the_next() {
    let world = World::new();
    world.write(10);
    let made = world.close().unwrap();
    let other = World::new();
    other.write(10);
    let tree = |rows: &[Row]| {
        let mut tree = Frontier::default();
        rows.iter().for_each(|row| tree.push(&row.link));
        tree.root()
    };
    let rows = other.rows();
    let link = rows[9].link;
    let lone = record::Checkpoint { chain: other.id, link, root: tree(&rows), ..made[0].checkpoint };
    other.store.keep_checkpoint(Seq(10), &lone.sign(&other.signer).to_line()).unwrap();
    assert_eq!(verify(other.rows(), other.id, other.lines(), &[], &[]).finding, None);
    other.write(5);
    assert_eq!(other.close().unwrap().len(), 1);
    let report = verify(other.rows(), other.id, other.lines(), &[], &[]);
    assert_eq!((report.finding, report.acts, report.signed.checkpoints), (None, 2, 2));
}

/// The disk refuses the act of one checkpoint, and then that of the next: none stays without.
#[test]
fn acts_that_fail_twice_come_all_the_same() {
    let world = World::new();
    let store = Faltering { store: &world.store, refuses: AtomicBool::new(false) };
    let close = || close(&store, &world.signer, world.id.node, &Act::done("checkpoint", "server"), NOW);
    for rows in [10, 5] {
        world.write(rows);
        store.refuses.store(true, Ordering::Relaxed);
        assert!(matches!(close(), Err(NotClosed::Trouble(_))));
    }
    world.write(5);
    assert_eq!(close().unwrap().len(), 1);
    let report = verify(world.rows(), world.id, world.lines(), &[], &[]);
    assert_eq!((report.finding, report.acts, report.signed.checkpoints), (None, 2, 2));
}

/// Put back from a backup: what was written after it is lost, and the checkpoints kept elsewhere say how much.
#[test]
fn no_segment_has_rows_of_two_epochs() {
    let world = World::three();
    let (mut rows, anchors) = (world.rows(), world.signed());
    // The backup ends with row 2000; its last checkpoint is that of row 1601.
    rows.truncate(2_000);
    let later = ChainId { epoch: 77, ..world.id };
    let restore = Restore { backup: "b".into(), made: "2026-11-21T00:00:00Z".into(), head: 2_000, epoch: 77 };
    let back = World { id: later, ..World::new() };
    Act { restore: Some(restore), ..Act::done("restore", "root") }.note(&back.store, NOW).unwrap();
    let mut act = back.rows().remove(0);
    (act.seq, act.prev) = (Seq(2_001), rows[1_999].link);
    act.link = link(later, &act);
    rows.push(act);
    let store = Rebuilt { rows: Copy(rows), kept: MemoryStore::new() };
    for (last, line) in world.lines().into_iter().take(2) {
        store.kept.keep_checkpoint(last, &line).unwrap();
    }
    let made = close(&store, &world.signer, later.node, &Act::done("checkpoint", "server"), NOW);
    let spans: Vec<_> = made
        .unwrap()
        .iter()
        .map(|s| (s.checkpoint.chain.epoch, s.checkpoint.first.0, s.checkpoint.last.0))
        .collect();
    assert_eq!(spans, [(1, 1_602, 2_000), (77, 2_001, 2_001)]);
    let read = |after: Seq, limit: usize| store.kept.checkpoints(after, limit);
    let against = Against { checkpoints: Some(&read), anchors: &anchors, keys: &[], files: None };
    let report = verify_against(&store.rows, later, &against, |_| {}).unwrap();
    assert_eq!(report.signed.checkpoints, 4);
    let lost = report.signed.lost.unwrap();
    assert_eq!((lost.first, lost.last, lost.epoch), (Seq(2_001), Seq(2_302), 1));
    // Two acts of checkpoints were not put on the chain here, so only the newest may be without.
    finds(2_000, Fault::CheckpointUnnamed, &report);
    // Nor is the second kept while the disk refuses the act of the first.
    let again = Rebuilt { rows: Copy(store.rows.0.clone()), kept: MemoryStore::new() };
    let (_, line) = world.lines().remove(1);
    again.kept.keep_checkpoint(Seq(1_601), &line).unwrap();
    let full = Faltering { store: &again, refuses: AtomicBool::new(true) };
    let end = close(&full, &world.signer, later.node, &Act::done("checkpoint", "server"), NOW);
    assert!(matches!(end, Err(NotClosed::Trouble(_))));
    assert_eq!(again.kept.last_checkpoint().unwrap().unwrap().0, Seq(2_000));
}

/// Where the next act is refused.
struct Faltering<'a, S> {
    store: &'a S,
    refuses: AtomicBool,
}

impl<S: Checkpoints> Checkpoints for Faltering<'_, S> {
    fn checkpoints(&self, after: Seq, limit: usize) -> Result<Vec<(Seq, String)>, Trouble> {
        self.store.checkpoints(after, limit)
    }
    fn last_checkpoint(&self) -> Result<Option<(Seq, String)>, Trouble> {
        self.store.last_checkpoint()
    }
    fn keep_checkpoint(&self, last: Seq, line: &str) -> Result<(), Trouble> {
        self.store.keep_checkpoint(last, line)
    }
}

impl<S: Journal> Journal for Faltering<'_, S> {
    fn append(&self, draft: Draft, done: store::Done) {
        match self.refuses.swap(false, Ordering::Relaxed) {
            true => done(Err(Trouble::Full("no space".into()))),
            false => self.store.append(draft, done),
        }
    }
    fn settle(&self, settled: store::SettledRow) {
        self.store.settle(settled);
    }
    fn advance(&self, cursor: store::MailboxCursor) {
        self.store.advance(cursor);
    }
    fn waiting(&self, account: &Address, after: Seq, limit: usize) -> Result<Vec<store::Waiting>, Trouble> {
        self.store.waiting(account, after, limit)
    }
    fn pairs_waiting(&self) -> Result<Vec<Address>, Trouble> {
        self.store.pairs_waiting()
    }
    fn cursor(&self, account: &Address) -> Result<store::MailboxCursor, Trouble> {
        self.store.cursor(account)
    }
    fn rows(&self, first: Seq, limit: usize) -> Result<Vec<Row>, Trouble> {
        Journal::rows(self.store, first, limit)
    }
    fn acts(&self, limit: usize) -> Result<Vec<Row>, Trouble> {
        self.store.acts(limit)
    }
    fn head(&self) -> Seq {
        Journal::head(self.store)
    }
    fn health(&self) -> store::Health {
        self.store.health()
    }
}

/// A journal that was put back; acts go nowhere.
struct Rebuilt {
    rows: Copy,
    kept: MemoryStore,
}

impl Checkpoints for Rebuilt {
    fn checkpoints(&self, after: Seq, limit: usize) -> Result<Vec<(Seq, String)>, Trouble> {
        self.kept.checkpoints(after, limit)
    }
    fn last_checkpoint(&self) -> Result<Option<(Seq, String)>, Trouble> {
        self.kept.last_checkpoint()
    }
    fn keep_checkpoint(&self, last: Seq, line: &str) -> Result<(), Trouble> {
        self.kept.keep_checkpoint(last, line)
    }
}

impl Journal for Rebuilt {
    fn append(&self, _: Draft, done: store::Done) {
        done(Ok(Seq(0)));
    }
    fn settle(&self, _: store::SettledRow) {}
    fn advance(&self, _: store::MailboxCursor) {}
    fn waiting(&self, _: &Address, _: Seq, _: usize) -> Result<Vec<store::Waiting>, Trouble> {
        Ok(Vec::new())
    }
    fn pairs_waiting(&self) -> Result<Vec<Address>, Trouble> {
        Ok(Vec::new())
    }
    fn cursor(&self, account: &Address) -> Result<store::MailboxCursor, Trouble> {
        self.kept.cursor(account)
    }
    fn rows(&self, first: Seq, limit: usize) -> Result<Vec<Row>, Trouble> {
        self.rows.rows(first, limit)
    }
    fn acts(&self, _: usize) -> Result<Vec<Row>, Trouble> {
        Ok(self.rows.0.iter().filter(|row| row.kind == RowKind::Admin).cloned().collect())
    }
    fn head(&self) -> Seq {
        self.rows.0.last().map_or(Seq(0), |row| row.seq)
    }
    fn health(&self) -> store::Health {
        store::Health::default()
    }
}

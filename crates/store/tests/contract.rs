//! What every store must do: one suite, run over each backend.

use bytes::Bytes;
use model::codec::decode_outcomes;
use model::{Address, Credential, LeaseKey, Outcome, Scheme, Seq, Timestamp};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use store::{
    Accounts, Authorization, Authorizations, Blank, Consent, Done, Draft, Erase, FileState, Journal, Lease,
    Leases, MailboxCursor, MemoryStore, Options, Partners, RosterEntry, Rosters, RowKind, SealedPasswords,
    Settings, SettledRow, Shelf, SqliteStore, StoredFile, Trouble, Uploads,
};

trait Whole:
    Journal
    + Erase
    + Accounts
    + Rosters
    + Authorizations
    + Settings
    + SealedPasswords
    + Leases
    + Partners
    + Uploads
{
}
impl<
    T: Journal
        + Erase
        + Accounts
        + Rosters
        + Authorizations
        + Settings
        + SealedPasswords
        + Leases
        + Partners
        + Uploads,
> Whole for T
{
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

/// 15 November 2026, noon.
const NOON: u64 = 1_794_744_000_000;

fn draft(from: &str, to: &str, n: u64) -> Draft {
    Draft {
        kind: RowKind::Envelope,
        at: Timestamp(NOON + n),
        mailbox: Some(address(to)),
        parties: (address(from), address(to)),
        head: format!("head {n}").into_bytes(),
        body: format!("body {n}").into_bytes(),
    }
}

fn append(store: &dyn Journal, draft: Draft) -> Result<Seq, Trouble> {
    let (tell, hear) = channel();
    store.append(draft, Box::new(move |end| tell.send(end).unwrap()));
    hear.recv_timeout(Duration::from_secs(20)).unwrap()
}

fn seqs(store: &dyn Journal, account: &str, after: u64, limit: usize) -> Vec<u64> {
    store.waiting(&address(account), Seq(after), limit).unwrap().iter().map(|w| w.seq.0).collect()
}

fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !check() {
        assert!(Instant::now() < end, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn each(test: impl Fn(&dyn Whole)) {
    test(&MemoryStore::new());
    let dir = tempfile::tempdir().unwrap();
    test(&open(&dir));
}

fn open(dir: &tempfile::TempDir) -> SqliteStore {
    SqliteStore::open(&dir.path().join("rialto.db"), Box::new(Blank), Options::default()).unwrap()
}

#[test]
fn rows_are_numbered_linked_and_counted() {
    each(|store| {
        assert_eq!(store.head(), Seq(0));
        for (n, (from, to)) in
            [("a@x", "b@x"), ("b@x", "a@x"), ("a@x", "c@x"), ("a@x", "b@x"), ("a@x", "a@x")]
                .into_iter()
                .enumerate()
        {
            assert_eq!(append(store, draft(from, to, n as u64)), Ok(Seq(n as u64 + 1)));
        }
        let rows = Journal::rows(store, Seq(1), 100).unwrap();
        assert_eq!(rows.len(), 5);
        assert_eq!(store.head(), Seq(5));
        assert_eq!(rows[0].prev, [0; 32]);
        for pair in rows.windows(2) {
            assert_eq!(pair[1].prev, pair[0].link);
            assert_eq!(pair[1].seq.0, pair[0].seq.0 + 1);
        }
        let places: Vec<_> = rows.iter().map(|r| (r.conversation, r.conversation_seq)).collect();
        assert_eq!(places, [(1, 1), (1, 2), (2, 1), (1, 3), (3, 1)]);
        assert_eq!(rows[3].conversation_prev, rows[1].link);
        assert_eq!(rows[2].conversation_prev, [0; 32]);
        assert_eq!((&rows[4].head[..], rows[4].body.as_deref()), (&b"head 4"[..], Some(&b"body 4"[..])));
        assert_eq!(rows[4].at, Timestamp(NOON + 4));
        assert_eq!(Journal::rows(store, Seq(4), 1).unwrap()[0].seq, Seq(4));
        assert!(Journal::rows(store, Seq(6), 10).unwrap().is_empty());
    });
}

#[test]
fn callbacks_come_in_order_and_may_append() {
    each(|store| {
        let heard = Arc::new(Mutex::new(Vec::new()));
        for n in 0..3_000 {
            let heard = heard.clone();
            let done: Done = Box::new(move |end| heard.lock().unwrap().push(end.unwrap().0));
            store.append(draft("a@x", "b@x", n), done);
        }
        eventually("the last callback", || heard.lock().unwrap().len() == 3_000);
        assert!(heard.lock().unwrap().iter().copied().eq(1..=3_000));
    });
}

#[test]
fn a_panicking_callback_stops_nobody() {
    each(|store| {
        store.append(draft("a@x", "b@x", 1), Box::new(|_| panic!("somebody's bug (expected in this test)")));
        assert_eq!(append(store, draft("a@x", "b@x", 2)), Ok(Seq(2)));
    });
}

#[test]
fn mailboxes_show_what_their_cursor_does_not_name() {
    each(|store| {
        for n in 0..10 {
            append(store, draft("a@x", if n % 2 == 0 { "b@x" } else { "c@x" }, n)).unwrap();
        }
        let mut refused = draft("a@x", "b@x", 10);
        refused.mailbox = None;
        append(store, refused).unwrap();
        assert_eq!(seqs(store, "b@x", 0, 100), [1, 3, 5, 7, 9]);
        assert_eq!(seqs(store, "b@x", 3, 2), [5, 7]);
        assert_eq!(seqs(store, "nobody@x", 0, 100), [0u64; 0]);
        assert_eq!(store.cursor(&address("b@x")).unwrap().low, Seq(0));

        let cursor = MailboxCursor { account: address("b@x"), low: Seq(3), above: vec![Seq(7)] };
        store.advance(cursor.clone());
        assert_eq!(store.cursor(&address("b@x")).unwrap(), cursor);
        assert_eq!(seqs(store, "b@x", 0, 100), [5, 9]);
        append(store, draft("a@x", "b@x", 11)).unwrap();
        assert_eq!(store.cursor(&address("b@x")).unwrap(), cursor);
        assert_eq!(seqs(store, "b@x", 0, 100), [5, 9, 12]);
        let waiting = store.waiting(&address("b@x"), Seq(9), 10).unwrap();
        assert_eq!(waiting[0].head, Bytes::from("head 11"));
        assert_eq!(waiting[0].body, Some(Bytes::from("body 11")));
    });
}

#[test]
fn outcomes_become_rows() {
    each(|store| {
        append(store, draft("a@x", "b@x", 1)).unwrap();
        append(store, draft("a@x", "b@x", 2)).unwrap();
        for n in 1..=2 {
            store.settle(SettledRow { seq: Seq(n), outcome: Outcome::Delivered, losses: vec![] });
        }
        let mut named = Vec::new();
        eventually("the outcomes row", || {
            named.clear();
            for row in Journal::rows(store, Seq(3), 10).unwrap() {
                assert_eq!((row.kind, row.conversation, row.conversation_seq), (RowKind::Outcomes, 0, 0));
                named.extend(decode_outcomes(&row.head).unwrap().iter().map(|s| s.seq.0));
            }
            named.len() == 2
        });
        assert_eq!(named, [1, 2]);
        assert_eq!(seqs(store, "b@x", 0, 9), [1, 2]);
    });
}

#[test]
fn erased_content_is_gone_and_the_row_stays() {
    each(|store| {
        append(store, draft("a@x", "b@x", 1)).unwrap();
        assert_eq!(store.erase(Seq(1)), Ok(true));
        assert_eq!(store.erase(Seq(1)), Ok(false));
        assert_eq!(store.erase(Seq(9)), Ok(false));
        let row = Journal::rows(store, Seq(1), 1).unwrap().remove(0);
        assert!(row.body.is_none() && row.salt.is_none() && !row.head.is_empty());
        assert_eq!(store.waiting(&address("b@x"), Seq(0), 1).unwrap()[0].body, None);
    });
}

#[test]
fn accounts_come_and_go_with_what_is_theirs() {
    each(|store| {
        let (romeo, juliet) = (address("romeo@x"), address("juliet@x"));
        let scram = Credential::Scram {
            salt: Bytes::from_static(b"salt"),
            iterations: 4096,
            stored_key: Bytes::from_static(b"stored"),
            server_key: Bytes::from_static(b"server"),
        };
        let ha1 = Credential::Ha1(Bytes::from_static(b"0123"));
        let keys = [(Scheme::ScramSha1, scram.clone()), (Scheme::DigestMd5, ha1.clone())];
        assert_eq!(store.create(&romeo, &keys), Ok(true));
        assert_eq!(store.create(&romeo, &[]), Ok(false));
        assert_eq!(store.create(&juliet, &keys[..1]), Ok(true));
        assert_eq!(store.exists(&romeo), Ok(true));
        assert!(store.credential(&romeo, Scheme::ScramSha1).unwrap() == Some(scram));
        assert!(store.credential(&romeo, Scheme::DigestMd5).unwrap() == Some(ha1.clone()));
        assert!(store.credential(&romeo, Scheme::ScramSha256).unwrap().is_none());
        assert_eq!(store.set_credentials(&romeo, &[(Scheme::DigestSha256, ha1.clone())]), Ok(true));
        assert!(store.credential(&romeo, Scheme::ScramSha1).unwrap().is_none());
        assert_eq!(store.set_credentials(&address("x@x"), &[]), Ok(false));
        assert_eq!(store.list(None, 10), Ok(vec![juliet.clone(), romeo.clone()]));
        assert_eq!(store.list(Some(&juliet), 10), Ok(vec![romeo.clone()]));
        assert_eq!(store.list(None, 1), Ok(vec![juliet.clone()]));

        store.put(&romeo, &RosterEntry { contact: juliet.clone(), name: None, groups: vec![] }).unwrap();
        let consent = |presentity: &Address, watcher: &Address| Authorization {
            presentity: presentity.clone(),
            watcher: watcher.clone(),
            consent: Consent::Granted,
            note: None,
        };
        store.set(&consent(&romeo, &juliet)).unwrap();
        store.set(&consent(&juliet, &romeo)).unwrap();
        store.set_sealed(&romeo, "aim", Some(b"box")).unwrap();
        store.keep(lease("one", "romeo@x", b"s", 9));
        store.keep(lease("two", "juliet@x", b"s", 9));
        append(store, draft("a@x", "romeo@x", 1)).unwrap();
        assert_eq!(store.remove(&romeo), Ok(true));
        assert_eq!(store.remove(&romeo), Ok(false));
        assert_eq!(store.exists(&romeo), Ok(false));
        assert!(store.credential(&romeo, Scheme::DigestSha256).unwrap().is_none());
        assert!(store.entries(&romeo).unwrap().is_empty());
        assert!(
            store.of_watcher(&romeo).unwrap().is_empty() && store.of_presentity(&romeo).unwrap().is_empty()
        );
        assert_eq!(store.sealed(&romeo, "aim"), Ok(None));
        assert_eq!(store.lasting(Timestamp(0)), Ok(vec![lease("two", "juliet@x", b"s", 9)]));
        // A successor of the same name does not inherit the mail.
        assert_eq!(store.create(&romeo, &keys), Ok(true));
        assert_eq!(seqs(store, "romeo@x", 0, 10), [0u64; 0]);
        assert_eq!(Journal::rows(store, Seq(1), 9).unwrap().len(), 1);
    });
}

#[test]
fn rosters_keep_names_and_groups() {
    each(|store| {
        let owner = address("romeo@x");
        let entry = |contact: &str, groups: &[&str]| RosterEntry {
            contact: address(contact),
            name: Some("Näme".into()),
            groups: groups.iter().map(|&g| g.into()).collect(),
        };
        store.put(&owner, &entry("b@x", &["one", "", "tw\u{1f}o"])).unwrap();
        store.put(&owner, &entry("a@x", &[])).unwrap();
        store.put(&owner, &entry("b@x", &["three", "four"])).unwrap();
        assert_eq!(store.entries(&owner).unwrap(), [entry("a@x", &[]), entry("b@x", &["three", "four"])]);
        assert_eq!(store.delete(&owner, &address("a@x")), Ok(true));
        assert_eq!(store.delete(&owner, &address("a@x")), Ok(false));
        store.put(&owner, &entry("b@x", &["", "tw\u{1f}o"])).unwrap();
        assert_eq!(store.entries(&owner).unwrap(), [entry("b@x", &["", "tw\u{1f}o"])]);
    });
}

#[test]
fn consent_is_found_from_both_sides() {
    each(|store| {
        let make = |presentity: &str, watcher: &str, consent| Authorization {
            presentity: address(presentity),
            watcher: address(watcher),
            consent,
            note: Some("please".into()),
        };
        let (one, two) = (make("j@x", "r@x", Consent::Pending), make("j@x", "s@x", Consent::PreApproved));
        store.set(&one).unwrap();
        store.set(&two).unwrap();
        assert_eq!(store.get(&one.presentity, &one.watcher).unwrap(), Some(one.clone()));
        assert_eq!(store.get(&one.watcher, &one.presentity).unwrap(), None);
        assert_eq!(store.of_presentity(&one.presentity).unwrap(), [one.clone(), two.clone()]);
        assert_eq!(store.of_watcher(&two.watcher).unwrap(), std::slice::from_ref(&two));
        let granted = Authorization { consent: Consent::Granted, note: None, ..one.clone() };
        store.set(&granted).unwrap();
        assert_eq!(store.of_watcher(&one.watcher).unwrap(), [granted]);
        assert_eq!(store.clear(&one.presentity, &one.watcher), Ok(true));
        assert_eq!(store.clear(&one.presentity, &one.watcher), Ok(false));
    });
}

#[test]
fn settings_and_sealed_passwords() {
    each(|store| {
        assert_eq!(store.value("k"), Ok(None));
        store.set_value("k", b"1").unwrap();
        store.set_value("k", b"2").unwrap();
        assert_eq!(store.value("k"), Ok(Some(b"2".to_vec())));
        let me = address("romeo@x");
        store.set_sealed(&me, "aim", Some(b"one")).unwrap();
        store.set_sealed(&me, "aim", Some(b"two")).unwrap();
        assert_eq!(store.sealed(&me, "aim"), Ok(Some(b"two".to_vec())));
        store.set_sealed(&me, "aim", None).unwrap();
        assert_eq!(store.sealed(&me, "aim"), Ok(None));
    });
}

fn lease(key: &str, owner: &str, state: &'static [u8], until: u64) -> Lease {
    let state = Bytes::from_static(state);
    Lease { key: LeaseKey::new(key), owner: address(owner), state, until: Timestamp(until) }
}

#[test]
fn leases_last_until_they_lapse_or_end() {
    each(|store| {
        for n in 0..2 {
            store.keep(lease("a", "romeo@x", b"old", 100));
            store.keep(lease("a", "romeo@x", b"new", 300));
            store.keep(lease("b", "romeo@x", b"b", 200));
            store.keep(lease("c", "juliet@x", b"", 300));
            store.forget(&LeaseKey::new("c"));
            store.forget(&LeaseKey::new("nothing"));
            if n == 1 {
                // With a row's commit they are on disk, and are found there as well.
                append(store, draft("a@x", "b@x", 1)).unwrap();
            }
            let both = vec![lease("a", "romeo@x", b"new", 300), lease("b", "romeo@x", b"b", 200)];
            let mut found = store.lasting(Timestamp(199)).unwrap();
            found.sort_by(|a, b| a.key.cmp(&b.key));
            assert_eq!(found, both);
            assert_eq!(store.lasting(Timestamp(200)), Ok(vec![both[0].clone()]));
        }
    });
}

#[test]
fn agreements_are_documents_by_kind_and_name() {
    each(|store| {
        let names = |shelf| -> Vec<String> {
            store.documents(shelf).unwrap().into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(store.document(Shelf::Partner, "acme"), Ok(None));
        store.put_document(Shelf::Partner, "zeta", b"z").unwrap();
        assert_eq!(store.add_document(Shelf::Partner, "acme", b"a"), Ok(true));
        assert_eq!(store.add_document(Shelf::Partner, "acme", b"another"), Ok(false));
        assert_eq!(
            store.add_document(Shelf::Group, "acme", b"g"),
            Ok(true),
            "another kind, another document"
        );
        assert_eq!(store.document(Shelf::Partner, "acme"), Ok(Some(b"a".to_vec())));
        store.put_document(Shelf::Partner, "acme", b"b").unwrap();
        assert_eq!(store.document(Shelf::Partner, "acme"), Ok(Some(b"b".to_vec())));
        assert_eq!(
            (names(Shelf::Partner), names(Shelf::Group)),
            (vec!["acme".into(), "zeta".into()], vec!["acme".into()])
        );
        assert_eq!(store.remove_document(Shelf::Partner, "acme"), Ok(true));
        assert_eq!(store.remove_document(Shelf::Partner, "acme"), Ok(false));
        assert_eq!((names(Shelf::Partner), names(Shelf::Group)), (vec!["zeta".into()], vec!["acme".into()]));
    });
}

#[test]
fn uploaded_files_are_found_by_state_time_owner_and_content() {
    each(|store| {
        let file = |id: &str, owner: &str, hash: u8, at: u64, state: FileState| StoredFile {
            id: id.into(),
            secret: "s".into(),
            owner: address(owner),
            hash: [hash; 32],
            size: 10,
            name: "cat.jpg".into(),
            mime: "image/jpeg".into(),
            at: Timestamp(at),
            state,
            why: String::new(),
        };
        let ids = |files: Vec<StoredFile>| files.into_iter().map(|f| f.id).collect::<Vec<_>>();
        let (a, b) =
            (file("a", "r@x", 1, 100, FileState::Waiting), file("b", "r@x", 1, 200, FileState::Clean));
        let c = file("c", "j@x", 2, 300, FileState::Malware);
        for one in [&a, &b, &c] {
            assert_eq!(store.add_file(one), Ok(true));
            assert_eq!(store.add_file(one), Ok(false));
        }
        assert_eq!((store.file("b"), store.file("d")), (Ok(Some(b)), Ok(None)));
        assert_eq!(ids(store.files(&FileState::ALL, 2).unwrap()), ["c", "b"]);
        assert_eq!(ids(store.files(&[FileState::Waiting], 9).unwrap()), ["a"]);
        assert_eq!(ids(store.files_before(Timestamp(300), 0, 9).unwrap()), ["a", "b"]);
        assert_eq!(ids(store.files_before(Timestamp(300), 1, 9).unwrap()), ["b"]);
        assert_eq!(store.uploaded_since(&address("r@x"), Timestamp(100)), Ok((20, Some(Timestamp(100)))));
        assert_eq!(store.uploaded_since(&address("r@x"), Timestamp(101)), Ok((10, Some(Timestamp(200)))));
        assert_eq!(store.uploaded_since(&address("r@x"), Timestamp(201)), Ok((0, None)));
        assert_eq!((store.wants_content(&[1; 32]), store.wants_content(&[2; 32])), (Ok(true), Ok(false)));
        // Only from the state that was seen.
        assert_eq!(store.set_file_state("a", FileState::Held, FileState::Clean, ""), Ok(false));
        assert_eq!(store.set_file_state("a", FileState::Waiting, FileState::Refused, "why"), Ok(true));
        let changed = StoredFile { state: FileState::Refused, why: "why".into(), ..a };
        assert_eq!(store.file("a"), Ok(Some(changed)));
        assert_eq!((store.remove_file("b"), store.remove_file("b")), (Ok(true), Ok(false)));
        assert_eq!(store.wants_content(&[1; 32]), Ok(false));
    });
}

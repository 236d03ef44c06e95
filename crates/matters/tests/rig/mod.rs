//! A store with a chain, people in groups and of partners, and rows of theirs.

use matters::{Copies, Destroyer, Done, Facts, Matters, RuleSet, Rules};
use model::codec::{encode_body, encode_head};
use model::{
    Address, Authorize, Decision, Dialect, Envelope, EnvelopeId, Event, Judgement, MAX_HOPS, Message, Origin,
    Part, Security, Seq, Timestamp, Vouch,
};
use parking_lot::Mutex;
use policy::{Belonging, Society};
use record::{Act, Chain, ChainId, FileAct, Ranges, Report, Rule, Signer, verify};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use store::{CHAIN_SETTING, Draft, Journal, Options, RowKind, Settings, SqliteStore};

pub const DAY: u64 = 86_400_000;
pub const START: u64 = 1_794_744_000_000;

pub fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

/// Whoever's name begins with `t` trades; `*.example.net` is the partner net.
pub struct People;

impl Society for People {
    fn belonging(&self, who: &Address) -> Belonging {
        let trades = who.user().is_some_and(|user| user.starts_with('t'));
        Belonging {
            local: who.domain() == "example.com",
            partner: who.domain().ends_with("example.net").then(|| "net".into()),
            groups: trades.then(|| "traders".into()).into_iter().collect(),
        }
    }

    fn has_group(&self, name: &str) -> bool {
        name == "traders"
    }

    fn has_partner(&self, name: &str) -> bool {
        name == "net"
    }
}

/// Notes what it was told to forget, or refuses.
#[derive(Default)]
pub struct Notes {
    pub rows: Mutex<Ranges>,
    pub files: Mutex<Vec<String>>,
    pub refuses: Mutex<bool>,
    /// How often it was told of rows.
    pub told: Mutex<usize>,
    /// Called before rows are forgotten.
    pub before: Mutex<Option<Box<dyn Fn() + Send>>>,
}

impl Copies for Notes {
    fn forget(&self, rows: &Ranges, files: &[String]) -> Result<(), String> {
        if *self.refuses.lock() {
            return Err("not now".into());
        }
        if !rows.is_empty() {
            *self.told.lock() += 1;
            self.before.lock().iter().for_each(|before| before());
        }
        self.rows.lock().join(rows);
        self.files.lock().extend_from_slice(files);
        Ok(())
    }

    fn naming(&self, _: &str) -> Result<Vec<Facts>, String> {
        Ok(Vec::new())
    }

    fn pause(&self) {}
}

pub struct Rig {
    pub store: Arc<SqliteStore>,
    pub matters: Arc<Matters>,
    pub rules: Rules,
    pub notes: Notes,
    pub signer: Signer,
    pub path: PathBuf,
    _dir: tempfile::TempDir,
}

impl Rig {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rialto.db");
        let chain = Box::new(Chain::new().unwrap());
        let store = Arc::new(SqliteStore::open(&path, chain, Options::default()).unwrap());
        let matters = Arc::new(Matters::open(store.clone(), Arc::new(People)).unwrap());
        let rules = Rules::open(store.clone()).unwrap();
        let signer = Signer::open(&dir.path().join("checkpoint.key")).unwrap();
        Self { store, matters, rules, notes: Notes::default(), signer, path, _dir: dir }
    }

    pub fn say(&self, day: u64, from: &str, to: &str, text: &str) -> Seq {
        self.put(
            day,
            from,
            to,
            Event::Message(Message {
                parts: vec![Part::text(text.to_owned(), None)],
                lasting: true,
                ..Message::default()
            }),
            None,
        )
    }

    pub fn allow(&self, day: u64, from: &str, to: &str) -> Seq {
        self.put(
            day,
            from,
            to,
            Event::Authorize(Authorize { decision: Decision::Granted, original: None }),
            None,
        )
    }

    pub fn put(&self, day: u64, from: &str, to: &str, event: Event, mailbox: Option<&str>) -> Seq {
        let (tell, hear) = sync_channel(1);
        let draft = self.draft(day, from, to, event, mailbox);
        self.store.append(draft, Box::new(move |end| tell.send(end).unwrap()));
        hear.recv().unwrap().unwrap()
    }

    /// What another server kept since a day before.
    pub fn import(&self, said: u64, day: u64, from: &str, to: &str) -> Seq {
        let (tell, hear) = sync_channel(1);
        let event = Event::Message(Message {
            parts: vec![Part::text("old", None)],
            lasting: true,
            ..Message::default()
        });
        let envelope = self.envelope(said, from, to, event);
        let judged = Judgement { imported: Some("prosody".into()), ..Judgement::default() };
        let draft = self.row(&envelope, day, &judged, None);
        self.store.append(draft, Box::new(move |end| tell.send(end).unwrap()));
        hear.recv().unwrap().unwrap()
    }

    /// Many messages from ann to bob.
    pub fn fill(&self, day: u64, count: usize) {
        let (tell, hear) = sync_channel(count);
        let text = |n| Message {
            parts: vec![Part::text(format!("text {n}"), None)],
            lasting: true,
            ..Message::default()
        };
        for n in 0..count {
            let tell = tell.clone();
            let event = Event::Message(text(n));
            let draft = self.draft(day, "ann@example.com", "bob@example.com", event, None);
            self.store.append(draft, Box::new(move |end| tell.send(end).unwrap()));
        }
        hear.iter().take(count).for_each(|end| assert!(end.is_ok()));
    }

    fn draft(&self, day: u64, from: &str, to: &str, event: Event, mailbox: Option<&str>) -> Draft {
        self.row(&self.envelope(day, from, to, event), day, &Judgement::default(), mailbox)
    }

    fn envelope(&self, day: u64, from: &str, to: &str, event: Event) -> Envelope {
        Envelope {
            id: EnvelopeId(u128::from(self.store.head().0)),
            at: Timestamp(START + day * DAY),
            origin: Origin {
                dialect: Dialect::Xmpp,
                security: Security::Tls,
                vouch: Vouch::Account(address(from)),
            },
            from: address(from).into(),
            to: address(to).into(),
            hops: MAX_HOPS,
            event,
        }
    }

    fn row(&self, envelope: &Envelope, day: u64, judged: &Judgement, mailbox: Option<&str>) -> Draft {
        Draft {
            kind: RowKind::Envelope,
            at: Timestamp(START + day * DAY),
            mailbox: mailbox.map(address),
            parties: (envelope.from.address.clone(), envelope.to.address.clone()),
            head: encode_head(envelope, judged),
            body: encode_body(envelope),
        }
    }

    pub fn upload(&self, day: u64, owner: &str, id: &str) -> Seq {
        let file = FileAct {
            id: id.into(),
            sha256: "00".repeat(32),
            size: 5,
            mime: "text/plain".into(),
            verdict: "clean".into(),
            owner: Some(owner.into()),
        };
        let act = Act { file: Some(file), ..Act::done("upload", owner) };
        act.note_with(self.store.as_ref(), Timestamp(START + day * DAY), b"plans.txt".to_vec()).unwrap()
    }

    pub fn at(&self, day: u64) -> Timestamp {
        Timestamp(START + day * DAY)
    }

    pub fn chain(&self) -> ChainId {
        ChainId::from_bytes(&self.store.value(CHAIN_SETTING).unwrap().unwrap()).unwrap()
    }

    pub fn set(&self, text: &str, general: Rule) -> RuleSet {
        self.rules.set(text, &People, "test", self.at(0)).unwrap();
        self.rules.in_force(general).unwrap()
    }

    pub fn destroyer(&self, day: u64) -> Destroyer<'_, SqliteStore> {
        Destroyer {
            store: &self.store,
            chain: self.chain(),
            matters: &self.matters,
            by: Act::done("retention", "server"),
            signer: &self.signer,
            copies: &self.notes,
            now: self.at(day),
        }
    }

    pub fn run(&self, rules: &RuleSet, day: u64) -> Done {
        self.destroyer(day).run(rules, b"").unwrap()
    }

    pub fn report(&self) -> Report {
        verify(self.store.as_ref(), self.chain(), |_| {}).unwrap()
    }

    /// Rows that have lost their content.
    pub fn bare(&self) -> Ranges {
        let rows = Journal::rows(self.store.as_ref(), Seq(1), usize::MAX >> 1).unwrap();
        rows.iter().filter(|row| row.salt.is_none()).map(|row| row.seq.0).collect()
    }
}

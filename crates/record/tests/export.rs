//! The stand-alone verifier, on exports that are as they were signed, and on others.

mod world;

use record::{Act, Destruction, Evidence, Paths, Retention, body_digest, hex, link};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use store::Row;
use tempfile::TempDir;
use world::{NOW, World, forge};

/// An export that may be tampered with, and then signed or not.
struct Export {
    dir: TempDir,
    world: World,
    rows: Vec<Evidence>,
    checkpoints: Vec<String>,
    claim: &'static str,
    /// What the manifest says of them.
    says: Option<(usize, u64, u64)>,
    more: BTreeMap<String, Vec<u8>>,
    /// Rows whose content is withheld.
    withheld: Option<&'static str>,
}

impl Export {
    /// All rows that are closed.
    fn whole() -> Self {
        let world = World::three();
        let rows = world.rows().iter().take(2_302).map(|row| Evidence::new(world.id, row)).collect();
        Self::of(world, rows, "rows")
    }

    /// The rows of one conversation, each with its path.
    fn conversation() -> Self {
        let world = World::three();
        let all = world.rows();
        let wanted: Vec<Row> =
            all.iter().filter(|r| r.conversation == 2 && r.seq.0 <= 2_302).cloned().collect();
        let mut rows = Vec::new();
        for segment in world.signed().iter().map(|signed| signed.checkpoint) {
            let inside = |row: &&Row| (segment.first..=segment.last).contains(&row.seq);
            let index = |row: &Row| row.seq.0 - segment.first.0;
            let mut paths = Paths::new(wanted.iter().filter(inside).map(index).collect());
            all.iter().filter(inside).for_each(|row| paths.push(&row.link));
            for row in wanted.iter().filter(inside) {
                rows.push(Evidence::new(world.id, row).proved(paths.path(index(row)).expect("wanted")));
            }
        }
        Self::of(world, rows, "conversations")
    }

    fn of(world: World, rows: Vec<Evidence>, claim: &'static str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let checkpoints = world.signed().iter().map(record::Signed::to_line).collect();
        let content = b"what somebody sent".to_vec();
        let name = format!("blobs/{}", hex(&Sha256::digest(&content)));
        let more = BTreeMap::from([(name, content), ("read/a.txt".to_owned(), b"readable".to_vec())]);
        Self { dir, world, rows, checkpoints, claim, says: None, more, withheld: Some("") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, content: &[u8]) -> (String, Value) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("inside")).expect("a directory");
        std::fs::write(path, content).expect("written");
        (name.to_owned(), json!({ "sha256": hex(&Sha256::digest(content)), "size": content.len() }))
    }

    /// Writes it, with a manifest that is signed.
    fn seal(&self) {
        let lines = |all: Vec<String>| all.iter().map(|line| format!("{line}\n")).collect::<String>();
        let rows = lines(self.rows.iter().map(Evidence::to_line).collect());
        let mut files = BTreeMap::from([
            self.write("rows.jsonl", rows.as_bytes()),
            self.write("checkpoints.jsonl", lines(self.checkpoints.clone()).as_bytes()),
        ]);
        files.extend(self.more.iter().map(|(name, content)| self.write(name, content)));
        let ends = (self.rows.first().map_or(0, |r| r.seq), self.rows.last().map_or(0, |r| r.seq));
        let (count, first, last) = self.says.unwrap_or((self.rows.len(), ends.0, ends.1));
        let mut manifest = json!({
            "format": "RialtoX1", "node": hex(&self.world.id.node), "made": "2026-11-22T00:00:00Z",
            "claim": self.claim, "rows": count, "first": first, "last": last,
            "key": hex(&self.world.signer.key()), "files": files, "asked": "something",
        });
        if let Some(withheld) = self.withheld {
            manifest["withheld"] = withheld.into();
        }
        self.sign(manifest.to_string().as_bytes());
    }

    fn sign(&self, manifest: &[u8]) {
        self.write("manifest.json", manifest);
        let signed = [b"RialtoX1", &Sha256::digest(manifest)[..]].concat();
        let signature = format!("{}\n", hex(&self.world.signer.sign(&signed)));
        self.write("manifest.sig", signature.as_bytes());
    }

    /// What the verifier says, and its status.
    fn verify(&self, key: &[u8; 32]) -> (i32, String) {
        self.verify_with(&["--key", &hex(key)])
    }

    fn verify_with(&self, keys: &[&str]) -> (i32, String) {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("verifier/verify.py");
        let mut run = Command::new("python3");
        run.arg("-B").arg(program).arg(self.dir.path()).arg("--quiet").args(keys);
        let done = run.output().expect("python3 is there");
        let said = String::from_utf8([done.stdout, done.stderr].concat()).expect("text");
        (done.status.code().expect("it ends"), said)
    }

    #[track_caller]
    fn is_good(&self) -> String {
        let (status, said) = self.verify(&self.world.signer.key());
        assert_eq!(status, 0, "{said}");
        assert!(said.ends_with("verified: everything is as it was signed\n"), "{said}");
        said
    }

    #[track_caller]
    fn finds(&self, what: &str) {
        let (status, said) = self.verify(&self.world.signer.key());
        let first = said.lines().next().unwrap_or_default();
        assert!(status == 1 && first == format!("NOT AS IT WAS SIGNED: {what}"), "{said}");
    }

    /// A finding in an export whose maker signed it all the same.
    #[track_caller]
    fn tampered(mut self, what: &str, tamper: impl FnOnce(&mut Self)) {
        let ends = (self.rows[0].seq, self.rows[self.rows.len() - 1].seq);
        self.says = Some((self.rows.len(), ends.0, ends.1));
        tamper(&mut self);
        self.seal();
        self.finds(what);
    }
}

/// As somebody does who knows how.
fn reseal(export: &mut Export, at: usize) {
    let (id, row) = (export.world.id, &mut export.rows[at]);
    if let (Some(salt), Some(body)) = (&row.salt, &row.body) {
        row.digest = body_digest(salt, body);
    }
    row.link = link(id, &row.row().expect("a kind"));
}

#[test]
fn what_is_as_it_was_signed() {
    let mut whole = Export::whole();
    whole.seal();
    let said = whole.is_good();
    assert!(said.contains("2302 rows") && said.contains("every row from 1 to 2302 is here"), "{said}");
    assert!(said.contains("as expected"), "{said}");
    // Content that is withheld; and as exports were before they said so.
    whole.rows[7] = whole.rows[7].clone().withheld();
    whole.withheld = Some("8");
    whole.seal();
    assert!(whole.is_good().contains("1 rows are without content: it is withheld"));
    whole.withheld = None;
    whole.seal();
    assert!(whole.is_good().contains("1 rows are without content, and this export is too old to say why"));
    let conversation = Export::conversation();
    conversation.seal();
    assert!(conversation.is_good().contains("no row is missing between the first and the last of each"));
    // Single rows, each with its path, and without what lies between.
    let mut few = Export::conversation();
    few.rows = few.rows.into_iter().step_by(7).collect();
    few.claim = "selection";
    few.seal();
    few.is_good();
    // One whole segment without paths, and its checkpoint alone.
    let mut segment = Export::whole();
    segment.rows = segment.rows[1_500..1_601].to_vec();
    segment.checkpoints = vec![segment.checkpoints[1].clone()];
    segment.seal();
    segment.is_good();
}

impl Export {
    /// Rows 8 and 1300 to 1302 are without content, and an act that comes after them all says so: in `acts.jsonl`.
    fn destroyed(act: impl FnOnce(&World) -> Act) -> Self {
        Self::destroyed_by(|world| vec![act(world)])
    }

    /// Several acts say so.
    fn destroyed_by(acts: impl FnOnce(&World) -> Vec<Act>) -> Self {
        let world = World::three();
        for act in acts(&world) {
            act.note(&world.store, NOW).expect("noted");
        }
        world.write(3);
        world.close().expect("closed");
        let rows = world.rows();
        let evidence = rows.iter().take(2_302).map(|row| match row.seq.0 {
            8 | 1_300..=1_302 => Evidence::new(world.id, row).withheld(),
            _ => Evidence::new(world.id, row),
        });
        let evidence = evidence.collect();
        let last = world.signed()[3].checkpoint;
        let is_act = |row: &&Row| Act::read(row).is_some_and(|act| act.act == "retention");
        let acts: Vec<&Row> = rows.iter().filter(is_act).collect();
        let index = |row: &Row| row.seq.0 - last.first.0;
        let mut paths = Paths::new(acts.iter().map(|act| index(act)).collect());
        rows.iter()
            .filter(|row| row.seq >= last.first && row.seq <= last.last)
            .for_each(|r| paths.push(&r.link));
        let line = |act: &Row| {
            Evidence::new(world.id, act).proved(paths.path(index(act)).expect("wanted")).to_line() + "\n"
        };
        let line: String = acts.iter().map(|act| line(act)).collect();
        let mut export = Self::of(world, evidence, "rows");
        export.more.insert("acts.jsonl".into(), line.into());
        export
    }
}

/// As before there were signatures, or as somebody adds it who has no key.
fn unsigned(rows: &str) -> Act {
    let gone = Destruction { rule: "90 days".into(), rows: rows.into(), count: 4, ..Destruction::default() };
    Act { destruction: Some(gone), ..Act::done("retention", "server") }
}

/// An act as the server writes it.
fn destruction(world: &World, rows: &str) -> Act {
    let gone = Destruction { rule: "90 days".into(), rows: rows.into(), count: 4, ..Destruction::default() };
    let destruction = Some(gone.sign(&world.signer, world.id, NOW));
    Act { destruction, ..Act::done("retention", "server") }
}

#[test]
fn why_a_row_is_without_content_is_said_of_each() {
    let all = || Export::destroyed(|world| destruction(world, "8,1300-1302"));
    let good = all();
    good.seal();
    let said = good.is_good();
    assert!(
        said.contains("4 rows are without content: it was destroyed, and acts on record say so"),
        "{said}"
    );
    // One of them is withheld besides.
    let mut both = Export::destroyed(|world| destruction(world, "1300-1302"));
    both.withheld = Some("8");
    both.seal();
    let said = both.is_good();
    assert!(
        said.contains("3 rows are without content: it was destroyed") && said.contains("1 rows are"),
        "{said}"
    );
    let old = Export::destroyed(|_| Act {
        retention: Some(Retention { rule: "90 days".into(), to: 1_302 }),
        ..Act::done("retention", "server")
    });
    old.seal();
    old.is_good();
    // The act is among the rows.
    let within = |rows: &str| {
        let mut within = Export::destroyed(|world| destruction(world, rows));
        within.more.remove("acts.jsonl");
        let rows = within.world.rows();
        let last = within.world.signed()[3].checkpoint.last;
        let more = rows.iter().filter(|row| row.seq.0 > 2_302 && row.seq <= last);
        within.rows.extend(more.map(|row| Evidence::new(within.world.id, row)));
        within
    };
    let good = within("8,1300-1302");
    good.seal();
    good.is_good();

    let nobody = |row: u64| {
        format!(
            "the content of row {row} is not here, and no act says that it was destroyed, nor the manifest that it is withheld"
        )
    };
    Export::whole().tampered(&nobody(8), |e| e.rows[7] = e.rows[7].clone().withheld());
    all().tampered(&nobody(8), |e| drop(e.more.remove("acts.jsonl")));
    all().tampered(&nobody(1_299), |e| e.rows[1_298] = e.rows[1_298].clone().withheld());
    Export::destroyed(|world| destruction(world, "8,1300-1301")).tampered(&nobody(1_302), |_| {});
    // An act says nothing of itself, nor of rows after it.
    let act = good.world.signed()[3].checkpoint.last.0 - 3;
    within("8,1300-1302,2303-9999").tampered(&nobody(act), |e| {
        for row in &mut e.rows[2_304..] {
            *row = row.clone().withheld();
        }
    });
    let change = |from: &'static str, to: &'static str| {
        move |e: &mut Export| {
            let line = String::from_utf8(e.more["acts.jsonl"].clone()).expect("text");
            let mut act = Evidence::parse(&line).expect("a row");
            let head = String::from_utf8(act.head.clone()).expect("text");
            act.head = head.replace(from, to).into();
            act.link = link(e.world.id, &act.row().expect("a kind"));
            e.more.insert("acts.jsonl".into(), (act.to_line() + "\n").into());
        }
    };
    all().tampered(
        &format!("acts.jsonl: row {act} is not among those that were signed"),
        change("1300-1302", "1300-1399"),
    );
    Export::destroyed(|world| {
        let mut act = destruction(world, "8,1300-1301");
        act.destruction.as_mut().expect("there").rows = "8,1300-1302".into();
        act
    })
    .tampered(
        &format!("row {act} says that content was destroyed, and its signature is not that of its key"),
        |_| {},
    );
}

#[test]
fn who_may_say_that_content_was_destroyed() {
    let nobody = |row: u64| {
        format!(
            "NOT AS IT WAS SIGNED: the content of row {row} is not here, and no act says that it was destroyed, nor the manifest that it is withheld\n"
        )
    };
    let old = Export::destroyed_by(|world| vec![unsigned("8"), destruction(world, "1300-1302")]);
    old.seal();
    assert_eq!(old.verify_with(&[]).0, 0);
    assert_eq!(old.verify(&old.world.signer.key()), (1, nobody(8)));
    // After the first signed one anybody may have added them.
    let by_age = Act {
        retention: Some(Retention { rule: "90 days".into(), to: 1_302 }),
        ..Act::done("retention", "server")
    };
    for later in [unsigned("8,1300-1302"), by_age] {
        let added = Export::destroyed_by(|world| vec![destruction(world, "8"), later]);
        added.seal();
        assert_eq!(added.verify_with(&[]), (1, nobody(1_300)));
        assert_eq!(added.verify(&added.world.signer.key()), (1, nobody(1_300)));
    }
    let other = World::new();
    let strange = Export::destroyed(|world| {
        let gone = unsigned("8,1300-1302").destruction.expect("there");
        let destruction = Some(gone.sign(&other.signer, world.id, NOW));
        Act { destruction, ..Act::done("retention", "server") }
    });
    strange.seal();
    assert_eq!(strange.verify_with(&[]).0, 0);
    let what = format!("signed with another key than the expected one: {}", hex(&other.signer.key()));
    let (status, said) = strange.verify(&strange.world.signer.key());
    assert!(status == 1 && said.contains(&what), "{said}");
}

#[test]
fn a_changed_export_is_found_without_any_key() {
    let changed = |name: &str, what: &str, change: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let export = Export::whole();
        export.seal();
        let before = std::fs::read(export.path(name)).expect("a file");
        std::fs::write(export.path(name), change(before)).expect("written");
        export.finds(what);
    };
    let replace = |from: &'static str, to: &'static str| {
        move |text: Vec<u8>| String::from_utf8(text).expect("text").replacen(from, to, 1).into_bytes()
    };
    let without = |text: Vec<u8>| {
        let text = String::from_utf8(text).expect("text");
        let lines: Vec<&str> =
            text.lines().enumerate().filter(|(n, _)| *n != 1_299).map(|(_, l)| l).collect();
        (lines.join("\n") + "\n").into_bytes()
    };
    changed("rows.jsonl", "row 1300 is missing", &without);
    changed(
        "rows.jsonl",
        "row 4 was changed: its link is not that of its fields",
        &replace("\"at\":1794744900003", "\"at\":1794744900004"),
    );
    changed(
        "rows.jsonl",
        "line 4 of rows.jsonl (after row 3) cannot be read",
        &replace("{\"seq\":4,", "{\"seq:4,"),
    );
    changed(
        "manifest.json",
        "manifest.json was changed: its signature is not that of its key",
        &replace("something", "anything"),
    );
    changed("read/a.txt", "the file read/a.txt is not as the manifest says", &replace("able", "ible"));
    changed(
        "checkpoints.jsonl",
        "the checkpoint that closes row 1601 was changed: its signature is not that of its key",
        &replace("\"last\":1601", "\"last\":1601,\"epoch\":2,\"last\":1601"),
    );
    let export = Export::whole();
    export.seal();
    std::fs::write(export.path("read/more.txt"), "more").expect("written");
    export.finds("the file read/more.txt is not listed in the manifest");
    std::fs::remove_file(export.path("read/more.txt")).expect("removed");
    std::fs::remove_file(export.path("read/a.txt")).expect("removed");
    export.finds("the file read/a.txt is missing");
    std::fs::remove_file(export.path("manifest.sig")).expect("removed");
    export.finds("manifest.sig is missing or cannot be read");
    export.seal();
    let (status, said) = export.verify(&[7; 32]);
    assert!(status == 1 && said.contains("another key"), "{said}");
    std::fs::remove_file(export.path("manifest.json")).expect("removed");
    let (status, said) = export.verify(&[7; 32]);
    assert!(status == 2 && said.contains("this is no export"), "{said}");
}

#[test]
fn whoever_makes_the_export_cannot_deceive_either() {
    let whole = || Export::whole();
    whole().tampered("the content of row 1300 was changed", |e| e.rows[1_299].body = Some(b"else".to_vec()));
    whole().tampered("the content of row 1300 is there in part only", |e| e.rows[1_299].body = None);
    whole().tampered("row 1300 was changed: its link is not that of its fields", |e| e.rows[1_299].kind = 3);
    whole().tampered("row 1301 was written after another row than the one before it", |e| {
        e.rows[1_299].body = Some(b"else".to_vec());
        reseal(e, 1_299);
    });
    whole().tampered("row 1300 is missing", |e| drop(e.rows.remove(1_299)));
    whole().tampered("rows 1300 to 1302 are missing", |e| drop(e.rows.drain(1_299..1_302)));
    whole().tampered("row 1300 is missing", |e| e.rows.swap(1_299, 1_300));
    whole().tampered("row 1300 comes twice or out of order: it stands after row 1300", |e| {
        let twin = e.rows[1_299].clone();
        e.rows.insert(1_299, twin);
    });
    whole().tampered(
        "rows.jsonl ends with row 2000, and should end with row 2302: the end is missing",
        |e| {
            e.rows.truncate(2_000);
        },
    );
    // Everything anew from a row on, with links that fit.
    whole().tampered("row 1601 is not the row that its checkpoint closes", |e| {
        let mut rows: Vec<Row> = e.rows.iter().filter_map(Evidence::row).collect();
        forge(&mut rows, 1_550, e.world.id);
        e.rows = rows.iter().map(|row| Evidence::new(e.world.id, row)).collect();
    });
    whole().tampered("a checkpoint before the one that closes row 2302 is missing", |e| {
        drop(e.checkpoints.remove(1))
    });
    whole().tampered("row 1602 belongs to no checkpoint of the export", |e| drop(e.checkpoints.pop()));
    let other = World::three();
    whole().tampered(
        &format!(
            "the checkpoint that closes row 1601 is signed with another key than the expected one: {}",
            hex(&other.signer.key())
        ),
        |e| e.checkpoints[1] = e.world.signed()[1].checkpoint.sign(&other.signer).to_line(),
    );
    whole().tampered("the file blobs/00 has not the content that its name says", |e| {
        e.more.insert("blobs/00".into(), b"else".to_vec());
    });
}

#[test]
fn a_conversation_has_no_gap_and_every_row_is_proved() {
    let conversation = || Export::conversation();
    let seq = |at: usize| conversation().rows[at].seq;
    conversation().tampered(
        &format!("row {} should be number 4 of its conversation, and is 5: one is missing", seq(4)),
        |e| drop(e.rows.remove(3)),
    );
    conversation().tampered(
        &format!("row {} is not among those that were signed: its path does not lead to the root", seq(3)),
        |e| {
            e.rows[3].body = Some(b"else".to_vec());
            reseal(e, 3);
            let link = e.rows[3].link;
            e.rows[4].conversation_prev = link;
            reseal(e, 4);
        },
    );
    conversation().tampered(
        &format!("row {} is not among those that were signed: its path does not lead to the root", seq(3)),
        |e| e.rows[3].proof.as_mut().expect("a path").truncate(2),
    );
    let first = seq(0);
    let missing = if first == 2 { "row 1 is".to_owned() } else { format!("rows 1 to {} are", first - 1) };
    conversation().tampered(&format!("{missing} missing, and row {first} cannot be proved without"), |e| {
        e.rows[0].proof = None;
    });
}

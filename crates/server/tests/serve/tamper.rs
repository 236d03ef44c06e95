//! A real server's data, tampered with in every way that we know of: each is found, and named as the handbook promises.

use crate::checkpoints::{lines, said, talk};
use crate::client::Xmpp;
use crate::harness::{LISTEN, Serve, rialto};
use crate::upload::{UPLOAD, put, slot};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// What a server left: its directory, and checkpoints kept elsewhere.
struct Left {
    serve: Serve,
    anchors: PathBuf,
    /// The last row of each checkpoint.
    closed: Vec<u64>,
}

fn left() -> Left {
    let mut serve = Serve::start(&["romeo", "juliet"], &format!("{LISTEN}{UPLOAD}"));
    talk(&serve, 8);
    let mut romeo = Xmpp::online(serve.at("xmpps-c2s"), &serve.path("ca.pem"), "romeo");
    let content = b"a letter that friar John could not deliver";
    let (to, _) = slot(&mut romeo, "letter.txt", content.len() as u64, "text/plain");
    assert!(put(&serve, &to, content).0.starts_with("http/1.1 201"));
    said(&serve, &["journal", "checkpoint"]);
    talk(&serve, 8);
    said(&serve, &["journal", "checkpoint"]);
    talk(&serve, 2);
    let kept = lines(&serve);
    assert_eq!(kept.len(), 2);
    let closed = kept.iter().filter_map(|line| line["last"].as_u64()).collect();
    let text = kept.iter().map(|line| format!("{line}\n")).collect::<String>();
    std::fs::write(serve.path("anchors"), text).expect("written");
    // Without a last checkpoint.
    serve.crash();
    let proof = said(&serve, &["journal", "verify"]).1;
    assert!(proof.contains("intact") && proof.contains("files: the contents of 1 looked at"), "{proof}");
    Left { anchors: serve.path("anchors"), serve, closed }
}

impl Left {
    /// Tampers with a copy, and gives the copy.
    fn tampered(&self, how: &str, row: u64) -> TempDir {
        let copy = tempfile::tempdir().expect("a directory");
        let done = Command::new("cp").arg("-a").arg(self.serve.path(".")).arg(copy.path()).status();
        assert!(done.expect("cp is there").success());
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut tamper = Command::new("python3");
        tamper.arg(here.join("tests/serve/tamper.py")).arg(copy.path().join("data"));
        tamper.arg(here.join("../record/verifier")).arg(how).arg(row.to_string());
        assert!(tamper.status().expect("python3 is there").success(), "{how}");
        copy
    }

    /// What the verifier says of a copy.
    fn verify(&self, copy: &TempDir, anchors: bool) -> (bool, String) {
        let mut verify = rialto();
        verify.args(["journal", "verify", "--config"]).arg(copy.path().join("rialto.toml"));
        if anchors {
            verify.arg("--anchors").arg(&self.anchors);
        }
        let done = verify.output().expect("the command starts");
        (done.status.success(), String::from_utf8([done.stdout, done.stderr].concat()).expect("text"))
    }

    #[track_caller]
    fn finds(&self, how: &str, row: u64, what: &str) {
        let (good, proof) = self.verify(&self.tampered(how, row), false);
        assert!(!good && proof.ends_with(&format!("NOT INTACT: {what}\n")), "{how} {row}: {proof}");
    }

    /// Good by itself; what was kept elsewhere tells.
    #[track_caller]
    fn only_anchors_find(&self, how: &str, row: u64, what: &str) {
        let copy = self.tampered(how, row);
        let (good, proof) = self.verify(&copy, false);
        assert!(good, "{how} {row}: {proof}");
        let (good, proof) = self.verify(&copy, true);
        assert!(!good && proof.ends_with(&format!("NOT INTACT: {what}\n")), "{how} {row}: {proof}");
    }

    /// The first row from this one on of which the journal says this.
    fn row(&self, from: u64, what: &str) -> u64 {
        let rows = said(&self.serve, &["journal", "tail", "-n", "1000"]).1;
        let number = |line: &str| line.split_whitespace().next().and_then(|n| n.parse::<u64>().ok());
        let mut found = rows.lines().filter(|line| line.contains(what)).filter_map(number);
        found.find(|row| *row >= from).unwrap_or_else(|| panic!("no {what:?} from {from} on: {rows}"))
    }
}

#[test]
fn whatever_is_done_to_a_record_is_found_and_named() {
    let left = left();
    let (first, second) = (left.closed[0], left.closed[1]);
    let row = left.row(3, " message ");
    left.finds("head", row, &format!("row {row} was changed"));
    left.finds("link", row, &format!("row {row} was changed"));
    left.finds("body", row, &format!("the content of row {row} was changed"));
    left.finds("salt", row, &format!("the content of row {row} was changed"));
    left.finds("delete", row, &format!("row {row} is missing"));
    left.finds("close-gap", row, &format!("row {row} was added or moved here"));
    left.finds("swap", row, &format!("row {row} was added or moved here"));
    left.finds("insert", row, &format!("row {} was added or moved here", row + 1));
    left.finds(
        "erase",
        row,
        &format!("the content of row {row} was destroyed, and no act on record says so"),
    );

    let cut = second - 2;
    left.finds(
        "truncate",
        cut,
        &format!("row {} and all after it are gone: a checkpoint was made of rows up to {second}", cut + 1),
    );
    left.only_anchors_find(
        "truncate-all",
        cut,
        &format!("row {} and all after it are gone: a checkpoint was made of rows up to {second}", cut + 1),
    );
    let row = left.row(first + 2, " message ");
    left.finds(
        "rewrite",
        row,
        &format!(
            "rows {} to {second} were written anew: they are not those that their checkpoint was made of",
            first + 1
        ),
    );
    left.only_anchors_find(
        "rewrite-with-key",
        row,
        &format!(
            "rows {} to {second} were written anew: they are not those of the checkpoint that was kept elsewhere",
            first + 1
        ),
    );
    left.finds("change-checkpoint", 1, &format!("the checkpoint that closes row {first} was changed"));
    let act = left.row(second + 1, " checkpoint by ");
    left.finds(
        "remove-checkpoint",
        0,
        &format!("row {act} names the checkpoint that closes row {second}, and it is gone"),
    );
    let upload = left.row(1, " upload by ");
    left.finds("replace-blob", 0, &format!("the content of the file that row {upload} names was replaced"));
    left.finds("remove-blob", 0, &format!("the content of the file that row {upload} names is gone"));
}

#[test]
fn a_journal_that_was_cut_is_not_gone_on_with() {
    let left = left();
    let (first, second) = (left.closed[0], left.closed[1]);
    let start = |copy: &TempDir, args: &[&str]| {
        let mut command = rialto();
        command.args(args).arg("--config").arg(copy.path().join("rialto.toml"));
        let done = command.output().expect("the command starts");
        (done.status.success(), String::from_utf8([done.stdout, done.stderr].concat()).expect("text"))
    };
    // Its own checkpoints tell; then nothing but the index does, though the journal looks new.
    for (how, cut) in [("truncate", second - 2), ("truncate-all", first + 1), ("truncate-all", 0)] {
        let copy = left.tampered(how, cut);
        for args in [&["serve"][..], &["journal", "checkpoint"], &["user", "remove", "romeo@example.com"]] {
            let (good, words) = start(&copy, args);
            let told = format!("the journal ends with row {cut}, and ");
            assert!(
                !good && words.contains(&told) && words.contains("rialto restore"),
                "{how} {cut}: {words}"
            );
        }
        // It may be looked at, as often as one likes.
        let (good, words) = start(&copy, &["journal", "verify"]);
        assert_eq!(good, how == "truncate-all", "{words}");
        assert!(!start(&copy, &["serve"]).0);
    }
}

//! Files by upload: slixmpp asks, puts and fetches; a real clamd looks.

use interop::clamd::{Clamd, EICAR};
use interop::known::judge;
use interop::talk::until;
use interop::{Rialto, Talk, slixmpp};
use std::path::{Path, PathBuf};

/// A server that takes files, and asks a clamd on the port that this gives back.
fn started(when_down: &str) -> (Rialto, u16) {
    let mut clamd = 0;
    let more = |first: u16| {
        clamd = first + 4;
        let files = first + 5;
        format!(
            "[upload]\nlisten = \"127.0.0.1:{files}\"\nurl = \"https://localhost:{files}\"\n\
             [hygiene.clamd]\naddress = \"127.0.0.1:{clamd}\"\nwhen_down = \"{when_down}\"\n"
        )
    };
    let rialto = Rialto::start_by(&["romeo", "juliet"], more, "info");
    (rialto, clamd)
}

fn file(rialto: &Rialto, name: &str, content: &[u8]) -> PathBuf {
    let path = rialto.data().join(name);
    std::fs::write(&path, content).expect("the directory is writable");
    path
}

/// Uploads a file, and gives its link.
fn uploaded(peer: &mut Talk, file: &Path) -> String {
    peer.tell(format!("upload {} image/png", file.display()));
    peer.expect("uploaded ")
}

fn fetched(peer: &mut Talk, link: &str) -> String {
    peer.tell(format!("fetch {link}"));
    peer.expect("fetched ")
}

fn blobs(rialto: &Rialto, what: &str) -> usize {
    let found = std::fs::read_dir(rialto.data().join("data/blobs").join(what));
    found.map_or(0, Iterator::count)
}

#[test]
fn a_picture_passes_and_malware_does_not() {
    judge("upload::a_picture_passes_and_malware_does_not", || {
        let (rialto, port) = started("hold");
        let _clamd = Clamd::start(port);
        let (mut romeo, mut juliet) = (slixmpp::online(&rialto, "romeo"), slixmpp::online(&rialto, "juliet"));
        let picture: Vec<u8> =
            (0..3_000_000u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
        let link = uploaded(&mut romeo, &file(&rialto, "balcony.png", &picture));
        romeo.tell(format!("send juliet@example.com {link}"));
        assert_eq!(juliet.expect("message romeo@example.com "), link);
        assert!(fetched(&mut juliet, &link).starts_with("200 3000000 "));

        let bad = file(&rialto, "holiday.png", EICAR.as_bytes());
        romeo.tell(format!("upload {} image/png", bad.display()));
        let no = romeo.expect("refused ");
        assert!(no.contains("403") && no.contains("Local.Eicar"), "{no}");
        let all = rialto.command(&["files", "list", "--all"]);
        assert!(all.contains("holiday.png") && all.contains("malware") && all.contains("clean"), "{all}");
        let record = rialto.command(&["journal", "tail", "-n", "100"]);
        assert!(record.contains("malware by hygiene:malware"), "{record}");
        assert!(
            record.contains("275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f"),
            "{record}"
        );
        assert!(!rialto.log_text().contains(EICAR));
        rialto.finish();
    });
}

#[test]
fn clamd_dies_in_mid_flight_and_what_it_did_not_see_waits() {
    judge("upload::clamd_dies_and_files_wait", || {
        let (mut rialto, port) = started("hold");
        let clamd = Clamd::start(port);
        let (mut romeo, mut juliet) = (slixmpp::online(&rialto, "romeo"), slixmpp::online(&rialto, "juliet"));
        clamd.freeze();
        let (good, bad) =
            (file(&rialto, "good.png", b"a balcony"), file(&rialto, "bad.png", EICAR.as_bytes()));
        romeo.tell(format!("upload {} image/png", good.display()));
        until("the file has come", || blobs(&rialto, "parts") == 1);
        drop(clamd);
        let good = romeo.expect("uploaded ");
        let bad = uploaded(&mut romeo, &bad);
        for link in [&good, &bad] {
            let no = fetched(&mut juliet, link);
            assert!(no.starts_with("403 ") && no.contains("not been looked into"), "{no}");
            romeo.tell(format!("send juliet@example.com see {link}"));
        }
        slixmpp::fence(&mut romeo);
        let held = rialto.command(&["quarantine", "list"]);
        assert_eq!(held.matches("hygiene:file-waits").count(), 2, "{held}");
        assert_eq!(rialto.command(&["files", "list"]).matches("waiting").count(), 2);
        slixmpp::fence(&mut juliet);
        assert_eq!(juliet.count("message romeo"), 0);

        // All of it is still so after a crash, and ends by itself when clamd is back.
        rialto.crash_and_restart();
        let (mut romeo, mut juliet) = (slixmpp::online(&rialto, "romeo"), slixmpp::online(&rialto, "juliet"));
        assert!(fetched(&mut juliet, &bad).starts_with("403 "));
        let _clamd = Clamd::start(port);
        assert_eq!(juliet.expect("message romeo@example.com see "), good);
        assert!(fetched(&mut juliet, &good).starts_with("200 9 "));
        assert_eq!(romeo.expect("error "), "juliet@example.com policy-violation");
        let no = fetched(&mut juliet, &bad);
        assert!(no.starts_with("403 ") && no.contains("malware"), "{no}");
        assert!(rialto.command(&["quarantine", "list"]).contains("nothing waits"));
        let record = rialto.command(&["journal", "tail", "-n", "100"]);
        for line in
            ["upload by romeo@example.com: waiting by hygiene:unscanned", "upload.verdict by server: clean"]
        {
            assert!(record.contains(line), "{line} is not in {record}");
        }
        slixmpp::fence(&mut romeo);
        slixmpp::fence(&mut juliet);
        assert_eq!(juliet.count("message romeo"), 1);
        rialto.finish();
    });
}

#[test]
fn clamd_dies_in_mid_flight_and_what_it_did_not_see_passes_on_record() {
    judge("upload::clamd_dies_and_files_pass", || {
        let (rialto, port) = started("pass");
        let clamd = Clamd::start(port);
        let (mut romeo, mut juliet) = (slixmpp::online(&rialto, "romeo"), slixmpp::online(&rialto, "juliet"));
        clamd.freeze();
        let path = file(&rialto, "friar.png", b"a friar");
        romeo.tell(format!("upload {} image/png", path.display()));
        until("the file has come", || blobs(&rialto, "parts") == 1);
        drop(clamd);
        let link = romeo.expect("uploaded ");
        assert!(fetched(&mut juliet, &link).starts_with("200 7 "));
        let record = rialto.command(&["journal", "tail", "-n", "100"]);
        assert!(record.contains("unseen by hygiene:unscanned: it could not be looked into"), "{record}");
        rialto.finish();
    });
}

//! A backup under load, put back elsewhere: everything acknowledged before it began is there, and the chain says where the
//! journal comes from.

use interop::known::judge;
use interop::load::{Line, Place, Receiver, Sender, Until};
use interop::talk::until;
use interop::{IllDisk, Rialto, SOON};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

/// Lets the writers write until the server is killed; `during` runs meanwhile.
fn load(
    rialto: &mut Rialto,
    place: &Place,
    senders: &mut [Sender],
    during: impl FnOnce(&Rialto),
) -> Vec<Line> {
    thread::scope(|scope| {
        let (ready, here) = mpsc::channel();
        for (n, sender) in senders.iter_mut().enumerate() {
            let said = ready.clone();
            scope.spawn(move || if n % 2 == 0 { sender.xmpp(place, said) } else { sender.sip(place, said) });
        }
        (0..2).for_each(|_| here.recv_timeout(SOON).expect("everybody gets in"));
        during(rialto);
        rialto.crash();
    });
    senders.iter_mut().flat_map(|s| std::mem::take(&mut s.acknowledged)).collect()
}

fn rows(rialto: &Rialto) -> u64 {
    let told = rialto.command(&["journal", "verify"]);
    told.split_once(" rows")
        .and_then(|(n, _)| n.rsplit('\n').next()?.trim().parse().ok())
        .expect("a number of rows")
}

fn only_for_the_owner(dir: &Path) {
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("a file").permissions().mode() & 0o077;
        assert_eq!(mode, 0, "{:?} can be read by others", entry.path());
        if entry.path().is_dir() {
            only_for_the_owner(&entry.path());
        }
    }
}

#[test]
fn made_under_load_and_put_back_elsewhere() {
    judge("backup::made_under_load_and_put_back_elsewhere", || {
        let limits = "[limits]\nmessages_per_second = 0\n";
        let mut rialto = Rialto::start_with(&["juliet", "romeo", "nurse"], limits, "info");
        let place = Place { sip: rialto.sip(), xmpps: rialto.xmpps(), ca: rialto.ca() };
        let mut senders = [Sender::new("juliet", &["nurse"], 1), Sender::new("romeo", &["nurse"], 2)];
        let before = load(&mut rialto, &place, &mut senders, |rialto| {
            until("some load", || rows(rialto) > 500);
        });
        rialto.restart();
        let home = rialto.home("backups");
        let (one, two) = (home.join("one"), home.join("two"));
        let (one, two) = (one.to_str().expect("a path"), two.to_str().expect("a path"));
        load(&mut rialto, &place, &mut senders, |rialto| {
            let start = rows(rialto);
            until("some load", || rows(rialto) > start + 500);
            let told = rialto.command(&["backup", one, "--with-keys"]);
            assert!(told.contains("copying: 100 %") && told.contains("verifying: 100 %"), "{told}");
            assert!(told.contains("3 accounts, chain verified"), "{told}");
            let acts = rialto.command(&["journal", "tail", "--admin"]);
            assert!(acts.lines().any(|l| l.contains(" backup /") && l.contains("/one up to row")), "{acts}");
            assert!(rialto.refused(&["backup", one]).contains("File exists"));
            // The server goes on meanwhile.
            let now = rows(rialto);
            until("more load", || rows(rialto) > now);
        });
        only_for_the_owner(&home);

        // Not over a server that runs, not over something that is there.
        rialto.restart();
        let old = rialto.data().display().to_string();
        let told = rialto.run_command(&["restore", one, "--data", &old, "--replace"]).unwrap_err();
        assert!(told.contains("stop the server first"), "{told}");
        rialto.stop();
        let told = rialto.run_command(&["restore", one, "--data", &old]).unwrap_err();
        assert!(told.contains("is not empty"), "{told}");

        let new = rialto.home("elsewhere").join("server");
        let told = rialto.run_command(&["restore", one, "--data", new.to_str().expect("a path")]).unwrap();
        assert!(told.contains("3 accounts") && told.contains("verified; epoch "), "{told}");
        rialto.move_to(new);
        rialto.restart();
        let mut nurse = Receiver::new("nurse");
        nurse.xmpp(&place, Until::Has(&before));
        assert_eq!(nurse.check(), 0, "nothing came twice");
        let told = rialto.command(&["journal", "verify"]);
        assert!(told.contains("restored: row ") && told.contains("put back from \"one\""), "{told}");

        // A backup of the restored server is put back in its own place; the chain then has three epochs.
        rialto.command(&["backup", two]);
        rialto.stop();
        assert!(rialto.refused(&["restore", two]).contains("--replace puts it aside"));
        let told = rialto.command(&["restore", two, "--replace"]);
        assert!(told.contains("put the old store aside"), "{told}");
        rialto.restart();
        let told = rialto.command(&["journal", "verify"]);
        assert_eq!(told.matches("restored: row ").count(), 2, "{told}");
        rialto.finish();
    });
}

#[test]
fn a_backup_that_was_changed_is_not_put_back() {
    judge("backup::a_backup_that_was_changed_is_not_put_back", || {
        let rialto = Rialto::start_with(&["juliet"], "", "info");
        let home = rialto.home("backups");
        let backup = home.join("one");
        let from = backup.to_str().expect("a path");
        rialto.command(&["backup", from]);
        assert!(!backup.join("tls").exists(), "no keys unless they are asked for");
        let to = home.join("new");
        let to = to.to_str().expect("a path");
        let store = backup.join("rialto.db");
        let mut bytes = std::fs::read(&store).expect("the copy");
        let at = bytes.len() - 100;
        bytes[at] ^= 1;
        std::fs::write(&store, &bytes).expect("the copy can be changed");
        let told = rialto.run_command(&["restore", from, "--data", to]).unwrap_err();
        assert!(told.contains("not as it was backed up"), "{told}");
        bytes[at] ^= 1;
        std::fs::write(&store, &bytes).expect("the copy can be changed");
        // The key is missing, and it says so.
        let told = rialto.run_command(&["restore", from, "--data", to]).unwrap();
        assert!(told.contains("the configuration needs a look") && told.contains("cert.pem"), "{told}");
        rialto.finish();
    });
}

#[test]
fn the_power_goes_in_the_middle_of_a_restore() {
    judge("backup::the_power_goes_in_the_middle_of_a_restore", || {
        let mut rialto = Rialto::start_with(&["juliet"], "", "info");
        let home = rialto.home("backups");
        let backup = home.join("one");
        let from = backup.to_str().expect("a path");
        rialto.command(&["backup", from, "--with-keys"]);
        rialto.stop();
        let (mut nothing, mut whole) = (0, 0);
        for change in (1..).step_by(7) {
            let to = home.join(format!("new-{change}"));
            std::fs::create_dir(&to).expect("a directory");
            let mut disk = IllDisk::new(&to, home.join(format!("pipe-{change}")));
            disk.cut_at(change, 12 + change);
            let data = to.to_str().expect("a path");
            let survived = rialto.on_disk(&disk, &["restore", from, "--data", data]);
            // There is no store, or a whole one.
            if to.join("data/rialto.db").exists() {
                whole += 1;
                rialto.move_to(to);
                let told = rialto.command(&["journal", "verify"]);
                assert!(told.contains("restored: row "), "{told}");
            } else {
                nothing += 1;
            }
            if survived {
                break;
            }
        }
        assert!(nothing > 0 && whole > 0, "{nothing} times nothing, {whole} times all");
        println!("{nothing} times nothing, {whole} times all");
    });
}

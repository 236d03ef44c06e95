//! What an operator does with stored data, by the commands of the handbook.

use interop::known::judge;
use interop::load::{Line, Place, Receiver, Until};
use interop::raw::xmpp::Xmpp;
use interop::talk::until;
use interop::{IllDisk, Rialto};
use std::path::Path;

#[test]
fn a_store_of_the_first_release_is_upgraded_and_taken_back() {
    judge("stored::a_store_of_the_first_release_is_upgraded_and_taken_back", || {
        let mut rialto = Rialto::start_with(&[], "", "info");
        rialto.stop();
        let first = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/record/tests/stored/v1.db");
        let store = rialto.data().join("data/rialto.db");
        std::fs::copy(&first, &store).expect("the stored file is there");
        let told = rialto.command(&["upgrade", "--dry-run"]);
        assert!(told.contains("schema 1,") && told.contains("would add"), "{told}");
        assert!(
            std::fs::read(&store).unwrap() == std::fs::read(&first).unwrap(),
            "a dry run changes nothing"
        );
        let told = rialto.command(&["upgrade"]);
        assert!(told.contains("adding"), "{told}");
        assert!(rialto.command(&["upgrade"]).contains("up to date"));
        rialto.restart();
        let told = rialto.refused(&["upgrade", "--rollback"]);
        assert!(told.contains("another process has the store open"), "{told}");
        rialto.stop();
        let told = rialto.command(&["upgrade", "--rollback", "1"]);
        assert!(told.contains("schema 1 now"), "{told}");
        assert!(rialto.refused(&["upgrade", "--rollback"]).contains("back to 1 at the least"));
        // A server brings it up to date by itself, and says so.
        rialto.restart();
        assert!(rialto.log_text().contains("brought the store's schema up to date"));
        let acts = rialto.command(&["journal", "tail", "--admin"]);
        let upgrades =
            acts.lines().filter(|l| l.contains(" upgrade schema 1 to ") && l.contains("by server: done"));
        assert_eq!(upgrades.count(), 2, "{acts}");
        assert!(acts.contains("upgrade.rollback schema 1 by uid "), "{acts}");
        assert!(rialto.command(&["user", "list"]).contains("juliet@example.com"));
        rialto.finish();
    });
}

#[test]
fn acts_of_administration_are_on_the_chain() {
    judge("stored::acts_of_administration_are_on_the_chain", || {
        let mut rialto = Rialto::start_with(&["juliet"], "", "info");
        rialto.add_user("romeo", "a-secret-of-romeos");
        rialto.command(&["user", "remove", "juliet@example.com"]);
        rialto.refused(&["user", "remove", "nobody@example.com"]);
        rialto.stop();
        // Without a server too.
        rialto.command(&["user", "remove", "romeo@example.com"]);
        rialto.restart();
        let acts = rialto.command(&["journal", "tail", "--admin"]);
        let id = std::process::Command::new("id").arg("-u").output().expect("id runs");
        let who = format!("by uid {}", String::from_utf8_lossy(&id.stdout).trim());
        let wanted = [
            ("user.add juliet@example.com", "done"),
            ("user.add romeo@example.com", "done"),
            ("user.remove juliet@example.com", "done"),
            ("user.remove nobody@example.com", "refused, 404: there is no nobody@example.com"),
            ("user.remove romeo@example.com", "done"),
        ];
        // At each stop the server signs what is new.
        let (signed, ours): (Vec<_>, Vec<_>) =
            acts.lines().partition(|line| line.contains(" checkpoint by server: done"));
        for (line, (act, end)) in ours.iter().zip(wanted) {
            assert!(line.contains(act) && line.contains(&who) && line.ends_with(end), "{line}");
        }
        assert_eq!(ours.len(), wanted.len(), "{acts}");
        assert!(!signed.is_empty());
        assert!(!acts.contains("a-secret-of-romeos"));
        let verified = rialto.command(&["journal", "verify"]);
        assert!(verified.contains(&format!("{} acts of administration", acts.lines().count())), "{verified}");
        rialto.finish();
    });
}

#[test]
fn content_is_destroyed_by_rule_once_it_was_delivered() {
    judge("stored::content_is_destroyed_by_rule_once_it_was_delivered", || {
        // Not a day: gone as soon as everybody has it.
        let rialto = Rialto::start_with(&["juliet", "nurse"], "[record]\nretention = \"0 days\"\n", "info");
        let said = |n| Line { from: "juliet".into(), to: "nurse".into(), number: n };
        let lines = [said(1), said(2)];
        let mut juliet = Xmpp::online(rialto.xmpps(), &rialto.ca(), "juliet", "balcony");
        for line in &lines {
            let text = line.text();
            juliet
                .wire
                .send(format!("<message to='nurse@example.com' type='chat'><body>{text}</body></message>"));
        }
        until("both are on record", || rialto.journal().matches(" -> nurse@example.com").count() == 2);
        let told = rialto.command(&["journal", "expire"]);
        assert!(told.contains("2 older row(s) still wait"), "{told}");
        let place = Place { sip: rialto.sip(), xmpps: rialto.xmpps(), ca: rialto.ca() };
        let mut nurse = Receiver::new("nurse");
        nurse.xmpp(&place, Until::Has(&lines));
        until("what was delivered is destroyed", || {
            rialto.command(&["journal", "expire"]).contains("content of 2 row(s) destroyed")
        });
        let told = rialto.command(&["journal", "verify"]);
        assert!(told.contains("content destroyed: 2 rows, by 1 act(s) on record"), "{told}");
        // Once is enough: nothing is announced where there is nothing to destroy.
        let acts = rialto.command(&["journal", "tail", "--admin"]);
        assert_eq!(acts.matches(" retention by uid ").count(), 1, "{acts}");
        rialto.command(&["reload"]);
        let acts = rialto.command(&["journal", "tail", "--admin"]);
        assert!(
            acts.lines().last().is_some_and(|l| l.contains(" reload ") && l.ends_with(": done")),
            "{acts}"
        );
        rialto.finish();
    });
}

#[test]
fn the_power_goes_in_the_middle_of_an_upgrade() {
    judge("stored::the_power_goes_in_the_middle_of_an_upgrade", || {
        let mut rialto = Rialto::start_with(&[], "", "info");
        rialto.stop();
        let first = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/record/tests/stored/v1.db");
        let data = rialto.data().join("data");
        let (mut old, mut new) = (0, 0);
        let mut disk = IllDisk::new(&data, rialto.log("disk").with_extension("pipe"));
        // At each change that the upgrade makes to the disk, until it gets through.
        for change in 1.. {
            for entry in std::fs::read_dir(&data).expect("the directory is there") {
                let path = entry.expect("an entry").path();
                match path.is_dir() {
                    true => std::fs::remove_dir_all(&path),
                    false => std::fs::remove_file(&path),
                }
                .expect("it can be removed");
            }
            std::fs::copy(&first, data.join("rialto.db")).expect("the stored file is there");
            disk.cut_at(change, 4_711 + change);
            let survived = rialto.on_disk(&disk, &["upgrade"]);
            let told = rialto.command(&["upgrade", "--dry-run"]);
            match told.contains("up to date") {
                true => new += 1,
                false => old += 1,
            }
            assert!(told.contains("schema 1,") || told.contains("up to date"), "{told}");
            // Whatever is there is whole, and becomes the new one.
            rialto.command(&["upgrade"]);
            rialto.verify();
            assert!(rialto.command(&["user", "list"]).contains("nurse@example.com"));
            if survived {
                break;
            }
        }
        assert!(old > 0 && new > 1, "{old} times the old schema, {new} times the new one");
        println!("{old} times the old schema, {new} times the new one");
    });
}

//! Servers that are left behind: a real Prosody and a real ejabberd hold conversations, and what they keep of them is taken over.

use interop::abroad::Abroad;
use interop::authority::Flaw;
use interop::known::judge;
use interop::slixmpp::{self, Account};
use interop::talk::until;
use interop::{PASSWORD, Rialto, Talk};
use std::path::Path;

const THEIRS: &str = "montague.example";

fn at(user: &str) -> String {
    format!("{user}@{THEIRS}")
}

/// Two people of one server become contacts, talk, and one of them misses a message.
fn talk(account: impl Fn(&str) -> Account) {
    let (mut romeo, mut benvolio) =
        (slixmpp::elsewhere(&account("romeo")), slixmpp::elsewhere(&account("benvolio")));
    befriend(&mut romeo, "romeo", &mut benvolio, "benvolio");
    befriend(&mut benvolio, "benvolio", &mut romeo, "romeo");
    romeo.tell(format!("send {} Is the day so young?", at("benvolio")));
    benvolio.expect(format!("message {} Is the day so young?", at("romeo")));
    benvolio
        .tell(format!("receipt {} But new struck nine: café <&> \"quotes\" 'n backslash \\", at("romeo")));
    romeo.expect(format!("message {} But new struck nine", at("benvolio")));
    benvolio.expect(format!("delivered {}", at("romeo")));
    benvolio.quit();
    romeo.expect(format!("presence {} unavailable", at("benvolio")));
    romeo.tell(format!("send {} Ay me! sad hours seem long.", at("benvolio")));
    slixmpp::fence(&mut romeo);
    romeo.quit();
}

fn befriend(one: &mut Talk, name: &str, other: &mut Talk, whom: &str) {
    one.tell(format!("add {}", at(whom)));
    other.expect(format!("ask {}", at(name)));
    other.tell(format!("approve {}", at(name)));
    one.expect(format!("granted {}", at(whom)));
}

/// All that was said is found, as it was said, and told of.
fn found(rialto: &Rialto, count: usize) {
    for (word, text) in [
        ("young", "Is the day so young?"),
        ("struck", "But new struck nine: café <&> \"quotes\" 'n backslash \\"),
        ("sad", "Ay me! sad hours seem long."),
    ] {
        until(text, || rialto.command(&["search", word, "--content"]).contains(text));
    }
    let all = rialto.command(&["search", "--verdict", "imported"]);
    assert_eq!(all.lines().filter(|line| line.contains(" message ")).count(), count, "{all}");
    let told = rialto.command(&["trace", "--from", &at("romeo"), "--to", &at("benvolio")]);
    assert!(told.contains("now: imported from "), "{told}");
}

/// Who has moved logs in with the old password, at a server of the same domain, and sees the same friend.
fn at_home(account: impl Fn(&str) -> Account) {
    let romeo = slixmpp::elsewhere(&account("romeo"));
    let mut benvolio = slixmpp::elsewhere(&account("benvolio"));
    romeo.expect(format!("presence {} available", at("benvolio")));
    benvolio.expect(format!("presence {} available", at("romeo")));
    benvolio.tell(format!("send {} Madam, your mother craves a word.", at("romeo")));
    romeo.expect(format!("message {} Madam, your mother", at("benvolio")));
}

fn moved(rialto: &Rialto) -> impl Fn(&str) -> Account {
    let (port, log) = (rialto.xmpp(), rialto.home("moved"));
    move |user| Account { jid: at(user), port, ca: None, log: log.join(format!("{user}.log")) }
}

/// Takes accounts over, once.
fn take_over(rialto: &Rialto, source: &str, from: &Path) {
    let import = ["import", "--from", source, from.to_str().expect("text"), "--accounts"];
    let said = rialto.command(&[&import[..], &["--dry-run"]].concat());
    assert!(said.contains("2 account(s) would be made, 0 there already"), "{said}");
    let said = rialto.command(&import);
    assert!(
        said.contains("2 account(s) made, 0 there already, 0 not taken over; 2 new contact(s)"),
        "{said}"
    );
    let said = rialto.command(&import);
    assert!(
        said.contains("0 account(s) made, 2 there already, 0 not taken over; 0 new contact(s)"),
        "{said}"
    );
}

#[test]
fn a_prosody_is_left_behind() {
    judge("takeover::a_prosody_is_left_behind", || {
        let abroad = Abroad::new();
        let rialto = abroad.rialto_of_many(&["example.com", THEIRS], &[], "");
        let mut setup = abroad.prosody_setup(&rialto, THEIRS, Flaw::None);
        setup.with = vec!["mam"];
        setup.authentication = "internal_hashed";
        let mut prosody = abroad.prosody(setup, &["romeo", "benvolio"]);
        talk(|user| prosody.account(user));
        prosody.stop();
        // Both archives have each message, and the one that waits is in a third place; receipts nobody has said.
        let data = prosody.data();
        let import = ["import", "--from", "prosody", data.to_str().expect("text")];
        let said = rialto.command(&import);
        assert!(said.contains("3 message(s) imported, 4 on record already, 0 not readable"), "{said}");
        let said = rialto.command(&import);
        assert!(said.contains("0 message(s) imported, 7 on record already"), "{said}");
        assert!(said.contains("2 account(s) are there, too: --accounts takes them over"), "{said}");
        found(&rialto, 3);
        take_over(&rialto, "prosody", &data);
        at_home(moved(&rialto));
        rialto.finish();
    });
}

#[test]
fn an_ejabberd_is_left_behind() {
    judge("takeover::an_ejabberd_is_left_behind", || {
        let abroad = Abroad::new();
        let rialto = abroad.rialto_of_many(&["example.com", THEIRS], &[], "");
        let mut setup = abroad.ejabberd_setup(&rialto, THEIRS, Flaw::None);
        setup.archive = true;
        setup.passwords = "scram";
        let ejabberd = abroad.ejabberd(setup, &["romeo", "benvolio"]);
        talk(|user| ejabberd.account(user));
        let (portable, dump) = (ejabberd.home().join("portable"), ejabberd.home().join("dump.sql"));
        std::fs::create_dir_all(&portable).expect("the temporary directory is writable");
        ejabberd.command("export_piefxis", &format!("{{\"dir\": {portable:?}}}"));
        ejabberd.command("export2sql", &format!("{{\"host\": {THEIRS:?}, \"file\": {dump:?}}}"));
        // The portable files have what waits, the dump has the archives.
        let import =
            |from: &Path| rialto.command(&["import", "--from", "ejabberd", from.to_str().expect("text")]);
        let said = import(&portable);
        assert!(said.contains("1 message(s) imported, 0 on record already, 0 not readable"), "{said}");
        let said = import(&dump);
        assert!(said.contains("2 message(s) imported, 4 on record already, 0 not readable"), "{said}");
        found(&rialto, 3);
        take_over(&rialto, "ejabberd", &portable);
        at_home(moved(&rialto));
        rialto.finish();
    });
}

#[test]
fn a_rialto_is_left_behind() {
    judge("takeover::a_rialto_is_left_behind", || {
        let abroad = Abroad::new();
        let rialto = abroad.rialto_of_many(&["example.com", THEIRS], &[], "");
        for user in ["romeo", "benvolio"] {
            rialto.add_user(&at(user), PASSWORD);
        }
        talk(moved(&rialto));
        let out = rialto.home("out");
        rialto.command(&["export", out.to_str().expect("text"), "--with", THEIRS, "--format", "xep0227"]);
        let documents = out.join("xep0227");
        // Prosody works on the documents as they are, as far as its driver goes.
        let mut setup = abroad.prosody_setup(&rialto, THEIRS, Flaw::None);
        setup.authentication = "internal_hashed";
        setup.storage = "{ accounts = \"xep0227\", roster = \"xep0227\" }";
        let data = setup.home.join("data");
        std::fs::create_dir_all(&data).expect("the temporary directory is writable");
        for user in ["romeo", "benvolio"] {
            let name = format!("{}.xml", at(user));
            std::fs::copy(documents.join(&name), data.join(&name)).expect("it is there");
        }
        let prosody = abroad.prosody(setup, &[]);
        at_home(|user| prosody.account(user));
        // ejabberd reads them.
        let mut setup = abroad.ejabberd_setup(&rialto, THEIRS, Flaw::None);
        setup.passwords = "scram";
        setup.home = abroad.home("ejabberd");
        let ejabberd = abroad.ejabberd(setup, &[]);
        for user in ["romeo", "benvolio"] {
            let file = documents.join(format!("{}.xml", at(user)));
            ejabberd.command("import_piefxis", &format!("{{\"file\": {file:?}}}"));
            // It takes keys for what it writes itself, which is in base64 twice; so its people get new passwords.
            let change = format!("{{\"user\": {user:?}, \"host\": {THEIRS:?}, \"newpass\": {PASSWORD:?}}}");
            ejabberd.command("change_password", &change);
        }
        at_home(|user| ejabberd.account(user));
        rialto.finish();
    });
}

//! Journaling by mail to aiosmtpd: over TLS and with a login, and what happens where either is wrong.

use interop::authority::Authority;
use interop::known::judge;
use interop::smtp::Smtp;
use interop::talk::until;
use interop::{PASSWORD, Rialto, at, slixmpp};

/// Romeo says something, which is on record then.
fn say(rialto: &Rialto, words: &str) {
    let (mut romeo, juliet) = (slixmpp::online(rialto, "romeo"), slixmpp::online(rialto, "juliet"));
    romeo.tell(format!("send {} {words}", at("juliet")));
    juliet.expect(format!("message {} {words}", at("romeo")));
    romeo.quit();
    juliet.quit();
}

fn goes_through(direct: bool) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| dir.path().join(name);
    let (ours, theirs) = (Authority::new(&path("ours")), Authority::new(&path("theirs")));
    let (good, bad) = (ours.certify("localhost"), theirs.certify("localhost"));
    let password = path("password");
    std::fs::write(&password, "a wrong one\n").expect("the temporary directory is writable");
    let mut smtp = Smtp::new();
    smtp.run(&bad, direct, dir.path());
    let config = format!(
        "[mail]\nserver = \"localhost\"\nport = {}\ntls = \"{}\"\nfrom = \"rialto@example.com\"\nuser = \"rialto\"\n\
         password_file = {password:?}\nauthority = {:?}\n[journaling]\nto = \"vault@archive.example\"\nminutes = 0\n",
        smtp.port(),
        if direct { "direct" } else { "starttls" },
        ours.file(),
    );
    let mut rialto = Rialto::start_with(&["romeo", "juliet"], &config, "info");
    let status = |rialto: &Rialto, words: &str| {
        until(words, || rialto.command(&["status"]).contains(words));
    };
    // Somebody else's certificate: nobody is told the password, and nothing goes.
    say(&rialto, "nightingale");
    status(&rialto, "NOT TAKEN: localhost");
    status(&rialto, "invalid peer certificate");
    assert!(rialto.doctor().contains("journaling by mail"), "{}", rialto.doctor());
    assert!(rialto.log_text().contains("invalid peer certificate"), "the log says so");
    assert_eq!(smtp.said().count("login"), 0);
    // The certificate is right, the password is not. What waits outlives us.
    smtp.run(&good, direct, dir.path());
    rialto.crash_and_restart();
    say(&rialto, "lark");
    smtp.said().expect("login rialto refused");
    status(&rialto, "535");
    assert_eq!(smtp.said().count("mail"), 0);
    // The password is changed while we run.
    std::fs::write(&password, format!("{PASSWORD}\n")).expect("the temporary directory is writable");
    smtp.said().expect("login rialto welcome");
    smtp.said().expect("mail rialto@example.com vault@archive.example tls");
    smtp.said().expect_words(&["text", "nightingale"]);
    smtp.said().expect_words(&["text", "lark"]);
    until("it is well", || !rialto.command(&["status"]).contains("NOT TAKEN"));
    assert!(!rialto.log_text().contains(PASSWORD));
    rialto.finish();
}

#[test]
fn by_starttls() {
    judge("journaling::by_starttls", || goes_through(false));
}

#[test]
fn by_tls_from_the_first_byte() {
    judge("journaling::by_tls_from_the_first_byte", || goes_through(true));
}

//! Lines between two companies that break off in the middle of messages, both ways: nothing is lost, and nothing comes
//! twice to anybody who stays.

use std::thread;

use interop::abroad::Abroad;
use interop::cutter::Cutter;
use interop::known::judge;
use interop::load::{Place, Receiver, Sender, Until};
use interop::{Rialto, talk::until};

const THEIRS: &str = "mantua.example";
const NO_LIMITS: &str = "deadline_seconds = 600\n[limits]\nmessages_per_second = 0\n";
/// Lines each way.
const LINES: u64 = 1_500;

fn place(rialto: &Rialto) -> Place {
    Place { sip: rialto.sip(), xmpps: rialto.xmpps(), ca: rialto.ca() }
}

/// Somebody on each side writes to somebody on the other, until all has arrived.
fn across(ours: &Rialto, theirs: &Rialto, lines: [&Cutter; 2]) {
    let mut senders = [
        (Sender::new("abram", &["tybalt@mantua.example"], 61), ours),
        (Sender::new("gregory@mantua.example", &["juliet"], 62), theirs),
    ];
    thread::scope(|scope| {
        for (sender, rialto) in &mut senders {
            scope.spawn(|| sender.xmpp_some(&place(rialto), LINES));
        }
    });
    // Both have been cut in the middle of what they carried.
    until("both lines are cut", || lines.iter().all(|line| line.cuts() > 0));
    lines.iter().for_each(|line| line.mend());
    for ((sender, _), (user, rialto)) in
        senders.iter().zip([("tybalt@mantua.example", theirs), ("juliet", ours)])
    {
        let mut receiver = Receiver::new(user);
        receiver.xmpp(&place(rialto), Until::Has(&sender.acknowledged));
        let repeated = receiver.check();
        println!("{} to {user}, {repeated} repeated", sender.acknowledged.len());
        assert_eq!(repeated, 0, "{user} got some twice");
    }
    let cuts = lines.map(Cutter::cuts);
    println!("cut {cuts:?} times");
    ours.verify();
    theirs.verify();
}

#[test]
fn over_xmpp() {
    judge("cut::over_xmpp", || {
        let abroad = Abroad::new();
        let ours = abroad.rialto(&["abram", "juliet"], NO_LIMITS);
        let theirs =
            abroad.rialto_for(THEIRS, &["tybalt@mantua.example", "gregory@mantua.example"], NO_LIMITS);
        let lines = [(&ours, "example.com", 63), (&theirs, THEIRS, 64)].map(|(rialto, domain, seed)| {
            let line = Cutter::before(rialto.s2s(), seed);
            let name = format!("_xmpp-server._tcp.{domain}");
            abroad.dns.remove(&name, interop::dns::RecordType::SRV);
            abroad.dns.service(&name, line.port());
            line
        });
        across(&ours, &theirs, [&lines[0], &lines[1]]);
    });
}

#[test]
fn over_sip() {
    judge("cut::over_sip", || {
        let abroad = Abroad::new();
        let authorities = abroad.home("authorities").join("both.pem");
        std::fs::copy(abroad.authority.file(), &authorities).expect("the directory is writable");
        let start = |domain: &str, users: &[&str]| {
            let config = |base: u16| {
                format!(
                    "[federation]\nmode = \"open\"\nsystem_authorities = false\nauthorities = [{authorities:?}]\n\
                     dns = [\"{}\"]\nprotocols = [\"sip\"]\n{NO_LIMITS}\n[[sip.listen]]\n\
                     address = \"127.0.0.1:{}\"\ntransport = \"tls\"\nserves = \"servers\"\n",
                    abroad.dns.addr(),
                    base + 6
                )
            };
            Rialto::start_for(&[domain], users, config, "debug")
        };
        let ours = start(interop::DOMAIN, &["abram", "juliet"]);
        let theirs = start(THEIRS, &["tybalt@mantua.example", "gregory@mantua.example"]);
        let texts = [&abroad.authority.file(), &ours.ca(), &theirs.ca()];
        let texts = texts.map(|file| std::fs::read_to_string(file).expect("a certificate"));
        std::fs::write(&authorities, texts.concat()).expect("the directory is writable");
        let lines = [(&ours, "example.com", 65), (&theirs, THEIRS, 66)].map(|(rialto, domain, seed)| {
            rialto.command(&["reload"]);
            let line = Cutter::before(rialto.s2s() + 2, seed);
            abroad.dns.service(&format!("_sips._tcp.{domain}"), line.port());
            line
        });
        across(&ours, &theirs, [&lines[0], &lines[1]]);
    });
}

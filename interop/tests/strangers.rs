//! Strangers whose servers are not ours: what is asked of first contacts, reports, throttles, and a list of offenders that a
//! service publishes over XMPP and we follow.

use interop::abroad::Abroad;
use interop::authority::Flaw;
use interop::known::judge;
use interop::slixmpp::{self, Account};
use interop::talk::until;
use interop::{Rialto, Talk};
use sha2::{Digest, Sha256};

const THEIRS: &str = "verona.example";
const LISTS: &str = "lists.verona.example";
const NODE: &str = "muc_bans_sha256";

const STRICT: &str = "\n[spim]\ncontacts_per_sender = 2\n[limits]\ndomain_messages_per_second = 5\n";

/// What a stranger from elsewhere meets here.
fn meets(rialto: &Rialto, account: impl Fn(&str) -> Account) {
    let mut juliet = slixmpp::online(rialto, "juliet");
    let (mut romeo, mut paris) =
        (slixmpp::elsewhere(&account("romeo")), slixmpp::elsewhere(&account("paris")));
    let his = format!("romeo@{THEIRS}");
    // No link before an answer; words pass, to two people in an hour.
    romeo.tell("send juliet@example.com see https://pics.example/me");
    romeo.expect("error juliet@example.com policy-violation");
    romeo.tell("send juliet@example.com But soft, what light");
    juliet.expect(format!("message {his} But soft, what light"));
    romeo.tell("send nurse@example.com Good morrow");
    romeo.tell("send tybalt@example.com Good morrow");
    romeo.expect("error tybalt@example.com resource-constraint");
    // Whom she answers is no stranger to her any more.
    juliet.tell(format!("send {his} Who is there?"));
    romeo.expect("message juliet@example.com Who is there?");
    romeo.tell("send juliet@example.com here: https://pics.example/me");
    juliet.expect(format!("message {his} here: https://pics.example/me"));
    // Another is reported: he reaches her no more, and it is on record.
    paris.tell("send juliet@example.com Come marry me");
    juliet.expect(format!("message paris@{THEIRS} Come marry me"));
    juliet.tell(format!("report paris@{THEIRS}"));
    juliet.expect(format!("reported paris@{THEIRS}"));
    paris.tell("send juliet@example.com Come, come");
    paris.expect("error juliet@example.com");
    until("the report is on record", || {
        let record = rialto.command(&["journal", "tail", "--admin"]);
        record.contains("spim.report") && record.contains(&format!("paris@{THEIRS}: spam"))
    });
    let shown = rialto.command(&["spim", "show", &format!("paris@{THEIRS}")]);
    assert!(shown.contains("1 reports"), "{shown}");
    let status = rialto.command(&["spim", "status"]);
    assert!(status.contains("1 by link") && status.contains("1 by rate"), "{status}");
    // Who writes to everybody at once has to wait, and so has their domain.
    for n in 0..200 {
        romeo.tell(format!("send juliet@example.com line {n}"));
    }
    romeo.expect("error juliet@example.com resource-constraint");
    // It is said when it is judged, and a moment later it is on record.
    until("it is on record", || {
        rialto.command(&["journal", "tail", "-n", "900"]).contains("throttle:domain.in")
    });
    juliet.expect(format!("message {his} line"));
    slixmpp::fence(&mut juliet);
    let heard = juliet.count(&format!("message {his} line"));
    assert!(heard < 200, "{heard} of 200 passed");
    assert_eq!(juliet.count(&format!("message paris@{THEIRS} Come, come")), 0);
}

#[test]
fn of_prosody() {
    judge("strangers::of_prosody", || {
        let abroad = Abroad::new();
        let rialto = abroad.rialto(&["juliet", "nurse", "tybalt"], STRICT);
        let setup = abroad.prosody_setup(&rialto, THEIRS, Flaw::None);
        let prosody = abroad.prosody(setup, &["romeo", "paris"]);
        meets(&rialto, |user| prosody.account(user));
        rialto.finish();
    });
}

#[test]
fn of_ejabberd() {
    judge("strangers::of_ejabberd", || {
        let abroad = Abroad::new();
        let rialto = abroad.rialto(&["juliet", "nurse", "tybalt"], STRICT);
        let setup = abroad.ejabberd_setup(&rialto, THEIRS, Flaw::None);
        let ejabberd = abroad.ejabberd(setup, &["romeo", "paris"]);
        meets(&rialto, |user| ejabberd.account(user));
        rialto.finish();
    });
}

fn hash(who: &str) -> String {
    Sha256::digest(who).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn publish(keeper: &mut Talk, verb: &str, who: &str) {
    let item = hash(who);
    keeper.tell(format!("{verb} {LISTS} {NODE} {item}"));
    keeper.expect(format!("{verb}ed {item}"));
}

fn entries(rialto: &Rialto, n: usize) {
    let wanted = format!("list lists-verona-example: {n} entries, 0 lines skipped\n");
    until(&wanted, || rialto.command(&["spim", "status"]).contains(&wanted));
}

#[test]
fn a_list_that_others_publish() {
    judge("strangers::a_list_that_others_publish", || {
        let abroad = Abroad::new();
        let more = format!("\n[[spim.list]]\nservice = \"{LISTS}\"\n");
        let mut rialto = abroad.rialto(&["juliet"], &more);
        let mut setup = abroad.prosody_setup(&rialto, THEIRS, Flaw::None);
        setup.more = format!(
            "Component \"{LISTS}\" \"pubsub\"\n    admins = {{ \"keeper@{THEIRS}\" }}\n    autocreate_on_publish = true\n"
        );
        let prosody = abroad.prosody(setup, &["keeper", "mallory", "iago"]);
        let mut keeper = slixmpp::elsewhere(&prosody.account("keeper"));
        publish(&mut keeper, "publish", &format!("mallory@{THEIRS}"));
        // Only now can it be found: until then we have tried, and said so.
        until("it was tried", || {
            rialto.command(&["spim", "status"]).contains("lists-verona-example: 0 entries")
        });
        abroad.dns.service(&format!("_xmpp-server._tcp.{LISTS}"), prosody.s2s());
        entries(&rialto, 1);
        let juliet = slixmpp::online(&rialto, "juliet");
        let mut mallory = slixmpp::elsewhere(&prosody.account("mallory"));
        let mut iago = slixmpp::elsewhere(&prosody.account("iago"));
        mallory.tell("send juliet@example.com hello");
        mallory.expect("error juliet@example.com policy-violation");
        iago.tell("send juliet@example.com I am not what I am");
        juliet.expect(format!("message iago@{THEIRS} I am not what I am"));
        // What comes is known at once, and so is what goes.
        publish(&mut keeper, "publish", &format!("iago@{THEIRS}"));
        entries(&rialto, 2);
        iago.tell("send juliet@example.com it is I again");
        iago.expect("error juliet@example.com policy-violation");
        publish(&mut keeper, "retract", &format!("mallory@{THEIRS}"));
        entries(&rialto, 1);
        mallory.tell("send juliet@example.com hello again");
        juliet.expect(format!("message mallory@{THEIRS} hello again"));
        // What was heard last holds over a restart, also while nobody says it again.
        drop(prosody);
        rialto.stop();
        rialto.restart();
        let shown = rialto.command(&["spim", "show", &format!("iago@{THEIRS}")]);
        assert!(shown.contains("on the list lists-verona-example"), "{shown}");
        let status = rialto.command(&["spim", "status"]);
        assert!(status.contains("lists-verona-example: 1 entries"), "{status}");
        rialto.finish();
    });
}

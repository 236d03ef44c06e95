//! Case by case, what people try and what must come of it: partners that overlap, domains by pattern, groups that change, names
//! that look alike, words in pieces or in disguise, edits, statuses, and what passes through. By which paths it comes is in
//! `hub/tests/verdicts.rs`, and over the wire in `server/tests/serve/paths.rs`.

use model::{
    Activity, Address, Basic, Device, Dialect, Endpoint, Envelope, EnvelopeId, Event, LeaseKey, MAX_HOPS,
    Message, Origin, Original, Part, Proof, Publish, Security, Timestamp, Tuple, Vouch,
};
use policy::{Belonging, Facts, Policy, Society};
use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

/// Who belongs where, until somebody changes it. The longest domain that fits says whose it is.
#[derive(Default)]
struct Town {
    groups: RwLock<BTreeMap<&'static str, Vec<&'static str>>>,
    partners: RwLock<Vec<(&'static str, &'static str)>>,
}

impl Society for Town {
    fn belonging(&self, who: &Address) -> Belonging {
        let local = matches!(who.domain(), "corp.example" | "labs.example");
        let fits = |domain: &str| match domain.strip_prefix("*.") {
            Some(above) => who.domain().strip_suffix(above).is_some_and(|rest| rest.ends_with('.')),
            None => domain == who.domain(),
        };
        let partners = self.partners.read().unwrap();
        let partner =
            partners.iter().filter(|(domain, _)| !local && fits(domain)).max_by_key(|(d, _)| d.len());
        let groups = self.groups.read().unwrap();
        let groups = groups.iter().filter(|(_, members)| members.contains(&who.as_str()));
        Belonging {
            local,
            partner: partner.map(|(_, name)| (*name).into()),
            groups: groups.map(|(name, _)| Arc::from(*name)).collect(),
        }
    }
    fn has_group(&self, name: &str) -> bool {
        self.groups.read().unwrap().contains_key(name)
    }
    fn has_partner(&self, name: &str) -> bool {
        self.partners.read().unwrap().iter().any(|(_, partner)| *partner == name)
    }
}

impl Town {
    fn new() -> Self {
        let town = Self::default();
        *town.partners.write().unwrap() = vec![
            ("acme.example", "acme"),
            ("*.acme.example", "acme"),
            // A daughter with an agreement of her own under her mother's domain.
            ("bank.acme.example", "acme-bank"),
            ("*.globex.example", "globex"),
        ];
        town
    }
}

fn endpoint(text: &str) -> Endpoint {
    let (address, device) = text.split_once('/').unwrap_or((text, ""));
    let device = (!device.is_empty()).then(|| Device::new(device).unwrap());
    Endpoint { address: Address::parse(address).unwrap(), device }
}

fn sent(town: &Town, from: &str, to: &str, event: Event) -> Envelope {
    let from = endpoint(from);
    let vouch = match town.belonging(&from.address).local {
        true => Vouch::Account(from.address.clone()),
        false => Vouch::Domain(from.address.to_domain(), Proof::Certificate),
    };
    Envelope {
        id: EnvelopeId(1),
        at: Timestamp(1_795_255_200_000),
        origin: Origin { dialect: Dialect::Xmpp, security: Security::Tls, vouch },
        from,
        to: endpoint(to),
        hops: MAX_HOPS,
        event,
    }
}

fn message(parts: Vec<Part>, subject: Option<&str>, xml: Option<&str>) -> Event {
    let original = xml.map(|xml| Original { dialect: Dialect::Xmpp, bytes: xml.to_owned().into() });
    let subject = subject.map(str::to_owned);
    Event::Message(Message { parts, subject, original, lasting: true, ..Message::default() })
}

fn text(words: &str) -> Event {
    message(vec![Part::text(words.to_owned(), None)], None, None)
}

fn stanza(inner: &str) -> Event {
    message(vec![Part::text("hi", None)], None, Some(&format!("<message>{inner}</message>")))
}

fn status(note: &str) -> Event {
    let tuple = Tuple {
        device: None,
        basic: Basic::Open,
        activity: Activity::Available,
        priority: None,
        notes: vec![(None, note.to_owned())],
        contact: None,
        at: Timestamp(0),
        original: None,
    };
    Event::Publish(Publish { key: LeaseKey("d".into()), tuples: vec![tuple], secs: None })
}

fn policy(text: &str) -> Policy {
    Policy::read(text)
        .unwrap_or_else(|m| panic!("{}", m.iter().map(|m| m.to_string()).collect::<Vec<_>>().join("\n")))
}

/// The verdict and the rule that decided; `changed` where the message is another.
fn end(town: &Town, policy: &Policy, from: &str, to: &str, event: Event) -> String {
    let envelope = sent(town, from, to, event);
    let decision = policy.decide(&Facts::of(&envelope, town));
    let by = decision.by.map(|said| format!(" {}", said.rule)).unwrap_or_default();
    let changed = if decision.changed.is_some() { " changed" } else { "" };
    format!("{}{by}{changed}", decision.verdict.name())
}

const ANNA: &str = "anna@corp.example";
const BERT: &str = "bert@corp.example";

#[test]
fn partners_that_overlap_and_domains_by_pattern() {
    let town = Town::new();
    let policy = policy(
        r#"
[[rule]]
name = "bank"
party = ["partner:acme-bank"]
then = "hold"
[[rule]]
name = "daughters"
to = ["*@*.acme.example"]
except_to = ["*@good.acme.example", "boss@eu.acme.example"]
then = "block"
[[rule]]
name = "acme"
party = ["partner:acme"]
then = "warn"
[[rule]]
name = "globex"
from = ["*@*.globex.example"]
then = "block"
[[rule]]
name = "partners"
party = ["partners"]
then = "allow"
[[rule]]
name = "rest"
party = ["remote"]
then = "block"
"#,
    );
    for (from, to, wanted) in [
        // The longer domain is the nearer agreement, and the order of the rules decides.
        (ANNA, "x@bank.acme.example", "hold rule:bank"),
        ("x@bank.acme.example", ANNA, "hold rule:bank"),
        (ANNA, "x@eu.acme.example", "block rule:daughters"),
        (ANNA, "x@a.b.acme.example", "block rule:daughters"),
        (ANNA, "boss@eu.acme.example", "allow rule:partners"),
        (ANNA, "x@good.acme.example", "allow rule:partners"),
        (ANNA, "x@acme.example", "allow rule:partners"),
        // Below is not the domain itself, and no other that ends alike.
        (ANNA, "x@notacme.example", "block rule:rest"),
        (ANNA, "x@acme.example.evil.org", "block rule:rest"),
        ("x@notacme.example", ANNA, "block rule:rest"),
        ("x@eu.acme.example", ANNA, "allow rule:partners"),
        ("x@emea.globex.example", ANNA, "block rule:globex"),
        ("x@globex.example", ANNA, "block rule:rest"),
        (ANNA, BERT, "allow"),
        // Through us, from one partner to another.
        ("x@emea.globex.example", "y@acme.example", "block rule:globex"),
        ("x@acme.example", "y@emea.globex.example", "allow rule:partners"),
        ("x@acme.example", "y@bank.acme.example", "hold rule:bank"),
        ("x@acme.example", "y@eu.acme.example", "block rule:daughters"),
        ("x@nowhere.example", "y@acme.example", "allow rule:partners"),
        ("x@nowhere.example", "y@elsewhere.example", "block rule:rest"),
    ] {
        assert_eq!(end(&town, &policy, from, to, text("x")), wanted, "{from} to {to}");
    }
}

#[test]
fn what_passes_through_is_neither_in_nor_out() {
    let town = Town::new();
    let policy = policy(
        r#"
[detect.secret]
words = ["falcon"]
[[rule]]
name = "out"
direction = ["out"]
then = "hold"
[[rule]]
name = "in"
direction = ["in"]
content = ["secret"]
then = "block"
[[rule]]
name = "through"
direction = ["through"]
content = ["secret"]
then = "block"
"#,
    );
    for (from, to, words, wanted) in [
        ("x@acme.example", "y@a.globex.example", "falcon", "block rule:through"),
        ("x@acme.example", "y@a.globex.example", "fal-con", "block rule:through"),
        ("x@acme.example", "y@a.globex.example", "hello", "allow"),
        ("x@acme.example", ANNA, "falcon", "block rule:in"),
        (ANNA, "x@acme.example", "hello", "hold rule:out"),
        (ANNA, "lab@labs.example", "falcon", "allow"),
    ] {
        assert_eq!(end(&town, &policy, from, to, text(words)), wanted, "{from} to {to}: {words}");
    }
}

#[test]
fn groups_and_partners_count_as_they_are_at_the_moment() {
    let town = Town::new();
    let policy = policy(
        r#"
[[wall]]
name = "deal"
between = ["buyers", "sellers"]
except = ["lawyers"]
[[rule]]
name = "umbrella"
party = ["partner:umbrella"]
then = "block"
"#,
    );
    let umbrella = "x@umbrella.example";
    let put = |group: &'static str, who: &[&'static str]| {
        drop(town.groups.write().unwrap().insert(group, who.to_vec()))
    };
    let ends = |event: fn() -> Event| {
        [(ANNA, BERT), (BERT, ANNA), (ANNA, umbrella)].map(|(a, b)| end(&town, &policy, a, b, event()))
    };
    let hello = || text("hello");
    assert_eq!(ends(hello), ["allow", "allow", "allow"], "there are no such groups");
    put("buyers", &[ANNA]);
    assert_eq!(ends(hello), ["allow", "allow", "allow"], "one side is no wall");
    put("sellers", &[BERT]);
    let walled = ["block wall:deal", "block wall:deal", "allow"];
    assert_eq!(ends(hello), walled);
    assert_eq!(
        ends(|| stanza("<body>hi</body><replace id='1' xmlns='urn:xmpp:message-correct:0'/>")),
        walled
    );
    put("lawyers", &[BERT]);
    assert_eq!(ends(hello), ["allow", "allow", "allow"], "lawyers talk to both");
    put("lawyers", &[]);
    put("sellers", &[ANNA, BERT]);
    assert_eq!(ends(hello), walled, "whoever is on both sides talks to nobody on either");
    put("buyers", &[]);
    assert_eq!(ends(hello), ["allow", "allow", "allow"]);
    town.partners.write().unwrap().push(("umbrella.example", "umbrella"));
    assert_eq!(ends(hello), ["allow", "allow", "block rule:umbrella"]);
    town.partners.write().unwrap().pop();
    assert_eq!(ends(hello), ["allow", "allow", "allow"]);
}

const SECRETS: &str = r#"
[detect.secret]
words = ["falcon", "blue bird"]
[detect.ticket]
regex = ['(?i)prj-[0-9]{4}']
[detect.card]
numbers = ["payment-card"]
[[rule]]
name = "out"
direction = ["out"]
content = ["secret", "ticket"]
then = "block"
[[rule]]
name = "cards"
content = ["card"]
then = "block"
"#;

#[test]
fn no_spelling_and_no_place_slips_past() {
    let (town, policy) = (Town::new(), policy(SECRETS));
    let out = "x@acme.example";
    for words in [
        // Letters of other alphabets, wide, accented, styled, upside down in the middle of a word.
        "fаlсоn",
        "ＦＡＬＣＯＮ",
        "fálcön",
        "𝐟𝐚𝐥𝐜𝐨𝐧",
        "ⓕⓐⓛⓒⓞⓝ",
        // In pieces.
        "f a l c o n",
        "f.a.l.c.o.n",
        "f_a-l*c o.n",
        "fal\u{ad}con",
        "fal\u{200d}con",
        "\u{202e}fal\u{2060}con",
        "blue\tbird",
        "BLUE\u{a0}BIRD",
        "see prj-0815",
    ] {
        let said = end(&town, &policy, ANNA, out, text(words));
        assert_eq!(said, "block rule:out", "{words:?}");
        assert_eq!(end(&town, &policy, ANNA, BERT, text(words)), "allow", "{words:?} inside");
    }
    for inner in [
        "<body>fal</body><body xml:lang='de'>falcon</body>",
        "<subject>falcon</subject>",
        "<body>fal&#x63;on</body>",
        "<body><![CDATA[falcon]]></body>",
        "<body>fal<!-- x -->con</body>",
        "<body>hi<!-- falcon --></body>",
        "<html xmlns='http://jabber.org/protocol/xhtml-im'><body><p>f<i>al</i>con</p></body></html>",
        "<html xmlns='http://jabber.org/protocol/xhtml-im'><body><img alt='falcon' src='x'/></body></html>",
        // A correction, and one that only adds what was missing.
        "<body>falcon</body><replace id='a' xmlns='urn:xmpp:message-correct:0'/>",
        "<body>* con = falcon</body>",
        "<reactions id='a' xmlns='urn:xmpp:reactions:0'><reaction>falcon</reaction></reactions>",
        "<x xmlns='jabber:x:oob'><url>https://x.example/falcon</url><desc>x</desc></x>",
        "<x xmlns='jabber:x:oob'><url>https://x.example/a</url><desc>falcon</desc></x>",
        // Names of files.
        "<file-sharing xmlns='urn:xmpp:sfs:0'><file xmlns='urn:xmpp:file:metadata:0'><name>falcon.pdf</name></file></file-sharing>",
        "<file xmlns='http://jabber.org/protocol/si/profile/file-transfer' name='the falcon.pdf' size='1'/>",
        "<nick xmlns='http://jabber.org/protocol/nick'>falcon</nick>",
    ] {
        let said = end(&town, &policy, ANNA, out, stanza(inner));
        assert_eq!(said, "block rule:out", "{inner}");
    }
    let parts = |mime: &str, body: &'static str| Part { mime: mime.into(), lang: None, body: body.into() };
    for (event, wanted) in [
        (message(vec![parts("text/html", "<b>fal</b>con")], None, None), "block rule:out"),
        (message(vec![parts("TEXT/HTML", "fal&#99;on")], None, None), "block rule:out"),
        (message(vec![parts("application/xml", "<a>falcon</a>")], None, None), "block rule:out"),
        (message(vec![parts("text/markdown", "falcon")], None, None), "block rule:out"),
        (message(vec![Part::text("hi", None)], Some("Falcon"), None), "block rule:out"),
        (
            message(vec![Part::text("hi", None), Part::text("falcon", Some("de".into()))], None, None),
            "block rule:out",
        ),
        (text("4111-1111-1111-1111"), "block rule:cards"),
        (text("4111 1111\n1111 1111"), "block rule:cards"),
        // Harmless.
        (text("falconer"), "allow"),
        (text("a blue sky, a bird"), "allow"),
        (text("4111 1111 1111 1112"), "allow"),
        (text("prj-12"), "allow"),
    ] {
        assert_eq!(end(&town, &policy, ANNA, out, event.clone()), wanted, "{event:?}");
    }
}

#[test]
fn disguised_words_are_found_where_that_is_wanted() {
    let town = Town::new();
    let detect = |more: &str| {
        policy(&format!(
            "[detect.secret]\nwords = [\"falcon\", \"blue bird\", \"therapist\"]\n{more}\
             [[rule]]\nname = \"out\"\ncontent = [\"secret\"]\nthen = \"block\"\n"
        ))
    };
    let (usual, thorough) = (detect(""), detect("disguised = true\n"));
    for (words, by_default, if_disguised) in [
        ("falcon", true, true),
        ("f a l c o n", true, true),
        ("fal\u{200b}con", true, true),
        ("fa1con", false, true),
        ("F4LC0N", false, true),
        ("f@lcon!", false, true),
        ("fa|con", false, true),
        ("fal con", false, true),
        ("fal c0\u{200b}n", false, true),
        ("ｆａ１ｃｏｎ", false, true),
        ("fа1соn", false, true),
        ("bluebird", false, true),
        ("bl ue bi rd", false, true),
        // Why it is a choice, and what is left alone all the same.
        ("the rapist", false, true),
        ("falcon1 and falconer", false, false),
        ("fal. Con", false, false),
        ("fa 1000 con", false, false),
        ("7h3r4p157", false, false),
        ("call 4713 at 10:01", false, false),
    ] {
        for (policy, found) in [(&usual, by_default), (&thorough, if_disguised)] {
            let said = end(&town, policy, ANNA, BERT, text(words));
            assert_eq!(said, if found { "block rule:out" } else { "allow" }, "{words:?}");
        }
    }
    // Each is masked where it stands, and the rest stays.
    let mask = policy(
        "[detect.secret]\nwords = [\"falcon\"]\ndisguised = true\n\
         [[rule]]\nname = \"m\"\ncontent = [\"secret\"]\nthen = \"mask\"\n",
    );
    let envelope = sent(&town, ANNA, BERT, text("so f@1c0n, fal con and fa1con: 4711!"));
    let changed = mask.decide(&Facts::of(&envelope, &town)).changed.expect("a message without it").0;
    assert_eq!(changed.text(), Some("so ██████, ███ ███ and ██████: 4711!"));
    let wrong = Policy::read("[detect.t]\nregex = ['x']\ndisguised = true\n").expect_err("nonsense");
    assert!(wrong[0].to_string().contains("3:13") && wrong[0].to_string().contains("no"), "{}", wrong[0]);
}

#[test]
fn statuses_leave_the_house_too() {
    let (town, policy) = (Town::new(), policy(SECRETS));
    for (note, wanted) in [
        ("at lunch", "allow"),
        ("all hands on falcon", "block rule:out"),
        ("F A L C O N", "block rule:out"),
        ("prj-0815 till five", "block rule:out"),
        ("pay 4111 1111 1111 1111", "block rule:cards"),
    ] {
        assert_eq!(end(&town, &policy, ANNA, ANNA, status(note)), wanted, "{note}");
    }
    // Who is elsewhere shows their own status; it does not leave ours.
    assert_eq!(end(&town, &policy, "x@acme.example", ANNA, status("falcon")), "allow");
    // A rule that looks at nothing in particular is about what goes out alone.
    let nothing_out = self::policy("[[rule]]\nname = \"o\"\ndirection = [\"out\"]\nthen = \"block\"\n");
    assert_eq!(end(&town, &nothing_out, ANNA, ANNA, status("falcon")), "allow");
    assert_eq!(end(&town, &nothing_out, ANNA, "x@acme.example", text("x")), "block rule:o");
}

#[test]
fn names_that_look_alike_are_other_people() {
    let town = Town::new();
    let policy = policy(
        r#"
[[rule]]
name = "boss"
from = ["boss@acme.example"]
then = "allow"
[[rule]]
name = "acme"
from = ["*@acme.example"]
then = "warn"
[[rule]]
name = "strangers"
from = ["strangers"]
then = "hold"
"#,
    );
    for (from, wanted) in [
        ("boss@acme.example", "allow rule:boss"),
        // Cyrillic, a digit, a dot more.
        ("bоss@acme.example", "allow"),
        ("b0ss@acme.example", "allow"),
        ("boss.@acme.example", "allow"),
        ("boss@аcme.example", "hold rule:strangers"),
        ("boss@acrne.example", "hold rule:strangers"),
        ("boss@acme-example.org", "hold rule:strangers"),
    ] {
        assert_eq!(end(&town, &policy, from, ANNA, text("x")), wanted, "{from}");
    }
}

#[test]
fn devices_and_protocols_count_one_by_one() {
    let town = Town::new();
    let policy = policy(
        r#"
[[rule]]
name = "phones"
devices = ["phone*", "*tablet"]
features = ["im"]
direction = ["out"]
then = "block"
[[rule]]
name = "sip"
protocols = ["sip"]
direction = ["out"]
then = "hold"
"#,
    );
    for (from, sip, wanted) in [
        ("anna@corp.example/phone", false, "block rule:phones"),
        ("anna@corp.example/Phone-2", false, "block rule:phones"),
        ("anna@corp.example/my-tablet", false, "block rule:phones"),
        ("anna@corp.example/my-tablet-2", false, "allow"),
        ("anna@corp.example/desk", false, "allow"),
        ("anna@corp.example", false, "allow"),
        ("anna@corp.example/desk", true, "hold rule:sip"),
        ("anna@corp.example/phone", true, "block rule:phones"),
    ] {
        let mut envelope = sent(&town, from, "x@acme.example", text("x"));
        if sip {
            envelope.origin.dialect = Dialect::Sip;
        }
        let decision = policy.decide(&Facts::of(&envelope, &town));
        let by = decision.by.map(|said| format!(" {}", said.rule)).unwrap_or_default();
        assert_eq!(format!("{}{by}", decision.verdict.name()), wanted, "{from} {sip}");
    }
}

//! What policies decide, case by case.

use model::{
    Address, Composing, Dialect, Endpoint, Envelope, EnvelopeId, Event, Message, Opaque, Origin, Original,
    Part, Reason, Receipt, ReceiptKind, Refusal, Security, Subscribe, Term, Timestamp, Vouch,
};
use policy::{Belonging, Decision, Facts, Policy, Society, Verdict};
use std::sync::Arc;

/// Two companies of ours, two partners, some groups.
struct Town;

impl Society for Town {
    fn belonging(&self, who: &Address) -> Belonging {
        let groups: &[&str] = match who.user() {
            Some("anna") => &["sales", "managers"],
            Some("bert") => &["research"],
            Some("tina") => &["trading"],
            Some("carla") => &["research", "compliance"],
            _ => &[],
        };
        let partner = match who.domain() {
            "acme.example" | "eu.acme.example" => Some("acme".into()),
            "globex.example" => Some("globex".into()),
            _ => None,
        };
        Belonging {
            local: matches!(who.domain(), "corp.example" | "labs.example"),
            partner,
            groups: groups.iter().map(|g| Arc::from(*g)).collect(),
        }
    }
    fn has_group(&self, name: &str) -> bool {
        ["sales", "managers", "research", "trading", "compliance"].contains(&name)
    }
    fn has_partner(&self, name: &str) -> bool {
        ["acme", "globex"].contains(&name)
    }
}

fn endpoint(text: &str) -> Endpoint {
    let (address, device) = text.split_once('/').unwrap_or((text, ""));
    let device = (!device.is_empty()).then(|| model::Device::new(device).unwrap());
    Endpoint { address: Address::parse(address).unwrap(), device }
}

fn sent(from: &str, to: &str, event: Event) -> Envelope {
    let from = endpoint(from);
    let vouch = match Town.belonging(&from.address).local {
        true => Vouch::Account(from.address.clone()),
        false => Vouch::Domain(from.address.to_domain(), model::Proof::Certificate),
    };
    Envelope {
        id: EnvelopeId(1),
        // A Saturday, 10:00 UTC.
        at: Timestamp(1_795_255_200_000),
        origin: Origin { dialect: Dialect::Xmpp, security: Security::Tls, vouch },
        from,
        to: endpoint(to),
        hops: 70,
        event,
    }
}

fn text(words: &str) -> Event {
    Event::Message(Message {
        parts: vec![Part::text(words.to_owned(), None)],
        lasting: true,
        ..Message::default()
    })
}

fn stanza(xml: &str) -> Event {
    let original = Some(Original { dialect: Dialect::Xmpp, bytes: xml.to_owned().into() });
    Event::Message(Message {
        parts: vec![Part::text("hi", None)],
        original,
        lasting: true,
        ..Message::default()
    })
}

fn file(bytes: &'static [u8]) -> Event {
    let part = Part { mime: "application/octet-stream".into(), lang: None, body: bytes.into() };
    Event::Message(Message { parts: vec![part], ..Message::default() })
}

fn policy(text: &str) -> Policy {
    Policy::read(text)
        .unwrap_or_else(|m| panic!("{}", m.iter().map(|m| m.to_string()).collect::<Vec<_>>().join("\n")))
}

fn decide(policy: &Policy, envelope: &Envelope) -> Decision {
    policy.decide(&Facts::of(envelope, &Town))
}

/// The verdict and the rule.
fn end(policy: &Policy, from: &str, to: &str, event: Event) -> String {
    let decision = decide(policy, &sent(from, to, event));
    let mut end = decision.verdict.name().to_owned();
    if let Some(said) = &decision.by {
        end += &format!(" by {}", said.rule);
    }
    for (what, all) in
        [("warned", &decision.warnings), ("changed", &decision.changed.map_or_else(Vec::new, |c| c.1))]
    {
        for said in all {
            end += &format!(", {what} by {}", said.rule);
        }
    }
    end
}

const WHO: &str = r#"
[[wall]]
name = "chinese"
between = ["research", "trading"]
except = ["compliance"]

[[rule]]
name = "one"
from = ["eve@corp.example"]
to = ["remote"]
then = "block"

[[rule]]
name = "below"
to = ["*@*.acme.example"]
then = "hold"

[[rule]]
name = "acme-im-only"
party = ["partner:acme"]
features = ["presence", "files", "calls"]
then = "block"

[[rule]]
name = "managers"
from = ["managers"]
to = ["partners"]
then = "allow"

[[rule]]
name = "no-globex"
party = ["partner:globex"]
except_from = ["group:research"]
then = "block"

[[rule]]
name = "labs-stay-inside"
from = ["*@labs.example"]
direction = ["out"]
then = "block"

[[rule]]
name = "strangers"
from = ["strangers"]
to = ["local"]
then = "hold"

[[rule]]
name = "no-phones"
devices = ["phone*", "tablet"]
protocols = ["xmpp"]
features = ["im"]
to = ["sales"]
then = "warn"
"#;

#[test]
fn who_may_talk_to_whom() {
    let policy = policy(WHO);
    let watch = || Event::Subscribe(Subscribe { term: Term::Lasting, note: None, original: None });
    let typing = || Event::Composing(Composing { active: true, thread: None, lang: None, original: None });
    for (from, to, event, wanted) in [
        ("bert@corp.example", "tina@corp.example", text("x"), "block by wall:chinese"),
        ("tina@corp.example", "bert@corp.example", text("x"), "block by wall:chinese"),
        ("tina@corp.example", "bert@corp.example", typing(), "block by wall:chinese"),
        ("tina@corp.example", "bert@corp.example", watch(), "block by wall:chinese"),
        ("carla@corp.example", "tina@corp.example", text("x"), "allow"),
        ("tina@corp.example", "carla@corp.example", text("x"), "allow"),
        ("bert@corp.example", "bert@corp.example", text("x"), "allow"),
        ("eve@corp.example", "x@acme.example", text("x"), "block by rule:one"),
        ("eve@corp.example", "x@nowhere.example", text("x"), "block by rule:one"),
        ("eve@corp.example", "anna@corp.example", text("x"), "allow"),
        ("anna@corp.example", "x@eu.acme.example", text("x"), "hold by rule:below"),
        ("anna@corp.example", "x@acme.example", text("x"), "allow by rule:managers"),
        ("anna@corp.example", "x@acme.example", watch(), "block by rule:acme-im-only"),
        ("x@acme.example", "anna@corp.example", watch(), "block by rule:acme-im-only"),
        ("x@acme.example", "anna@corp.example", text("x"), "allow"),
        ("anna@corp.example", "x@globex.example", text("x"), "allow by rule:managers"),
        ("tina@corp.example", "x@globex.example", text("x"), "block by rule:no-globex"),
        ("bert@corp.example", "x@globex.example", text("x"), "allow"),
        ("x@globex.example", "bert@corp.example", text("x"), "block by rule:no-globex"),
        ("lab@labs.example", "x@acme.example", text("x"), "block by rule:labs-stay-inside"),
        ("lab@labs.example", "anna@corp.example", text("x"), "allow"),
        ("x@nowhere.example", "anna@corp.example", text("x"), "hold by rule:strangers"),
        ("x@acme.example", "anna@corp.example/phone-1", text("x"), "allow"),
        ("eve@corp.example/phone-1", "anna@corp.example", text("x"), "allow, warned by rule:no-phones"),
        ("eve@corp.example/Tablet", "anna@corp.example", text("x"), "allow, warned by rule:no-phones"),
        ("eve@corp.example/tablets", "anna@corp.example", text("x"), "allow"),
        ("eve@corp.example", "anna@corp.example", text("x"), "allow"),
    ] {
        let (said, kind) = (end(&policy, from, to, event.clone()), event.kind());
        assert_eq!(said, wanted, "{kind} from {from} to {to}");
    }
}

#[test]
fn news_of_failure_and_the_servers_own_words_always_pass() {
    let policy = policy("default = \"block\"");
    let failed =
        Receipt { of: "1".into(), kind: ReceiptKind::Failed(Refusal::new(Reason::Policy)), original: None };
    let read = Receipt { of: "1".into(), kind: ReceiptKind::Displayed, original: None };
    let (anna, bert) = ("anna@corp.example", "bert@corp.example");
    assert_eq!(end(&policy, anna, bert, Event::Receipt(failed.clone())), "allow");
    // Words about it are words like any others.
    let why = Refusal::new(Reason::Policy).with_text("the Falcon starts on the third");
    let told = Receipt { kind: ReceiptKind::Failed(why), ..failed };
    assert_eq!(end(&policy, anna, bert, Event::Receipt(told.clone())), "block");
    let content = self::policy(CONTENT);
    assert_eq!(end(&content, anna, "x@acme.example", Event::Receipt(told)), "block by rule:no-secrets-out");
    assert_eq!(end(&policy, anna, bert, Event::Receipt(read)), "block");
    let mut ours = sent("corp.example", bert, text("x"));
    ours.origin = Origin::server();
    assert_eq!(decide(&policy, &ours).verdict, Verdict::Allow);
    let forged = sent("corp.example", bert, text("x"));
    assert_eq!(decide(&policy, &forged).verdict, Verdict::Block);
}

const CONTENT: &str = r#"
[detect.secret]
words = ["Falcon", "blue bird"]

[detect.ticket]
regex = ['PRJ-[0-9]{4}']

[detect.card]
numbers = ["payment-card", "iban"]

[[rule]]
name = "no-secrets-out"
direction = ["out"]
content = ["secret"]
then = "block"
text = "That name stays inside."

[[rule]]
name = "mask-cards"
content = ["card"]
then = "mask"

[[rule]]
name = "many-tickets"
content = ["ticket"]
at_least = 3
then = "hold"

[[rule]]
name = "no-programs"
files = ["executable"]
then = "block"

[[rule]]
name = "big"
features = ["im"]
larger_than = 2000
then = "warn"

[[rule]]
name = "e2e"
to = ["partners"]
encrypted = true
then = "block"

[[rule]]
name = "footer"
direction = ["out"]
features = ["im"]
then = "disclaimer"
text = "Confidential."
"#;

#[test]
fn what_is_said_decides() {
    let policy = policy(CONTENT);
    let (anna, out, inside) = ("anna@corp.example", "x@acme.example", "bert@corp.example");
    let blocked = "block by rule:no-secrets-out";
    for (to, event, wanted) in [
        (out, text("hello"), "allow, changed by rule:footer"),
        (inside, text("hello"), "allow"),
        (out, text("falcon"), blocked),
        (inside, text("falcon"), "allow"),
        (out, text("fаlсоn"), blocked),
        (out, text("F A L C O N"), blocked),
        (out, text("fal\u{200b}con"), blocked),
        (out, text("ｆａｌｃｏｎ"), blocked),
        (out, text("f-a-l-c-o-n"), blocked),
        (out, text("Blue   Bird"), blocked),
        (out, text("falconry"), "allow, changed by rule:footer"),
        // Wherever it stands in a stanza.
        (out, stanza("<message><subject>Falcon</subject><body>hi</body></message>"), blocked),
        (out, stanza("<message><body>f&#97;lcon</body></message>"), blocked),
        (out, stanza("<message><body>hi</body><html><body>fal<b>con</b></body></html></message>"), blocked),
        (
            out,
            stanza(
                "<message><body>x</body><reactions xmlns='urn:xmpp:reactions:0'><reaction>falcon</reaction></reactions></message>",
            ),
            blocked,
        ),
        (
            out,
            stanza(
                "<message><body>falcon</body><replace id='1' xmlns='urn:xmpp:message-correct:0'/></message>",
            ),
            blocked,
        ),
        (
            out,
            stanza(
                "<message><body>x</body><x xmlns='jabber:x:oob'><url>http://x/falcon.pdf</url></x></message>",
            ),
            blocked,
        ),
        (out, stanza("<message><body>x</body><file name='falcon.doc'/></message>"), blocked),
        (inside, text("pay 4111 1111 1111 1111"), "allow, changed by rule:mask-cards"),
        (out, text("pay 4111 1111 1111 1111"), "allow, changed by rule:mask-cards, changed by rule:footer"),
        (inside, text("pay 4111 1111 1111 1112"), "allow"),
        (inside, text("PRJ-1111 PRJ-2222"), "allow"),
        (inside, text("PRJ-1111 PRJ-2222 PRJ-3333"), "hold by rule:many-tickets"),
        (inside, file(b"MZ\x90\0\x03"), "block by rule:no-programs"),
        (inside, file(b"%PDF-1.4"), "allow"),
        (inside, text(&"x".repeat(2001)), "allow, warned by rule:big"),
        (
            out,
            stanza("<message><body>x</body><encrypted xmlns='eu.siacs.conversations.axolotl'/></message>"),
            "block by rule:e2e",
        ),
        (
            out,
            stanza(
                "<message><body>x</body><encrypted xmlns='eu.siacs.conversations.axolot&#108;'/></message>",
            ),
            "block by rule:e2e",
        ),
        (out, text("?OTRv3?"), "block by rule:e2e"),
        (inside, text("?OTRv3?"), "allow"),
        // What is not a message cannot be masked, so it does not pass.
        (
            inside,
            Event::Opaque(Opaque {
                original: Original { dialect: Dialect::Xmpp, bytes: "<iq>4111 1111 1111 1111</iq>".into() },
                wants_answer: true,
            }),
            "block by rule:mask-cards",
        ),
        (
            inside,
            Event::Subscribe(Subscribe {
                term: Term::Lasting,
                note: Some("4111 1111 1111 1111".into()),
                original: None,
            }),
            "block by rule:mask-cards",
        ),
    ] {
        let shown = format!("{event:?} to {to}");
        assert_eq!(end(&policy, anna, to, event), wanted, "{shown}");
    }
}

#[test]
fn masks_hide_what_was_found_and_keep_the_rest() {
    let policy = policy(CONTENT);
    for (given, wanted) in [
        ("pay 4111 1111 1111 1111 now", "pay ████ ████ ████ ████ now"),
        ("4111-1111-1111-1111", "███████████████████"),
        ("é 4111111111111111 é", "é ████████████████ é"),
        ("two: 4111111111111111, 5555555555554444", "two: ████████████████, ████████████████"),
    ] {
        let decision = decide(&policy, &sent("anna@corp.example", "bert@corp.example", text(given)));
        let (message, by) = decision.changed.unwrap();
        assert_eq!(message.text(), Some(wanted));
        assert_eq!(message.original, None, "the sender's rendering holds what was masked");
        assert_eq!(by[0].rule, "rule:mask-cards");
    }
    let decision = decide(&policy, &sent("anna@corp.example", "x@acme.example", text("hello")));
    assert_eq!(decision.changed.unwrap().0.text(), Some("hello\nConfidential."));
}

#[test]
fn conditions_say_what_fields_cannot() {
    for (condition, holds) in [
        ("size > 3 && from.local", true),
        ("from.domain == to.domain", false),
        ("'sales' in from.groups", true),
        ("from.groups.exists(g, g.startsWith('man'))", true),
        ("to.partner == 'acme' && direction == 'out'", true),
        ("text.contains('hello')", true),
        ("protocol == 'sip'", false),
        ("features == ['im'] && !encrypted", true),
        ("weekday >= 6 && hour == 10", true),
        ("from.nonsense == 1", true), // cannot be told: the rule that stops something stops it
    ] {
        let policy =
            policy(&format!("[[rule]]\nname = \"c\"\nif = \"\"\"{condition}\"\"\"\nthen = \"block\""));
        let end = end(&policy, "anna@corp.example", "x@acme.example", text("hello"));
        assert_eq!(end.starts_with("block"), holds, "{condition}");
    }
    let lets_pass =
        policy("default = \"block\"\n[[rule]]\nname = \"c\"\nif = \"from.nonsense == 1\"\nthen = \"allow\"");
    assert_eq!(end(&lets_pass, "anna@corp.example", "bert@corp.example", text("x")), "block");
}

#[test]
fn the_clock_and_the_proof_count() {
    let policy = policy(
        r#"
timezone = "Europe/Zurich"
[[rule]]
name = "weekend"
to = ["remote"]
time = ["sat 11:00-12:00"]
then = "block"
[[rule]]
name = "proved"
verified = ["account"]
then = "allow"
[[rule]]
name = "rest"
verified = ["server", "nobody"]
features = ["im"]
then = "hold"
"#,
    );
    assert_eq!(end(&policy, "anna@corp.example", "x@acme.example", text("x")), "block by rule:weekend");
    assert_eq!(end(&policy, "anna@corp.example", "bert@corp.example", text("x")), "allow by rule:proved");
    assert_eq!(end(&policy, "x@acme.example", "bert@corp.example", text("x")), "hold by rule:rest");
}

#[test]
fn how_a_server_was_proved_counts() {
    let policy = policy(
        r#"
[[rule]]
name = "unproved-files"
from = ["remote"]
features = ["files"]
verified = ["dialback", "nobody"]
then = "block"
[[rule]]
name = "called"
if = "verified == 'dialback' && text.contains('urgent')"
then = "hold"
[[rule]]
name = "server"
verified = ["server"]
features = ["files"]
then = "warn"
text = "We look at files."
"#,
    );
    use model::Proof::{Certificate, Dialback, Unsaid};
    let file = || file(b"%PDF-1.4");
    for (proof, event, wanted) in [
        (Certificate, file(), "allow"),
        (Dialback, file(), "block by rule:unproved-files"),
        (Unsaid, file(), "allow"),
        (Certificate, text("urgent"), "allow"),
        (Dialback, text("urgent"), "hold by rule:called"),
        (Dialback, text("later"), "allow"),
    ] {
        let mut envelope = sent("x@acme.example", "bert@corp.example", event);
        envelope.origin.vouch = Vouch::Domain(Address::parse("acme.example").unwrap(), proof);
        let decision = policy.decide(&Facts::of(&envelope, &Town));
        let by = decision.by.as_ref().map(|said| format!(" by {}", said.rule)).unwrap_or_default();
        assert_eq!(format!("{}{by}", decision.verdict.name()), wanted, "{proof:?}");
        let warned = !decision.warnings.is_empty();
        assert_eq!(
            warned,
            wanted == "allow" && matches!(envelope.event, model::Event::Message(ref m) if m.text().is_none()),
            "{proof:?}"
        );
    }
}

#[test]
fn what_decided_and_what_nearly_did_is_explained() {
    let policy = policy(WHO);
    let envelope = sent("anna@corp.example", "x@acme.example", text("x"));
    let (decision, near) = policy.explain(&Facts::of(&envelope, &Town));
    assert_eq!(decision.by.unwrap().rule, "rule:managers");
    let near: Vec<String> =
        near.iter().map(|n| format!("{} {} but for {}", n.then, n.rule, n.missing)).collect();
    assert_eq!(
        near,
        [
            "block rule:one but for from",
            "hold rule:below but for to",
            "block rule:acme-im-only but for features",
            "block rule:no-globex but for from",
            "block rule:labs-stay-inside but for from",
        ]
    );
    assert_eq!(policy.line("rule:one"), Some(8));
}

#[test]
fn mistakes_are_shown_with_their_place_and_what_was_meant() {
    for (text, place, what) in [
        ("[[rule]]\nname = \"a\"\nthen = \"blok\"", (3, 8), "unknown variant"),
        ("[[rule]]\nname = \"a\"\nfrm = []\nthen = \"block\"", (3, 1), "did you mean `from`"),
        ("[[rule]]\nname = \"a\"\nfrom = [\"a b\"]\nthen = \"block\"", (3, 9), "names nobody"),
        ("[[rule]]\nname = \"a\"\nthen = \"mask\"", (3, 8), "name in `content`"),
        ("[[rule]]\nname = \"a\"\nthen = \"disclaimer\"", (3, 8), "needs its `text`"),
        (
            "[[rule]]\nname = \"a\"\ncontent = [\"crd\"]\nthen = \"block\"\n[detect.card]\nwords=[\"x\"]",
            (3, 12),
            "did you mean \"card\"",
        ),
        ("[[rule]]\nname = \"a b\"\nthen = \"block\"", (2, 8), "no spaces"),
        (
            "[[rule]]\nname = \"a\"\nthen = \"block\"\n[[rule]]\nname = \"a\"\nthen = \"block\"",
            (5, 8),
            "of that name already",
        ),
        ("[[rule]]\nname = \"a\"\nif = \"frm.local\"\nthen = \"block\"", (3, 6), "did you mean `from`"),
        ("[[rule]]\nname = \"a\"\nif = \"1 +\"\nthen = \"block\"", (3, 6), ""),
        ("[[rule]]\nname = \"a\"\ntime = [\"noon\"]\nthen = \"block\"", (3, 9), "is no time"),
        ("[[rule]]\nname = \"a\"\nfiles = [\"exe\"]\nthen = \"block\"", (3, 10), "no kind of file"),
        ("[detect.x]\nregex = ['(']", (2, 10), "unclosed group"),
        ("[detect.x]\nregex = ['a*']", (2, 10), "empty text"),
        ("[detect.x]\nregex = ['(\\w{1,1000}){1,1000}x']", (2, 10), "memory"),
        ("[detect.x]\nnumbers = [\"payment-cards\"]", (2, 12), "did you mean \"payment-card\""),
        ("[detect.x]\n", (1, 9), "looks for nothing"),
        ("timezone = \"Europe/Zurch\"", (1, 12), "no time zone"),
        ("[[wall]]\nname = \"w\"\nbetween = [\"a\"]", (3, 11), "two or more"),
        ("default = \"perhaps\"", (1, 11), "unknown variant"),
    ] {
        let mistakes = Policy::read(text).unwrap_err();
        let first = &mistakes[0];
        assert_eq!((first.line, first.column), place, "{text}: {first}");
        assert!(first.what.contains(what), "{first}");
    }
    let deep = format!(
        "[[rule]]\nname = \"a\"\nif = \"{}1{} == 1\"\nthen = \"block\"",
        "(".repeat(3000),
        ")".repeat(3000)
    );
    assert!(Policy::read(&deep).is_err());
    let deep = format!("[[rule]]\nname = \"a\"\nif = \"{}true\"\nthen = \"block\"", "!".repeat(1500));
    assert!(Policy::read(&deep).is_err());
}

#[test]
fn who_is_named_and_unknown_is_told() {
    let policy =
        policy("[[rule]]\nname = \"a\"\nfrom = [\"slaes\"]\nto = [\"partner:acmee\"]\nthen = \"block\"");
    assert_eq!(policy.strangers(&Town), ["group \"slaes\"", "partner \"acmee\""]);
}

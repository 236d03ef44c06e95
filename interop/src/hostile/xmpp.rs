//! Hostile XMPP: RFC 6120 sections 4.9, 6.5, 11 and 13.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::Rialto;
use crate::raw::Wire;
use crate::raw::xmpp::{OPEN, Xmpp, auth, plain};

/// Who logs in here.
pub const USER: &str = "romeo";
/// A password that is nobody's.
pub const WRONG_PASSWORD: &str = "a-mistyped-secret-81";
/// What the stanzas say.
pub const TEXT: &str = "a stanza that nobody should read 4417";

/// How far a client has come when it turns hostile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    /// Nothing was said, and there is no TLS.
    Plain,
    /// The stream is open under TLS.
    Tls,
    /// Logged in, not bound.
    Unbound,
    /// A session.
    Bound,
}
use Door::{Bound, Plain, Tls, Unbound};

/// What must come back.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// This stream error, then the end.
    Error(&'static str),
    /// This text, then the end.
    End(&'static str),
    /// An element with this text, and the stream goes on.
    Says(&'static str),
}
use Answer::{End, Error, Says};

struct Case {
    name: &'static str,
    door: Door,
    bytes: Vec<u8>,
    answer: Answer,
}

fn header(from: &str, to: &str) -> Vec<u8> {
    let changed = OPEN.replace(from, to);
    assert_ne!(changed, OPEN, "the sound header has no {from}");
    changed.into_bytes()
}

fn many(count: usize, mut one: impl FnMut(usize, &mut String)) -> String {
    let mut all = String::new();
    for n in 0..count {
        one(n, &mut all);
    }
    all
}

/// A message around `inner`.
fn message(inner: &str) -> Vec<u8> {
    format!("<message to='juliet@example.com' type='chat'><body>{TEXT}{inner}</body></message>").into_bytes()
}

fn sasl(mechanism: &str, message: &[u8]) -> Vec<u8> {
    auth(mechanism, message).into_bytes()
}

/// What breaks XML, the namespace rules or the restrictions of XMPP, wherever on the stream it comes.
fn ill_formed() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let bad = |bytes: &[u8]| [b"<message><body>", bytes, b"</body></message>"].concat();
    let laughs =
        "<!DOCTYPE x [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]><message>&b;</message>";
    vec![
        ("text between stanzas", b"hello".to_vec(), "bad-format"),
        ("CDATA between stanzas", b"<![CDATA[x]]>".to_vec(), "bad-format"),
        ("DOCTYPE on the stream", b"<!DOCTYPE html>".to_vec(), "restricted-xml"),
        ("a bomb of entities", laughs.into(), "restricted-xml"),
        ("comment on the stream", b"<!-- hi -->".to_vec(), "restricted-xml"),
        ("processing instruction on the stream", b"<?php evil() ?>".to_vec(), "restricted-xml"),
        ("comment in a stanza", message("<!-- hi -->"), "restricted-xml"),
        ("processing instruction in a stanza", message("<?x?>"), "restricted-xml"),
        ("DOCTYPE in a stanza", message("<!DOCTYPE x>"), "restricted-xml"),
        ("entity nobody defined", message("&nbsp;"), "restricted-xml"),
        ("external entity", message("&xxe;"), "restricted-xml"),
        ("reference to nothing", message("&#0;"), "not-well-formed"),
        ("reference to a surrogate", message("&#xD800;"), "not-well-formed"),
        ("ampersand alone", message("a & b"), "not-well-formed"),
        ("control character", message("\u{1}"), "not-well-formed"),
        ("forbidden non-character", message("\u{ffff}"), "not-well-formed"),
        ("]]> in text", message("]]>"), "not-well-formed"),
        ("byte that begins no character", bad(b"\xff"), "unsupported-encoding"),
        ("overlong character", bad(b"\xc0\xaf"), "unsupported-encoding"),
        ("surrogate in UTF-8", bad(b"\xed\xa0\x80"), "unsupported-encoding"),
        ("character cut short", bad(b"\xe2\x82"), "unsupported-encoding"),
        ("bad UTF-8 in an attribute", b"<message id='\xff'/>".to_vec(), "unsupported-encoding"),
        ("crossed end tags", b"<message><body></message></body>".to_vec(), "not-well-formed"),
        ("end tag of another", b"</message>".to_vec(), "not-well-formed"),
        ("prefix nobody declared", b"<x:message/>".to_vec(), "not-well-formed"),
        ("two colons", b"<a:b:c xmlns:a='u'/>".to_vec(), "not-well-formed"),
        ("attribute twice", b"<message id='1' id='2'/>".to_vec(), "not-well-formed"),
        (
            "attribute twice by namespace",
            b"<m xmlns:a='u' xmlns:b='u' a:x='' b:x=''/>".to_vec(),
            "not-well-formed",
        ),
        ("default namespace twice", b"<message xmlns='a' xmlns='b'/>".to_vec(), "not-well-formed"),
        ("xml prefix bound elsewhere", b"<message xmlns:xml='u'/>".to_vec(), "not-well-formed"),
        ("< in an attribute", b"<message id='<'/>".to_vec(), "not-well-formed"),
        ("attribute without quotes", b"<message id=1/>".to_vec(), "not-well-formed"),
        ("name that only the fifth edition has", "<message><\u{132}/></message>".into(), "not-well-formed"),
        ("attribute that only the fifth edition has", "<message \u{10000}='a'/>".into(), "not-well-formed"),
        ("name that begins with a digit", b"<1message/>".to_vec(), "not-well-formed"),
        ("35 kB of nested tags", "<a><b>".repeat(5_900).into(), "policy-violation"),
        (
            "100,000 attributes",
            format!("<message{}/>", many(100_000, |n, all| _ = write!(all, " a{n}=''"))).into(),
            "policy-violation",
        ),
        (
            "1,000 namespace declarations",
            format!("<message{}/>", many(1_000, |n, all| _ = write!(all, " xmlns:n{n}='u'"))).into(),
            "policy-violation",
        ),
        (
            "10,000 children",
            format!("<message>{}</message>", "<a/>".repeat(10_000)).into(),
            "policy-violation",
        ),
        ("stanza of 300 kB", message(&"x".repeat(300_000)), "policy-violation"),
        ("tag of 300 kB", format!("<message id='{}", "x".repeat(300_000)).into(), "policy-violation"),
        ("name of 300 bytes", format!("<{}/>", "x".repeat(300)).into(), "policy-violation"),
    ]
}

/// From the first byte on.
fn first_bytes() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let utf16: Vec<u8> = OPEN.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let bomb = many(100_000, |n, all| _ = write!(all, " xmlns:n{n}='u'"));
    vec![
        ("a web browser", b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n".to_vec(), "not-well-formed"),
        ("a SIP phone", b"OPTIONS sip:example.com SIP/2.0\r\n\r\n".to_vec(), "not-well-formed"),
        ("DOCTYPE before the stream", b"<!DOCTYPE s [<!ENTITY a 'b'>]>".to_vec(), "restricted-xml"),
        ("comment before the stream", b"<!-- hi -->".to_vec(), "restricted-xml"),
        ("processing instruction before the stream", b"<?php ?>".to_vec(), "restricted-xml"),
        ("UTF-16 with its mark", [b"\xff\xfe", &utf16[..]].concat(), "unsupported-encoding"),
        ("UTF-16 without a mark", utf16, "unsupported-encoding"),
        ("ISO 8859-1", header("'1.0'?>", "'1.0' encoding='iso-8859-1'?>"), "unsupported-encoding"),
        ("XML 1.1", header("<?xml version='1.0'", "<?xml version='1.1'"), "not-well-formed"),
        (
            "control character in the header",
            header("version='1.0'>", "version='1.0' id='\u{c}'>"),
            "not-well-formed",
        ),
        ("host nobody serves", header("example.com", "example.org"), "host-unknown"),
        ("host that is none", header("example.com", "..."), "host-unknown"),
        (
            "another namespace of streams",
            header("etherx.jabber.org", "etherx.example.org"),
            "invalid-namespace",
        ),
        ("a server's namespace", header("jabber:client", "jabber:server"), "invalid-namespace"),
        ("no content namespace", header(" xmlns='jabber:client'", ""), "invalid-namespace"),
        ("version 0.9", header("version='1.0'>", "version='0.9'>"), "unsupported-version"),
        ("no version", header(" version='1.0'>", ">"), "unsupported-version"),
        ("root that is no stream", header("<stream:stream", "<stream:flood"), "bad-format"),
        ("stream that ends at once", header("version='1.0'>", "version='1.0'/>"), "bad-format"),
        (
            "100,000 namespaces in the header",
            header("version='1.0'>", &format!("{bomb}>")),
            "policy-violation",
        ),
        (
            "header of 20 kB",
            header("version='1.0'>", &format!("id='{}'>", "x".repeat(20_000))),
            "policy-violation",
        ),
    ]
}

fn battery() -> Vec<Case> {
    let mut all = Vec::new();
    let mut add = |door, name, bytes, answer| all.push(Case { name, door, bytes, answer });
    for (name, bytes, error) in first_bytes() {
        add(Plain, name, bytes, Error(error));
    }
    for door in [Tls, Bound] {
        for (name, bytes, error) in ill_formed() {
            add(door, name, bytes, Error(error));
        }
    }
    let plainly = [OPEN.as_bytes(), &sasl("PLAIN", &plain(USER, "any"))].concat();
    add(Plain, "PLAIN before TLS", plainly, Says("encryption-required"));
    let scram = [OPEN.as_bytes(), &sasl("SCRAM-SHA-256", b"n,,n=romeo,r=abc")].concat();
    add(Plain, "SCRAM before TLS", scram, Says("encryption-required"));
    add(Plain, "stanza before TLS", [OPEN.as_bytes(), &message("")].concat(), Error("not-authorized"));
    // Before authentication.
    add(Tls, "stanza before login", message(""), Error("not-authorized"));
    add(
        Tls,
        "ping before login",
        b"<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>".to_vec(),
        Error("not-authorized"),
    );
    add(Tls, "element nobody knows before login", b"<x xmlns='u'/>".to_vec(), Error("not-authorized"));
    add(
        Tls,
        "resumption before login",
        b"<resume xmlns='urn:xmpp:sm:3' h='0' previd='x'/>".to_vec(),
        Error("not-authorized"),
    );
    add(
        Tls,
        "TLS in TLS",
        b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>".to_vec(),
        End("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'"),
    );
    add(
        Tls,
        "the server's own SASL words",
        b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>".to_vec(),
        Error("invalid-xml"),
    );
    let garbage = b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>!!!</auth>".to_vec();
    add(Tls, "SASL that is not base64", garbage, Says("incorrect-encoding"));
    for (name, mechanism, bytes, answer) in [
        ("PLAIN without parts", "PLAIN", &b"romeo"[..], "malformed-request"),
        ("PLAIN with too many parts", "PLAIN", b"\0romeo\0x\0y", "malformed-request"),
        ("PLAIN that is not UTF-8", "PLAIN", b"\0\xff\0x", "malformed-request"),
        ("SCRAM with nothing", "SCRAM-SHA-256", b"n,,", "malformed-request"),
        ("SCRAM without a nonce", "SCRAM-SHA-256", b"n,,n=romeo", "malformed-request"),
        ("SCRAM garbage", "SCRAM-SHA-1", b"\0\0\0", "malformed-request"),
        ("mechanism nobody offered", "GSSAPI", b"x", "invalid-mechanism"),
        ("acting as somebody else", "PLAIN", b"juliet@example.com\0romeo\0x", "invalid-authzid"),
    ] {
        add(Tls, name, sasl(mechanism, bytes), Says(answer));
    }
    let wrong = sasl("PLAIN", &plain(USER, WRONG_PASSWORD));
    add(Tls, "wrong password", wrong.clone(), Says("<not-authorized"));
    add(Tls, "user nobody is", sasl("PLAIN", &plain("nobody", WRONG_PASSWORD)), Says("<not-authorized"));
    let response = b"<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>".to_vec();
    add(Tls, "response to nothing", response, Says("malformed-request"));
    let abort = b"<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>".to_vec();
    add(Tls, "abort of nothing", abort, Says("<aborted"));
    add(Tls, "guessing passwords", wrong.repeat(6), Error("policy-violation"));
    // Between login and binding.
    add(Unbound, "message before binding", message(""), Error("not-authorized"));
    add(Unbound, "presence before binding", b"<presence/>".to_vec(), Error("not-authorized"));
    let early = b"<enable xmlns='urn:xmpp:sm:3'/>".to_vec();
    add(Unbound, "acknowledgements before binding", early, Says("<failed"));
    // In a session.
    for (name, bytes, answer) in [
        (
            "speaking as somebody else",
            "<message from='juliet@example.com' to='romeo@example.com'/>",
            Error("invalid-from"),
        ),
        ("speaking as the server", "<iq from='example.com' type='get' id='1'/>", Error("invalid-from")),
        (
            "speaking as another device",
            "<presence from='romeo@example.com/elsewhere'/>",
            Error("invalid-from"),
        ),
        ("unreadable sender", "<presence from='@@'/>", Error("invalid-from")),
        ("stanza nobody knows", "<flood/>", Error("unsupported-stanza-type")),
        ("element nobody knows", "<message xmlns='urn:example:x'/>", Error("unsupported-stanza-type")),
        ("a server's stanza", "<message xmlns='jabber:server'/>", Error("unsupported-stanza-type")),
        (
            "login twice",
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>",
            Error("unsupported-stanza-type"),
        ),
        (
            "TLS twice",
            "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
            Error("unsupported-stanza-type"),
        ),
        ("the server's own features", "<stream:features/>", Error("invalid-xml")),
        (
            "the client's stream error",
            "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
            End("</stream:stream>"),
        ),
        (
            "acknowledging what was never sent",
            "<enable xmlns='urn:xmpp:sm:3'/><a xmlns='urn:xmpp:sm:3' h='77'/>",
            End("handled-count-too-high"),
        ),
        (
            "acknowledging no number",
            "<enable xmlns='urn:xmpp:sm:3'/><a xmlns='urn:xmpp:sm:3' h='-1'/>",
            Error("invalid-xml"),
        ),
        (
            "resuming somebody's stream",
            "<resume xmlns='urn:xmpp:sm:3' h='0' previd='1'/>",
            Says("unexpected-request"),
        ),
        (
            "address that is none",
            "<message to='@' type='chat' id='1'><body>x</body></message>",
            Says("jid-malformed"),
        ),
        ("request without an id", "<iq type='get'><ping xmlns='urn:xmpp:ping'/></iq>", Says("bad-request")),
        (
            "request with two questions",
            "<iq type='get' id='1'><a xmlns='u'/><b xmlns='u'/></iq>",
            Says("bad-request"),
        ),
        ("request of no kind", "<iq type='take' id='1'/>", Says("bad-request")),
        (
            "request nobody understands",
            "<iq type='get' id='1' to='example.com'><x xmlns='u'/></iq>",
            Says("service-unavailable"),
        ),
        (
            "binding twice",
            "<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
            Says("not-allowed"),
        ),
        ("presence of no kind", "<presence type='gone'/>", Says("bad-request")),
    ] {
        add(Bound, name, bytes.as_bytes().to_vec(), answer);
    }
    let large = format!(
        "<message to='juliet@example.com' type='chat' id='1'><body>{TEXT}{}</body></message>",
        "y".repeat(70_000)
    );
    add(Bound, "message over the limit of messages", large.into(), Says("policy-violation"));
    all
}

/// Where to find the server.
struct Target {
    xmpp: u16,
    xmpps: u16,
    ca: PathBuf,
}

impl Target {
    fn reach(&self, door: Door) -> Xmpp {
        match door {
            Plain => Xmpp::on(Wire::plain(self.xmpp)),
            Tls => Xmpp::open(self.xmpps, &self.ca),
            Unbound => Xmpp::logged_in(self.xmpps, &self.ca, USER),
            Bound => {
                let mut client = Xmpp::logged_in(self.xmpps, &self.ca, USER);
                client.bind(USER, "hostile");
                client
            }
        }
    }

    /// What is wrong with the server's answer to one case.
    fn fire(&self, case: &Case) -> Option<String> {
        let mut client = self.reach(case.door);
        client.wire.send(&case.bytes);
        match case.answer {
            Error(condition) => {
                let said = client.wire.to_the_end();
                let error =
                    format!("<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>");
                let once = said.matches("<stream:error>").count() == 1;
                (!(once && said.contains(&error) && said.ends_with("</stream:stream>"))).then_some(said)
            }
            End(text) => {
                let said = client.wire.to_the_end();
                (!(said.contains(text) && said.ends_with("</stream:stream>"))).then_some(said)
            }
            Says(text) => {
                let mut said = String::new();
                loop {
                    match client.next(std::time::Instant::now() + crate::SOON) {
                        Some(element) if element.contains(text) && !element.contains("<stream:error") => {
                            return None;
                        }
                        Some(element) => said.push_str(&element),
                        None => return Some(said),
                    }
                }
            }
        }
    }
}

/// Fire everything, and after each piece let a new client be served. Returns how many pieces were fired.
///
/// # Panics
/// With the list of all wrong answers.
pub fn fire(rialto: &Rialto) -> usize {
    let target = Target { xmpp: rialto.xmpp(), xmpps: rialto.xmpps(), ca: rialto.ca() };
    let mut wrong = Vec::new();
    let battery = battery();
    for case in &battery {
        if let Some(said) = target.fire(case) {
            let end: String = said.chars().rev().take(400).collect::<Vec<_>>().into_iter().rev().collect();
            wrong.push(format!("{:?}, {}: expected {:?}, got ...{end}", case.door, case.name, case.answer));
        }
        let mut fresh = Xmpp::on(Wire::plain(target.xmpp));
        fresh.reopen();
    }
    let mut last = Xmpp::online(target.xmpps, &target.ca, USER, "last");
    last.fence();
    assert!(wrong.is_empty(), "{} wrong answers:\n{}", wrong.len(), wrong.join("\n"));
    battery.len()
}

/// Plaintext sent behind `<starttls/>` must never be believed (RFC 6120 section 5.4.3.3): neither as part of the
/// stream before TLS nor of the one after. Returns how many injections were tried.
///
/// # Panics
/// If the server takes any of it for the client's words.
pub fn inject(rialto: &Rialto) -> usize {
    let starttls = format!("{OPEN}<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    // Each would be answered if it were heard.
    let injections = [
        auth("INJECTED", b"x"),
        format!("{OPEN}{}", auth("INJECTED", b"x")),
        format!("{OPEN}<message/>"),
        "<message>half a stanza".to_owned(),
        "</stream:stream>".to_owned(),
        "\u{0}".to_owned(),
    ];
    for injection in &injections {
        let mut client = Xmpp::on(Wire::plain(rialto.xmpp()));
        // One write, so that all of it is there when the server begins TLS.
        client.wire.send(format!("{starttls}{injection}"));
        client.expect("<stream:stream");
        client.expect("<stream:features");
        client.expect("<proceed");
        assert!(client.wire.heard.is_empty(), "words after <proceed/>: {:?}", client.wire.heard);
        client.wire = client.wire.upgraded(&rialto.ca()).expect("the injected bytes do not disturb TLS");
        client.reopen();
        client.wire.send(auth("PROBE", b"x"));
        let answer = client.expect("<");
        assert!(answer.contains("invalid-mechanism"), "after `{injection}`: {answer}");
        client.wire.send(auth("PLAIN", &plain(USER, crate::PASSWORD)));
        let answer = client.expect("<");
        assert!(answer.starts_with("<success"), "after `{injection}`: {answer}");
    }
    injections.len()
}

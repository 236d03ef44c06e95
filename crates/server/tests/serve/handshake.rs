//! Two fresh servers: one invites, the other accepts, by files alone.

use crate::client::{Xmpp, connect, tls_on};
use crate::harness::{LISTEN, SOON, Serve, prepared_for, rialto};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Instant;
use tempfile::TempDir;

struct Side {
    dir: TempDir,
}

impl Side {
    fn fresh(domain: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("rialto-side-").tempdir().expect("a temporary directory");
        let made = rialto().args(["init", "--domain", domain, "--data"]).arg(dir.path()).output();
        assert!(made.expect("the command starts").status.success());
        Self { dir }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    fn run(&self, args: &[&str]) -> (bool, String) {
        let config = self.path("rialto.toml");
        let done = rialto().args(args).arg("--config").arg(config).output().expect("the command starts");
        (done.status.success(), String::from_utf8([done.stdout, done.stderr].concat()).expect("text"))
    }

    fn good(&self, args: &[&str]) -> String {
        let (good, said) = self.run(args);
        assert!(good, "{args:?}: {said}");
        said
    }

    fn bad(&self, args: &[&str], words: &str) {
        let (good, said) = self.run(args);
        assert!(!good && said.contains(words), "{args:?}: {said}");
    }
}

#[test]
fn an_invitation_goes_there_and_its_answer_back() {
    let (example, acme) = (Side::fresh("example.com"), Side::fresh("acme.example"));
    let (invitation, reply) = (example.path("to-acme"), acme.path("reply"));
    let (invitation, reply) = (invitation.to_str().expect("text"), reply.to_str().expect("text"));
    let said = example.good(&[
        "partner",
        "invite",
        "acme",
        "--domain",
        "acme.example",
        "--without",
        "files",
        "--at",
        "xmpp:127.0.0.1:15269",
        "--our-contact",
        "noc@example.com",
        "--out",
        invitation,
    ]);
    let fingerprint = said.split("telephone: ").nth(1).expect("a fingerprint").trim();
    assert!(example.good(&["partner", "invite", "--list"]).contains(" for acme.example"));

    acme.bad(&["partner", "accept", invitation], "compare the fingerprint");
    acme.bad(&["partner", "accept", invitation, "--fingerprint", &"0".repeat(64)], "signed with another key");
    assert_eq!(acme.good(&["partner", "list"]), "", "nothing has happened yet");
    let said = acme.good(&["partner", "accept", invitation, "--fingerprint", fingerprint, "--reply", reply]);
    for line in [
        "partner:     example\n",
        "domains:     example.com\n",
        "route:       xmpp to 127.0.0.1:15269\n",
        "their own authority alone",
        "features:    im, presence, typing, receipts, rooms, calls, directory, e2e\n",
        "contacts:    noc@example.com\n",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
    acme.bad(&["partner", "accept", invitation, "--yes"], "accepted here already");
    example.bad(&["partner", "accept", invitation, "--yes"], "this invitation is our own");
    example.good(&["partner", "accept", reply, "--yes"]);
    example.bad(&["partner", "accept", reply, "--yes"], "no invitation of ours waits");
    assert!(acme.good(&["partner", "show", "example.com"]).contains(&format!("signed with {fingerprint}")));
    assert!(example.good(&["partner", "show", "acme"]).contains("handshake:   signed with "));
    assert_eq!(example.good(&["partner", "invite", "--list"]), "");
    let record = example.good(&["journal", "tail", "--admin", "-n", "20"]);
    for act in ["partner.invite acme by ", "partner.accept acme.example by "] {
        assert!(record.contains(act), "{act} in {record}");
    }
}

#[test]
fn an_invitation_can_be_taken_back() {
    let (example, acme) = (Side::fresh("example.com"), Side::fresh("acme.example"));
    let text = example.good(&["partner", "invite", "acme", "--domain", "acme.example"]);
    let word = text.lines().find(|line| line.starts_with("rialto1.")).expect("the word");
    let said = acme.good(&["partner", "accept", word, "--yes", "--name", "them"]);
    let answer = said.lines().find(|line| line.starts_with("rialto1.")).expect("the answer");
    let list = example.good(&["partner", "invite", "--list"]);
    let id = list.split(' ').next().expect("an id");
    example.good(&["partner", "invite", "--withdraw", id]);
    example.bad(&["partner", "accept", answer, "--yes"], "no invitation of ours waits");
}

const SERVERS: &str = "
[federation]
mode = \"allow\"

[[xmpp.listen]]
address = \"127.0.0.1:0\"
serves = \"servers\"
";

/// A server that runs, and where other servers reach it.
fn up(domain: &str, users: &[&str], more: &str) -> (Serve, String) {
    let serve = Serve::start_in(prepared_for(domain, "", &format!("{SERVERS}{more}")), users, |_| {});
    let at = format!("xmpp:{}", serve.at("xmpp-s2s"));
    (serve, at)
}

fn said(serve: &Serve, args: &[&str]) -> (bool, String) {
    let done = serve.run(args);
    (done.status.success(), String::from_utf8([done.stdout, done.stderr].concat()).expect("text"))
}

/// Every row of the table, and that it is well.
fn green(table: &str) {
    for row in [
        "good  xmpp  tcp ",
        "good  xmpp  tls ",
        "good  xmpp  certificate ",
        "good  xmpp  login ",
        "good  xmpp  forged ",
        "good  all   messages ",
        "good  all   typing ",
        "good  all   receipt ",
        "good  all   latency ",
        "we see them",
        "they see us",
        "good  all   unknown user",
        "good  all   oversized ",
        "this server can federate with it",
    ] {
        assert!(table.contains(row), "{row} in\n{table}");
    }
    assert!(!table.contains("BAD"), "{table}");
}

#[test]
fn two_fresh_servers_have_a_green_table_after_a_handshake() {
    let ((example, example_at), (acme, acme_at)) = (up("example.com", &[], ""), up("acme.example", &[], ""));
    let (invitation, reply) = (example.path("to-acme"), acme.path("reply"));
    let (invitation, reply) = (invitation.to_str().expect("text"), reply.to_str().expect("text"));
    let protocol = ["--protocol", "xmpp"];
    let invite =
        ["partner", "invite", "acme", "--domain", "acme.example", "--at", &example_at, "--out", invitation];
    let (good, words) = said(&example, &[&invite[..], &protocol].concat());
    assert!(good, "{words}");
    let (good, words) =
        said(&acme, &["partner", "accept", invitation, "--yes", "--at", &acme_at, "--reply", reply]);
    assert!(good, "{words}");
    let (good, words) = said(&example, &["partner", "accept", reply, "--yes"]);
    assert!(good, "{words}");
    green(&words);
    let (_, shown) = said(&example, &["partner", "show", "acme"]);
    assert!(shown.contains("last reached") && shown.contains("the certificate proves it"), "{shown}");
    green(shown.split("last tested").nth(1).expect("a table"));
    // The other side tries it too, as soon as it is asked.
    let end = Instant::now() + SOON;
    let table = loop {
        let (_, shown) = said(&acme, &["partner", "show", "example"]);
        if let Some((_, table)) = shown.split_once("last tested") {
            break table.to_owned();
        }
        assert!(Instant::now() < end, "{shown}\n{}", acme.log());
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    green(&table);
    // Again, with something that is not wanted any more.
    let (good, words) = said(&acme, &["partner", "edit", "example", "--without", "presence"]);
    assert!(good, "{words}");
    let (good, words) = said(&example, &["partner", "test", "acme"]);
    assert!(!good && words.contains("presence"), "{words}");
    let (good, words) = said(&acme, &["partner", "test", "example"]);
    assert!(good && words.contains("note  all   presence"), "{words}");
    assert!(words.contains("(partner:example/feature.presence)"), "{words}");
    let (_, status) = said(&example, &["status"]);
    assert!(!status.contains("rialto-conformance"), "{status}");
    let (good, words) =
        said(&example, &["user", "add", "rialto-conformance@example.com", "--password-stdin"]);
    assert!(!good && words.contains("is nobody's"), "{words}");
}

#[test]
fn a_disclaimer_is_told_once_in_a_conversation() {
    let (example, _) = up("example.com", &["romeo"], LISTEN);
    let (acme, at) = up("acme.example", &["nurse@acme.example", "peter@acme.example"], "");
    let disclaimer = "What we write is confidential.";
    let ca = acme.path("ca.pem");
    let theirs = ["partner", "add", "acme", "--domain", "acme.example", "--protocol", "xmpp", "--route", &at];
    let (good, words) =
        said(&example, &[&theirs[..], &["--ca", ca.to_str().unwrap(), "--disclaimer", disclaimer]].concat());
    assert!(good, "{words}");
    let ca = example.path("ca.pem");
    let ours = ["partner", "add", "example", "--domain", "example.com", "--ca", ca.to_str().unwrap()];
    let (good, words) = said(&acme, &ours);
    assert!(good, "{words}");
    let mut romeo = Xmpp::online(example.at("xmpps-c2s"), &example.path("ca.pem"), "romeo");
    for (to, n) in [("nurse", 1), ("nurse", 2), ("peter", 3)] {
        romeo.say(&format!(
            "<message to='{to}@acme.example' type='chat' id='m{n}'><body>hello {n}</body></message>"
        ));
    }
    let end = Instant::now() + SOON;
    let record = loop {
        let (_, record) = said(&acme, &["journal", "tail", "-n", "50"]);
        if record.matches("romeo@example.com").count() >= 3 && record.matches(" example.com ").count() >= 2 {
            break record;
        }
        assert!(Instant::now() < end, "{record}\n{}\n{}", example.log(), acme.log());
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    let told: Vec<&str> = record.lines().filter(|line| line.contains(" example.com ")).collect();
    assert_eq!(told.len(), 2, "{record}");
    assert!(
        told.iter().any(|l| l.contains("nurse@")) && told.iter().any(|l| l.contains("peter@")),
        "{record}"
    );
}

const TRUNKS: &str = "
[federation]
mode = \"allow\"

[[sip.listen]]
address = \"127.0.0.1:0\"
transport = \"tls\"
serves = \"servers\"
";

#[test]
fn the_same_table_over_sip() {
    let up = |domain: &str| {
        let serve = Serve::start_in(prepared_for(domain, "", TRUNKS), &[], |_| {});
        let at = format!("sip:{}", serve.listeners[0].1);
        (serve, at)
    };
    let ((example, example_at), (acme, acme_at)) = (up("example.com"), up("acme.example"));
    let add = |on: &Serve, name: &str, domain: &str, at: &str, ca: std::path::PathBuf| {
        let ca = ca.to_str().expect("text").to_owned();
        let (good, words) = said(
            on,
            &["partner", "add", name, "--domain", domain, "--protocol", "sip", "--route", at, "--ca", &ca],
        );
        assert!(good, "{words}");
    };
    add(&example, "acme", "acme.example", &acme_at, acme.path("ca.pem"));
    add(&acme, "example", "example.com", &example_at, example.path("ca.pem"));
    let (good, table) = said(&example, &["partner", "test", "acme"]);
    assert!(good, "{table}\n{}\n{}", example.log(), acme.log());
    for row in [
        "good  sip   certificate ",
        "good  sip   offer ",
        "good  sip   forged ",
        "good  all   messages ",
        "we see them",
        "they see us",
        "good  all   unknown user",
        "good  all   oversized ",
    ] {
        assert!(table.contains(row), "{row} in\n{table}");
    }
}

#[test]
fn a_partner_without_a_certificate_gets_one_for_its_own_names_alone() {
    let (example, acme) = (Side::fresh("example.com"), Side::fresh("acme.example"));
    let path = |side: &Side, file: &str| side.path(file).to_str().expect("text").to_owned();
    let (request, chain) = (path(&acme, "acme.csr"), path(&example, "acme-chain.pem"));
    example.good(&["partner", "add", "acme", "--domain", "acme.example", "--domain", "*.acme.example"]);
    // A request for more than was agreed on.
    let key = rcgen::KeyPair::generate().expect("a key");
    let names = vec!["acme.example".to_owned(), "bank.example".to_owned()];
    let asked = rcgen::CertificateParams::new(names).expect("names").serialize_request(&key).expect("signed");
    std::fs::write(&request, asked.pem().expect("text")).expect("ours");
    example.good(&["partner", "sign", "acme", &request, "--days", "90", "--out", &chain]);
    let signed = std::fs::read(&chain).expect("written");
    let (_, pem) = x509_parser::pem::parse_x509_pem(&signed).expect("PEM");
    let certificate = pem.parse_x509().expect("a certificate");
    let names = certificate.subject_alternative_name().expect("one").expect("some");
    let names: Vec<String> = names.value.general_names.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["DNSName(*.acme.example)", "DNSName(acme.example)"]);
    assert!(!certificate.is_ca());
    // What their own server asks for fits into it.
    let (made, installed) = (path(&acme, "made.csr"), path(&example, "installed.pem"));
    acme.good(&["certificate", "request", "acme.example", "--out", &made]);
    example.good(&["partner", "sign", "acme", &made, "--out", &installed]);
    acme.good(&["certificate", "install", "acme.example", &installed]);
    // It counts, and can be asked for again.
    assert!(example.good(&["partner", "show", "acme"]).contains("their own authority, and those"));
    assert!(example.good(&["partner", "sign", "acme", &request]).starts_with("-----BEGIN CERTIFICATE-----"));
    example.bad(&["partner", "sign", "nobody", &request], "there is no partner");
    example.bad(&["partner", "sign", "acme", &chain], "no certificate request");
    example.bad(&["partner", "sign", "acme", &request, "--days", "9999"], "1 to 825 days");
    // It can be taken back, more than once, and others with it.
    example
        .bad(&["partner", "revoke", "acme", &path(&acme, "tls/cert.pem")], "did not sign this certificate");
    let list = path(&example, "data/ca.crl");
    for certificate in [&chain, &installed, &chain] {
        let said = example.good(&["partner", "revoke", "acme", certificate]);
        assert!(said.starts_with("revoked ") && said.contains(&list), "{said}");
    }
    assert!(
        example.good(&["partner", "show", "acme"]).contains(&format!("revoked:     whoever {list} lists\n"))
    );
    let (_, pem) = x509_parser::pem::parse_x509_pem(&std::fs::read(&list).expect("written")).expect("PEM");
    let (_, listed) = x509_parser::parse_x509_crl(&pem.contents).expect("a list");
    assert_eq!(listed.iter_revoked_certificates().count(), 2);
    assert_eq!(listed.crl_number().map(ToString::to_string), Some("3".into()));
    assert!(listed.iter_revoked_certificates().any(|one| one.raw_serial() == certificate.raw_serial()));
    std::fs::remove_file(example.path("tls/ca-key.pem")).expect("it was there");
    example.bad(&["partner", "sign", "acme", &request], "no authority of its own");
}

/// One request over HTTPS, as anybody can make it.
fn https(at: std::net::SocketAddr, ca: &std::path::Path, request: &str) -> String {
    let mut tls = tls_on(connect(at), ca).expect("a certificate we trust");
    tls.write_all(request.as_bytes()).expect("it reads");
    let mut answer = Vec::new();
    let _ = tls.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn an_answer_comes_by_https_where_the_invitation_is_a_link() {
    let servers = |port: u16| {
        let answers = format!("listen = \"127.0.0.1:0\"\nurl = \"https://127.0.0.1:{port}\"");
        SERVERS.replace("mode = \"allow\"", &format!("mode = \"allow\"\n{answers}"))
    };
    let example = Serve::start_in(prepared_for("example.com", "", &servers(1)), &[], |_| {});
    example.configure("", &servers(example.at("answers").port()));
    let (words, good) = example.reload();
    assert!(good && words.contains("federation.url"), "{words}");
    let example_at = format!("xmpp:{}", example.at("xmpp-s2s"));
    let (acme, acme_at) = up("acme.example", &[], "");
    let invite =
        ["partner", "invite", "acme", "--domain", "acme.example", "--protocol", "xmpp", "--at", &example_at];
    let (good, text) = said(&example, &[&invite[..], &["--link"]].concat());
    assert!(good, "{text}");
    let link = text.lines().find(|line| line.starts_with("https://127.0.0.1:")).expect("a link");

    let (at, ca) = (example.at("answers"), example.path("ca.pem"));
    let post = |word: &str| {
        let length = word.len();
        https(at, &ca, &format!("POST /answer HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{word}"))
    };
    assert!(https(at, &ca, "GET /invite HTTP/1.1\r\nHost: x\r\n\r\n").contains("rialto partner accept"));
    assert!(https(at, &ca, "GET /v1/partners HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 404"));
    assert!(post("rubbish").starts_with("HTTP/1.1 400"));
    assert!(post(link).starts_with("HTTP/1.1 400"), "an invitation is no answer");
    assert!(post(&"x".repeat(70_000)).starts_with("HTTP/1.1 413"));

    let (good, words) = said(&acme, &["partner", "accept", link, "--yes", "--at", &acme_at]);
    assert!(good && words.contains("sent the answer to https://127.0.0.1:"), "{words}");
    let end = Instant::now() + SOON;
    let table = loop {
        let (_, shown) = said(&example, &["partner", "show", "acme"]);
        if let Some((_, table)) = shown.split_once("last tested") {
            break table.to_owned();
        }
        assert!(Instant::now() < end, "{shown}\n{}\n{words}", example.log());
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    green(&table);
    let (_, record) = said(&example, &["journal", "tail", "--admin", "-n", "20"]);
    assert!(
        record.contains("partner.accept acme.example by an answer over HTTPS from 127.0.0.1: done"),
        "{record}"
    );
    assert_eq!(record.matches("over HTTPS").count(), 1, "rubbish is not on record: {record}");

    // An invitation that is no link is not answered so, even if somebody tries.
    let (other, _) = up("other.example", &[], "");
    let (_, text) = said(&example, &["partner", "invite", "other", "--domain", "other.example"]);
    let word = text.lines().find(|line| line.starts_with("rialto1.")).expect("a word");
    let (_, words) = said(&other, &["partner", "accept", word, "--yes"]);
    let answer = words.lines().find(|line| line.starts_with("rialto1.")).expect("an answer");
    assert!(post(answer).contains("not to be answered over HTTPS"));
}

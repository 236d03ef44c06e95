//! Certificates for single domains, and those an authority was asked for by hand.

use crate::client::{connect, tls_for};
use crate::harness::{LISTEN, Serve, prepared};
use rcgen::{BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

struct Authority(CertificateParams, KeyPair);

impl Authority {
    fn new(file: &Path) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "Another authority");
        let key = KeyPair::generate().unwrap();
        std::fs::write(file, params.self_signed(&key).unwrap().pem()).unwrap();
        Self(params, key)
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.0, &self.1)
    }
}

fn said(output: &std::process::Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn one_for_each_domain() {
    let dir = prepared("", "");
    let authority = Authority::new(&dir.path().join("other-ca.pem"));
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["chat.example.org".into()]).unwrap();
    std::fs::write(dir.path().join("org.pem"), leaf.signed_by(&key, &authority.issuer()).unwrap().pem())
        .unwrap();
    std::fs::write(dir.path().join("org.key"), key.serialize_pem()).unwrap();
    std::fs::set_permissions(dir.path().join("org.key"), PermissionsExt::from_mode(0o600)).unwrap();
    let more = "[[tls.domain]]\nname = \"chat.example.org\"\ncertificate = \"org.pem\"\nkey = \"org.key\"\n";
    std::fs::write(
        dir.path().join("rialto.toml"),
        std::fs::read_to_string(dir.path().join("rialto.toml")).unwrap() + more + LISTEN,
    )
    .unwrap();
    let server = Serve::start_in(dir, &[], |_| {});
    let addr = server.at("xmpps-c2s");
    let (ours, theirs) = (server.path("ca.pem"), server.path("other-ca.pem"));
    assert!(tls_for(connect(addr), &ours, "example.com").is_some());
    assert!(tls_for(connect(addr), &theirs, "chat.example.org").is_some());
    assert!(tls_for(connect(addr), &ours, "chat.example.org").is_none());
    // A key that everybody can read is not used, and the reload changes nothing.
    std::fs::set_permissions(server.path("org.key"), PermissionsExt::from_mode(0o644)).unwrap();
    let (said, good) = server.reload();
    assert!(!good && said.contains("everybody on this machine can read this key; chmod 600"), "{said}");
    assert!(tls_for(connect(addr), &theirs, "chat.example.org").is_some());
}

#[test]
fn a_request_goes_out_and_a_chain_comes_back() {
    let mut server = Serve::start(&[], LISTEN);
    let authority = Authority::new(&server.path("other-ca.pem"));
    let out = server.path("request.pem");
    let asked = server.run(&["certificate", "request", "example.com", "--out", out.to_str().unwrap()]);
    assert!(asked.status.success(), "{}", said(&asked));
    let waiting = server.path("data/certificates/example.com.next.key");
    assert_eq!(waiting.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    // Asked again, the same key is asked for: the first request may be with the authority already.
    let first = std::fs::read(&waiting).unwrap();
    assert!(server.run(&["certificate", "request", "example.com"]).status.success());
    assert_eq!(std::fs::read(&waiting).unwrap(), first);
    let request = CertificateSigningRequestParams::from_pem(&std::fs::read_to_string(&out).unwrap()).unwrap();
    let chain = server.path("chain.pem");
    std::fs::write(&chain, request.signed_by(&authority.issuer()).unwrap().pem()).unwrap();
    // One for another key, and one for another domain, are refused by name.
    let stray = server.path("stray.pem");
    for (name, complaint) in
        [("example.com", "not for a key of ours"), ("example.org", "not for example.com")]
    {
        let params = CertificateParams::new(vec![name.into()]).unwrap();
        let key = KeyPair::generate().unwrap();
        std::fs::write(&stray, params.signed_by(&key, &authority.issuer()).unwrap().pem()).unwrap();
        let refused = server.run(&["certificate", "install", "example.com", stray.to_str().unwrap()]);
        assert!(!refused.status.success() && said(&refused).contains(complaint), "{}", said(&refused));
    }
    let addr = server.at("xmpps-c2s");
    assert!(tls_for(connect(addr), &server.path("ca.pem"), "example.com").is_some());
    let installed = server.run(&["certificate", "install", "example.com", chain.to_str().unwrap()]);
    assert!(said(&installed).contains("the server uses it from now on"), "{}", said(&installed));
    assert!(tls_for(connect(addr), &server.path("other-ca.pem"), "example.com").is_some());
    // A backup with keys has it, and a restore in an empty place puts it back.
    let (copy, place) = (server.path("copy"), server.path("elsewhere"));
    let kept = server.run(&["backup", "--with-keys", copy.to_str().unwrap()]);
    assert!(kept.status.success(), "{}", said(&kept));
    let mut restore = crate::harness::rialto();
    let restored = restore.arg("restore").arg(&copy).arg("--data").arg(&place).output().unwrap();
    assert!(restored.status.success(), "{}", said(&restored));
    for name in ["data/certificates/example.com.key", "ca.pem"] {
        assert_eq!(
            std::fs::read(place.join(name)).unwrap(),
            std::fs::read(server.path(name)).unwrap(),
            "{name}"
        );
    }
    // Killed between the two files of a pair, or before both: the next start goes on.
    for key_too in [false, true] {
        let shelf = server.path("data/certificates");
        let at = |end: &str| shelf.join(format!("example.com.{end}"));
        std::fs::rename(at("pem"), at("fresh.pem")).unwrap();
        if key_too {
            std::fs::rename(at("key"), at("fresh.key")).unwrap();
        }
        server.crash_and_restart();
        assert!(at("pem").exists() && at("key").exists() && !at("fresh.pem").exists());
        let addr = server.at("xmpps-c2s");
        assert!(tls_for(connect(addr), &server.path("other-ca.pem"), "example.com").is_some());
    }
    let list = server.run(&["certificate", "list"]);
    assert!(said(&list).contains("by CN=Another authority"), "{}", said(&list));
    let renewed = server.run(&["certificate", "renew"]);
    assert!(said(&renewed).contains("there is no [acme] section"), "{}", said(&renewed));
}

#[test]
fn until_the_first_one_comes_listeners_are_open_and_everybody_says_so() {
    let dir = prepared("", "");
    // An authority that is not there.
    let acme =
        "[acme]\nagree_to_terms = true\ndirectory = \"https://127.0.0.1:1/\"\nlisten = \"127.0.0.1:0\"\n";
    std::fs::write(dir.path().join("rialto.toml"), format!("domains = [\"example.com\"]\n{acme}{LISTEN}"))
        .unwrap();
    let server = Serve::start_in(dir, &[], |_| {});
    let stand_in = server.path("data/certificates/stand-in.pem");
    assert!(tls_for(connect(server.at("xmpps-c2s")), &stand_in, "example.com").is_some());
    let list = server.run(&["certificate", "list"]);
    assert!(
        !list.status.success() && said(&list).contains("no certificate has been issued yet"),
        "{}",
        said(&list)
    );
    let doctor = said(&server.run(&["doctor"]));
    assert!(doctor.contains("no certificate has been issued yet"), "{doctor}");
}

#[test]
fn an_act_without_a_server_takes_no_port_and_orders_nothing() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let acme = format!(
        "[acme]\nagree_to_terms = true\ndirectory = \"https://127.0.0.1:1/\"\nlisten = \"{}\"\n",
        taken.local_addr().unwrap()
    );
    let dir = prepared("", &format!("\n{acme}"));
    let run = |words: &[&str]| {
        crate::harness::rialto()
            .args(words)
            .arg("--config")
            .arg(dir.path().join("rialto.toml"))
            .output()
            .unwrap()
    };
    let list = run(&["user", "list"]);
    assert!(list.status.success(), "{}", said(&list));
}

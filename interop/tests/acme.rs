//! Certificates come by themselves (RFC 8555), from an authority that nobody here wrote.

use interop::pebble::Pebble;
use interop::ports::Ports;
use interop::rialto::Rialto;
use interop::talk::until;
use std::path::Path;
use std::process::Command;

/// What the server shows to somebody who asks for this name: the issuer, as OpenSSL prints it.
fn issuer(rialto: &Rialto, name: &str) -> String {
    let shown = Command::new("sh")
        .arg("-c")
        .arg(format!(
            "openssl s_client -connect 127.0.0.1:{} -servername {name} </dev/null 2>/dev/null | \
             openssl x509 -noout -issuer",
            rialto.xmpps()
        ))
        .output()
        .expect("the shell runs");
    String::from_utf8_lossy(&shown.stdout).into_owned()
}

/// The mode of a file.
fn mode(file: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().expect("it is there").permissions().mode() & 0o777
}

fn ordered_and_used(challenge: &str, more: impl Fn(&Pebble, &Path) -> String) {
    let home = tempfile::tempdir().expect("a temporary directory");
    let ports = Ports::take();
    let pebble = Pebble::start(home.path(), ports.base);
    let acme = format!(
        "[acme]\ndirectory = \"{}\"\nauthority = \"{}\"\nagree_to_terms = true\nchallenge = \"{challenge}\"\n\
         listen = \"127.0.0.1:{}\"\ncontact = [\"admin@example.com\"]\n{}",
        pebble.directory(),
        pebble.root().display(),
        ports.base,
        more(&pebble, home.path())
    );
    let rialto = Rialto::start_with(&["juliet"], &acme, "info");
    until("the certificate is in use", || issuer(&rialto, "example.com").contains("Pebble"));
    // Whoever asks for nothing in particular still sees the one that the configuration names.
    assert!(issuer(&rialto, "nobody.example").contains("Rialto local CA"));
    let kept = rialto.data().join("data/certificates");
    assert_eq!(mode(&kept.join("example.com.key")), 0o600);
    assert_eq!(mode(&kept.join("acme-account.json")), 0o600);
    let log = rialto.log_text();
    assert!(log.contains("a certificate was issued"), "{log}");
    assert!(!log.contains("PRIVATE KEY"));
}

#[test]
fn by_a_file_on_the_web() {
    ordered_and_used("http-01", |_, _| String::new());
}

#[test]
fn by_a_record_in_dns() {
    ordered_and_used("dns-01", |pebble, home| format!("dns_hook = \"{}\"\n", pebble.hook(home).display()));
}

#[test]
fn an_authority_that_cannot_find_us_is_quoted() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let (ports, elsewhere) = (Ports::take(), Ports::take());
    let pebble = Pebble::start(home.path(), elsewhere.base);
    let acme = format!(
        "[acme]\ndirectory = \"{}\"\nauthority = \"{}\"\nagree_to_terms = true\nlisten = \"127.0.0.1:{}\"\n",
        pebble.directory(),
        pebble.root().display(),
        ports.base
    );
    let rialto = Rialto::start_with(&["juliet"], &acme, "info");
    until("the failure is told", || {
        rialto.log_text().contains("no certificate was issued; it is tried again")
    });
    let log = rialto.log_text();
    assert!(log.contains("urn:ietf:params:acme:error:connection"), "{log}");
}

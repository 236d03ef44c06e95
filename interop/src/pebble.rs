//! Pebble, an authority that speaks ACME, with the DNS and the challenge server that come with it.

use crate::have;
use crate::ports::Ports;
use crate::talk::{Talk, until};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

const PACKAGE: &str = "pebble";

/// A running authority. Dropping it ends it.
pub struct Pebble {
    _authority: Talk,
    _dns: Talk,
    ports: Ports,
    root: PathBuf,
}

impl Pebble {
    /// Start one that looks for `http-01` answers on this port of the loopback address, whatever the domain.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(home: &Path, http_port: u16) -> Self {
        let ports = Ports::take();
        let (directory, management, dns, dns_management) =
            (ports.base, ports.base + 1, ports.base + 2, ports.base + 3);
        let root = home.join("pebble-root.pem");
        certificate(home, &root);
        let config = format!(
            "{{\"pebble\": {{\"listenAddress\": \"127.0.0.1:{directory}\",
            \"managementListenAddress\": \"127.0.0.1:{management}\", \"certificate\": \"{0}/pebble.pem\",
            \"privateKey\": \"{0}/pebble.key\", \"httpPort\": {http_port}, \"tlsPort\": 1,
            \"ocspResponderURL\": \"\", \"externalAccountBindingRequired\": false}}}}",
            home.display()
        );
        std::fs::write(home.join("pebble.json"), config).expect("the directory is writable");
        let mut server = Command::new(have::program("pebble-challtestsrv", PACKAGE));
        server.args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""]);
        server.args(["-defaultIPv4", "127.0.0.1", "-dns01", &format!("127.0.0.1:{dns}")]);
        server.args(["-management", &format!("127.0.0.1:{dns_management}")]);
        let dns_server = Talk::start("challtestsrv", &mut server, home.join("challtestsrv.log"));
        let mut authority = Command::new(have::program("pebble", PACKAGE));
        authority.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_WFE_NONCEREJECT", "0");
        authority.args(["-config", &format!("{}/pebble.json", home.display())]);
        authority.args(["-dnsserver", &format!("127.0.0.1:{dns}")]);
        let authority = Talk::start("pebble", &mut authority, home.join("pebble.log"));
        for port in [directory, management, dns_management] {
            until("the authority listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        }
        Self { _authority: authority, _dns: dns_server, ports, root }
    }

    /// Where its directory is.
    #[must_use]
    pub fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.ports.base)
    }

    /// The certificate of whoever signed that of the directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A command that publishes records where the authority looks, as `dns_hook` wants it.
    ///
    /// # Panics
    /// If it cannot be written.
    #[must_use]
    pub fn hook(&self, home: &Path) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let hook = home.join("hook");
        let script = format!(
            "#!/bin/sh\necho \"$1 $2\" >> {0}/hook.log\nexec {1} {2} {3} \"$@\"\n",
            home.display(),
            have::python().display(),
            have::file("peers/txt_record.py").display(),
            self.ports.base + 3
        );
        std::fs::write(&hook, script).expect("the directory is writable");
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
        hook
    }
}

/// The certificate of the authority's own web server.
fn certificate(home: &Path, root: &Path) {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().expect("a key");
    let made = ca.self_signed(&ca_key).expect("a certificate");
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(names).expect("names");
    let leaf = leaf.signed_by(&key, &Issuer::from_params(&ca, &ca_key)).expect("a certificate");
    for (file, text) in [
        (root.to_owned(), made.pem()),
        (home.join("pebble.pem"), leaf.pem()),
        (home.join("pebble.key"), key.serialize_pem()),
    ] {
        std::fs::write(file, text).expect("the directory is writable");
    }
}

//! Kamailio, another company's SIP server.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::authority::Certificate;
use crate::ports::Ports;
use crate::talk::until;
use crate::{Talk, have};

/// How a Kamailio is set up.
pub struct Setup<'a> {
    /// Its domain.
    pub domain: &'a str,
    /// A directory for it alone.
    pub home: PathBuf,
    /// The certificate it shows.
    pub shows: Certificate,
    /// Whose certificates it accepts; whoever connects must show one.
    pub trusts: &'a Path,
    /// The port to which it sends what is for others, over TLS.
    pub peer: u16,
    /// It takes connections that others opened for its own requests, too (RFC 5923).
    pub reuses: bool,
}

/// A running Kamailio. Dropping it ends it.
pub struct Kamailio {
    process: Option<Talk>,
    config: PathBuf,
    log: PathBuf,
    ports: Ports,
}

impl Kamailio {
    /// Start one, and wait until it is ready.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(setup: &Setup<'_>) -> Self {
        Self::start_at(setup, Ports::take())
    }

    /// The same on ports that were taken before.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start_at(setup: &Setup<'_>, ports: Ports) -> Self {
        let side = |name: &str| {
            format!(
                "[{name}]\nmethod = TLSv1.2+\nverify_certificate = yes\nrequire_certificate = yes\nprivate_key = {}\n\
                 certificate = {}\nca_list = {}\n",
                setup.shows.key.display(),
                setup.shows.chain.display(),
                setup.trusts.display()
            )
        };
        std::fs::create_dir_all(&setup.home).expect("the temporary directory is writable");
        let tls = format!("{}{}", side("server:default"), side("client:default"));
        std::fs::write(setup.home.join("tls.cfg"), tls).expect("the temporary directory is writable");
        let mut text = std::fs::read_to_string(have::file("kamailio/kamailio.cfg")).expect("the template");
        for (key, value) in [
            ("domain", setup.domain.to_owned()),
            ("home", setup.home.display().to_string()),
            ("sip", ports.base.to_string()),
            ("sips", (ports.base + 1).to_string()),
            ("peer", setup.peer.to_string()),
            ("alias", if setup.reuses { "yes" } else { "no" }.to_owned()),
            ("active", "1".to_owned()),
        ] {
            text = text.replace(&format!("{{{key}}}"), &value);
        }
        let config = setup.home.join("kamailio.cfg");
        std::fs::write(&config, text).expect("the temporary directory is writable");
        let log = setup.home.join("kamailio.log");
        let mut kamailio = Self { process: None, config, log, ports };
        kamailio.run();
        kamailio
    }

    /// Start it again after [`Kamailio::stop`].
    ///
    /// # Panics
    /// If it does not start.
    pub fn run(&mut self) {
        let home = self.config.parent().expect("a file lies in a folder");
        let mut command = Command::new(have::program("kamailio", "kamailio"));
        command.arg("-f").arg(&self.config).args(["-DD", "-E", "-m", "64", "-M", "8", "-w"]).arg(home);
        command.arg("-Y").arg(home);
        let process = Talk::start("kamailio", &mut command, self.log.clone());
        self.process = Some(process);
        let port = self.ports.base;
        until("Kamailio listens", || {
            [port, port + 1].iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok())
        });
    }

    /// End it, and wait until it is gone.
    ///
    /// # Panics
    /// If it does not run.
    pub fn stop(&mut self) {
        let mut process = self.process.take().expect("Kamailio runs");
        process.terminate();
        until("Kamailio ends", || process.exited());
        // Its children may hold the ports a moment longer.
        for port in [self.sip(), self.sips()] {
            until("Kamailio's port is free", || TcpStream::connect(("127.0.0.1", port)).is_err());
        }
    }

    /// Its port for SIP over UDP and TCP.
    #[must_use]
    pub fn sip(&self) -> u16 {
        self.ports.base
    }

    /// Its port for other servers.
    #[must_use]
    pub fn sips(&self) -> u16 {
        self.ports.base + 1
    }

    /// What it has logged.
    #[must_use]
    pub fn log_text(&self) -> String {
        crate::talk::tail(&self.log, usize::MAX)
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // Its main process ends the others, if it is left the time.
            process.terminate();
            until("Kamailio ends", || process.exited());
        }
    }
}

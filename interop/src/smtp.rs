//! aiosmtpd, a mail server in Python.

use std::path::Path;
use std::process::Command;

use crate::authority::Certificate;
use crate::ports::Ports;
use crate::talk::Talk;
use crate::{PASSWORD, have};

/// A running mail server. It takes mail over TLS from whoever logs in with [`PASSWORD`].
pub struct Smtp {
    ports: Ports,
    process: Option<Talk>,
}

impl Default for Smtp {
    fn default() -> Self {
        Self::new()
    }
}

impl Smtp {
    /// One that does not run yet, but has its port.
    #[must_use]
    pub fn new() -> Self {
        Self { ports: Ports::take(), process: None }
    }

    /// Start it, with TLS from the first byte (`direct`) or by STARTTLS.
    ///
    /// # Panics
    /// If it does not start.
    pub fn run(&mut self, certificate: &Certificate, direct: bool, home: &Path) {
        self.process = None;
        let mut command = Command::new(have::python());
        command
            .arg(have::file("peers/smtp_peer.py"))
            .args(["--port", &self.port().to_string(), "--password", PASSWORD])
            .arg("--chain")
            .arg(&certificate.chain)
            .arg("--key")
            .arg(&certificate.key)
            .env("PYTHONUNBUFFERED", "1");
        if direct {
            command.arg("--direct");
        }
        let process = Talk::start("aiosmtpd", &mut command, home.join("aiosmtpd.err"));
        process.expect("listening");
        self.process = Some(process);
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.ports.base
    }

    /// What it said.
    ///
    /// # Panics
    /// If it does not run.
    #[must_use]
    pub fn said(&self) -> &Talk {
        self.process.as_ref().expect("it runs")
    }
}

//! ejabberd, a server of another company.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use crate::authority::Certificate;
use crate::ports::Ports;
use crate::slixmpp::Account;
use crate::talk::Talk;
use crate::{PASSWORD, SOON, have};

/// Where Debian keeps its Erlang code.
const LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu:/usr/lib/aarch64-linux-gnu";

/// How it is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Its domain.
    pub domain: String,
    /// Its certificate.
    pub certificate: Certificate,
    /// The authorities it trusts.
    pub authorities: PathBuf,
    /// The name server it asks.
    pub dns: std::net::SocketAddr,
    /// Whoever has no certificate that counts may be called back.
    pub dialback: bool,
    /// It keeps what was said (mod_mam).
    pub archive: bool,
    /// How it keeps passwords: `plain` or `scram`.
    pub passwords: &'static str,
    /// A directory of its own.
    pub home: PathBuf,
}

/// A running ejabberd.
pub struct Ejabberd {
    setup: Setup,
    ports: Ports,
    process: Option<Talk>,
}

impl Ejabberd {
    /// Start one with these users, and wait until it is ready.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(setup: Setup, users: &[&str]) -> Self {
        let _ = have::program("ejabberdctl", "ejabberd");
        let mut ejabberd = Self { setup, ports: Ports::take(), process: None };
        let home = &ejabberd.setup.home;
        let write = |name: &str, text: String| {
            std::fs::write(home.join(name), text).expect("the temporary directory is writable");
        };
        let (port, ip) = (ejabberd.setup.dns.port(), "{127,0,0,1}");
        write(
            "inetrc",
            format!("{{lookup,[file,dns]}}.\n{{resolv_conf,\"\"}}.\n{{nameserver,{ip},{port}}}.\n"),
        );
        let pem = |file: &PathBuf| std::fs::read_to_string(file).expect("the certificate");
        let Certificate { chain, key } = &ejabberd.setup.certificate;
        write("server.pem", format!("{}{}", pem(chain), pem(key)));
        write("ejabberd.yml", ejabberd.configuration());
        ejabberd.run(users);
        ejabberd
    }

    fn run(&mut self, users: &[&str]) {
        let Setup { domain, home, .. } = &self.setup;
        let accounts: Vec<String> = users
            .iter()
            .map(|user| {
                format!(
                    "ok = ejabberd_auth:try_register(<<\"{user}\">>, <<\"{domain}\">>, <<\"{PASSWORD}\">>), "
                )
            })
            .collect();
        let after = format!("{}io:format(\"ready~n\").", accounts.concat());
        let mut command = Command::new(have::program("erl", "erlang-base"));
        command
            .args(["-noinput", "-mnesia", "dir"])
            .arg(format!("{:?}", home.join("mnesia").display().to_string()))
            .args(["-s", "ejabberd", "-eval", &after])
            .current_dir(home)
            .env("HOME", home)
            .env("ERL_LIBS", LIBRARIES)
            .env("ERL_INETRC", home.join("inetrc"))
            .env("EJABBERD_CONFIG_PATH", home.join("ejabberd.yml"))
            .env("EJABBERD_LOG_PATH", home.join("ejabberd.log"))
            .env("ERL_CRASH_DUMP_BYTES", "0");
        let process = Talk::start(format!("ejabberd-{domain}"), &mut command, home.join("ejabberd.err"));
        // On a machine that is busy Erlang takes its time.
        process.expect_within("ready", 3 * SOON);
        self.process = Some(process);
    }

    /// The port for other servers.
    #[must_use]
    pub fn s2s(&self) -> u16 {
        self.ports.base + 1
    }

    /// Has it do one of its administrative commands (mod_http_api), with these arguments as JSON.
    ///
    /// # Panics
    /// If it does not.
    pub fn command(&self, name: &str, arguments: &str) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.ports.base + 2)).expect("it listens");
        let head = format!(
            "POST /api/{name} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{arguments}",
            arguments.len()
        );
        stream.write_all(head.as_bytes()).expect("it reads");
        // It keeps the connection open, whatever it is told.
        let mut said = String::new();
        BufReader::new(stream).read_line(&mut said).expect("it answers");
        assert!(said.starts_with("HTTP/1.1 200"), "{name}: {said}");
    }

    /// Its own directory.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.setup.home.clone()
    }

    /// What it has logged.
    ///
    /// # Panics
    /// If its log cannot be read.
    #[must_use]
    pub fn log_text(&self) -> String {
        let bytes = std::fs::read(self.setup.home.join("ejabberd.log")).expect("it logs");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// One of its users.
    #[must_use]
    pub fn account(&self, user: &str) -> Account {
        Account {
            jid: format!("{user}@{}", self.setup.domain),
            port: self.ports.base,
            ca: None,
            log: self.setup.home.join(format!("{user}.log")),
        }
    }

    fn configuration(&self) -> String {
        let Setup { domain, authorities, dialback, archive, passwords, home, .. } = &self.setup;
        format!(
            r#"
loglevel: debug
hosts: ["{domain}"]
certfiles: ["{home}/server.pem"]
ca_file: "{authorities}"
s2s_cafile: "{authorities}"
s2s_use_starttls: required
auth_method: internal
auth_password_format: {passwords}
acme: {{auto: false}}
listen:
  - {{port: {c2s}, ip: "127.0.0.1", module: ejabberd_c2s, starttls_required: true}}
  - {{port: {s2s}, ip: "127.0.0.1", module: ejabberd_s2s_in}}
  - {{port: {http}, ip: "127.0.0.1", module: ejabberd_http, request_handlers: {{"/api": mod_http_api}}}}
api_permissions:
  here: {{from: mod_http_api, who: {{ip: 127.0.0.0/8}}, what: "*"}}
access_rules:
  local: {{allow: all}}
modules:
  mod_disco: {{}}
  mod_admin_extra: {{}}
  mod_ping: {{}}
  mod_roster: {{}}
  mod_offline: {{}}
  mod_stream_mgmt: {{}}
{dialback}{archive}"#,
            dialback = if *dialback { "  mod_s2s_dialback: {}\n" } else { "" },
            archive = if *archive {
                "  mod_mam: {default: always}\n  mod_muc: {}\nsql_query_timeout: 1\n"
            } else {
                ""
            },
            http = self.ports.base + 2,
            home = home.display(),
            authorities = authorities.display(),
            c2s = self.ports.base,
            s2s = self.ports.base + 1,
        )
    }
}

//! slixmpp, an XMPP library in Python.

use std::path::PathBuf;
use std::process::Command;

use crate::{PASSWORD, Rialto, Talk, at, have};

/// How to connect.
#[derive(Clone, Debug)]
pub struct Way {
    /// TLS from the first byte, instead of STARTTLS.
    pub direct: bool,
    /// Use XEP-0198.
    pub stream_management: bool,
    /// The password to try.
    pub password: String,
    /// A resource to ask for.
    pub resource: Option<String>,
}

impl Default for Way {
    fn default() -> Self {
        Self { direct: false, stream_management: false, password: PASSWORD.into(), resource: None }
    }
}

/// Whose client it is, on whatever server.
#[derive(Clone, Debug)]
pub struct Account {
    /// The address.
    pub jid: String,
    /// The port of the server.
    pub port: u16,
    /// The authority that the client trusts; `None`: it believes anybody.
    pub ca: Option<PathBuf>,
    /// Where its log goes.
    pub log: PathBuf,
}

/// Start a client without waiting for its login.
#[must_use]
pub fn start(rialto: &Rialto, user: &str, way: &Way) -> Talk {
    let mut jid = at(user);
    let mut name = format!("slixmpp-{user}");
    if let Some(resource) = &way.resource {
        jid = format!("{jid}/{resource}");
        name = format!("{name}-{resource}");
    }
    let port = if way.direct { rialto.xmpps() } else { rialto.xmpp() };
    begin(name.clone(), &Account { jid, port, ca: Some(rialto.ca()), log: rialto.log(&name) }, way)
}

fn begin(name: String, account: &Account, way: &Way) -> Talk {
    let mut command = Command::new(have::python());
    command
        .arg(have::file("peers/slixmpp_peer.py"))
        .arg(&account.jid)
        .args(["--password", &way.password, "--port", &account.port.to_string()])
        .env("PYTHONUNBUFFERED", "1");
    if let Some(ca) = &account.ca {
        // For HTTPS too.
        command.arg("--ca").arg(ca).env("SSL_CERT_FILE", ca);
    }
    if way.direct {
        command.arg("--direct");
    }
    if way.stream_management {
        command.arg("--stream-management");
    }
    Talk::start(name, &mut command, account.log.clone())
}

/// Log in somewhere else over STARTTLS, and wait until that server knows that the client is there.
#[must_use]
pub fn elsewhere(account: &Account) -> Talk {
    let peer = begin(format!("slixmpp-{}", account.jid), account, &Way::default());
    arrived(&peer);
    peer
}

/// Log in over STARTTLS and wait until the server knows that the client is there.
#[must_use]
pub fn online(rialto: &Rialto, user: &str) -> Talk {
    let peer = start(rialto, user, &Way::default());
    arrived(&peer);
    peer
}

/// Wait until the session is up and the server has sent the client's presence back to it.
///
/// Only then is a message that waits for nobody, such as a chat state, sure to arrive.
pub fn arrived(peer: &Talk) {
    peer.expect("online");
    peer.expect("here");
}

/// A fence: everything that the server had sent this client before is in the transcript when this returns.
///
/// The server answers on the same stream, in order.
pub fn fence(peer: &mut Talk) {
    peer.tell("ping");
    peer.expect("pong");
}

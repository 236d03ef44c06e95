//! slixmpp, an XMPP library in Python.

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
    let mut command = Command::new(have::python());
    command
        .arg(have::file("peers/slixmpp_peer.py"))
        .arg(jid)
        .args(["--password", &way.password, "--port", &port.to_string(), "--ca"])
        .arg(rialto.ca())
        .env("PYTHONUNBUFFERED", "1");
    if way.direct {
        command.arg("--direct");
    }
    if way.stream_management {
        command.arg("--stream-management");
    }
    let log = rialto.log(&name);
    Talk::start(name, &mut command, log)
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

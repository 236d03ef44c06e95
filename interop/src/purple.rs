//! libpurple, the engine of Finch and Pidgin: its own XMPP and its own SIMPLE code, without a window.

use std::process::Command;

use crate::rialto::place;
use crate::{PASSWORD, Rialto, Talk, at, have};

/// Start an XMPP session without waiting for its login.
#[must_use]
pub fn start_xmpp(rialto: &Rialto, user: &str, password: &str, direct: bool) -> Talk {
    let (port, security) = if direct { (rialto.xmpps(), "old_ssl") } else { (rialto.xmpp(), "require_tls") };
    start(
        rialto,
        "prpl-jabber",
        user,
        &format!("{}/purple", at(user)),
        password,
        &[
            "connect_server=127.0.0.1".into(),
            format!("port={port}"),
            format!("connection_security={security}"),
        ],
    )
}

/// Start a SIP session without waiting for its registration.
#[must_use]
pub fn start_simple(rialto: &Rialto, user: &str, password: &str, udp: bool) -> Talk {
    start(
        rialto,
        "prpl-simple",
        user,
        &at(user),
        password,
        &[
            "useproxy=true".into(),
            "proxy=127.0.0.1".into(),
            format!("port={}", rialto.sip()),
            format!("udp={udp}"),
        ],
    )
}

/// Log in over XMPP with STARTTLS and wait until the session is up.
#[must_use]
pub fn xmpp(rialto: &Rialto, user: &str) -> Talk {
    let peer = start_xmpp(rialto, user, PASSWORD, false);
    peer.expect("online");
    peer
}

/// Register over SIP and wait until that is done.
#[must_use]
pub fn simple(rialto: &Rialto, user: &str, udp: bool) -> Talk {
    let peer = start_simple(rialto, user, PASSWORD, udp);
    peer.expect("online");
    peer
}

fn start(
    rialto: &Rialto,
    protocol: &str,
    user: &str,
    name: &str,
    password: &str,
    settings: &[String],
) -> Talk {
    let program = have::compiled("peers/purple_peer.c", "purple", "libpurple-dev");
    let peer = format!("{protocol}-{user}");
    let home = rialto.home(&peer);
    trust(rialto, &home);
    let log = rialto.log(&peer);
    Talk::start(
        peer,
        Command::new(program).arg(&home).args([protocol, name, password]).args(settings).env("HOME", &home),
        log,
    )
}

/// Let libpurple find the server's certificate among those it has met before, under the name that it dials.
pub fn trust(rialto: &Rialto, home: &std::path::Path) {
    place(&rialto.certificate(), &home.join("certificates/x509/tls_peers/127.0.0.1"));
}

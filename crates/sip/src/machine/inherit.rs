//! What outlives a machine: registrations over UDP, dialogs and publications, each left with the hub as a lease of text
//! lines. The first line says which machine should go on with it: the one of the same socket that hears the same peer. A
//! connection that is gone has no such machine; what was left over it waits until it is claimed.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use model::{Address, LeaseKey, Now};

use super::SipMachine;
use crate::transaction::Hop;

/// How a lease's first line begins.
const VERSION: &str = "1";

/// The first line: version, and for datagrams the peer and our own socket.
pub(super) fn first_line(hop: Hop, local: SocketAddr) -> String {
    match hop {
        Hop::Udp(peer) => format!("{VERSION} udp {peer} {local}\n"),
        Hop::Stream(_) => format!("{VERSION} stream\n"),
    }
}

/// Reads the first line off. The hop is there if it outlives a connection.
pub(super) fn read_first(lines: &mut std::str::Lines<'_>) -> Option<Option<Hop>> {
    let mut words = lines.next()?.split(' ');
    if words.next()? != VERSION {
        return None;
    }
    Some(match words.next() {
        Some("udp") => Some(Hop::Udp(words.next()?.parse().ok()?)),
        _ => None,
    })
}

/// The peer of a lease that belongs to the machines of the socket at `local`.
pub(crate) fn peer_of(local: SocketAddr, state: &[u8]) -> Option<SocketAddr> {
    let end = state.iter().position(|&b| b == b'\n')?;
    let mut words = std::str::from_utf8(state.get(..end)?).ok()?.split(' ');
    if (words.next()?, words.next()?) != (VERSION, "udp") {
        return None;
    }
    let peer = words.next()?.parse().ok()?;
    let ours: SocketAddr = words.next()?.parse().ok()?;
    (ours == local).then_some(peer)
}

impl SipMachine {
    /// Goes on with what an earlier machine of this socket left.
    pub(super) fn inherit(&mut self, now: Now, key: LeaseKey, owner: Address, state: &Bytes, secs: u32) {
        let term = Duration::from_secs(u64::from(secs));
        match key.0.split(':').next() {
            Some("sip-contact") => self.inherit_binding(now, &owner, state, term),
            Some("sip-dialog") => self.inherit_watch(now, key, &owner, state, secs),
            Some("sip-publication") => self.inherit_publication(now, &key, &owner, state, secs),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_socket_inherits() {
        let at = |a: &str| a.parse::<SocketAddr>().unwrap();
        let (peer, local) = (at("192.0.2.1:5062"), at("203.0.113.5:5060"));
        let line = first_line(Hop::Udp(peer), local) + "more";
        assert_eq!(peer_of(local, line.as_bytes()), Some(peer));
        assert_eq!(peer_of(at("203.0.113.5:5061"), line.as_bytes()), None);
        assert_eq!(read_first(&mut line.lines()), Some(Some(Hop::Udp(peer))));
        let stream = first_line(Hop::Stream(connector::Flow::ACCEPTED), local);
        assert_eq!((peer_of(local, stream.as_bytes()), read_first(&mut stream.lines())), (None, Some(None)));
        for bad in ["", "1", "1 udp\n", "1 udp x y\n", "2 udp 192.0.2.1:5062 203.0.113.5:5060\n"] {
            assert_eq!(peer_of(local, bad.as_bytes()), None, "{bad}");
        }
    }
}

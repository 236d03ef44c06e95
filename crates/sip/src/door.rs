//! The door itself: listeners, shards, machines.

use std::net::SocketAddr;
use std::sync::Arc;

use connector::{Connector, Listener, Machine, Peer, Seed, TlsMode, Transport};
use model::Dialect;

use crate::config::Config;
use crate::machine::SipMachine;
use crate::translate::message::SHARD_MARK;
use crate::wire::MAX_HEADERS;

/// The SIP/SIMPLE connector.
#[derive(Debug, Clone)]
pub struct Sip {
    config: Arc<Config>,
}

impl Sip {
    /// Opens the door with these settings.
    pub fn new(config: Config) -> Self {
        Self { config: Arc::new(config) }
    }
}

impl Connector for Sip {
    fn dialect(&self) -> Dialect {
        Dialect::Sip
    }

    fn listeners(&self) -> Vec<Listener> {
        self.config.listeners.clone()
    }

    /// By Call-ID, in requests and responses alike: a response carries the Call-ID of our request. So that our own
    /// requests outside a dialog come back to their shard too, their Call-ID names the hash of a Call-ID that
    /// belongs there.
    fn shard(&self, datagram: &[u8], _source: SocketAddr, shards: usize) -> usize {
        let hash = call_id_in(datagram).map_or(0, shard_hash);
        usize::try_from(hash % shards.max(1) as u64).unwrap_or(0)
    }

    fn accept(&self, listener: usize, peer: Peer, seed: Seed) -> Box<dyn Machine> {
        let (transport, tls) = match self.config.listeners.get(listener) {
            Some(l) => (l.transport, l.tls != TlsMode::None),
            None => (Transport::Tcp, false),
        };
        Box::new(SipMachine::new(self.config.clone(), transport, tls, peer, seed))
    }
}

fn call_id_in(datagram: &[u8]) -> Option<&[u8]> {
    for line in datagram.split(|&b| b == b'\n').take(MAX_HEADERS + 1).skip(1) {
        let line = line.trim_ascii();
        if line.is_empty() {
            return None;
        }
        let Some(colon) = line.iter().position(|&b| b == b':') else { continue };
        let name = line[..colon].trim_ascii();
        if name.eq_ignore_ascii_case(b"call-id") || name.eq_ignore_ascii_case(b"i") {
            return Some(line[colon + 1..].trim_ascii());
        }
    }
    None
}

/// The number that decides the shard: FNV-1a of the Call-ID, or the number our own mark carries.
pub(crate) fn shard_hash(call_id: &[u8]) -> u64 {
    if let Some(at) = call_id.len().checked_sub(18)
        && call_id[at..].starts_with(SHARD_MARK.as_bytes())
        && let Ok(hex) = std::str::from_utf8(&call_id[at + 2..])
        && let Ok(hash) = u64::from_str_radix(hex, 16)
    {
        return hash;
    }
    call_id.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_stays_in_its_shard() {
        let door = Sip::new(Config::new(["example.com"]));
        let from: SocketAddr = "192.0.2.1:5060".parse().unwrap();
        let text = |id: &str| format!("MESSAGE sip:a SIP/2.0\r\nVia: x\r\ni : {id}\r\n\r\nCall-ID: other");
        let mine = door.shard(text("abc@host").as_bytes(), from, 7);
        assert_eq!(mine, door.shard(b"SIP/2.0 200 OK\r\nCall-ID: abc@host\r\n\r\n", from, 7));
        let marked = format!("thread~r{:016x}", shard_hash(b"abc@host"));
        assert_eq!(mine, door.shard(text(&marked).as_bytes(), from, 7));
        assert_eq!(shard_hash(marked.as_bytes()), shard_hash(b"abc@host"));
        assert_eq!(door.shard(b"\xff\xfe", from, 7), 0);
        assert_eq!(door.shard(b"", from, 0), 0);
    }
}

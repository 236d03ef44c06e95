//! The system's log, as a place that keeps checkpoints.

use std::net::{Ipv6Addr, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixDatagram;

/// Facility 13, log audit; severity 5, notice (RFC 5424 section 6.2.1).
const PRIORITY: u8 = 13 * 8 + 5;

/// Sends a line to a socket (a path) or to a collector (`host:port`, RFC 5424 over UDP, RFC 5426). Blocks.
///
/// # Errors
/// In words. That nobody listens for datagrams is not always noticed.
pub fn send(to: &str, host: &str, at: &str, line: &str) -> Result<(), String> {
    let pid = std::process::id();
    let sent = if to.starts_with('/') {
        // What local daemons expect of the system's own library; they add time and host.
        let text = format!("<{PRIORITY}>rialto[{pid}]: checkpoint {line}");
        UnixDatagram::unbound().and_then(|socket| socket.send_to(text.as_bytes(), to))
    } else {
        let text = format!("<{PRIORITY}>1 {at} {host} rialto {pid} checkpoint - {line}");
        let datagram = || {
            let unknown = || std::io::Error::other("there is no such host");
            let to = to.to_socket_addrs()?.next().ok_or_else(unknown)?;
            let socket = match to.is_ipv6() {
                true => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?,
                false => UdpSocket::bind(("0.0.0.0", 0))?,
            };
            socket.connect(to)?;
            socket.send(text.as_bytes())
        };
        datagram()
    };
    sent.map(drop).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_udp_and_to_a_socket() {
        let heard = |buffer: &[u8]| String::from_utf8(buffer.to_vec()).unwrap();
        let mut buffer = [0; 2_000];
        let collector = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = collector.local_addr().unwrap().to_string();
        send(&to, "chat.example", "2026-11-22T04:00:00.000Z", "{\"a\":1}").unwrap();
        let n = collector.recv(&mut buffer).unwrap();
        let text = heard(&buffer[..n]);
        assert!(text.starts_with("<109>1 2026-11-22T04:00:00.000Z chat.example rialto "), "{text}");
        assert!(text.ends_with(" checkpoint - {\"a\":1}"), "{text}");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let daemon = UnixDatagram::bind(&path).unwrap();
        send(path.to_str().unwrap(), "", "", "{\"a\":2}").unwrap();
        let n = daemon.recv(&mut buffer).unwrap();
        assert!(heard(&buffer[..n]).ends_with("]: checkpoint {\"a\":2}"));
        drop(daemon);
        assert!(send(path.to_str().unwrap(), "", "", "{}").is_err());
    }
}

//! The PROXY protocol, versions 1 and 2: a balancer in front of us says who really connected.
//!
//! Only from addresses the operator trusts, and always before anything else: a listener that speaks it takes no
//! connection without it (HAProxy's proxy-protocol.txt, section 2: "must not be guessed").

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// The longest version 1 line, CR LF included.
const LINE: usize = 107;
/// What every version 2 header begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// A version 2 header before its addresses.
const FIXED: usize = 16;
/// The most bytes of addresses and extensions that version 2 may carry here; the rest is a mistake or an attack.
const LONGEST: usize = 4096;

/// A network: an address and how many of its bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    bits: u8,
}

impl Network {
    /// Reads `192.0.2.0/24`, `2001:db8::/32` or a single address.
    pub fn parse(text: &str) -> Option<Self> {
        let (base, bits) = match text.split_once('/') {
            Some((base, bits)) => (base, Some(bits)),
            None => (text, None),
        };
        let base: IpAddr = base.parse().ok()?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= most)?,
            None => most,
        };
        Some(Self { base, bits })
    }

    /// Is this address within?
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(a)) => {
                let shift = 32 - u32::from(self.bits);
                (u64::from(base.to_bits()) >> shift) == (u64::from(a.to_bits()) >> shift)
            }
            (IpAddr::V6(base), IpAddr::V6(a)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                base.to_bits() & mask == a.to_bits() & mask
            }
            _ => false,
        }
    }
}

/// Who really connected to whom, as the header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Header {
    /// These ends.
    Proxied { remote: SocketAddr, local: SocketAddr },
    /// The balancer itself, looking whether we are there, or somebody it does not know.
    Local,
}

/// What is wrong with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no PROXY protocol header: {0}")]
pub(crate) struct NoHeader(pub &'static str);

/// What the bytes so far are: a header and its length, not whole yet (with how many more bytes may be read), or none.
pub(crate) fn parse(bytes: &[u8]) -> Result<Result<(Header, usize), usize>, NoHeader> {
    if bytes.is_empty() {
        return Ok(Err(1));
    }
    let n = bytes.len().min(SIGNATURE.len());
    if bytes[..n] == SIGNATURE[..n] {
        return version_2(bytes);
    }
    let n = bytes.len().min(6);
    if bytes[..n] == b"PROXY "[..n] {
        return version_1(bytes);
    }
    Err(NoHeader("it begins otherwise"))
}

fn version_1(bytes: &[u8]) -> Result<Result<(Header, usize), usize>, NoHeader> {
    let within = &bytes[..bytes.len().min(LINE)];
    let Some(end) = within.windows(2).position(|two| two == b"\r\n") else {
        // One byte at a time: what follows the line is not ours to take.
        return if within.len() < LINE { Ok(Err(1)) } else { Err(NoHeader("the line is too long")) };
    };
    let line = std::str::from_utf8(&bytes[..end]).map_err(|_| NoHeader("the line is no text"))?;
    let words: Vec<&str> = line.split(' ').collect();
    let header = match words[..] {
        ["PROXY", "UNKNOWN", ..] => Header::Local,
        ["PROXY", family @ ("TCP4" | "TCP6"), from, to, from_port, to_port] => {
            let address = |text: &str| -> Option<IpAddr> {
                match family {
                    "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
                    _ => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
                }
            };
            // `+1` and `01` are no ports here.
            let port = |text: &str| text.parse::<u16>().ok().filter(|port| port.to_string() == text);
            let end = |a, p| Some(SocketAddr::new(address(a)?, port(p)?));
            match (end(from, from_port), end(to, to_port)) {
                (Some(remote), Some(local)) => Header::Proxied { remote, local },
                _ => return Err(NoHeader("its addresses are wrong")),
            }
        }
        _ => return Err(NoHeader("the line is wrong")),
    };
    Ok(Ok((header, end + 2)))
}

fn version_2(bytes: &[u8]) -> Result<Result<(Header, usize), usize>, NoHeader> {
    if bytes.len() < FIXED {
        return Ok(Err(FIXED - bytes.len()));
    }
    let (command, family) = (bytes[12], bytes[13]);
    let length = usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    if command >> 4 != 2 {
        return Err(NoHeader("its version is unknown"));
    }
    if length > LONGEST {
        return Err(NoHeader("it is too long"));
    }
    let whole = FIXED + length;
    if bytes.len() < whole {
        return Ok(Err(whole - bytes.len()));
    }
    let body = &bytes[FIXED..whole];
    let header = match (command & 15, family) {
        // LOCAL: whatever else it carries is to be ignored.
        (0, _) => Header::Local,
        (1, 0x11) => match body {
            [a, b, c, d, e, f, g, h, p, q, r, s, ..] => Header::Proxied {
                remote: SocketAddr::new(Ipv4Addr::new(*a, *b, *c, *d).into(), u16::from_be_bytes([*p, *q])),
                local: SocketAddr::new(Ipv4Addr::new(*e, *f, *g, *h).into(), u16::from_be_bytes([*r, *s])),
            },
            _ => return Err(NoHeader("its addresses are cut short")),
        },
        (1, 0x21) => {
            let (Some(from), Some(to), Some(ports)) =
                (body.first_chunk::<16>(), body.get(16..32), body.get(32..36))
            else {
                return Err(NoHeader("its addresses are cut short"));
            };
            let to: [u8; 16] = to.try_into().map_err(|_| NoHeader("its addresses are cut short"))?;
            Header::Proxied {
                remote: SocketAddr::new(
                    Ipv6Addr::from(*from).into(),
                    u16::from_be_bytes([ports[0], ports[1]]),
                ),
                local: SocketAddr::new(Ipv6Addr::from(to).into(), u16::from_be_bytes([ports[2], ports[3]])),
            }
        }
        // Unspecified, datagrams or Unix sockets: a connection, but no address that would say anything here.
        (1, _) => Header::Local,
        _ => return Err(NoHeader("its command is unknown")),
    };
    Ok(Ok((header, whole)))
}

/// Reads the header off a connection, and not a byte more.
pub(crate) async fn read(stream: &mut TcpStream) -> Result<Header, NoHeader> {
    let mut seen: Vec<u8> = Vec::new();
    loop {
        match parse(&seen)? {
            Ok((header, _)) => return Ok(header),
            Err(more) => {
                let start = seen.len();
                seen.resize(start + more, 0);
                match stream.read(&mut seen[start..]).await {
                    Ok(n) if n > 0 => seen.truncate(start + n),
                    _ => return Err(NoHeader("the connection ended")),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(bytes: &[u8]) -> Option<(Header, usize)> {
        parse(bytes).ok().and_then(Result::ok)
    }

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, body].concat()
    }

    #[test]
    fn version_1_lines() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (header, n) = whole(b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 5222\r\n<stream").unwrap();
        assert_eq!(n, 46);
        assert_eq!(header, Header::Proxied { remote: at("192.0.2.1:56324"), local: at("198.51.100.2:5222") });
        let (header, _) = whole(b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n").unwrap();
        assert_eq!(header, Header::Proxied { remote: at("[2001:db8::1]:1"), local: at("[::1]:65535") });
        assert_eq!(whole(b"PROXY UNKNOWN what ever\r\n").unwrap().0, Header::Local);
        for wrong in [
            "PROXY TCP4 2001:db8::1 ::1 1 2\r\n",
            "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
            "PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXZ TCP4",
            "GET / HTTP/1.1\r\n",
            "\r\n\r\n\0\r\nQUIZ",
        ] {
            assert!(parse(wrong.as_bytes()).is_err(), "{wrong:?}");
        }
        assert!(parse(&[b"PROXY UNKNOWN ", &[b'x'; 200][..]].concat()).is_err());
    }

    #[test]
    fn version_2_headers() {
        let four = [192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 4, 0x14, 0x66];
        let (header, n) =
            whole(&[&v2(0x21, 0x11, &[&four[..], b"tlv"].concat())[..], b"more"].concat()).unwrap();
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert_eq!(
            (header, n),
            (Header::Proxied { remote: at("192.0.2.1:56324"), local: at("198.51.100.2:5222") }, 31)
        );
        assert_eq!(whole(&v2(0x20, 0, b"")).unwrap().0, Header::Local);
        assert_eq!(whole(&v2(0x21, 0x31, &[0; 216])).unwrap().0, Header::Local);
        for wrong in [
            v2(0x11, 0x11, &four),
            v2(0x22, 0x11, &four),
            v2(0x21, 0x11, &four[..11]),
            v2(0x21, 0x21, &[0; 35]),
        ] {
            assert!(parse(&wrong).is_err(), "{wrong:?}");
        }
        assert!(parse(&[&SIGNATURE[..], &[0x21, 0x11, 0xff, 0xff]].concat()).is_err(), "too long");
    }

    #[test]
    fn networks() {
        for (network, address, within) in [
            ("192.0.2.0/24", "192.0.2.77", true),
            ("192.0.2.0/24", "192.0.3.1", false),
            ("192.0.2.0/24", "::ffff:192.0.2.1", true),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("::1", "::1", true),
            ("::1", "::2", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("::/0", "2001:db8::1", true),
        ] {
            let network = Network::parse(network).unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), within, "{network:?} {address}");
        }
        for wrong in ["192.0.2.0/33", "::/129", "x", "192.0.2.1/", "/8", "192.0.2.0/-1"] {
            assert_eq!(Network::parse(wrong), None, "{wrong}");
        }
    }

    fn end() -> impl Strategy<Value = (IpAddr, u16)> {
        let ip = prop_oneof![any::<Ipv4Addr>().prop_map(IpAddr::V4), any::<Ipv6Addr>().prop_map(IpAddr::V6)];
        (ip, any::<u16>())
    }

    proptest! {
        #[test]
        fn what_a_balancer_writes_is_read(from in end(), to in end(), tail in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assume!(from.0.is_ipv4() == to.0.is_ipv4());
            let (remote, local) = (SocketAddr::from(from), SocketAddr::from(to));
            let expected = Header::Proxied { remote, local };
            let word = if from.0.is_ipv4() { "TCP4" } else { "TCP6" };
            let one = format!("PROXY {word} {} {} {} {}\r\n", from.0, to.0, from.1, to.1).into_bytes();
            let mut body = Vec::new();
            for ip in [from.0, to.0] {
                match ip {
                    IpAddr::V4(ip) => body.extend(ip.octets()),
                    IpAddr::V6(ip) => body.extend(ip.octets()),
                }
            }
            body.extend(from.1.to_be_bytes());
            body.extend(to.1.to_be_bytes());
            let two = v2(0x21, if from.0.is_ipv4() { 0x11 } else { 0x21 }, &body);
            for header in [one, two] {
                let all = [&header[..], &tail].concat();
                prop_assert_eq!(whole(&all), Some((expected, header.len())));
                // However it is cut, it is asked for to its end and never beyond.
                for cut in 0..header.len() {
                    let more = parse(&header[..cut]).unwrap().unwrap_err();
                    prop_assert!(more >= 1 && cut + more <= header.len(), "{cut} + {more}");
                }
            }
        }

        #[test]
        fn nothing_breaks_it(bytes in proptest::collection::vec(any::<u8>(), 0..200), which in 0..3u8) {
            let start: &[u8] = match which {
                0 => b"PROXY ",
                1 => &SIGNATURE,
                _ => b"",
            };
            let all = [start, &bytes].concat();
            if let Ok(Ok((_, n))) = parse(&all) {
                prop_assert!(n <= all.len());
            }
        }
    }
}

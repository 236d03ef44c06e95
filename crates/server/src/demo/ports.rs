//! Finding ports: the registered ones where they are free, else the next free ones.

use crate::failure::Failure;
use crate::setup::Ports;
use std::net::{IpAddr, TcpListener, UdpSocket};

/// How far to look.
const RANGE: u16 = 500;

/// Ports that were free a moment ago.
pub struct Chosen {
    /// The ports.
    pub ports: Ports,
    /// A sentence for each that is not the one preferred.
    pub moved: Vec<String>,
    /// Keeps others off the ports; let go just before they are opened in earnest.
    pub held: (Vec<TcpListener>, Vec<UdpSocket>),
}

/// Free ports on this address: the preferred ones where possible.
pub fn choose(at: IpAddr, preferred: Ports) -> Result<Chosen, Failure> {
    let mut ports = preferred;
    let all = [ports.xmpp, ports.xmpps, ports.sip, ports.sips];
    let wanted: [(&str, bool, &mut u16); 4] = [
        ("XMPP", false, &mut ports.xmpp),
        ("XMPP over direct TLS", false, &mut ports.xmpps),
        ("SIP", true, &mut ports.sip),
        ("SIP over TLS", false, &mut ports.sips),
    ];
    let (mut moved, mut streams, mut datagrams) = (Vec::new(), Vec::new(), Vec::new());
    for (name, udp_too, port) in wanted {
        let first = *port;
        let mut hold = |p: u16| {
            // The preferred ports of the other three stay theirs.
            if p != first && all.contains(&p) {
                return false;
            }
            let stream = TcpListener::bind((at, p)).ok();
            let datagram = if udp_too { UdpSocket::bind((at, p)).ok() } else { None };
            let free = stream.is_some() && (datagram.is_some() || !udp_too);
            if free {
                streams.extend(stream);
                datagrams.extend(datagram);
            }
            free
        };
        let found = (first..first.saturating_add(RANGE)).find(|p| hold(*p));
        *port = found.ok_or_else(|| Failure::new(format!("no free port for {name} from {first} on")))?;
        if *port != first {
            moved.push(format!("Port {first} is taken here, so {name} is on {} instead.", *port));
        }
    }
    Ok(Chosen { ports, moved, held: (streams, datagrams) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_passed_over() {
        let at = IpAddr::from([127, 0, 0, 1]);
        let other = UdpSocket::bind((at, 0)).unwrap();
        let base = other.local_addr().unwrap().port().min(60_000) - 2;
        let preferred = Ports::from_base(base);
        // Its datagrams belong to somebody else, so SIP has to move; its streams alone are of no use.
        let _held = UdpSocket::bind((at, preferred.sip));
        let chosen = choose(at, preferred).unwrap();
        let ports = chosen.ports;
        assert!(ports.sip > preferred.sips);
        let moved = format!("Port {} is taken here, so SIP is on {} instead.", preferred.sip, ports.sip);
        assert!(chosen.moved.contains(&moved), "{:?}", chosen.moved);
        let mut all = [ports.xmpp, ports.xmpps, ports.sip, ports.sips];
        all.sort_unstable();
        assert!(all.windows(2).all(|w| w[0] != w[1]), "{all:?}");
    }
}

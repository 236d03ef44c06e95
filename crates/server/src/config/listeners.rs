//! What is wrong with listeners as a whole.

use super::file::{Serves, SipPart, SipTransport, XmppPart, XmppTls};
use super::mistake::Mistake;
use std::path::Path;

/// Checks the listeners of both protocols.
pub(super) fn check(xmpp: &XmppPart, sip: &SipPart, path: &Path, text: &str) -> Result<(), Mistake> {
    let wrong = |span, why: &str| Err(Mistake::at(path, text, span, why));
    let datagrams = |transport| transport == SipTransport::Udp;
    if let Some(udp) = sip.listen.iter().find(|l| datagrams(l.transport) && l.serves == Serves::Servers) {
        let why = "`serves = \"servers\"` needs `transport = \"tls\"`: datagrams prove nobody";
        return wrong(udp.address.span(), why);
    }
    if xmpp.require_tls
        && let Some(plain) = xmpp.listen.iter().find(|l| l.tls == XmppTls::None)
    {
        let why = "nobody can log in here: `tls = \"none\"` needs `require_tls = false` in [xmpp]";
        return wrong(plain.address.span(), why);
    }
    let xmpp = xmpp.listen.iter().map(|l| (&l.address, l.proxy_protocol, &l.trusted, false));
    let sip = sip.listen.iter().map(|l| (&l.address, l.proxy_protocol, &l.trusted, datagrams(l.transport)));
    let mut taken = Vec::new();
    for (address, proxied, trusted, datagrams) in xmpp.chain(sip) {
        let place = (*address.get_ref(), datagrams);
        // Port 0 is another one each time.
        if place.0.port() != 0 && taken.contains(&place) {
            return wrong(address.span(), "another listener has this address and port: choose another one");
        }
        taken.push(place);
        if let Some(network) = trusted.iter().find(|t| net::Network::parse(t.get_ref()).is_none()) {
            let why = "this is no address or network; write \"192.0.2.0/24\" or \"2001:db8::/32\"";
            return wrong(network.span(), why);
        }
        match (proxied, trusted.is_empty()) {
            (true, _) if datagrams => {
                let why = "`proxy_protocol` is for TCP and TLS; datagrams have no header";
                return wrong(address.span(), why);
            }
            (true, true) => {
                let why =
                    "`proxy_protocol` needs `trusted`: the addresses of the proxies, which say who connects";
                return wrong(address.span(), why);
            }
            (false, false) => {
                return wrong(trusted[0].span(), "`trusted` says nothing without `proxy_protocol = true`");
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn end(listen: &str) -> Result<(), String> {
        let text = format!("domains = [\"a\"]\n{listen}");
        Config::parse(Path::new("r.toml"), &text).map(drop).map_err(|mistake| mistake.to_string())
    }

    #[test]
    fn proxies_are_named() {
        let listen = "[[sip.listen]]\naddress = \"[::1]:5060\"\n";
        for (more, complaint) in [
            ("transport = \"tcp\"\nproxy_protocol = true\n", "r.toml:3:11: `proxy_protocol` needs `trusted`"),
            ("transport = \"tcp\"\ntrusted = [\"::1\"]\n", "r.toml:5:12: `trusted` says nothing"),
            (
                "transport = \"tcp\"\nproxy_protocol = true\ntrusted = [\"::1/200\"]\n",
                "r.toml:6:12: this is no",
            ),
            (
                "transport = \"udp\"\nproxy_protocol = true\ntrusted = [\"::1\"]\n",
                "r.toml:3:11: `proxy_protocol` is for TCP",
            ),
        ] {
            let m = end(&format!("{listen}{more}")).unwrap_err();
            assert!(m.starts_with(complaint), "{m}");
        }
    }

    #[test]
    fn no_two_have_the_same_place() {
        let sip = |port: u16, transport: &str| {
            format!("[[sip.listen]]\naddress = \"127.0.0.1:{port}\"\ntransport = \"{transport}\"\n")
        };
        assert_eq!(end(&(sip(5060, "udp") + &sip(5060, "tcp") + &sip(5061, "tcp"))), Ok(()));
        assert_eq!(end(&(sip(0, "tcp") + &sip(0, "tcp"))), Ok(()));
        let m = end(&(sip(5060, "udp") + &sip(5060, "tcp") + &sip(5060, "udp"))).unwrap_err();
        assert!(m.starts_with("r.toml:9:11: another listener"), "{m}");
        let m = end(&format!(
            "[xmpp]\nrequire_tls = false\n[[xmpp.listen]]\naddress = \"127.0.0.1:5060\"\ntls = \"none\"\n{}",
            sip(5060, "tcp")
        ))
        .unwrap_err();
        assert!(m.starts_with("r.toml:8:11: another listener"), "{m}");
    }
}

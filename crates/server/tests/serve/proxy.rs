//! Behind a balancer, and on IPv6.

use crate::client::{Phone, Xmpp, connect, tls_on, try_tls, until};
use crate::harness::{SOON, Serve, prepared, rialto};
use std::io::{Read, Write};
use std::net::UdpSocket;

const OPTIONS: &str = "OPTIONS sip:example.com SIP/2.0\r\nVia: SIP/2.0/TCP client.invalid;branch=z9hG4bKa;rport\r\n\
    From: <sip:x@example.com>;tag=1\r\nTo: <sip:example.com>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 9\r\n\
    Content-Length: 0\r\n\r\n";

fn behind(trusted: &str) -> String {
    let proxy = format!("proxy_protocol = true\ntrusted = [\"{trusted}\"]\n");
    format!(
        "\n[[xmpp.listen]]\naddress = \"127.0.0.1:0\"\ntls = \"direct\"\n{proxy}\n\
         [[sip.listen]]\naddress = \"127.0.0.1:0\"\ntransport = \"tcp\"\n{proxy}\n"
    )
}

#[test]
fn the_client_behind_a_proxy_is_the_client() {
    let server = Serve::start(
        &["juliet"],
        &format!("{}[limits]\nconnections_per_source = 1\n", behind("127.0.0.0/8")),
    );
    // Version 1, IPv4: SIP says where it saw the request come from.
    let mut phone = connect(server.at("sip-tcp"));
    phone.write_all(format!("PROXY TCP4 192.0.2.7 198.51.100.1 4711 5060\r\n{OPTIONS}").as_bytes()).unwrap();
    let answer = until(&mut phone, "\r\n\r\n");
    assert!(answer.contains(";rport=4711;received=192.0.2.7"), "{answer}");
    // Limits count the client: this one has its connection, another one behind the same proxy is welcome.
    let mut again = connect(server.at("sip-tcp"));
    again.write_all(b"PROXY TCP4 192.0.2.7 198.51.100.1 4712 5060\r\n").unwrap();
    assert_eq!(again.read(&mut [0; 1]).unwrap(), 0, "one connection for one source");
    // Version 2, IPv6, cut into single bytes; TLS begins right behind it.
    let mut desk = connect(server.at("xmpps-c2s"));
    let (from, to) = ("2001:db8::7".parse::<std::net::Ipv6Addr>().unwrap(), std::net::Ipv6Addr::LOCALHOST);
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x24".to_vec();
    header.extend(from.octets().into_iter().chain(to.octets()).chain([0, 9, 0, 10]));
    for byte in header {
        desk.write_all(&[byte]).unwrap();
    }
    Xmpp::on(tls_on(desk, &server.path("ca.pem")).expect("TLS"), "juliet").fence();
    // No header, no connection.
    let mut none = connect(server.at("sip-tcp"));
    none.write_all(OPTIONS.as_bytes()).unwrap();
    assert_eq!(none.read(&mut [0; 1]).unwrap_or(0), 0);
    server.logs("no PROXY protocol header: it begins otherwise");
}

#[test]
fn nobody_else_may_say_who_connects() {
    let server = Serve::start(&[], &behind("192.0.2.0/24"));
    let mut liar = connect(server.at("sip-tcp"));
    let _ = liar.write_all(format!("PROXY TCP4 192.0.2.7 198.51.100.1 4711 5060\r\n{OPTIONS}").as_bytes());
    assert_eq!(liar.read(&mut [0; 1]).unwrap_or(0), 0);
    server.logs("not a trusted proxy; refused");
}

#[test]
fn both_doors_serve_ipv6() {
    let listen = "\n[[xmpp.listen]]\naddress = \"[::1]:0\"\ntls = \"direct\"\n\n\
        [[sip.listen]]\naddress = \"[::1]:0\"\ntransport = \"tcp\"\n\n\
        [[sip.listen]]\naddress = \"[::1]:0\"\ntransport = \"udp\"\n\n[metrics]\nlisten = \"[::1]:0\"\n";
    let server = Serve::start(&["juliet", "romeo"], listen);
    let (sip, udp) = (server.at("sip-tcp"), server.at("sip-udp"));
    assert!(try_tls(server.at("xmpps-c2s"), &server.path("ca.pem")).is_some());
    let mut desk = Xmpp::online(server.at("xmpps-c2s"), &server.path("ca.pem"), "juliet");
    let mut phone = Phone::registered(sip, "romeo");
    desk.say("<message to='romeo@example.com' id='m1'><body>over six</body></message>");
    let request = until(&mut phone.wire, "over six");
    assert!(request.contains(&format!("\r\nVia: SIP/2.0/TCP [::1]:{};branch=", sip.port())), "{request}");
    assert!(request.starts_with("MESSAGE sip:romeo@[::1]:"), "{request}");
    phone.accept(&request);
    phone.send("MESSAGE", "sip:juliet@example.com", "juliet", "", "and back");
    desk.hear("and back");
    assert!(phone.answer().starts_with("SIP/2.0 200"));
    let other = UdpSocket::bind("[::1]:0").unwrap();
    other.set_read_timeout(Some(SOON)).unwrap();
    other.send_to(OPTIONS.replace("/TCP", "/UDP").as_bytes(), udp).unwrap();
    let mut answer = [0; 2000];
    let n = other.recv(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer[..n]).into_owned();
    let seen = format!(";rport={};received=::1\r\n", other.local_addr().unwrap().port());
    assert!(answer.starts_with("SIP/2.0 200") && answer.contains(&seen), "{answer}");
    connect(server.at("metrics"));
}

#[test]
fn setting_up_and_checking_know_ipv6() {
    let dir = prepared("", "");
    let data = dir.path().join("six");
    let run = |args: &[&str]| {
        let done = rialto().args(args).output().expect("the command starts");
        let said = String::from_utf8([done.stdout, done.stderr].concat()).expect("text");
        (said, done.status.success())
    };
    let path = data.to_str().unwrap();
    let (said, good) = run(&["init", "--domain", "example.com", "--listen", "::1", "--data", path]);
    assert!(good, "{said}");
    let config = data.join("rialto.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    assert!(text.contains("address = \"[::1]:5222\"") && text.contains("address = \"[::1]:5061\""), "{text}");
    let config = config.to_str().unwrap();
    let (said, good) = run(&["check", "--config", config]);
    assert!(good && said.contains("5 listener(s): good"), "{said}");
    let (said, _) = run(&["doctor", "--config", config]);
    assert!(said.contains("the certificate of example.com is good for"), "{said}");
    let (said, good) = run(&["demo", "--exit", "--listen", "::1"]);
    assert!(good && said.contains("XMPP on [::1]:"), "{said}");
}

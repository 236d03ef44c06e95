//! The end in order, and the last word that arrives.

use crate::client::{Phone, Xmpp, connect, to_the_end, try_tls, until};
use crate::harness::{LISTEN, SOON, Serve, prepared};
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;

const UDP: &str = "\n[[sip.listen]]\naddress = \"127.0.0.1:0\"\ntransport = \"udp\"\n";

#[test]
fn clients_are_told_and_open_transactions_are_finished() {
    let mut server = Serve::start(&["juliet", "romeo"], &format!("{LISTEN}{UDP}[drain]\nseconds = 60\n"));
    let mut desk = Xmpp::online(server.at("xmpps-c2s"), &server.path("ca.pem"), "juliet");
    let mut phone = Phone::registered(server.at("sip-tcp"), "romeo");
    desk.say("<message to='romeo@example.com' id='m1'><body>wait for it</body></message>");
    let request = until(&mut phone.wire, "wait for it");
    server.signal("TERM");
    let last = to_the_end(&mut desk.0).expect("closed, not cut");
    assert!(last.contains("<system-shutdown "), "{last}");
    let (_, status) = server.api("GET", "/v1/status");
    assert!(status.contains("\"state\":\"stopping\""), "{status}");
    assert!(String::from_utf8(server.run(&["status"]).stdout).unwrap().contains(": stopping since"));
    // The phone owes an answer, so its connection stays; what is new is sent away, here and over UDP.
    phone.send("MESSAGE", "sip:juliet@example.com", "juliet", "", "too late");
    let no = phone.answer();
    assert!(no.starts_with("SIP/2.0 503") && no.contains("\r\nRetry-After: "), "{no}");
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    other.set_read_timeout(Some(SOON)).unwrap();
    let options = "OPTIONS sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKu;rport\r\n\
        From: <sip:x@example.com>;tag=1\r\nTo: <sip:example.com>\r\nCall-ID: u\r\nCSeq: 1 OPTIONS\r\n\
        Max-Forwards: 9\r\nContent-Length: 0\r\n\r\n";
    other.send_to(options.as_bytes(), server.at("sip-udp")).unwrap();
    let mut answer = [0; 2000];
    let n = other.recv(&mut answer).unwrap();
    assert!(answer[..n].starts_with(b"SIP/2.0 503"));
    phone.accept(&request);
    assert_eq!(to_the_end(&mut phone.wire).expect("closed, not cut"), "");
    assert!(server.ended().success());
    assert!(!server.log().contains("not everybody was done"), "{}", server.log());
}

#[test]
fn clients_are_sent_elsewhere_and_nobody_waits_for_ever() {
    let mut server = Serve::start(&["juliet", "romeo"], LISTEN);
    let mut desk = Xmpp::online(server.at("xmpps-c2s"), &server.path("ca.pem"), "juliet");
    let mut phone = Phone::registered(server.at("sip-tcp"), "romeo");
    // Decided while people are connected.
    server.configure("", &format!("{LISTEN}[drain]\nseconds = 1\ngo_to = \"xmpp2.example.com:5222\"\n"));
    assert!(server.reload().1);
    desk.say("<message to='romeo@example.com' id='m1'><body>never answered</body></message>");
    until(&mut phone.wire, "never answered");
    server.signal("TERM");
    let last = to_the_end(&mut desk.0).expect("closed, not cut");
    assert!(last.contains(">xmpp2.example.com:5222</see-other-host>"), "{last}");
    assert!(server.ended().success());
    assert!(server.log().contains("not everybody was done in time"), "{}", server.log());
}

#[test]
fn a_second_signal_ends_the_wait() {
    let mut server = Serve::start(&["juliet", "romeo"], &format!("{LISTEN}[drain]\nseconds = 600\n"));
    let mut desk = Xmpp::online(server.at("xmpps-c2s"), &server.path("ca.pem"), "juliet");
    let mut phone = Phone::registered(server.at("sip-tcp"), "romeo");
    desk.say("<message to='romeo@example.com' id='m1'><body>never answered</body></message>");
    until(&mut phone.wire, "never answered");
    server.signal("TERM");
    server.logs("stopping");
    to_the_end(&mut desk.0).expect("closed, not cut");
    server.signal("TERM");
    assert!(server.ended().success());
}

#[test]
fn the_service_manager_hears_every_step() {
    let dir = prepared("", LISTEN);
    let path = dir.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(SOON)).unwrap();
    let mut server = Serve::start_in(dir, &[], |serve| {
        serve.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    });
    let next = |word: &str| {
        let mut buffer = [0; 500];
        loop {
            let n = manager.recv(&mut buffer).expect("the next step");
            let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
            if text.starts_with(word) {
                return text;
            }
            assert!(text.starts_with("WATCHDOG=1"), "{text} before {word}");
        }
    };
    next("READY=1");
    next("WATCHDOG=1");
    next("WATCHDOG=1");
    server.signal("HUP");
    assert!(next("RELOADING=1").contains("\nMONOTONIC_USEC="));
    next("READY=1");
    server.signal("TERM");
    assert!(next("STOPPING=1").contains("\nEXTEND_TIMEOUT_USEC=15000000"));
    assert!(server.ended().success());
}

#[test]
fn the_last_word_is_not_lost_to_unread_input() {
    let server = Serve::start(&[], LISTEN);
    let many = vec![b'x'; 300_000];
    // After a stream error, more is on its way to us: it must not turn our answer into a reset.
    let mut tls = try_tls(server.at("xmpps-c2s"), &server.path("ca.pem")).unwrap();
    tls.write_all(b"<no stream at all>").unwrap();
    tls.write_all(&many).unwrap();
    let last = to_the_end(&mut tls).expect("closed, not cut");
    assert!(last.contains("</stream:stream>"), "{last}");
    not_reset(&mut tls.sock);
    // The same without TLS, and with a TLS handshake that is none.
    let mut sip = connect(server.at("sip-tcp"));
    sip.write_all(
        b"MESSAGE x SIP/2.0\r\nContent-Length: 99999999\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\n\r\n",
    )
    .unwrap();
    sip.write_all(&many).unwrap();
    to_the_end(&mut sip).expect("closed, not cut");
    not_reset(&mut sip);
    let mut wrong = connect(server.at("xmpps-c2s"));
    wrong.write_all(&many).unwrap();
    let mut alert = Vec::new();
    wrong.read_to_end(&mut alert).expect("closed, not cut");
    assert_eq!(alert.first(), Some(&21), "a TLS alert");
    not_reset(&mut wrong);
}

/// A reset shows when more is sent; some systems then throw away what the client has not read yet.
fn not_reset(stream: &mut TcpStream) {
    for _ in 0..2 {
        stream.write_all(b"x").expect("the server still takes what was on its way");
    }
    assert!(stream.take_error().unwrap().is_none());
}

//! What nobody may use up for the others: connections, time, memory, the server's attention.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use interop::known::judge;
use interop::raw::Wire;
use interop::raw::xmpp::{Xmpp, auth, plain};
use interop::{Rialto, SOON, at};
use socket2::{Domain, Socket, Type};

/// Nobody is throttled, and a source may have twenty connections.
const FEW: &str = "[limits]\nmessages_per_second = 0\nconnections_per_source = 20\n";
const MANY: &str = "[limits]\nmessages_per_second = 0\n";

/// Longer than the server waits for a login.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection from an address of our choice.
fn connect_from(source: [u8; 4], port: u16) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((source, 0)).into()).expect("a local address");
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).expect("the server listens");
    socket.into()
}

/// Has the other side closed? Waits a moment for it.
fn is_closed(stream: &mut TcpStream, wait: Duration) -> bool {
    stream.set_read_timeout(Some(wait)).expect("the time is not zero");
    let mut bytes = [0; 4096];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(e) => {
                return !matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
            }
        }
    }
}

#[test]
fn one_address_cannot_take_all_connections() {
    judge("bounds::one_address_cannot_take_all_connections", || {
        let rialto = Rialto::start_with(&["romeo"], FEW, "info");
        let mut flood: Vec<TcpStream> =
            (0..60).map(|_| connect_from([127, 0, 0, 9], rialto.xmpp())).collect();
        // Refused ones are closed at once; those let in would have half a minute to log in.
        let end = Instant::now() + SOON;
        while flood.len() > 20 && Instant::now() < end {
            flood.retain_mut(|stream| !is_closed(stream, Duration::from_millis(5)));
        }
        assert_eq!(flood.len(), 20, "as many as one address may have");
        let source = |stream: &TcpStream| stream.local_addr().expect("an address").ip();
        assert!(flood.iter().all(|s| source(s) == IpAddr::from([127, 0, 0, 9])));
        // Somebody else is let in all the same, and the flooder again once a connection is free.
        let mut romeo = Xmpp::online(rialto.xmpps(), &rialto.ca(), "romeo", "desk");
        romeo.fence();
        flood.truncate(19);
        let end = Instant::now() + SOON;
        while is_closed(&mut connect_from([127, 0, 0, 9], rialto.xmpp()), Duration::from_millis(300)) {
            assert!(Instant::now() < end, "a free place is never given again");
        }
        rialto.finish();
    });
}

#[test]
fn who_dawdles_is_shown_out_and_holds_nobody_up() {
    judge("bounds::who_dawdles_is_shown_out_and_holds_nobody_up", || {
        let rialto = Rialto::start_with(&["romeo", "juliet"], MANY, "info");
        let header = interop::raw::xmpp::OPEN.as_bytes();
        // The first bytes of a TLS handshake record, of a stream header, and of a SIP request.
        let hello: &[u8] =
            &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7];
        let kinds = [(rialto.xmpps(), hello), (rialto.xmpp(), header), (rialto.sips(), hello)];
        let mut slow: Vec<(TcpStream, &[u8])> = Vec::new();
        for (port, bytes) in kinds {
            slow.extend((0..60).map(|_| (connect_from([127, 0, 0, 9], port), bytes)));
        }
        let mut romeo = Xmpp::online(rialto.xmpps(), &rialto.ca(), "romeo", "desk");
        let mut juliet = Xmpp::online(rialto.xmpps(), &rialto.ca(), "juliet", "desk");
        let start = Instant::now();
        let mut round = 0;
        while !slow.is_empty() {
            assert!(start.elapsed() < PATIENCE, "{} dawdlers are still there", slow.len());
            slow.retain_mut(|(stream, bytes)| {
                let said = bytes.get(round..=round).is_none_or(|byte| stream.write_all(byte).is_ok());
                said && !is_closed(stream, Duration::from_millis(1))
            });
            // Everybody else is served in the meantime.
            let to = at("juliet");
            romeo.wire.send(format!("<message to='{to}'><body>round {round}</body></message>"));
            assert!(juliet.expect("<message").contains(&format!("round {round}")));
            round += 1;
            thread::sleep(Duration::from_millis(500));
        }
        println!("all dawdlers gone after {round} rounds");
        rialto.finish();
    });
}

#[test]
fn who_does_not_read_costs_no_memory_and_no_message() {
    judge("bounds::who_does_not_read_costs_no_memory_and_no_message", || {
        const COUNT: usize = 24_000;
        let rialto = Rialto::start_with(&["romeo", "tybalt"], MANY, "info");
        let mut deaf = Xmpp::logged_in(rialto.xmpps(), &rialto.ca(), "tybalt");
        deaf.bind("tybalt", "deaf");
        deaf.wire.send("<presence/>");
        deaf.fence();
        let mut romeo = Xmpp::online(rialto.xmpps(), &rialto.ca(), "romeo", "desk");
        let words = "sorrow ".repeat(300);
        let send = |romeo: &mut Xmpp, from: usize, to: usize| {
            for n in from..to {
                let text = format!("{n} {words}");
                romeo.wire.send(format!("<message to='{}'><body>{text}</body></message>", at("tybalt")));
            }
            romeo.fence();
        };
        send(&mut romeo, 0, COUNT / 10);
        let before = rialto.resident_kib();
        send(&mut romeo, COUNT / 10, COUNT);
        let after = rialto.resident_kib();
        println!("{before} KiB with {} messages unread, {after} KiB with {COUNT}", COUNT / 10);
        // Fifty megabytes of text went by, twice that as envelopes. What waits is in the journal, whose page cache may
        // have grown to its 64 MiB; the index, which may have begun in between, has 16 MiB for what it writes and the pages
        // that it reads; the rest is the allocator's.
        assert!(after < before + (64 + 16 + 24) * 1024, "grew from {before} to {after} KiB");
        // The deaf one is given up after half a minute. What was written to it by then it may still hear; whoever comes
        // instead hears the rest, in order.
        thread::sleep(Duration::from_secs(40));
        let end = Instant::now() + SOON;
        let mut heard = vec![false; COUNT];
        let number = |message: &str| {
            let text = message.split("<body>").nth(1).and_then(|text| text.split(' ').next());
            text.and_then(|n| n.parse::<usize>().ok()).expect("a numbered message")
        };
        while let Some(element) = deaf.next(end) {
            if element.starts_with("<message") {
                heard[number(&element)] = true;
            }
        }
        assert!(deaf.wire.is_closed(), "a client that does not read is kept for ever");
        let early = heard.iter().filter(|heard| **heard).count();
        let mut heir = Xmpp::online(rialto.xmpps(), &rialto.ca(), "tybalt", "heir");
        let mut last = None;
        while !heard.iter().all(|heard| *heard) {
            let n = number(&heir.expect("<message"));
            assert!(last < Some(n), "{n} came behind {last:?}");
            (heard[n], last) = (true, Some(n));
        }
        println!("{early} heard late, the rest by the heir");
        rialto.finish();
    });
}

#[test]
fn a_storm_of_logins_drowns_nobody() {
    judge("bounds::a_storm_of_logins_drowns_nobody", || {
        // What proofs cost is in question here, so nobody has to wait for having guessed.
        let limits = format!("{MANY}login_failures = 0\n");
        let rialto = Rialto::start_with(&["romeo", "juliet"], &limits, "info");
        let (port, ca) = (rialto.xmpps(), rialto.ca());
        let storm: Vec<_> = (0..8)
            .map(|thread| {
                let ca = ca.clone();
                thread::spawn(move || {
                    let mut refused = 0;
                    for n in 0..25 {
                        let mut client = Xmpp::open(port, &ca);
                        let user = if n % 2 == 0 { "romeo".to_owned() } else { format!("nobody{thread}") };
                        client.wire.send(auth("PLAIN", &plain(&user, "not the password")));
                        let answer = client.expect("<failure");
                        refused += u32::from(answer.contains("<not-authorized/>"));
                    }
                    refused
                })
            })
            .collect();
        // In the eye of it.
        for n in 0..10 {
            let mut juliet = Xmpp::online(port, &ca, "juliet", &format!("d{n}"));
            juliet.fence();
        }
        let refused: u32 = storm.into_iter().map(|thread| thread.join().expect("no panic")).sum();
        assert_eq!(refused, 200, "every wrong password is told so");
        rialto.finish();
    });
}

#[test]
fn the_loud_do_not_drown_the_quiet() {
    judge("bounds::the_loud_do_not_drown_the_quiet", || {
        let rialto = Rialto::start_with(&["romeo", "juliet", "tybalt", "benvolio"], MANY, "info");
        let (port, ca) = (rialto.xmpps(), rialto.ca());
        let mut quiet = Xmpp::online(port, &ca, "juliet", "quiet");
        let mut friend = Xmpp::online(port, &ca, "benvolio", "quiet");
        let mut loud = Xmpp::online(port, &ca, "romeo", "loud");
        let flood = thread::spawn(move || {
            for n in 0..40_000 {
                loud.wire.send(format!("<message to='{}'><body>{n}</body></message>", at("tybalt")));
            }
            loud.fence();
        });
        let mut talked = 0;
        while !flood.is_finished() && talked < 20 {
            quiet.wire.send(format!("<message to='{}'><body>{talked}</body></message>", at("benvolio")));
            assert!(friend.expect("<message").contains(&format!("<body>{talked}<")));
            talked += 1;
        }
        let before_the_end = !flood.is_finished();
        flood.join().expect("the loud one is served as well");
        assert!(
            before_the_end,
            "twenty short messages took as long as forty thousand ({talked} got through)"
        );
        rialto.finish();
    });
}

#[test]
fn an_account_has_so_many_devices_and_no_more() {
    judge("bounds::an_account_has_so_many_devices_and_no_more", || {
        let rialto = Rialto::start_with(&["romeo"], MANY, "info");
        let mut devices = Vec::new();
        for n in 0..64 {
            devices.push(Xmpp::online(rialto.xmpps(), &rialto.ca(), "romeo", &format!("d{n}")));
        }
        let mut more = Xmpp::logged_in(rialto.xmpps(), &rialto.ca(), "romeo");
        more.wire.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
        let answer = more.expect("<iq");
        assert!(answer.contains("type='error'") && answer.contains("resource-constraint"), "{answer}");
        // With one gone there is room.
        devices.pop();
        let end = Instant::now() + SOON;
        loop {
            more.wire.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
            if more.expect("<iq").contains("type='result'") {
                break;
            }
            assert!(Instant::now() < end, "a free place is never given again");
            thread::sleep(Duration::from_millis(50));
        }
        let _ = Wire::plain(rialto.xmpp());
        rialto.finish();
    });
}

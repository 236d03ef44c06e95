//! The wire against hostile and merely strange input: messages in the manner of RFC 4475, request smuggling, every
//! way of cutting a stream, and noise.

#[allow(dead_code)]
mod player;

use connector::{Flow, Input, Output};
use model::{Now, Tick, Timestamp};
use proptest::prelude::*;
use sip::wire::{Framed, Framer, Unit, datagram};

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Verdict {
    /// A request or response we can work on.
    Good,
    /// Answered with this status (0: not answerable, ignored).
    Bad(u16),
}
use Verdict::{Bad, Good};

fn crlf(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

fn verdict(framed: Option<Framed>) -> Verdict {
    match framed {
        Some(Framed::Unit(_)) => Good,
        Some(Framed::Fault(f)) => Bad(if f.reply.is_some() { f.status } else { 0 }),
        other => panic!("{other:?}"),
    }
}

fn options(extra: &str) -> String {
    format!(
        "OPTIONS sip:user@example.com SIP/2.0\nTo: sip:user@example.com\nFrom: sip:caller@example.org;tag=33242\n\
         Max-Forwards: 3\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKkdju43\nCall-ID: x.1\nCSeq: 8 OPTIONS\n{extra}\n"
    )
}

#[test]
fn torture() {
    let plain = options("l: 0\n");
    let with = |from: &str, to: &str| plain.replacen(from, to, 1);
    let table: Vec<(&str, String, Verdict)> = vec![
        // 3.1.1: valid
        (
            "3.1.1.1 a tortuous message",
            "INVITE sip:vivekg@chair.example.com;unknownparam SIP/2.0\nTO :\n sip:vivekg@chair.example.com ;   tag    = 1918181833n\n\
             from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\n  ;\n  tag = 98asjd8\nMaX-fOrWaRdS: 0068\n\
             Call-ID: wsinv.ndaksdj@192.0.2.1\nContent-Length   : 4\ncseq: 0009\n  INVITE\nVia  : SIP  /   2.0\n /UDP\n    192.0.2.2;branch=390skdjuw\n\
             s :\nNewFangledHeader:   newfangled value\n continued newfangled value\nUnknownHeaderWithUnusualValue: ;;,,;;,;\n\
             v:  SIP  / 2.0  / TCP     spindle.example.com   ;\n  branch  =   z9hG4bK9ikj8  ,\n SIP  /    2.0   / UDP  192.168.255.111   ; branch=\n z9hG4bK30239\n\
             m:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =\n      newvalue ;\n  secondparam ; q = 0.33\n\nabcd".into(),
            Good,
        ),
        ("3.1.1.2 a wide range of characters", with("OPTIONS sip:user@example.com", "!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com").replacen("8 OPTIONS", "139122385 !interesting-Method0123456789_*+`.%indeed'~", 1), Good),
        ("3.1.1.3 percent escapes", with("sip:user@example.com", "sip:sips%3Auser%40example.com@example.net"), Good),
        ("3.1.1.4 escaped nulls", with("To: sip:user@", "To: sip:null-%00-null@"), Good),
        ("3.1.1.5 percent in names", with("Max-Forwards", "%Z%45: x\nMax-Forwards"), Good),
        ("3.1.1.6 no space before the angle", with("From: sip:caller@example.org;tag=33242", "From: caller<sip:caller@example.org>;tag=323"), Good),
        ("3.1.1.7 long values", with("Call-ID: x.1", &format!("Call-ID: x.{}", "very".repeat(300))), Good),
        ("3.1.1.8 noise after the message", format!("{plain}INVITE sip:joe@example.com SIP/2.0\n\n"), Good),
        ("3.1.1.9 a semicolon in the user part", with("sip:user@example.com", "sip:user;par=u%40example.net@example.com"), Good),
        ("3.1.1.10 unknown transports", with("Max-Forwards", "Via: SIP/2.0/UNKNOWN t2.example.com;branch=z9hG4bK1\nMax-Forwards"), Good),
        ("3.1.1.12 an unusual reason", "SIP/2.0 200 = 2**3 * 5**2 \u{43d}\u{43e}\nVia: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923\nCall-ID: x\nCSeq: 35 INVITE\nFrom: sip:user@example.com;tag=11141343\nTo: sip:user@example.edu;tag=2229\nContent-Length: 0\n\n".into(), Good),
        ("3.1.1.13 an empty reason", "SIP/2.0 100 \nVia: SIP/2.0/UDP 192.0.2.105;branch=z9hG4bK2398\nCall-ID: x\nCSeq: 35 INVITE\nFrom: sip:user@example.com;tag=39\nTo: sip:user@example.edu;tag=2\nContent-Length: 0\n\n".into(), Good),
        // 3.1.2: invalid
        ("3.1.2.1 empty parameters", with("Via: SIP/2.0/UDP 192.0.2.1;branch", "Via: SIP/2.0/UDP 192.0.2.15;;,;,,;branch"), Bad(400)),
        ("3.1.2.2 Content-Length too large", with("l: 0", "l: 9999"), Bad(400)),
        ("3.1.2.3 a negative Content-Length", with("l: 0", "l: -999"), Bad(400)),
        ("3.1.2.4 CSeq out of range", with("CSeq: 8 ", "CSeq: 36893488147419103232 "), Bad(400)),
        ("3.1.2.6 unterminated quotes", with("To: sip:user@example.com", "To: \"Mr. J. User <sip:j.user@example.com>"), Bad(400)),
        ("3.1.2.7 angles around the Request-URI", with("OPTIONS sip:user@example.com", "OPTIONS <sip:user@example.com>"), Bad(400)),
        ("3.1.2.8 space in the Request-URI", with("OPTIONS sip:user@example.com", "OPTIONS sip:user@example.com; lr"), Bad(400)),
        ("3.1.2.9 two spaces", with("OPTIONS sip", "OPTIONS  sip"), Bad(400)),
        ("3.1.2.10 space at the end", with("SIP/2.0\n", "SIP/2.0  \n"), Bad(400)),
        ("3.1.2.11 headers in the Request-URI", with("sip:user@example.com SIP", "sip:user@example.com?Route=%3Csip:x%3E SIP"), Bad(400)),
        ("3.1.2.13 a broken date is not read", with("Max-Forwards", "Date: Fri, 01 Jan 2010 16:00:00 EST\nMax-Forwards"), Good),
        ("3.1.2.14 spaces in the addr-spec", with("To: sip:user@example.com", "To: \"Watson, Thomas\" < sip:t.watson@example.org >"), Bad(400)),
        ("3.1.2.16 another version", with("SIP/2.0\n", "SIP/7.0\n"), Bad(505)),
        ("3.1.2.17 methods differ", with("CSeq: 8 OPTIONS", "CSeq: 8 INVITE"), Bad(400)),
        ("3.1.2.19 an overlarge status", "SIP/2.0 4294967301 better not\nVia: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1\nCall-ID: x\nCSeq: 3 INVITE\nFrom: sip:a@b;tag=1\nTo: sip:c@d;tag=2\nContent-Length: 0\n\n".into(), Bad(0)),
        // 3.2, 3.3: transaction and application layer
        ("3.2.1 a branch of only the cookie", with("z9hG4bKkdju43", "z9hG4bK"), Good),
        ("3.3.1 nothing but the request line", "OPTIONS sip:user@example.com SIP/2.0\nl: 0\n\n".into(), Bad(0)),
        ("3.3.2 an unknown scheme", with("sip:user@example.com SIP", "nobodyKnowsThisScheme:totallyopaquecontent SIP"), Good),
        ("3.3.8 a header twice", with("Max-Forwards", "From: sip:caller@example.org;tag=2\nMax-Forwards"), Bad(400)),
        ("3.3.8 Call-ID twice", with("Max-Forwards", "Call-ID: other\nMax-Forwards"), Bad(400)),
        ("3.3.9 Content-Length twice", with("l: 0", "l: 0\nContent-Length: 5"), Bad(400)),
        ("no Max-Forwards is forgiven", with("Max-Forwards: 3\n", ""), Good),
        ("bad header line", with("Max-Forwards: 3", "Max-Forwards 3"), Bad(400)),
        ("an ACK is never answered", with("OPTIONS", "ACK").replacen("8 OPTIONS", "8 INVITE", 1), Bad(0)),
    ];
    let mut wrong = Vec::new();
    for (name, text, expected) in table {
        let got = verdict(datagram(&crlf(&text)));
        if got != expected {
            wrong.push(format!("{name}: expected {expected:?}, got {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const EVIL: &str = "BYE sip:victim@example.com SIP/2.0\nVia: SIP/2.0/TCP 192.0.2.66;branch=z9hG4bKevil\nMax-Forwards: 70\n\
    From: <sip:boss@example.com>;tag=1\nTo: <sip:victim@example.com>;tag=2\nCall-ID: evil\nCSeq: 1 BYE\nContent-Length: 0\n\n";

fn carrier(length: &str) -> Vec<u8> {
    let n = crlf(EVIL).len().to_string();
    let mut out = crlf(&format!(
        "MESSAGE sip:a@example.com SIP/2.0\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bKm\nMax-Forwards: 70\n\
         From: <sip:b@example.com>;tag=1\nTo: <sip:a@example.com>\nCall-ID: m\nCSeq: 1 MESSAGE\n{}\n\n",
        length.replace("{n}", &n)
    ));
    out.extend_from_slice(&crlf(EVIL));
    out
}

fn methods(framed: &[Framed]) -> Vec<String> {
    framed
        .iter()
        .map(|f| match f {
            Framed::Unit(Unit::Request(r)) => r.method().to_owned(),
            Framed::Unit(Unit::Response(r)) => r.status.to_string(),
            Framed::Ping => "ping".to_owned(),
            Framed::Fault(f) => format!("{}{}", if f.fatal { "fatal " } else { "" }, f.status),
        })
        .collect()
}

#[test]
fn a_body_never_becomes_a_request() {
    for (name, length, expected) in [
        ("plain", "Content-Length: {n}", "MESSAGE"),
        ("legal blank before the colon", "Content-Length : {n}", "MESSAGE"),
        ("compact", "l:{n}", "MESSAGE"),
        ("folded value", "Content-Length:\n {n}", "MESSAGE"),
        ("folded with a tab", "Content-Length: {n}\n\t", "MESSAGE"),
        ("two lengths, 0 then n", "Content-Length: 0\nContent-Length: {n}", "fatal 400"),
        ("two lengths, n then 0", "Content-Length: {n}\nl: 0", "fatal 400"),
        ("no length on a stream", "X: y", "fatal 400"),
        ("a signed length", "Content-Length: +{n}", "fatal 400"),
        ("hexadecimal", "Content-Length: 0x{n}", "fatal 400"),
        ("a list", "Content-Length: {n}, 0", "fatal 400"),
        ("empty", "Content-Length:", "fatal 400"),
        ("overflow", "Content-Length: 18446744073709551616", "fatal 400"),
        ("enormous", "Content-Length: 99999999", "fatal 413"),
        ("non-UTF-8 elsewhere", "Subject: \u{e4}\nContent-Length: {n}", "MESSAGE"),
    ] {
        let bytes = carrier(length);
        // In one piece, cut everywhere, and byte by byte.
        for step in [bytes.len(), 1, 7, 300] {
            let mut framer = Framer::default();
            let out: Vec<Framed> = bytes.chunks(step).flat_map(|c| framer.feed(c)).collect();
            assert_eq!(methods(&out), [expected], "{name}, pieces of {step}");
        }
    }
}

#[test]
fn bare_line_ends_hide_nothing() {
    let good = String::from_utf8(carrier("Content-Length: {n}")).unwrap();
    for (from, to) in [
        ("Call-ID: m\r\n", "Call-ID: m\nContent-Length: 0\r\n"),
        ("Call-ID: m\r\n", "Call-ID: m\rContent-Length: 0\r\n"),
        ("CSeq: 1 MESSAGE\r\n", "CSeq: 1 MESSAGE\n\nX: y\r\n"),
    ] {
        let mut framer = Framer::default();
        let out = framer.feed(good.replacen(from, to, 1).as_bytes());
        assert_eq!(methods(&out), ["fatal 400"], "{to:?}");
        assert!(framer.feed(good.as_bytes()).is_empty(), "a lost stream stays lost");
    }
}

#[test]
fn good_messages_before_a_bad_one_are_delivered() {
    let mut bytes = crlf(EVIL);
    bytes.extend_from_slice(b"\r\n\r\n");
    bytes.extend_from_slice(&crlf(EVIL));
    bytes.extend_from_slice(b"garbage\r\n\r\n");
    bytes.extend_from_slice(&crlf(EVIL));
    let mut framer = Framer::default();
    assert_eq!(methods(&framer.feed(&bytes)), ["BYE", "ping", "BYE", "fatal 400"]);
}

#[test]
fn limits_hold() {
    let many = "X: y\n".repeat(120);
    let mut framer = Framer::default();
    assert_eq!(methods(&framer.feed(&crlf(&options(&format!("{many}l: 0\n"))))), ["fatal 400"]);
    let mut framer = Framer::default();
    let mut out = Vec::new();
    for _ in 0..100 {
        out.extend(framer.feed(&[b'a'; 1024]));
    }
    assert_eq!(methods(&out), ["fatal 400"]);
    let mut big = crlf(&options("Subject: x\n"));
    big.resize(70_000, b'a');
    assert_eq!(verdict(datagram(&big)), Bad(413));
    for blank in [&b"\r\n\r\n"[..], b"\0", b"", b"\r\n", b"  "] {
        assert!(datagram(blank).is_none());
    }
}

/// Half a message may not hold a connection; whole ones may follow each other as they like.
#[test]
fn a_busy_connection_is_not_held() {
    let bytes = crlf(&options("Content-Length: 0\n").replace("UDP", "TCP"));
    let (half, rest) = bytes.split_at(bytes.len() / 2);
    let closes = |later: &[u8]| {
        let mut m = player::machine("tcp");
        let mut closed = false;
        for second in 0..40 {
            let now = Now { tick: Tick(1_000_000 * (second + 1)), wall: Timestamp(1) };
            let input = if second == 0 { half } else { later };
            m.handle(now, Input::Bytes(Flow::ACCEPTED, input));
            m.handle(now, Input::Tick);
            closed |= std::iter::from_fn(|| m.poll()).any(|o| matches!(o, Output::Close(_)));
        }
        closed
    };
    assert!(!closes(&[rest, half].concat()));
    assert!(closes(b""));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Any cutting of a stream gives the same units, and the same as the parser's own framer.
    #[test]
    fn chunking_changes_nothing(
        parts in proptest::collection::vec(prop_oneof![
            Just(crlf(EVIL)),
            Just(carrier("Content-Length: {n}")),
            Just(b"\r\n\r\n".to_vec()),
            Just(crlf(&options("l: 3\n").replace("\n\n", "\n\nabc"))),
        ], 1..6),
        cuts in proptest::collection::vec(1usize..400, 1..40),
    ) {
        let bytes: Vec<u8> = parts.concat();
        let whole = methods(&Framer::default().feed(&bytes));
        let mut framer = Framer::default();
        let (mut out, mut at, mut i) = (Vec::new(), 0, 0);
        while at < bytes.len() {
            let end = (at + cuts[i % cuts.len()]).min(bytes.len());
            out.extend(framer.feed(&bytes[at..end]));
            (at, i) = (end, i + 1);
        }
        prop_assert_eq!(&methods(&out), &whole);
        let theirs = sipx_sip::StreamParser::new(sipx_sip::Limits::stream()).push(&bytes).unwrap();
        prop_assert_eq!(theirs.len(), whole.iter().filter(|m| *m != "ping").count());
    }

    /// Noise and damaged messages never panic, whatever machine they reach.
    #[test]
    fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..600), at in 0usize..500, udp in any::<bool>()) {
        let mut bytes = carrier("Content-Length: {n}");
        let at = at.min(bytes.len());
        let end = (at + noise.len() / 8).min(bytes.len());
        bytes.splice(at..end, noise.iter().copied().take(noise.len() / 4));
        for input in [&noise[..], &bytes[..]] {
            let mut m = player::machine(if udp { "udp" } else { "tcp" });
            let now = Now { tick: Tick(1), wall: Timestamp(1) };
            if udp {
                m.handle(now, Input::Datagram("192.0.2.1:5060".parse().unwrap(), input));
            } else {
                m.handle(now, Input::Bytes(Flow::ACCEPTED, input));
            }
            while m.poll().is_some() {}
            while let Some(due) = m.deadline() {
                m.handle(Now { tick: due, wall: Timestamp(2) }, Input::Tick);
                while m.poll().is_some() {}
            }
        }
    }
}

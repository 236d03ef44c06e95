//! Hostile SIP: RFC 3261 sections 8.2, 18.3 and 22, RFC 4475, and request smuggling on streams.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use crate::dice::Dice;
use crate::raw::Wire;
use crate::raw::sip::{Received, Request, Sip, authorization};
use crate::{DOMAIN, PASSWORD, Rialto, SOON, at};

/// Who sends.
pub const USER: &str = "benvolio";
/// Whom the sender would like to be.
pub const OTHER: &str = "juliet";
/// What the messages say.
pub const TEXT: &str = "a request that nobody should read 9082";
/// What the smuggled ones say.
pub const EVIL_TEXT: &str = "smuggled words 3311";

/// What must come back to a piece of a stream.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// This status, and the connection goes on.
    Status(u16),
    /// This status with a header that has this text, and the connection goes on.
    With(u16, &'static str, &'static str),
    /// This status, then the end: framing is lost, and guessing is how a body becomes a request.
    Last(u16),
    /// The end without a word, for nothing could be read that an answer needs.
    End,
    /// Not a word, and the connection goes on.
    Silence,
}
use Answer::{End, Last, Silence, Status, With};

struct Case {
    name: String,
    bytes: Vec<u8>,
    /// Sent in pieces of this size.
    piece: usize,
    answer: Answer,
}

fn options() -> Request {
    Request::new("OPTIONS", USER, OTHER, 7, "TCP")
}

fn message() -> Request {
    Request::new("MESSAGE", USER, OTHER, 7, "TCP").saying(TEXT)
}

/// A whole request that wants to be taken for one, with a Call-ID to know it by.
fn evil(method: &str) -> Vec<u8> {
    let request = Request::new(method, "evil", OTHER, 666, "TCP");
    request.replacing("From", &format!("From: <sip:{}>;tag=evil", at(USER))).saying(EVIL_TEXT).bytes()
}

/// Is this an answer to, or the arrival of, something smuggled?
fn is_evil(message: &Received) -> bool {
    message.header("Call-ID") == Some("evil-666")
}

/// Ways to hide where a body begins or ends, with what the whole must be taken for.
fn smuggling() -> Vec<(&'static str, String, Answer)> {
    let n = evil("MESSAGE").len();
    vec![
        ("honest length", format!("Content-Length: {n}"), Status(200)),
        ("blank before the colon", format!("Content-Length : {n}"), Status(200)),
        ("compact name", format!("l:{n}"), Status(200)),
        ("folded length", format!("Content-Length:\r\n {n}"), Status(200)),
        ("fold behind the length", format!("Content-Length: {n}\r\n\t"), Status(200)),
        ("lengths 0 and n", format!("Content-Length: 0\r\nContent-Length: {n}"), Last(400)),
        ("lengths n and 0", format!("Content-Length: {n}\r\nl: 0"), Last(400)),
        ("the same length twice", format!("Content-Length: {n}\r\nContent-Length: {n}"), Last(400)),
        ("no length", "Subject: x".into(), Last(400)),
        ("negative length", "Content-Length: -1".into(), Last(400)),
        ("signed length", format!("Content-Length: +{n}"), Last(400)),
        ("hexadecimal length", format!("Content-Length: 0x{n}"), Last(400)),
        ("list of lengths", format!("Content-Length: {n}, 0"), Last(400)),
        ("empty length", "Content-Length:".into(), Last(400)),
        ("length past 64 bits", "Content-Length: 18446744073709551616".into(), Last(400)),
        ("enormous length", "Content-Length: 99999999".into(), Last(413)),
        (
            "length hidden behind a bare LF",
            format!("Subject: x\nContent-Length: 0\r\nContent-Length: {n}"),
            Last(400),
        ),
        (
            "length hidden behind a bare CR",
            format!("Subject: x\rContent-Length: 0\r\nContent-Length: {n}"),
            Last(400),
        ),
        ("head that ends in bare LFs", format!("Subject: x\n\nContent-Length: {n}"), Last(400)),
        ("NUL before the length", format!("Subject: \0\r\nContent-Length: {n}"), Status(200)),
        ("byte that is not UTF-8", format!("Subject: \u{e4}\r\nContent-Length: {n}"), Status(200)),
    ]
}

fn battery() -> Vec<Case> {
    let mut all = Vec::new();
    let mut add = |name: &str, bytes: Vec<u8>, answer| {
        all.push(Case { name: name.into(), bytes, piece: usize::MAX, answer });
    };
    // What a request must be made of.
    add("start line of two words", options().starting("OPTIONS sip:juliet@example.com").bytes(), Last(400));
    add(
        "start line of four words",
        options().starting("OPTIONS sip:juliet@example.com x SIP/2.0").bytes(),
        Last(400),
    );
    add(
        "start line with two blanks",
        options().starting("OPTIONS  sip:juliet@example.com SIP/2.0").bytes(),
        Last(400),
    );
    add(
        "method that is no token",
        options().starting("OPT<>IONS sip:juliet@example.com SIP/2.0").bytes(),
        Last(400),
    );
    add("HTTP", b"GET / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 0\r\n\r\n".to_vec(), End);
    add("XMPP", b"<?xml version='1.0'?><stream:stream>\r\n\r\n".to_vec(), End);
    add("another version", options().starting("OPTIONS sip:juliet@example.com SIP/7.0").bytes(), Status(505));
    for name in ["From", "To", "Call-ID", "CSeq"] {
        add(&format!("no {name}"), options().without(name).bytes(), Status(400));
    }
    // Nothing says where the answer should go.
    add("no Via", options().without("Via").bytes(), Silence);
    add("Call-ID twice", options().with("Call-ID: other").bytes(), Status(400));
    add("From twice", options().with("From: <sip:x@example.com>;tag=2").bytes(), Status(400));
    add("CSeq of another method", options().replacing("CSeq", "CSeq: 7 MESSAGE").bytes(), Status(400));
    add(
        "CSeq past 32 bits",
        options().replacing("CSeq", "CSeq: 36893488147419103232 OPTIONS").bytes(),
        Status(400),
    );
    add("CSeq that is no number", options().replacing("CSeq", "CSeq: x OPTIONS").bytes(), Status(400));
    add(
        "quotes that never end",
        options().replacing("To", "To: \"Juliet <sip:juliet@example.com>").bytes(),
        Status(400),
    );
    add("header line without a colon", options().with("Subject").bytes(), Last(400));
    add("response to nothing", options().starting("SIP/2.0 200 OK").bytes(), Silence);
    add("response with a status past 32 bits", options().starting("SIP/2.0 4294967301 x").bytes(), End);
    add("ACK for nothing", Request::new("ACK", USER, OTHER, 7, "TCP").bytes(), Silence);
    // How much there may be of it.
    let bomb = (0..10_000).fold(options(), |request, n| request.with(format!("X-{n}: {n}")));
    add("10,000 headers", bomb.bytes(), Last(400));
    let many = (0..150).fold(options(), |request, n| request.with(format!("X-{n}: {n}")));
    add("150 headers", many.bytes(), Last(400));
    let endless = [&options().bytes_as_they_are()[..60], &b"a".repeat(200_000)].concat();
    add("head that never ends", endless, End);
    let big = "m".repeat(70_000);
    add("message of 70 kB", Request::new("MESSAGE", USER, OTHER, 7, "TCP").saying(&big).bytes(), Last(413));
    // What may be asked.
    let allow = |request: Request, status| (request.bytes(), With(status, "Allow", "MESSAGE"));
    let strange = Request::new("message", USER, OTHER, 7, "TCP");
    let (bytes, answer) = allow(strange, 501);
    add("method nobody knows", bytes, answer);
    let (bytes, answer) = allow(Request::new("INFO", USER, OTHER, 7, "TCP"), 405);
    add("method of no use here", bytes, answer);
    let subscribe = |event| Request::new("SUBSCRIBE", USER, OTHER, 7, "TCP").with(event).bytes();
    add("event nobody knows", subscribe("Event: dialog"), With(489, "Allow-Events", "presence"));
    add("event of no name", subscribe("Event:"), With(489, "Allow-Events", "presence"));
    let publish = Request::new("PUBLISH", USER, USER, 7, "TCP").with("Event: reg").bytes();
    add("publication of an event nobody knows", publish, With(489, "Allow-Events", "presence"));
    add("too many hops", message().replacing("Max-Forwards", "Max-Forwards: 0").bytes(), Status(483));
    add(
        "extension nobody has",
        message().with("Require: teleport").bytes(),
        With(420, "Unsupported", "teleport"),
    );
    add("scheme nobody knows", message().starting("MESSAGE tel:+1 SIP/2.0").bytes(), Status(416));
    add(
        "promise of TLS to the end",
        message().starting("MESSAGE sips:juliet@example.com SIP/2.0").bytes(),
        Status(416),
    );
    add("call", Request::new("INVITE", USER, OTHER, 7, "TCP").bytes(), Status(407));
    let inside = |method| {
        let to = format!("To: <sip:{}>;tag=none", at(OTHER));
        Request::new(method, USER, OTHER, 7, "TCP").replacing("To", &to).bytes()
    };
    for method in ["BYE", "NOTIFY", "UPDATE", "INFO", "INVITE"] {
        add(&format!("{method} in no dialog"), inside(method), Status(481));
    }
    add("CANCEL of nothing", Request::new("CANCEL", USER, OTHER, 7, "TCP").bytes(), Status(481));
    // Who may ask it.
    add("message of nobody", message().bytes(), With(407, "Proxy-Authenticate", "algorithm=MD5"));
    add(
        "message of a stranger",
        message().replacing("From", "From: <sip:iago@elsewhere.example>;tag=1").bytes(),
        Status(403),
    );
    add(
        "message without a user",
        message().replacing("From", "From: <sip:example.com>;tag=1").bytes(),
        Status(403),
    );
    let register = Request::new("REGISTER", USER, USER, 7, "TCP");
    add(
        "registration elsewhere",
        register.clone().replacing("To", "To: <sip:romeo@elsewhere.example>").bytes(),
        Status(404),
    );
    let made_up = format!(
        "Authorization: Digest username=\"{USER}\", realm=\"{DOMAIN}\", nonce=\"made-up\", uri=\"sip:{DOMAIN}\", \
         response=\"00000000000000000000000000000000\""
    );
    add("nonce made up", register.clone().with(made_up).bytes(), With(401, "WWW-Authenticate", "nonce"));
    add(
        "proof that cannot be read",
        register.with("Authorization: Digest ,,,=\"").bytes(),
        With(401, "WWW-Authenticate", "nonce"),
    );
    // However it arrives.
    let folded = options().replacing("To", &format!("To:\r\n <sip:{}>", at(OTHER)));
    add("folded header", folded.bytes(), Status(200));
    let strange = options().with("Subject: \u{1}").bytes();
    let strange: Vec<u8> = strange.iter().map(|b| if *b == 1 { 0xff } else { *b }).collect();
    add("byte that is not UTF-8", strange, Status(200));
    for piece in [1, 7, 150] {
        all.push(Case {
            name: format!("pieces of {piece}"),
            bytes: options().bytes(),
            piece,
            answer: Status(200),
        });
    }
    all
}

/// What is wrong with the answer to what was just sent.
fn judge(agent: &mut Sip, answer: Answer) -> Option<String> {
    let (status, header) = match answer {
        Status(status) | Last(status) => (status, None),
        With(status, name, text) => (status, Some((name, text))),
        End | Silence => (0, None),
    };
    if status != 0 {
        let Some(got) = agent.next_answer(Instant::now() + SOON) else { return Some("nothing".into()) };
        let named = header.is_none_or(|(name, text)| got.has(name, text));
        if got.status() != status || is_evil(&got) || !named {
            return Some(got.head);
        }
    }
    let rest = match answer {
        Last(_) | End => agent.wire.to_the_end(),
        _ => agent.fence().iter().map(|extra| extra.head.clone()).collect(),
    };
    (!rest.is_empty()).then(|| format!("and then {rest}"))
}

/// Fire everything at the TCP listener, and after each piece let a new agent be served. Returns how many pieces were
/// fired.
///
/// # Panics
/// With the list of all wrong answers.
pub fn fire(rialto: &Rialto) -> usize {
    let port = rialto.sip();
    let mut wrong = Vec::new();
    let battery = battery();
    for case in &battery {
        let mut agent = Sip::connect(port, "fence");
        for piece in case.bytes.chunks(case.piece.min(case.bytes.len())) {
            agent.wire.send(piece);
        }
        if let Some(said) = judge(&mut agent, case.answer) {
            wrong.push(format!("{}: expected {:?}, got {said}", case.name, case.answer));
        }
        Sip::connect(port, "fresh").fence();
    }
    assert!(wrong.is_empty(), "{} wrong answers:\n{}", wrong.len(), wrong.join("\n"));
    battery.len()
}

/// A request in the body of a proven sender's message never becomes a request: nothing answers it, and nobody gets it.
/// Returns how many ways were tried.
///
/// # Panics
/// With the list of all wrong answers.
pub fn smuggle(rialto: &Rialto) -> usize {
    let mut wrong = Vec::new();
    let mut tried = 0;
    let mut victim = Sip::registered(rialto.sip(), OTHER);
    for method in ["BYE", "MESSAGE"] {
        for (name, length, answer) in smuggling() {
            tried += 1;
            let mut agent = Sip::registered(rialto.sip(), USER);
            let mut carrier = agent.request("MESSAGE", OTHER).with("Content-Type: text/plain");
            let inner = evil(method);
            let n = evil("MESSAGE").len();
            // Both methods in the same room, so that the lengths above are right for both.
            let mut body = inner.clone();
            body.resize(n.max(inner.len()), b' ');
            body.truncate(n);
            carrier = carrier.with(length);
            carrier.body = body;
            let bytes = carrier.bytes_as_they_are();
            let bytes = if name.contains("UTF-8") { latin1(&bytes) } else { bytes };
            // Cut inside the head, as a segment would.
            let (one, two) = bytes.split_at(bytes.len() / 3);
            agent.wire.send(one);
            agent.wire.send(two);
            if let Some(said) = answered(&mut agent, &mut victim, answer) {
                wrong.push(format!("{method}, {name}: expected {answer:?}, got {said}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong answers:\n{}", wrong.len(), wrong.join("\n"));
    tried
}

/// Waits for the answer while the victim accepts what arrives there.
fn answered(agent: &mut Sip, victim: &mut Sip, answer: Answer) -> Option<String> {
    if let Status(200) = answer {
        // The carrier itself is a message like any other: it arrives once, whole, with the evil inside.
        let Some(arrived) = victim.next(Instant::now() + SOON) else { return Some("no delivery".into()) };
        victim.accept(&arrived);
        if is_evil(&arrived) || !arrived.head.starts_with("MESSAGE ") || !arrived.body.contains("evil-666") {
            return Some(format!("a delivery of {}", arrived.head));
        }
    }
    let fault = judge(agent, answer);
    let extra = victim.fence();
    fault.or_else(|| extra.first().map(|more| format!("at the victim {}", more.head)))
}

/// Two bytes of UTF-8 to the one byte of ISO 8859-1, and a blank to keep the length.
fn latin1(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for &b in bytes {
        match b {
            0xc3 => {}
            0x80..=0xff => out.push(b | 0x40),
            b => out.push(b),
        }
    }
    out
}

/// Wrong proofs, used proofs, and other people's names.
///
/// # Panics
/// If the server believes any of it.
pub fn forge(rialto: &Rialto) {
    let port = rialto.sip();
    let uri = format!("sip:{DOMAIN}");
    // A wrong password is asked for again, but not for ever.
    let mut guesser = Sip::connect(port, USER);
    let request = guesser.request("REGISTER", USER);
    let mut challenge = guesser.ask(&request);
    for guess in 1..=7 {
        let proof = authorization(&challenge, USER, "capulet", "REGISTER", &uri, 1);
        let request = guesser.request("REGISTER", USER).with(proof);
        let answer = guesser.ask(&request);
        assert_eq!(answer.status(), if guess <= 5 { 401 } else { 403 }, "guess {guess}: {}", answer.head);
        if answer.status() == 401 {
            challenge = answer;
        }
    }
    // On a connection that proved to be one user, another's name needs another proof, and the first user's does not do.
    let mut victim = Sip::registered(port, OTHER);
    let mut agent = Sip::registered(port, USER);
    let forged = format!("From: <sip:{}>;tag=forged", at("romeo"));
    let request = agent.request("MESSAGE", OTHER).replacing("From", &forged).saying(TEXT);
    let challenge = agent.ask(&request);
    assert_eq!(challenge.status(), 407, "{}", challenge.head);
    let target = format!("sip:{}", at(OTHER));
    let proof = authorization(&challenge, USER, PASSWORD, "MESSAGE", &target, 1);
    let request = agent.request("MESSAGE", OTHER).replacing("From", &forged).saying(TEXT).with(proof);
    let refused = agent.ask(&request);
    assert_eq!(refused.status(), 403, "{}", refused.head);
    // Proof for one target does not open another.
    let request = agent.request("MESSAGE", OTHER).replacing("From", &forged).saying(TEXT);
    let challenge = agent.ask(&request);
    let proof = authorization(&challenge, "romeo", PASSWORD, "MESSAGE", "sip:tybalt@example.com", 1);
    let request = agent.request("MESSAGE", OTHER).replacing("From", &forged).saying(TEXT).with(proof);
    let refused = agent.ask(&request);
    assert_eq!(refused.status(), 400, "{}", refused.head);
    assert!(victim.fence().is_empty(), "a forged message arrived");
    // A proof that was used once is worth nothing, whatever it comes with.
    let mut replayer = Udp::new(port);
    let challenge = replayer.ask(&Request::new("REGISTER", USER, USER, 1, "UDP"));
    let proof = authorization(&challenge, USER, PASSWORD, "REGISTER", &uri, 1);
    let answer = replayer.ask(&Request::new("REGISTER", USER, USER, 2, "UDP").with(&proof));
    assert_eq!(answer.status(), 200, "{}", answer.head);
    let evil = "Contact: <sip:evil@127.0.0.1:9>";
    let answer = replayer.ask(&Request::new("REGISTER", USER, USER, 3, "UDP").with(&proof).with(evil));
    assert_eq!(answer.status(), 401, "{}", answer.head);
    assert!(answer.has("WWW-Authenticate", "stale=true"), "{}", answer.head);
    // From another connection the same.
    let mut elsewhere = Sip::connect(port, USER);
    let request = elsewhere.request("REGISTER", USER).with(&proof).with(evil);
    assert_eq!(elsewhere.ask(&request).status(), 401);
}

/// A datagram socket that asks until it is answered, as SIP over UDP does.
struct Udp {
    socket: UdpSocket,
}

impl Udp {
    fn new(port: u16) -> Self {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a free port");
        socket.connect(("127.0.0.1", port)).expect("a local address");
        socket.set_read_timeout(Some(Duration::from_millis(500))).expect("the time is not zero");
        Self { socket }
    }

    fn ask(&mut self, request: &Request) -> Received {
        let id = request.headers.iter().find_map(|line| line.strip_prefix("Call-ID: "));
        let deadline = Instant::now() + SOON;
        let mut datagram = vec![0; 65_535];
        while Instant::now() < deadline {
            // Again after each silence: the answer may have drowned in noise.
            let _ = self.socket.send(&request.bytes());
            while let Ok(length) = self.socket.recv(&mut datagram) {
                if let Some((answer, _)) = Received::parse(&datagram[..length])
                    && answer.header("Call-ID") == id
                {
                    return answer;
                }
            }
        }
        panic!("no answer to {request:?}");
    }
}

/// Datagrams of noise and of damaged requests, then one sound request. Returns how many were sent.
///
/// # Panics
/// If the sound request is not answered, or a damaged one that must be is not.
pub fn noise(rialto: &Rialto, count: usize, seed: u64) -> usize {
    println!("noise of {count} datagrams, seed {seed}");
    let mut dice = Dice::new(seed);
    let mut udp = Udp::new(rialto.sip());
    let sound = Request::new("OPTIONS", USER, OTHER, 1, "UDP").bytes();
    for _ in 0..count {
        let datagram = if dice.below(2) == 0 {
            let length = dice.below(1_400);
            dice.bytes(length)
        } else {
            let mut bytes = sound.clone();
            for _ in 0..=dice.below(8) {
                let place = dice.below(bytes.len());
                bytes[place] = dice.roll().to_le_bytes()[0];
            }
            bytes.truncate(bytes.len() - dice.below(bytes.len() / 2));
            bytes
        };
        // A full buffer may refuse one: noise is noise.
        let _ = udp.socket.send(&datagram);
    }
    for (n, request, status) in [
        (2, Request::new("OPTIONS", USER, OTHER, 1002, "UDP"), 200),
        (3, Request::new("OPTIONS", USER, OTHER, 1003, "UDP").replacing("CSeq", "CSeq: 1003 MESSAGE"), 400),
        (4, Request::new("OPTIONS", USER, OTHER, 1004, "UDP").starting("OPTIONS sip:a@b SIP/3.0"), 505),
    ] {
        let answer = udp.ask(&request);
        assert_eq!(answer.status(), status, "{n}: {}", answer.head);
    }
    // Less body than promised: on UDP nothing else will come.
    let short = Request::new("OPTIONS", USER, OTHER, 1005, "UDP").with("Content-Length: 9");
    let mut broken = short.bytes_as_they_are();
    broken.extend_from_slice(b"abc");
    let mut wire = Wire::plain(rialto.sip());
    assert!(wire.send(&broken), "TCP waits for the rest");
    let _ = udp.socket.send(&broken);
    Sip::connect(rialto.sip(), "fresh").fence();
    count
}

//! The torture messages of RFC 4475, all 49, against the running server: the text file says which answer each must get.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use crate::raw::sip::{Received, Request, Sip};
use crate::{Rialto, SOON};

const CASES: &str = include_str!("../../torture/rfc4475.txt");
/// An address of our own, so that the answers may go where the RFC's Via headers send them: to port 5060.
const HERE: &str = "127.44.75.1";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Status(u16),
    /// This status, then the end of the connection.
    Last(u16),
    Silence,
}

struct Case {
    name: String,
    /// The port of the answer, where it goes by UDP.
    udp: Option<u16>,
    answer: Answer,
    bytes: Vec<u8>,
}

/// The cases of the text file.
///
/// # Panics
/// If the file is not written as it says.
fn cases() -> Vec<Case> {
    let mut all: Vec<(Case, Vec<&str>)> = Vec::new();
    for line in CASES.lines().filter(|line| !line.starts_with("## ")) {
        if let Some(title) = line.strip_prefix("@@ ") {
            let words: Vec<&str> = title.split(' ').collect();
            let udp = match words[2].split_once(':') {
                Some((_, port)) => Some(port.parse().expect("a port")),
                None => (words[2] == "udp").then_some(5060),
            };
            let status = |at: usize| words[at].parse().expect("a status");
            let answer = match words[3] {
                "silence" => Answer::Silence,
                "last" => Answer::Last(status(4)),
                _ => Answer::Status(status(3)),
            };
            let name = format!("{} {}", words[0], words[1]);
            all.push((Case { name, udp, answer, bytes: Vec::new() }, Vec::new()));
        } else if let Some((_, lines)) = all.last_mut() {
            lines.push(line);
        }
    }
    all.into_iter()
        .map(|(mut case, lines)| {
            case.bytes = lines.iter().flat_map(|line| on_the_wire(line)).collect();
            case
        })
        .collect()
}

/// One line of the file as bytes.
fn on_the_wire(line: &str) -> Vec<u8> {
    if let Some(inside) = line.strip_prefix("{sdp ").and_then(|l| l.strip_suffix('}')) {
        let (address, start) = inside.split_once(' ').unwrap_or((inside, "0"));
        return format!(
            "v=0\r\no=mhandley 29739 7272939 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt={start} 0\r\n\
             m=audio 49217 RTP/AVP 0 12\r\nm=video 3227 RTP/AVP 31\r\na=rtpmap:31 LPC\r\n"
        )
        .into_bytes();
    }
    let mut bytes = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.find("\\x") {
        let byte = rest.get(at + 2..at + 4).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        bytes.push(byte.expect("two hexadecimal digits"));
        rest = &rest[at + 4..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// Sends every message and compares the answers. Returns how many were sent.
///
/// # Panics
/// With the list of all wrong answers.
pub fn fire(rialto: &Rialto) -> usize {
    let cases = cases();
    let socket = |port| {
        let socket = UdpSocket::bind((HERE, port)).expect("the address is ours alone");
        socket.connect(("127.0.0.1", rialto.sip())).expect("a local address");
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("the time is not zero");
        (port, socket)
    };
    let sockets = [socket(5060), socket(5050)];
    let mut wrong = Vec::new();
    for (n, case) in (0..).zip(&cases) {
        let heard = match case.udp {
            Some(port) => by_udp(&sockets, port, case, n),
            None => by_tcp(rialto, case),
        };
        if let Err(fault) = heard {
            wrong.push(format!("{}: wanted {:?}, {fault}", case.name, case.answer));
        }
    }
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    cases.len()
}

fn by_udp(sockets: &[(u16, UdpSocket)], port: u16, case: &Case, n: u32) -> Result<(), String> {
    let sender = &sockets.iter().find(|(p, _)| *p == port).expect("a socket for each port").1;
    sender.send(&case.bytes).map_err(|e| format!("cannot send: {e}"))?;
    let fence = Request::new("OPTIONS", "fence", "fence", 4_475_000 + n, "UDP");
    let fence_id = format!("fence-{}", 4_475_000 + n);
    let (mut answered, mut fenced) = (case.answer == Answer::Silence, false);
    let deadline = Instant::now() + SOON;
    let mut datagram = vec![0; 65_535];
    // The answer may have to ask the store, so it can come after that to the fence.
    while !(answered && fenced) {
        if Instant::now() > deadline {
            return Err(format!("got nothing (fence answered: {fenced})"));
        }
        if !fenced {
            let _ = sender.send(&fence.bytes());
        }
        while let Ok(length) = sender.recv(&mut datagram) {
            let Some((got, _)) = Received::parse(&datagram[..length]) else {
                return Err(format!("got something unreadable of {length} bytes"));
            };
            if got.header("Call-ID").is_some_and(|id| id.starts_with("fence-")) {
                fenced |= got.header("Call-ID") == Some(&fence_id);
            } else if stale(&got, case) {
                // The last one's answer, once more: nobody acknowledges here.
            } else if case.answer == Answer::Status(got.status()) {
                answered = true;
            } else {
                return Err(format!("got {}", got.head));
            }
        }
    }
    Ok(())
}

/// A retransmission for an earlier case: its Call-ID begins with another name.
fn stale(got: &Received, case: &Case) -> bool {
    let id = got.header("Call-ID").unwrap_or_default();
    let name = case.name.rsplit(' ').next().unwrap_or_default();
    id.contains('.') && !id.starts_with(name) && !id.contains("Zmx1ZmZ5")
}

fn by_tcp(rialto: &Rialto, case: &Case) -> Result<(), String> {
    let mut agent = Sip::connect(rialto.sip(), "torture");
    agent.wire.send(&case.bytes);
    let status = match case.answer {
        Answer::Status(status) | Answer::Last(status) => Some(status),
        Answer::Silence => None,
    };
    if let Some(status) = status {
        let got = agent.next_answer(Instant::now() + SOON).ok_or("got nothing")?;
        if got.status() != status {
            return Err(format!("got {}", got.head));
        }
    }
    match case.answer {
        Answer::Last(_) => {
            let rest = agent.wire.to_the_end();
            if !rest.is_empty() {
                return Err(format!("and then {rest}"));
            }
        }
        _ => {
            if let Some(more) = agent.fence().iter().find(|more| Some(more.status()) != status) {
                return Err(format!("and then {}", more.head));
            }
        }
    }
    Ok(())
}

//! One SIP message, as a datagram: where a second parser reads it too, both read the same, and our answer is one that
//! it can read.

use super::second_opinion;
use sip::wire::{Framed, Unit, datagram};
use std::net::SocketAddr;

pub fn run(input: &[u8]) {
    let source = SocketAddr::from(([192, 0, 2, 1], 5060));
    match datagram(input) {
        Some(Framed::Unit(Unit::Request(request))) => {
            for name in ["Contact", "Route", "Accept", "Event"] {
                let (_, _) = (request.list(name), request.params(name));
            }
            let (_, _) = (request.contacts(), request.seconds("Expires"));
            if let Some(other) = second_opinion::sip(input) {
                // The other takes `message` for MESSAGE; methods are case-sensitive (RFC 3261 section 7.1).
                assert!(other.start.eq_ignore_ascii_case(request.method()), "{}", other.start);
                assert_eq!(other.cseq, request.cseq);
                assert_eq!(unfolded(&other.call_id), unfolded(&request.call_id));
            }
            let mut reply = request.reply.clone();
            reply.seen_from(source);
            let _ = reply.answer_to(source);
            readable(&reply.answer(200, "t").finish(b""));
        }
        Some(Framed::Unit(Unit::Response(response))) => {
            let (_, _) = (response.reason(), response.header("Retry-After"));
            if let Some(other) = second_opinion::sip(input) {
                assert_eq!(other.start, response.status.to_string());
            }
        }
        Some(Framed::Fault(fault)) => {
            assert!((400..700).contains(&fault.status), "{}", fault.status);
            if let Some(mut reply) = fault.reply {
                reply.seen_from(source);
                readable(&reply.answer(fault.status, "t").finish(b""));
            }
        }
        _ => {}
    }
}

/// What we write is framed again as one response, or is at least no request and not two messages.
fn readable(answer: &[u8]) {
    let text = String::from_utf8_lossy(answer);
    assert!(text.starts_with("SIP/2.0 "), "{text}");
    let blank = text.find("\r\n\r\n").expect("a head has an end");
    assert_eq!(blank + 4, text.len(), "no body was asked for: {text}");
    assert!(!text[..blank].replace("\r\n", "").contains(['\r', '\n']), "a bare line end: {text:?}");
}

/// Folded lines are one value with blanks in it, however many (RFC 3261 section 7.3.1).
fn unfolded(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

use super::*;
use crate::wire::{Framed, Unit, datagram};

const PEER: &str = "192.0.2.9:5060";

fn udp(a: &str) -> Hop {
    Hop::Udp(a.parse().unwrap())
}

fn request(method: &str, branch: &str) -> Box<Request> {
    let text = format!(
        "{method} sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch={branch}\r\nMax-Forwards: 70\r\n\
         From: <sip:b@example.com>;tag=1\r\nTo: <sip:a@example.com>\r\nCall-ID: c\r\nCSeq: 1 {}\r\nContent-Length: 0\r\n\r\n",
        if method == "ACK" { "ACK" } else { method }
    );
    match datagram(text.as_bytes()) {
        Some(Framed::Unit(Unit::Request(r))) => r,
        other => panic!("{other:?}"),
    }
}

fn response(status: u16, branch: &str, method: &str) -> Box<Response> {
    let text = format!(
        "SIP/2.0 {status} X\r\nVia: SIP/2.0/UDP 192.0.2.9;branch={branch}\r\nFrom: <sip:b@example.com>;tag=1\r\n\
         To: <sip:a@example.com>;tag=2\r\nCall-ID: c\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
    );
    match datagram(text.as_bytes()) {
        Some(Framed::Unit(Unit::Response(r))) => r,
        other => panic!("{other:?}"),
    }
}

fn at(ms: u64) -> Tick {
    Tick(ms * 1000)
}

fn drain(t: &mut Transactions) -> usize {
    std::iter::from_fn(|| t.poll()).count()
}

fn new(seen: Seen) -> ServerId {
    match seen {
        Seen::New(id) => id,
        seen => panic!("{seen:?}"),
    }
}

#[test]
fn a_repeated_datagram_is_absorbed_then_answered_again_until_timer_j() {
    let mut t = Transactions::default();
    let p = udp(PEER);
    let r = request("MESSAGE", "z9hG4bKx");
    let id = new(t.receive(at(0), p, p, &r));
    assert_eq!(t.receive(at(500), p, p, &r), Seen::Absorbed);
    assert_eq!(drain(&mut t), 0);
    t.respond(at(600), id, p, &b"answer"[..]);
    assert_eq!(drain(&mut t), 1);
    assert_eq!(t.receive(at(1500), p, p, &r), Seen::Absorbed);
    assert_eq!(drain(&mut t), 1);
    t.respond(at(1600), id, p, &b"again"[..]);
    assert_eq!(drain(&mut t), 0, "one final answer only");
    t.tick(at(32_600));
    assert!(t.servers.is_empty() && t.keys.is_empty() && t.timers.len() <= 1);
    new(t.receive(at(32_700), p, p, &r));
}

#[test]
fn another_peer_with_the_same_branch_is_another_transaction() {
    let mut t = Transactions::default();
    let r = request("MESSAGE", "z9hG4bKx");
    new(t.receive(at(0), udp(PEER), udp(PEER), &r));
    new(t.receive(at(0), udp("192.0.2.10:5060"), udp("192.0.2.10:5060"), &r));
}

#[test]
fn on_a_stream_nothing_is_kept_after_the_answer() {
    let mut t = Transactions::default();
    let p = Hop::Stream(Flow::ACCEPTED);
    for i in 0..100 {
        let id = new(t.receive(at(i), p, p, &request("MESSAGE", &format!("z9hG4bK{i}"))));
        t.respond(at(i), id, p, &b"answer"[..]);
    }
    assert!(t.servers.is_empty() && t.keys.is_empty() && t.timers.is_empty() && t.pending.is_empty());
}

#[test]
fn a_slow_answer_gets_one_late_trying_and_no_timeout_response() {
    let mut t = Transactions::default();
    let p = udp(PEER);
    new(t.receive(at(0), p, p, &request("MESSAGE", "z9hG4bKx")));
    t.tick(at(3999));
    assert_eq!(drain(&mut t), 0);
    t.tick(at(4000));
    let (_, bytes) = t.poll().unwrap();
    assert!(bytes.starts_with(b"SIP/2.0 100 Trying\r\n"));
    t.tick(at(32_000));
    assert_eq!(drain(&mut t), 0);
    assert!(t.servers.is_empty() && t.pending.is_empty());
}

#[test]
fn timer_e_doubles_to_t2_and_timer_f_ends() {
    let mut t = Transactions::default();
    assert!(t.request(at(0), udp(PEER), "z9hG4bKme", "MESSAGE", 7, b"m".to_vec()));
    let mut times = Vec::new();
    assert_eq!(drain(&mut t), 1);
    let mut timeout = None;
    while let Some(due) = t.deadline() {
        for e in t.tick(due) {
            timeout = Some((due.0 / 1000, matches!(e, ClientEvent::Timeout(7))));
        }
        times.extend(std::iter::repeat_n(due.0 / 1000, drain(&mut t)));
    }
    assert_eq!(times, [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]);
    assert_eq!(timeout, Some((32_000, true)));
    assert!(t.clients.is_empty() && t.branches.is_empty());
}

#[test]
fn a_response_counts_once_and_only_from_the_right_peer() {
    let mut t = Transactions::default();
    t.request(at(0), udp(PEER), "z9hG4bKme", "MESSAGE", 7, b"m".to_vec());
    assert!(t.response(at(1), udp("192.0.2.77:5060"), response(200, "z9hG4bKme", "MESSAGE")).is_none());
    assert!(t.response(at(1), udp(PEER), response(200, "z9hG4bKme", "NOTIFY")).is_none());
    assert!(t.response(at(1), udp(PEER), response(100, "z9hG4bKme", "MESSAGE")).is_none());
    assert!(matches!(
        t.response(at(2), udp(PEER), response(200, "z9hG4bKme", "MESSAGE")),
        Some(ClientEvent::Final(7, _))
    ));
    assert!(t.response(at(3), udp(PEER), response(200, "z9hG4bKme", "MESSAGE")).is_none());
    drain(&mut t);
    assert!(t.tick(at(40_000)).is_empty());
    assert_eq!(drain(&mut t), 0);
    assert!(t.clients.is_empty());
}

#[test]
fn a_refused_invite_is_repeated_until_its_ack() {
    let mut t = Transactions::default();
    let p = udp(PEER);
    let id = new(t.receive(at(0), p, p, &request("INVITE", "z9hG4bKi")));
    t.respond(at(0), id, p, &b"488"[..]);
    assert_eq!(t.invite_of(p, &request("CANCEL", "z9hG4bKi").reply), Some(id));
    assert_eq!(drain(&mut t), 1);
    t.tick(at(500));
    assert_eq!(drain(&mut t), 1);
    let ack = ack("z9hG4bKi");
    assert_eq!(t.receive(at(600), p, p, &ack), Seen::Absorbed);
    t.tick(at(1500));
    assert_eq!(drain(&mut t), 0);
    t.tick(at(5600));
    assert!(t.servers.is_empty());
    assert!(matches!(t.receive(at(6000), p, p, &ack), Seen::Ack(_)));
    assert!(t.servers.is_empty(), "a stray ACK makes no transaction");
}

fn ack(branch: &str) -> Box<Request> {
    request("ACK", branch)
}

#[test]
fn one_peer_cannot_fill_the_house() {
    let mut t = Transactions::default();
    let p = udp(PEER);
    for i in 0..2000 {
        t.receive(at(0), p, p, &request("MESSAGE", &format!("z9hG4bK{i}")));
    }
    assert_eq!(t.waiting(p), MAX_PENDING_PER_PEER);
    new(t.receive(at(0), udp("192.0.2.10:5060"), p, &request("MESSAGE", "z9hG4bKa")));
}

#[test]
fn answers_are_kept_up_to_so_many_bytes() {
    let mut t = Transactions::default();
    let p = udp(PEER);
    let large = Bytes::from(vec![b'x'; 1 << 20]);
    let requests: Vec<_> = (0..40).map(|n| request("MESSAGE", &format!("z9hG4bK{n}"))).collect();
    for r in &requests {
        let id = new(t.receive(at(0), p, p, r));
        t.respond(at(0), id, p, large.clone());
    }
    drain(&mut t);
    // The newest is known again, and answered; the oldest is not.
    assert_eq!(t.receive(at(10), p, p, &requests[39]), Seen::Absorbed);
    assert_eq!(drain(&mut t), 1);
    assert!(matches!(t.receive(at(10), p, p, &requests[0]), Seen::New(_)));
    // Time makes room.
    t.tick(at(40_000));
    let id = new(t.receive(at(40_000), p, p, &requests[39]));
    t.respond(at(40_000), id, p, large);
    assert_eq!(t.receive(at(40_000), p, p, &requests[39]), Seen::Absorbed);
}

#[test]
fn what_is_answered_once_is_not_kept() {
    let mut t = Transactions::default();
    let p = udp(PEER);
    let r = request("INVITE", "z9hG4bKx");
    let id = new(t.receive(at(0), p, p, &r));
    t.respond_once(id, p, &b"answer"[..]);
    assert_eq!((drain(&mut t), t.waiting(p)), (1, 0));
    assert!(matches!(t.receive(at(1), p, p, &r), Seen::New(_)));
    t.tick(at(40_000));
    assert_eq!(t.waiting(p), 0);
}

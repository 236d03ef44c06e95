//! SIP on a stream: however it is cut, the same messages come out; and no two readings of where one ends.

use super::first;
use sip::wire::{Framed, Framer, Unit};

pub fn run(input: &[u8]) {
    let (size, bytes) = first(input);
    let whole = told(&mut Framer::default(), bytes, bytes.len().max(1));
    let pieces = told(&mut Framer::default(), bytes, size + 1);
    assert_eq!(whole, pieces, "pieces of {}", size + 1);
}

fn told(framer: &mut Framer, bytes: &[u8], size: usize) -> Vec<String> {
    let framed = bytes.chunks(size).flat_map(|piece| framer.feed(piece));
    framed
        .map(|framed| match framed {
            Framed::Unit(Unit::Request(r)) => {
                format!("{} {} {} {:?}", r.method(), r.call_id, r.cseq, r.body())
            }
            Framed::Unit(Unit::Response(r)) => format!("{} {}", r.status, r.branch),
            Framed::Ping => "ping".to_owned(),
            Framed::Fault(fault) => format!("{} {}", fault.status, fault.fatal),
        })
        .collect()
}

//! PIDF (RFC 3863) and the XML below it: what was read is written so that it reads the same.

use model::{Address, PresenceDoc, Timestamp};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

pub fn run(input: &[u8]) {
    let _ = sip::xml::parse(input);
    let Some(tuples) = sip::pidf::parse(input, NOW) else { return };
    let presentity = Address::parse("romeo@example.net").expect("an address");
    let doc = PresenceDoc { presentity, tuples };
    let written = sip::pidf::render(&doc, "pres:romeo@example.net");
    assert!(super::second_opinion::xml(written.as_bytes()), "not well-formed: {written}");
    let again = sip::pidf::parse(written.as_bytes(), NOW).expect("what we write we read");
    assert!(again.len() <= doc.tuples.len().max(1), "{written}");
    for (one, other) in again.iter().zip(&doc.tuples) {
        assert_eq!((one.basic, one.activity), (other.basic, other.activity), "{written}");
    }
}

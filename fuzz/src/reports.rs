//! The two small XML bodies beside PIDF: isComposing (RFC 3994) and IMDN (RFC 5438).

use model::Timestamp;

pub fn run(input: &[u8]) {
    if let Some(active) = sip::iscomposing::parse(input) {
        assert_eq!(sip::iscomposing::parse(&sip::iscomposing::render(active)), Some(active));
    }
    if let Some((of, kind)) = sip::imdn::parse(input) {
        let written = sip::imdn::render(&of, &kind, Timestamp(1_700_000_000_000));
        assert!(super::second_opinion::xml(&written), "{}", String::from_utf8_lossy(&written));
        let again = sip::imdn::parse(&written).expect("what we write we read");
        assert_eq!(again.0, of);
    }
}

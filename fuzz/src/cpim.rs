//! CPIM (RFC 3862): what was read is written so that it reads the same.

use sip::cpim::Cpim;

pub fn run(input: &[u8]) {
    let Some(read) = Cpim::parse(input) else { return };
    let written = read.render();
    let again = Cpim::parse(&written).expect("what we write we read");
    assert_eq!(again.render(), written, "a second time is the same");
    if let Ok(text) = std::str::from_utf8(input) {
        let _ = sip::cpim::parse_time(text);
    }
}

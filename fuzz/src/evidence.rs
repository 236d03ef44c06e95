//! Lines of an export: one that was read is written as it reads.

use record::Evidence;

pub fn run(input: &[u8]) {
    let Ok(line) = std::str::from_utf8(input) else { return };
    let Ok(row) = Evidence::parse(line) else { return };
    let written = row.to_line();
    let again = Evidence::parse(&written).expect("what we write we read");
    assert_eq!(again.to_line(), written);
}

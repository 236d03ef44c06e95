//! What must hold for any input whatever, one file for each wire format and one for each machine.
//!
//! Each target is a plain function over bytes that panics where something does not hold. The tests of this crate run
//! them over seeds and a few thousand mutants; `cargo xtask fuzz` gives them to libFuzzer for as long as one likes.

mod cpim;
mod digest;
mod evidence;
mod hygiene;
mod imports;
mod journal_row;
mod machine;
mod multipart;
mod pidf;
mod policy_text;
mod pubsub;
mod reports;
mod retention;
mod s2s_machine;
mod scram;
mod second_opinion;
mod seeds;
mod sip_machine;
mod sip_message;
mod sip_stream;
mod sip_trunk;
mod texts;
mod xmpp_machine;
mod xmpp_stream;

pub use seeds::seeds;

/// One target.
pub type Target = fn(&[u8]);

/// Every target by name. The files in `libfuzzer/targets` have the same names; a test compares them.
pub const TARGETS: &[(&str, Target)] = &[
    ("cpim", cpim::run),
    ("digest", digest::run),
    ("evidence", evidence::run),
    ("hygiene", hygiene::run),
    ("imports", imports::run),
    ("journal_row", journal_row::run),
    ("multipart", multipart::run),
    ("pidf", pidf::run),
    ("policy_text", policy_text::run),
    ("pubsub", pubsub::run),
    ("reports", reports::run),
    ("retention", retention::run),
    ("s2s_machine", s2s_machine::run),
    ("scram", scram::run),
    ("sip_machine", sip_machine::run),
    ("sip_message", sip_message::run),
    ("sip_stream", sip_stream::run),
    ("sip_trunk", sip_trunk::run),
    ("texts", texts::run),
    ("xmpp_machine", xmpp_machine::run),
    ("xmpp_stream", xmpp_stream::run),
];

/// Runs one target by name.
///
/// # Panics
/// If there is no such target, or what must hold does not.
pub fn run(name: &str, input: &[u8]) {
    let found = TARGETS.iter().find(|(n, _)| *n == name).unwrap_or_else(|| panic!("no target {name}"));
    found.1(input);
}

/// The first byte of an input decides something small; the rest is the input.
fn first(input: &[u8]) -> (usize, &[u8]) {
    input.split_first().map_or((0, input), |(first, rest)| (usize::from(*first), rest))
}

//! SIP as it is written in transcripts.

#[allow(unused_imports)]
pub use testkit::sip::{ha1, hex, render, shown};

//! The SIP client's side.

pub mod link;
pub mod parse;
pub mod user;

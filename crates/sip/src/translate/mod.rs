//! Pure functions between SIP units and the nouns of `model`: the tables of RFC 7247, RFC 7572 and RFC 8048, each
//! loss named.

pub mod address;
mod charset;
pub mod message;
pub mod presence;
pub mod refusal;

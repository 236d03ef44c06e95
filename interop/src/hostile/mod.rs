//! Batteries of hostile input against the running server, each piece with the one right answer.
//!
//! They are in the library because several stories fire them: one asks for the answers, one for the memory, one for the
//! log.

pub mod sip;
pub mod torture;
pub mod xmpp;

/// Passwords, keys and texts that the batteries and their clients use, and that no log may ever show.
#[must_use]
pub fn secrets() -> Vec<String> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use crate::{DOMAIN, PASSWORD, raw};
    let mut all = vec![
        PASSWORD.to_owned(),
        xmpp::WRONG_PASSWORD.to_owned(),
        xmpp::TEXT.to_owned(),
        sip::TEXT.to_owned(),
        sip::EVIL_TEXT.to_owned(),
    ];
    for user in [xmpp::USER, sip::USER, sip::OTHER] {
        all.push(STANDARD.encode(raw::xmpp::plain(user, PASSWORD)));
        all.push(raw::sip::ha1(user, DOMAIN, PASSWORD));
    }
    all
}

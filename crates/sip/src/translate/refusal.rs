//! Refusals and status codes (RFC 7247 7.1 and 7.2).

use model::{Reason, Refusal};

use crate::translate::address;
use crate::wire::{NameAddr, clean, reason_phrase};

/// The status of a refusal (RFC 7247 7.1). Where the table gives two codes, one of them a 6xx, a request to one device
/// (`full`) gets the 4xx and a request to the person the 6xx.
///
/// Two departures, each because a SIP rule is stronger: a timeout is 504, for a 408 must not answer a non-INVITE
/// request (RFC 4320 4.1); and 503, which condemns the whole server for a while (RFC 3261 21.5.4), is for the one case
/// where that is true: nothing can be put on record.
pub fn status(refusal: &Refusal, full: bool) -> u16 {
    match refusal.reason {
        Reason::BadRequest | Reason::BadAddress | Reason::Conflict | Reason::SubscriptionRequired => 400,
        Reason::Unsupported => {
            if full {
                405
            } else {
                501
            }
        }
        Reason::Forbidden => {
            if full {
                403
            } else {
                603
            }
        }
        Reason::Gone => {
            if refusal.alternative.is_some() {
                301
            } else {
                410
            }
        }
        Reason::Redirect => {
            if refusal.alternative.is_some() {
                302
            } else {
                480
            }
        }
        Reason::Overloaded if refusal.is_unrecorded() => 503,
        Reason::Internal | Reason::Overloaded => 500,
        Reason::NotFound => {
            if full {
                404
            } else {
                604
            }
        }
        Reason::NotAcceptable => {
            if full {
                406
            } else {
                606
            }
        }
        Reason::Policy => 403,
        Reason::NotAuthorized => 401,
        Reason::Unavailable => {
            if full {
                480
            } else {
                600
            }
        }
        Reason::RegistrationRequired => 407,
        Reason::RemoteNotFound => 404,
        Reason::RemoteTimeout => 504,
        Reason::Unexpected => 491,
        Reason::TooLarge => 413,
        Reason::Loop => 482,
    }
}

/// The words on the status line: the refusal's own, else the usual ones (RFC 7247 7: reason phrase and `<text/>`).
pub fn words(refusal: &Refusal, status: u16) -> String {
    match &refusal.text {
        Some(text) if !text.trim().is_empty() => clean(text).chars().take(200).collect(),
        _ => reason_phrase(status).to_owned(),
    }
}

/// The `Contact` that goes with a 301 or 302.
pub fn contact(refusal: &Refusal) -> Option<String> {
    refusal.alternative.as_ref().map(|a| format!("<{}>", address::to_uri(a)))
}

/// The reason of a status code (RFC 7247 7.2).
pub fn reason(status: u16) -> Reason {
    match status {
        300 | 302 | 305 => Reason::Redirect,
        301 | 410 => Reason::Gone,
        380 | 406 | 415 | 416 | 421 | 488 | 505 | 606 => Reason::NotAcceptable,
        482 | 483 => Reason::Loop,
        400 | 402 | 493 => Reason::BadRequest,
        401 => Reason::NotAuthorized,
        403 => Reason::Forbidden,
        404 | 481 | 484 | 485 | 604 => Reason::NotFound,
        405 | 420 | 439 | 501 => Reason::Unsupported,
        407 => Reason::RegistrationRequired,
        408 | 504 => Reason::RemoteTimeout,
        413 | 513 => Reason::TooLarge,
        414 | 440 | 489 => Reason::Policy,
        423 => Reason::Overloaded,
        430 | 480 | 486 | 487 | 600 | 603 => Reason::Unavailable,
        491 => Reason::Unexpected,
        500 | 503 => Reason::Internal,
        502 => Reason::RemoteNotFound,
        300..=399 => Reason::Redirect,
        500..=599 => Reason::Internal,
        600..=699 => Reason::Unavailable,
        _ => Reason::BadRequest,
    }
}

/// The refusal in a response: reason, words, and the new address of a 3xx.
pub fn refusal(status: u16, phrase: &str, contact: Option<&str>) -> Refusal {
    let mut refusal = Refusal::new(reason(status));
    let phrase = phrase.trim();
    if !phrase.is_empty() && phrase != reason_phrase(status) {
        refusal = refusal.with_text(phrase.chars().take(200).collect::<String>());
    }
    if (300..400).contains(&status) {
        refusal.alternative =
            contact.and_then(NameAddr::parse).and_then(|c| address::from_header(&c)).map(|e| e.address);
    }
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Address;

    #[test]
    fn every_reason_has_its_status() {
        // RFC 7247 7.1: (reason, to a device, to a person)
        let table = [
            (Reason::BadRequest, 400, 400),
            (Reason::BadAddress, 400, 400),
            (Reason::Conflict, 400, 400),
            (Reason::Unsupported, 405, 501),
            (Reason::Forbidden, 403, 603),
            (Reason::Gone, 410, 410),
            (Reason::Redirect, 480, 480),
            (Reason::Internal, 500, 500),
            (Reason::NotFound, 404, 604),
            (Reason::NotAcceptable, 406, 606),
            (Reason::Policy, 403, 403),
            (Reason::NotAuthorized, 401, 401),
            (Reason::Unavailable, 480, 600),
            (Reason::RegistrationRequired, 407, 407),
            (Reason::RemoteNotFound, 404, 404),
            (Reason::RemoteTimeout, 504, 504),
            (Reason::Overloaded, 500, 500),
            (Reason::SubscriptionRequired, 400, 400),
            (Reason::Unexpected, 491, 491),
            (Reason::TooLarge, 413, 413),
            (Reason::Loop, 482, 482),
        ];
        assert_eq!(table.len(), Reason::ALL.len());
        for (reason, full, bare) in table {
            assert_eq!(
                (status(&Refusal::new(reason), true), status(&Refusal::new(reason), false)),
                (full, bare),
                "{reason:?}"
            );
        }
        assert_eq!(status(&Refusal::unrecorded(), false), 503);
        let mut moved = Refusal::new(Reason::Gone);
        moved.alternative = Address::parse("new@example.com").ok();
        assert_eq!((status(&moved, true), contact(&moved).as_deref()), (301, Some("<sip:new@example.com>")));
        moved.reason = Reason::Redirect;
        assert_eq!(status(&moved, true), 302);
    }

    #[test]
    fn every_listed_status_has_its_reason() {
        // RFC 7247 7.2, the XMPP condition in the comment
        for (codes, expected) in [
            (&[300, 302, 305, 399][..], Reason::Redirect), // redirect
            (&[301, 410], Reason::Gone),                   // gone
            (&[380, 406, 415, 416, 421, 488, 505, 606], Reason::NotAcceptable), // not-acceptable
            (&[482, 483], Reason::Loop),                   // not-acceptable
            (&[400, 402, 493, 499], Reason::BadRequest),   // bad-request
            (&[401], Reason::NotAuthorized),               // not-authorized
            (&[403], Reason::Forbidden),                   // forbidden
            (&[404, 481, 484, 485, 604], Reason::NotFound), // item-not-found
            (&[405, 420, 439, 501], Reason::Unsupported),  // feature-not-implemented
            (&[407], Reason::RegistrationRequired),        // registration-required
            (&[408, 504], Reason::RemoteTimeout),          // remote-server-timeout
            (&[413, 513], Reason::TooLarge),               // policy-violation
            (&[414, 440, 489], Reason::Policy),            // policy-violation
            (&[423], Reason::Overloaded),                  // resource-constraint
            (&[430, 480, 486, 487, 600, 603, 699], Reason::Unavailable), // recipient-unavailable
            (&[491], Reason::Unexpected),                  // unexpected-request
            (&[500, 503, 599], Reason::Internal),          // internal-server-error
            (&[502], Reason::RemoteNotFound),              // remote-server-not-found
        ] {
            for code in codes {
                assert_eq!(reason(*code), expected, "{code}");
            }
        }
    }

    #[test]
    fn words_and_addresses_travel() {
        let r = refusal(302, "Try there", Some("<sip:b@example.com>;q=1"));
        assert_eq!(
            (r.text.as_deref(), r.alternative.unwrap().as_str()),
            (Some("Try there"), "b@example.com")
        );
        assert_eq!(refusal(404, "Not Found", None).text, None);
        assert_eq!(words(&Refusal::new(Reason::Policy).with_text("no\r\nway"), 403), "no  way");
        assert_eq!(words(&Refusal::new(Reason::Policy), 403), "Forbidden");
    }
}

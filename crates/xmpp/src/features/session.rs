//! Session establishment, RFC 3921 section 3: does nothing, and some old clients insist on it.

use super::{Feature, Handler};
use crate::machine::Reply;
use crate::wire::SESSION;

pub(super) const FEATURE: Feature = Feature {
    advertise: Some(|_, w| {
        w.open_ns("session", SESSION).open("optional").end().end();
    }),
    iqs: &[Handler { name: "session", ns: SESSION, answer: |_, _| Reply::DONE, early: false }],
    ..Feature::NONE
};

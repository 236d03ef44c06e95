//! XMPP ping, XEP-0199.

use super::{Feature, Handler};
use crate::machine::Reply;
use crate::translate::refusal::StanzaError;
use crate::wire::PING;

pub(super) const FEATURE: Feature = Feature {
    vars: &[PING],
    iqs: &[Handler {
        name: "ping",
        ns: PING,
        answer: |_, request| if request.set { Reply::Error(StanzaError::BAD_REQUEST) } else { Reply::DONE },
        early: false,
    }],
    ..Feature::NONE
};

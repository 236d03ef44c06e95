//! The wire: bytes to typed units and back, no state beyond one partial message.
//!
//! A facade over the `sipx-sip` parser. Nothing outside this module names that crate, so that it can be
//! replaced or forked without touching the machine (RFC 3261 7, 18.3, 25).

mod frame;
mod onward;
mod params;
mod reply;
mod unit;
mod write;

pub use frame::{Fault, Framed, Framer, datagram};
pub use onward::Onward;
pub use params::{Params, split_list, unquote};
pub use reply::ReplyHead;
pub(crate) use unit::number as seconds;
pub use unit::{Contact, NameAddr, Request, Response, SipUri, Unit};
pub use write::{Writer, clean, quote, reason_phrase};

/// The largest message this door reads, head and body together.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// The most header fields in one message.
pub const MAX_HEADERS: usize = 100;

/// The largest piece of a stream that is looked at in one go: the rest waits its turn, so that one error
/// never swallows many good messages.
pub const MAX_PIECE: usize = 8 * 1024;

/// A request larger than this does not go out over UDP (RFC 3261 18.1.1, RFC 3428 8).
pub const MAX_UDP_REQUEST: usize = 1300;

/// The parser limits that follow from the sizes above.
pub(crate) fn limits() -> sipx_sip::Limits {
    sipx_sip::Limits {
        max_message_bytes: MAX_MESSAGE,
        max_body_bytes: MAX_MESSAGE,
        max_headers: MAX_HEADERS,
        ..sipx_sip::Limits::datagram()
    }
}

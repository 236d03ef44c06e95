//! Real peers against the real server.
//!
//! Every test here starts the `rialto` binary in a directory of its own, on free ports of the loopback interface, and
//! puts it in front of programs that nobody here wrote: slixmpp, libpurple (Finch, Pidgin), liblinphone, baresip and
//! SIPp; and, as servers of other companies, Prosody, ejabberd and Kamailio; and aiosmtpd, a mail server. The library is the harness; the stories are in `tests/`, one file for each peer; the scripts, scenarios and the
//! small libpurple program that the tests drive are in `peers/` and `sipp/`.
//!
//! Companies have names and certificates: `dns` is a name server and `authority` an authority of the test's own, `abroad`
//! puts both to use.
//!
//! Some things no real client does. `raw` has clients made of bytes, `hostile` fires what RFC 6120 and RFC 3261 forbid and
//! knows the answer to each piece, and `load` writes down what the server promised, so that a crash can be held against
//! it.
//!
//! Two rules keep the stories steady. Nothing waits by sleeping: a test waits *until* something was seen, with a
//! deadline. And to show that something did *not* happen, a test first makes a later event happen (a "fence") and then
//! reads the transcript up to it.

pub mod abroad;
pub mod authority;
pub mod baresip;
pub mod clamd;
pub mod converse;
pub mod cutter;
pub mod dice;
pub mod dns;
pub mod ejabberd;
pub mod finch;
pub mod gate;
pub mod have;
pub mod hostile;
pub mod illdisk;
pub mod kamailio;
pub mod known;
pub mod linphone;
pub mod load;
pub mod pebble;
pub mod ports;
pub mod prosody;
pub mod purple;
pub mod raw;
pub mod rialto;
pub mod sipp;
pub mod slixmpp;
pub mod smtp;
pub mod talk;
pub mod trunk;
pub mod web;

pub use abroad::Abroad;
pub use illdisk::IllDisk;
pub use rialto::Rialto;
pub use talk::Talk;

use std::time::Duration;

/// How long a test waits for what should happen at once. Generous, because a loaded machine is slow, not wrong.
pub const SOON: Duration = Duration::from_secs(30);

/// The password of every test account.
pub const PASSWORD: &str = "wherefore-art-thou-7";

/// The domain that the tests use.
pub const DOMAIN: &str = "example.com";

/// The address of a test user; one that names a domain is an address already.
#[must_use]
pub fn at(user: &str) -> String {
    if user.contains('@') { user.to_owned() } else { format!("{user}@{DOMAIN}") }
}

/// The name and the domain of a test user.
#[must_use]
pub fn parts(user: &str) -> (&str, &str) {
    user.split_once('@').unwrap_or((user, DOMAIN))
}

//! Calls: a stateful proxy (RFC 3261 section 16) between phones of ours and servers of partners.
//!
//! It is made of two halves, which may be in different machines and meet over a line of the hub. The caller's half has
//! the server transaction, chooses the best answer of all that were asked, and cancels the rest; the called half has
//! one client transaction. What goes over a line is SIP as it stands, and two words of our own. Nothing is kept of a
//! call that is up: Record-Route says where each request in it goes on, and each is judged by the hub anew.

mod best;
mod called;
mod caller;

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Address, Endpoint, Line, LineNews, Now};
use sha2::{Digest as _, Sha256};

use super::{Job, SipMachine};
use crate::transaction::{Hop, ServerId};
use crate::wire::{NameAddr, SipUri};

use called::Called;
use caller::Caller;

/// What goes on where a call is up, and is for its other side.
const IN_CALLS: [&str; 9] = ["INVITE", "ACK", "BYE", "UPDATE", "PRACK", "INFO", "REFER", "NOTIFY", "OPTIONS"];
/// Timer C (RFC 3261 16.6 step 11): how long a phone may ring without another word.
const RINGING: Duration = Duration::from_secs(181);
/// Requests of calls that one machine passes on at a time, in each direction.
const MAX_CALLS: usize = 5_000;
/// On a line: the caller does not want it any more.
const CANCEL: &[u8] = b"CANCEL";
/// On a line: nobody answered.
const SILENCE: &[u8] = b"SILENCE";

/// What a machine passes on at the moment.
#[derive(Debug, Default)]
pub(super) struct Calls {
    callers: BTreeMap<u64, Caller>,
    by_invite: BTreeMap<ServerId, u64>,
    called: BTreeMap<u64, Called>,
    /// Whose an end of a line is.
    lines: BTreeMap<Line, u64>,
}

impl SipMachine {
    fn calls(&mut self) -> &mut Calls {
        self.calls.get_or_insert_default()
    }

    /// Is this a call, or part of one that goes through us?
    pub(super) fn is_call(&self, job: &Job) -> bool {
        let method = job.request.method();
        match job.request.reply.has_to_tag() {
            true => IN_CALLS.contains(&method) && self.own_route(job).is_some(),
            false => method == "INVITE",
        }
    }

    /// Where our own Record-Route says that a request goes on: what is left of its Route, and to which device.
    fn own_route(&self, job: &Job) -> Option<(Vec<String>, Option<String>)> {
        let (mut routes, mark) = (job.request.list("Route"), self.mark());
        let ours = |route: &String| {
            let uri = SipUri::parse(&NameAddr::parse(route)?.uri)?;
            (uri.param("rl") == Some(&mark)).then(|| uri.param("d").map(str::to_owned))
        };
        // Each half has put in one; the last says whom they lead to.
        let mut last = None;
        while let Some(device) = routes.first().and_then(ours) {
            last = Some(device);
            routes.remove(0);
        }
        last.map(|device| (routes, device))
    }

    /// What tells our own entries in a Route from those of others.
    fn mark(&self) -> String {
        let hash = Sha256::digest(self.config.domains.join(" "));
        hash.iter().take(4).map(|b| format!("{b:02x}")).collect()
    }

    /// Our Record-Route on the side of this hop, towards somebody whom it leads to one of ours. Requests that come with
    /// it are for this device.
    fn record_route(&self, hop: Hop, ours: &Address, side: &Endpoint) -> String {
        let here = self.contact(hop, ours);
        let device = match (&self.trunk, &side.device) {
            (None, Some(device)) => {
                let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
                let escaped = device.as_str().bytes().map(|b| match plain(b) {
                    true => char::from(b).to_string(),
                    false => format!("%{b:02X}"),
                });
                format!(";d={}", escaped.collect::<String>())
            }
            _ => String::new(),
        };
        format!("{};lr;rl={}{device}>", here.trim_end_matches('>'), self.mark())
    }

    /// News of a line.
    pub(super) fn line(&mut self, now: Now, news: LineNews) {
        match news {
            LineNews::Calling(ticket, lines) => self.calling(now, ticket, lines),
            LineNews::Called(line, delivery) => self.called(now, line, &delivery),
            LineNews::Said(line, bytes) => match self.held(line) {
                Some((number, true)) => self.caller_hears(now, number, line, &bytes),
                Some((number, false)) => self.called_hears(now, number, &bytes),
                None => {}
            },
            LineNews::Ended(line) => {
                let held = self.held(line);
                self.calls().lines.remove(&line);
                match held {
                    Some((number, true)) => self.line_lost(now, number, line),
                    Some((number, false)) => self.caller_left(now, number),
                    None => {}
                }
            }
        }
    }

    /// Whose an end is, and whether a caller's.
    fn held(&self, line: Line) -> Option<(u64, bool)> {
        let calls = self.calls.as_ref()?;
        let number = *calls.lines.get(&line)?;
        Some((number, calls.callers.contains_key(&number)))
    }
}

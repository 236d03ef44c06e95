//! The server stops: what is open is finished, what is new is sent away.

use connector::{Flow, Output, Transport};
use model::Tick;

use super::{Job, SipMachine, Waiting};
use model::Now;

/// Seconds after which somebody may try again (RFC 3261 section 21.5.4): a restart takes less.
const RETRY_AFTER: &str = "10";

/// How far the end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Drain {
    #[default]
    No,
    /// Open transactions are being finished.
    Finishing,
    /// The driver knows that nothing is open.
    Done,
}

impl SipMachine {
    /// Sends a new request away while the server stops. True if it did.
    pub(super) fn sent_away(&mut self, now: Now, job: &Job) -> bool {
        let stops = self.drain != Drain::No;
        if stops {
            self.answer(now, job, 503, |w| {
                w.header("Retry-After", RETRY_AFTER);
            });
        }
        stops
    }

    /// Ends a connection, or says that a shard is done, once nobody waits for an answer of ours or owes us one.
    pub(super) fn drained(&mut self, now: Tick) {
        let open = !self.sent.is_empty()
            || !self.registering.is_empty()
            || self.tickets.values().any(|(_, waiting)| !matches!(waiting, Waiting::Nothing));
        if self.drain != Drain::Finishing || open {
            return;
        }
        self.drain = Drain::Done;
        match self.transport {
            Transport::Tcp => self.close(now, Flow::ACCEPTED),
            // The socket still answers: the driver only hears that nothing is open here.
            Transport::Udp => self.out.push_back(Output::Close(Flow::ACCEPTED)),
        }
    }
}

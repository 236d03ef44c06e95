//! The server stops: the stream ends once what the client handed over is on record.

use std::sync::Arc;

use crate::wire::{Condition, STREAM_ERRORS, Writer};

use super::C2s;
use super::phase::Phase;

impl C2s {
    /// Reads no further; says goodbye as soon as all that was read is done. A session that may be resumed waits for its
    /// client, in the next process if need be.
    pub(super) fn drain(&mut self, go_to: Option<Arc<str>>) {
        self.draining = Some(go_to);
    }

    /// The goodbye, when it is time: where to go if the operator said so (RFC 6120 section 4.9.3.19), else that the
    /// server goes (section 4.9.3.20).
    pub(super) fn drained(&mut self) {
        if self.phase == Phase::Over || self.done_before() < self.next_number() {
            return;
        }
        let Some(go_to) = self.draining.take() else { return };
        match go_to {
            // Before a log-in nobody has proved to be us: a client must not follow (section 4.9.3.19).
            Some(host) if self.phase == Phase::Bound => {
                let mut w = Writer::new();
                w.open("stream:error").open_ns("see-other-host", STREAM_ERRORS).text(&host).end();
                let error = w.finish();
                self.out.write(&error);
                self.out.write(b"</stream:stream>");
                self.hang_up_for_now();
            }
            _ => self.fail(Condition::SystemShutdown),
        }
    }
}

//! The clock of one connection: log-in deadline, signs of life (RFC 6120 section 4.6).

use model::Tick;

use crate::wire::Condition;

use super::C2s;
use super::phase::Phase;

#[derive(Debug, Default)]
pub(crate) struct Timers {
    opened: Tick,
    heard: Tick,
    /// When we last asked for a sign of life.
    probed: Option<Tick>,
}

impl Timers {
    pub fn opened(&mut self, now: Tick) {
        self.opened = now;
        self.heard = now;
    }

    pub fn heard(&mut self, now: Tick) {
        self.heard = now;
        self.probed = None;
    }
}

impl C2s {
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        match self.phase {
            Phase::Over => None,
            Phase::Bound => Some(match self.timers.probed {
                None => self.timers.heard + self.config.idle,
                Some(at) if self.acks.enabled() => at + self.config.reply_timeout,
                Some(at) => at + self.config.idle,
            }),
            _ => Some(self.timers.opened + self.config.auth_timeout),
        }
    }

    pub(super) fn tick(&mut self) {
        let now = self.now.tick;
        if self.next_deadline().is_none_or(|at| now < at) {
            return;
        }
        if self.phase != Phase::Bound {
            return self.fail(Condition::ConnectionTimeout);
        }
        if self.paused {
            // It is we who do not listen.
            return self.timers.heard(now);
        }
        if self.acks.enabled() {
            if self.timers.probed.is_some() {
                return self.fail(Condition::ConnectionTimeout);
            }
            self.request_ack();
        } else {
            // Nobody has to answer white space, but a dead connection cannot swallow it for ever.
            self.out.write(b" ");
        }
        self.timers.probed = Some(now);
        self.reader.relax();
    }
}

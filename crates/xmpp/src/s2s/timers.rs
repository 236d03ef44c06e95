//! The clock of one connection between servers: how long a proof may take, signs of life (RFC 6120 section 4.6), and
//! when nobody needs the connection any more.

use std::time::Duration;

use model::{Reason, Refusal, Tick};

use crate::wire::Condition;

use super::S2s;

/// How long a proof may take where another connection has to be opened for it.
const CONFIRM: Duration = Duration::from_secs(50);

/// How long they may take to acknowledge what is under way when the server stops.
pub(super) const LAST_ACKS: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub(super) struct Timers {
    /// By when somebody must be proved.
    until: Tick,
    opened: Tick,
    proved: bool,
    heard: Tick,
    /// When the last stanza went either way.
    used: Tick,
    /// When it was last looked whether what was proved still holds.
    checked: Tick,
    /// When we last asked for a sign of life.
    probed: Option<Tick>,
}

impl Timers {
    pub fn opened(&mut self, now: Tick) {
        (self.opened, self.heard, self.used) = (now, now, now);
    }

    pub fn heard(&mut self, now: Tick) {
        self.heard = now;
        self.probed = None;
    }

    /// A stanza went.
    pub fn used(&mut self, now: Tick) {
        self.used = now;
    }

    /// Another server is asked now.
    pub fn confirming(&mut self, now: Tick) {
        self.until = now + CONFIRM;
    }

    pub fn proved(&mut self, now: Tick) {
        (self.proved, self.used) = (true, now);
        self.checked = self.checked.max(now);
    }
}

impl S2s {
    pub(super) fn next_deadline(&self) -> Option<Tick> {
        if self.is_done() {
            return None;
        }
        if let Some(since) = self.draining {
            let end = since + LAST_ACKS;
            return (self.acks.unacked() > 0 && self.now.tick < end).then_some(end);
        }
        if !self.timers.proved {
            return Some((self.timers.opened + self.config.auth_timeout).max(self.timers.until));
        }
        let patience = if self.acks.enabled() { self.config.reply_timeout } else { self.config.idle };
        let life = match self.timers.probed {
            None => self.timers.heard + self.config.idle,
            Some(at) => at + patience,
        };
        let due = life.min(self.timers.checked + self.config.s2s_recheck);
        Some(match self.is_needed() {
            true => due,
            false => due.min(self.timers.used + self.config.s2s_idle),
        })
    }

    fn is_done(&self) -> bool {
        self.phase == super::phase::Phase::Over
    }

    /// Something is under way that would have to be done again.
    fn is_needed(&self) -> bool {
        self.submissions.unkept() > 0 || self.acks.unacked() > 0
    }

    pub(super) fn tick(&mut self) {
        let now = self.now.tick;
        if self.draining.is_some() || self.next_deadline().is_none_or(|at| now < at) {
            return;
        }
        if !self.timers.proved {
            self.errand_done(Err(
                Refusal::new(Reason::RemoteTimeout).with_text("their server takes too long to let us in")
            ));
            return self.fail(Condition::ConnectionTimeout);
        }
        if now >= self.timers.checked + self.config.s2s_recheck {
            self.timers.checked = now;
            self.check_again();
            // A sign of life can be due in the same moment.
            if self.next_deadline().is_none_or(|at| now < at) {
                return;
            }
        }
        if self.is_paused() {
            // It is we who do not listen.
            return self.timers.heard(now);
        }
        if !self.is_needed() && now >= self.timers.used + self.config.s2s_idle {
            return self.say_goodbye();
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

use crate::pipeline::{Context, Stage, Verdict};
use model::{Address, Envelope, Event, Reason, Refusal, Vouch};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

const SHARDS: usize = 32;
/// Senders remembered per shard before those who have been quiet are forgotten.
const REMEMBERED: usize = 4096;

/// How many messages a second one account may send, by the generic cell rate algorithm: for each sender only the
/// time at which its allowance would be whole again.
pub struct Throttle {
    /// Milliseconds one message costs, in thousandths.
    cost_us: u64,
    /// How far ahead of its allowance a sender may run.
    burst_us: u64,
    hasher: RandomState,
    shards: Vec<Mutex<HashMap<Address, u64>>>,
}

impl Throttle {
    /// `per_second` messages on average, `burst` at once. `per_second` 0 switches the stage off.
    pub fn new(per_second: u32, burst: u32) -> Self {
        let cost_us = if per_second == 0 { 0 } else { 1_000_000 / u64::from(per_second) };
        Self {
            cost_us,
            burst_us: cost_us * u64::from(burst.max(1)),
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }
}

impl Stage for Throttle {
    fn name(&self) -> &'static str {
        "throttle"
    }

    fn apply(&self, envelope: &mut Envelope, context: &Context) -> Verdict {
        if self.cost_us == 0
            || envelope.origin.vouch == Vouch::Server
            || !matches!(envelope.event, Event::Message(_) | Event::Subscribe(_))
        {
            return Verdict::Pass;
        }
        let now_us = context.now.unix_ms() * 1000;
        let sender = &envelope.from.address;
        let mut shard = self.shards[self.hasher.hash_one(sender) as usize % SHARDS].lock();
        if shard.len() >= REMEMBERED {
            shard.retain(|_, whole_at| *whole_at > now_us);
        }
        let whole_at = shard.get(sender).copied().unwrap_or(0).max(now_us) + self.cost_us;
        if whole_at - now_us > self.burst_us {
            return Verdict::Refuse(
                Refusal::new(Reason::Overloaded).with_text("too many messages; wait a little"),
            );
        }
        shard.insert(sender.clone(), whole_at);
        Verdict::Pass
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::tests::{context, message};
    use super::*;
    use model::Timestamp;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let throttle = Throttle::new(10, 3);
        let mut cx = context();
        cx.now = Timestamp(1_000_000);
        let send = |cx: &Context| {
            let mut m = message("x");
            m.origin.vouch = Vouch::Account(m.from.address.clone());
            throttle.apply(&mut m, cx) == Verdict::Pass
        };
        assert_eq!([send(&cx), send(&cx), send(&cx), send(&cx)], [true, true, true, false]);
        cx.now = Timestamp(1_000_100);
        assert_eq!([send(&cx), send(&cx)], [true, false]);
    }
}

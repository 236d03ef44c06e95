use crate::pipeline::{Context, Stage, Verdict};
use crate::rules::Rules;
use model::{Address, Envelope, Event, Reason, Refusal, Vouch};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

const SHARDS: usize = 32;
/// Senders remembered per shard before those who have been quiet are forgotten.
const REMEMBERED: usize = 4096;

/// How many messages a second one account may send, by the generic cell rate algorithm: for each sender only the
/// time at which its allowance would be whole again.
pub struct Throttle {
    rules: Arc<Rules>,
    hasher: RandomState,
    shards: Vec<Mutex<HashMap<Address, u64>>>,
}

impl Throttle {
    /// A throttle by the rules in force; what senders have used up outlives a change of them.
    pub fn new(rules: Arc<Rules>) -> Self {
        Self { rules, hasher: RandomState::new(), shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl Stage for Throttle {
    fn name(&self) -> &'static str {
        "throttle"
    }

    fn apply(&self, envelope: &mut Envelope, context: &Context) -> Verdict {
        let (cost_us, burst_us) = self.rules.throttle_us();
        if cost_us == 0
            || envelope.origin.vouch == Vouch::Server
            || !(matches!(envelope.event, Event::Message(_) | Event::Subscribe(_))
                || matches!(&envelope.event, Event::Call(call) if call.opens))
        {
            return Verdict::Pass;
        }
        let now_us = context.now.unix_ms() * 1000;
        let sender = &envelope.from.address;
        let mut shard = self.shards[self.hasher.hash_one(sender) as usize % SHARDS].lock();
        if shard.len() >= REMEMBERED {
            shard.retain(|_, whole_at| *whole_at > now_us);
        }
        // Nobody has more to wait than the whole burst, unless the clock was set back meanwhile.
        let left = shard.get(sender).copied().filter(|whole_at| *whole_at <= now_us + burst_us);
        let whole_at = left.unwrap_or(0).max(now_us) + cost_us;
        if whole_at - now_us > burst_us {
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
    use crate::rules::RuleSet;
    use model::Timestamp;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let ten = RuleSet { messages_per_second: 10, burst: 3, ..RuleSet::default() };
        let rules = Arc::new(Rules::new(ten));
        let throttle = Throttle::new(rules.clone());
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
        // The clock was set back: nobody has to wait until it is where it was.
        cx.now = Timestamp(500_000);
        assert_eq!([send(&cx), send(&cx), send(&cx), send(&cx)], [true, true, true, false]);
        rules.set(RuleSet { messages_per_second: 0, ..ten });
        assert!(send(&cx), "a change shows at once");
    }
}

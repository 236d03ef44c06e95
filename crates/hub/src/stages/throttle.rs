use crate::limit::Limit;
use crate::pipeline::{Context, Stage, Verdict};
use crate::rules::Rules;
use meter::Meters;
use model::{Envelope, Event, Fault, Message, Original, Reason, Refusal, Term, Vouch};
use ports::Partners;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

/// Devices, addresses and domains that are remembered.
const REMEMBERED: usize = 131_072;
/// What counts as the size of an event that has none to speak of.
const SMALL: u64 = 128;

/// How much anybody may send, and may be sent: each device, address and domain has allowances of its own, so a loud one takes
/// nothing from the others. What is nearer to whoever sends is asked first.
pub struct Throttle {
    rules: Arc<Rules>,
    partners: Arc<dyn Partners>,
    hasher: RandomState,
    meters: Meters<u64>,
}

impl Throttle {
    /// A throttle by the rules in force; what senders have used up outlives a change of them.
    pub fn new(rules: Arc<Rules>, partners: Arc<dyn Partners>) -> Self {
        Self { rules, partners, hasher: RandomState::new(), meters: Meters::new(REMEMBERED) }
    }

    fn take(&self, limit: Limit, who: impl Hash, units: u64, now_ms: u64) -> Result<(), Refusal> {
        let rate = self.rules.rate(limit);
        if rate.is_off() {
            return Ok(());
        }
        let key = self.hasher.hash_one((limit, who));
        self.meters.take(&key, rate, units, now_ms).map_err(|wait| {
            let text = format!("{}; wait {} s", limit.words(), wait.div_ceil(1_000));
            let refusal = Refusal::new(Reason::Overloaded).with_text(text).by_rule(limit.rule());
            match limit {
                Limit::DomainIn | Limit::DomainBytesIn | Limit::DomainSubscriptionsIn => {
                    Refusal { fault: Fault::Peer, ..refusal }
                }
                _ => refusal,
            }
        })
    }

    fn measure(&self, envelope: &Envelope, context: &Context) -> Result<(), Refusal> {
        let (now, sender) = (context.now.unix_ms(), &envelope.from.address);
        let ours = matches!(envelope.origin.vouch, Vouch::Account(_));
        if ours && let Some(device) = &envelope.from.device {
            self.take(Limit::DeviceIn, (sender, device), 1, now)?;
        }
        let bytes = size(&envelope.event);
        let asks = matches!(&envelope.event, Event::Subscribe(s) if !matches!(s.term, Term::End));
        let counts = asks
            || matches!(&envelope.event, Event::Message(_) | Event::Subscribe(_))
            || matches!(&envelope.event, Event::Call(call) if call.opens);
        if counts {
            self.take(Limit::AccountIn, sender, 1, now)?;
        }
        self.take(Limit::AccountBytesIn, sender, bytes, now)?;
        if asks {
            self.take(Limit::SubscriptionsIn, sender, 1, now)?;
        }
        let stranger = |domain: &str| !self.partners.has_agreed(domain);
        if !ours && stranger(sender.domain()) {
            let domain = sender.domain();
            if counts {
                self.take(Limit::DomainIn, domain, 1, now)?;
            }
            self.take(Limit::DomainBytesIn, domain, bytes, now)?;
            if asks {
                self.take(Limit::DomainSubscriptionsIn, domain, 1, now)?;
            }
            if counts && context.is_here {
                self.take(Limit::AccountOut, &envelope.to.address, 1, now)?;
            }
        }
        if !context.is_here && stranger(envelope.to.address.domain()) {
            let domain = envelope.to.address.domain();
            if counts {
                self.take(Limit::DomainOut, domain, 1, now)?;
            }
            self.take(Limit::DomainBytesOut, domain, bytes, now)?;
        }
        Ok(())
    }
}

fn size(event: &Event) -> u64 {
    let of_message = |m: &Message| {
        let parts: usize = m.parts.iter().map(|part| part.body.len()).sum();
        parts.max(m.original.as_ref().map_or(0, |original| original.bytes.len()))
    };
    let of = |original: &Option<Original>| original.as_ref().map_or(0, |original| original.bytes.len());
    let bytes = match event {
        Event::Message(message) => of_message(message),
        Event::Opaque(opaque) => opaque.original.bytes.len(),
        Event::Call(call) => call.original.bytes.len(),
        Event::Receipt(receipt) => of(&receipt.original),
        Event::Composing(composing) => of(&composing.original),
        Event::Subscribe(subscribe) => of(&subscribe.original),
        Event::Authorize(authorize) => of(&authorize.original),
        Event::Publish(publish) => publish.tuples.iter().map(|tuple| of(&tuple.original)).sum(),
        Event::Notify(_) => 0,
    };
    SMALL.max(bytes as u64)
}

impl Stage for Throttle {
    fn name(&self) -> &'static str {
        "throttle"
    }

    fn apply(&self, envelope: &mut Envelope, context: &Context) -> Verdict {
        if envelope.origin.vouch == Vouch::Server || !self.rules.measures() {
            return Verdict::Pass;
        }
        match self.measure(envelope, context) {
            Ok(()) => Verdict::Pass,
            Err(refusal) => Verdict::Refuse(refusal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::tests::{context, message};
    use super::*;
    use crate::limit::Rates;
    use crate::rules::RuleSet;
    use meter::Rate;
    use model::{Address, Admission, Device, DomainPair, Endpoint, Subscribe, Timestamp};

    /// Whoever ends in `agreed.example` is a partner.
    struct One;

    impl Partners for One {
        fn admit(&self, _: &ports::Applicant) -> Result<Admission, Refusal> {
            Err(Refusal::new(Reason::Policy))
        }
        fn permit(&self, _: &Envelope) -> Result<(), Refusal> {
            Ok(())
        }
        fn carries(&self, _: &Address) -> bool {
            false
        }
        fn has_agreed(&self, domain: &str) -> bool {
            domain == "agreed.example"
        }
        fn routes(&self, _: &DomainPair) -> Result<Vec<ports::Route>, Refusal> {
            Err(Refusal::new(Reason::Policy))
        }
        fn noted(&self, _: &DomainPair, _: model::Dialect, _: &Result<(), Refusal>) {}
    }

    fn throttle(limit: Limit, rate: Rate) -> (Throttle, Arc<Rules>) {
        let rates = Rates::default().with(limit, rate);
        let rules = Arc::new(Rules::new(RuleSet { rates, ..RuleSet::default() }));
        (Throttle::new(rules.clone(), Arc::new(One)), rules)
    }

    fn from(who: &str, ours: bool) -> Envelope {
        let mut envelope = message("x");
        envelope.from = Endpoint::bare(Address::parse(who).unwrap());
        let from = envelope.from.address.clone();
        envelope.origin.vouch =
            if ours { Vouch::Account(from) } else { Vouch::Domain(from.to_domain(), model::Proof::Unsaid) };
        envelope
    }

    fn passes(throttle: &Throttle, envelope: &Envelope, cx: &Context) -> bool {
        throttle.apply(&mut envelope.clone(), cx) == Verdict::Pass
    }

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let (throttle, rules) = throttle(Limit::AccountIn, Rate::per_second(10, 3));
        let mut cx = context();
        cx.now = Timestamp(1_000_000);
        let (romeo, nurse) = (from("romeo@example.com", true), from("nurse@example.com", true));
        let send = |cx: &Context| passes(&throttle, &romeo, cx);
        assert_eq!([send(&cx), send(&cx), send(&cx), send(&cx)], [true, true, true, false]);
        assert!(passes(&throttle, &nurse, &cx), "the loud one leaves the others theirs");
        let Verdict::Refuse(no) = throttle.apply(&mut romeo.clone(), &cx) else { panic!() };
        assert_eq!((no.reason, no.rule.as_deref()), (Reason::Overloaded, Some("throttle:account.in")));
        cx.now = Timestamp(1_000_100);
        assert_eq!([send(&cx), send(&cx)], [true, false]);
        // The clock was set back: nobody has to wait until it is where it was.
        cx.now = Timestamp(500_000);
        assert_eq!([send(&cx), send(&cx), send(&cx), send(&cx)], [true, true, true, false]);
        rules.set(RuleSet::default());
        assert!(send(&cx), "a change shows at once");
    }

    #[test]
    fn each_limit_measures_what_it_is_for() {
        let (cx, two) = (context(), Rate::per_minute(2, 2));
        let away = Context { is_here: false, ..context() };
        let foreign = from("a@far.example", false);
        let other = from("b@far.example", false);
        let partner = from("a@agreed.example", false);
        let ours = from("romeo@example.com", true);
        let mut asks = foreign.clone();
        asks.event = Event::Subscribe(Subscribe { term: Term::Lasting, note: None, original: None });
        let mut desk = ours.clone();
        desk.from.device = Device::new("desk").ok();
        let mut phone = ours.clone();
        phone.from.device = Device::new("phone").ok();
        let mut to_far = ours.clone();
        to_far.to = Address::parse("c@far.example").unwrap().into();
        let mut to_partner = ours.clone();
        to_partner.to = Address::parse("c@agreed.example").unwrap().into();
        // Who uses it up, and who is none the worse for it.
        for (limit, rate, loud, quiet, cx) in [
            (Limit::DeviceIn, two, &desk, &phone, &cx),
            (Limit::AccountIn, two, &desk, &foreign, &cx),
            (Limit::AccountBytesIn, Rate::per_minute(256, 256), &ours, &foreign, &cx),
            (Limit::SubscriptionsIn, two, &asks, &foreign, &cx),
            (Limit::AccountOut, two, &foreign, &partner, &cx),
            (Limit::DomainIn, two, &foreign, &partner, &cx),
            (Limit::DomainBytesIn, Rate::per_minute(256, 256), &other, &partner, &cx),
            (Limit::DomainSubscriptionsIn, two, &asks, &other, &cx),
            (Limit::DomainOut, two, &to_far, &to_partner, &away),
            (Limit::DomainBytesOut, Rate::per_minute(256, 256), &to_far, &to_partner, &away),
        ] {
            let (throttle, _) = throttle(limit, rate);
            let ends = [(); 3].map(|()| passes(&throttle, loud, cx));
            assert_eq!(ends, [true, true, false], "{limit:?}");
            assert!(passes(&throttle, quiet, cx), "{limit:?}");
        }
        // However it is called, its bytes count.
        let (of_bytes, _) = throttle(Limit::DomainBytesIn, Rate::per_minute(1_000, 1_000));
        let mut long = foreign.clone();
        let original = Original { dialect: model::Dialect::Xmpp, bytes: vec![b'x'; 900].into() };
        long.event =
            Event::Subscribe(Subscribe { term: Term::Lasting, note: None, original: Some(original) });
        assert_eq!([(); 2].map(|()| passes(&of_bytes, &long, &cx)), [true, false]);
        // What the server says itself is not measured.
        let (throttle, _) = throttle(Limit::AccountIn, two);
        assert!((0..9).all(|_| passes(&throttle, &message("x"), &cx)));
    }
}

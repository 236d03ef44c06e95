use crate::pipeline::{Context, Stage, Verdict};
use crate::rules::Rules;
use model::{Envelope, Event, Reason, Refusal};
use std::sync::Arc;

/// Size limits, so that no envelope is larger than every door can carry.
pub struct Limits {
    /// The rules in force.
    pub rules: Arc<Rules>,
}

impl Stage for Limits {
    fn name(&self) -> &'static str {
        "limits"
    }

    fn apply(&self, envelope: &mut Envelope, _: &Context) -> Verdict {
        if let Event::Message(m) = &envelope.event {
            let parts: usize = m.parts.iter().map(|p| p.body.len()).sum();
            let subject = m.subject.as_ref().map_or(0, String::len);
            let original = m.original.as_ref().map_or(0, |o| o.bytes.len());
            // The rendering repeats the parts, so the two are not added.
            if (parts + subject).max(original) > self.rules.message_bytes() {
                return Verdict::Refuse(Refusal::new(Reason::TooLarge).with_text("the message is too large"));
            }
        }
        Verdict::Pass
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::rules::RuleSet;
    use model::*;

    pub(crate) fn context() -> Context {
        Context { now: Timestamp(0), acquainted: false, listed: false, is_here: true }
    }

    pub(crate) fn message(text: &str) -> Envelope {
        let address = |t| Address::parse(t).unwrap();
        Envelope {
            id: EnvelopeId(1),
            at: Timestamp(0),
            origin: Origin::server(),
            from: Endpoint::bare(address("romeo@example.net")),
            to: Endpoint::bare(address("juliet@example.com")),
            hops: MAX_HOPS,
            event: Event::Message(Message {
                parts: vec![Part::text(text.to_owned(), None)],
                lasting: true,
                ..Message::default()
            }),
        }
    }

    #[test]
    fn large_envelopes_are_refused() {
        let rules = RuleSet { message_bytes: 10, ..RuleSet::default() };
        let limits = Limits { rules: Arc::new(Rules::new(rules)) };
        assert_eq!(limits.apply(&mut message("0123456789"), &context()), Verdict::Pass);
        let Verdict::Refuse(r) = limits.apply(&mut message("0123456789a"), &context()) else { panic!() };
        assert_eq!(r.reason, Reason::TooLarge);
    }
}

use crate::pipeline::{Context, Stage, Verdict};
use crate::rules::Rules;
use model::{Envelope, Event, Reason, Refusal, Vouch};
use std::sync::Arc;

/// Who may write to somebody without having been accepted before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strangers {
    /// Anybody this server serves.
    #[default]
    Allow,
    /// Only those where one side has consented to the other's presence, or somebody of the same company.
    Colleagues,
    /// Only those where one side has consented to the other's presence.
    Refuse,
}

/// Messages only from people the addressee knows, where the company wants that.
pub struct Consent {
    /// The rules in force.
    pub rules: Arc<Rules>,
}

impl Stage for Consent {
    fn name(&self) -> &'static str {
        "consent"
    }

    fn apply(&self, envelope: &mut Envelope, context: &Context) -> Verdict {
        let (from, to) = (&envelope.from.address, &envelope.to.address);
        let speaks = matches!(envelope.event, Event::Message(_) | Event::Composing(_) | Event::Call(_))
            || envelope.event.is_failure_with_words();
        let passes = !speaks
            || envelope.origin.vouch == Vouch::Server
            || context.acquainted
            || from == to
            || match self.rules.strangers() {
                Strangers::Allow => true,
                Strangers::Colleagues => from.domain() == to.domain(),
                Strangers::Refuse => false,
            };
        if passes {
            return Verdict::Pass;
        }
        Verdict::Refuse(
            Refusal::new(Reason::Policy).with_text("the addressee accepts messages from contacts only"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::tests::{context, message};
    use super::*;
    use crate::rules::RuleSet;
    use model::Address;

    #[test]
    fn strangers_pass_as_the_rule_says() {
        let mut foreign = message("x");
        foreign.origin.vouch = Vouch::Account(foreign.from.address.clone());
        let mut colleague = foreign.clone();
        colleague.to = Address::parse("benvolio@example.net").unwrap().into();
        for (strangers, acquainted, of_foreign, of_colleague) in [
            (Strangers::Allow, false, true, true),
            (Strangers::Colleagues, false, false, true),
            (Strangers::Refuse, false, false, false),
            (Strangers::Refuse, true, true, true),
        ] {
            let stage = Consent { rules: Arc::new(Rules::new(RuleSet { strangers, ..RuleSet::default() })) };
            let cx = Context { acquainted, ..context() };
            assert_eq!(stage.apply(&mut foreign, &cx) == Verdict::Pass, of_foreign);
            assert_eq!(stage.apply(&mut colleague, &cx) == Verdict::Pass, of_colleague);
        }
    }

    #[test]
    fn a_strangers_report_arrives_without_its_words() {
        use crate::pipeline::Pipeline;
        use model::{Event, Receipt, ReceiptKind};
        let rules = Arc::new(Rules::new(RuleSet { strangers: Strangers::Refuse, ..RuleSet::default() }));
        let pipeline = Pipeline::new(vec![Box::new(Consent { rules })]);
        let why = Refusal::new(Reason::Gone).with_text("buy now");
        let kind = ReceiptKind::Failed(why.clone());
        let mut report = message("x");
        report.origin.vouch = Vouch::Account(report.from.address.clone());
        report.event = Event::Receipt(Receipt { of: "m1".into(), kind, original: None });
        let told = |envelope: &Envelope| match &envelope.event {
            Event::Receipt(Receipt { kind: ReceiptKind::Failed(no), .. }) => (no.reason, no.text.clone()),
            other => panic!("{other:?}"),
        };
        let mut known = report.clone();
        let judged = pipeline.judge(&mut known, &Context { acquainted: true, ..context() });
        assert_eq!((judged.refused, told(&known)), (None, (Reason::Gone, why.text)));
        let judged = pipeline.judge(&mut report, &context());
        assert_eq!((judged.refused, told(&report)), (None, (Reason::Gone, None)));
        assert_eq!(judged.rules, ["consent"], "the record says whose words are missing");
    }
}

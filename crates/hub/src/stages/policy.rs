use crate::pipeline::{Context, Stage, Verdict};
use ::policy::{Decision, Judge, Said, Verdict as Word};
use compact_str::CompactString;
use model::{
    Address, Envelope, EnvelopeId, Event, Hold, MAX_HOPS, Notify, Origin, PresenceDoc, Reason, Refusal,
    Security, Timestamp, Vouch, WatchState,
};
use ports::Rewriter;
use std::sync::Arc;

/// The policy of the house.
pub struct Policy {
    /// Who decides.
    pub judge: Arc<dyn Judge>,
    /// Who renders what a rule has changed.
    pub rewriter: Arc<dyn Rewriter>,
}

/// What a sender hears where a rule has no words of its own.
const BLOCKED: &str = "a rule of this server does not let this pass";

fn refusal(by: Option<Said>) -> Refusal {
    let (rule, text) = by.map_or(("policy.default".to_owned(), None), |said| (said.rule, said.text));
    Refusal::new(Reason::Policy).with_text(text.as_deref().unwrap_or(BLOCKED)).by_rule(rule)
}

impl Policy {
    fn passes(&self, envelope: &mut Envelope, decision: Decision) -> Verdict {
        let mut rules: Vec<CompactString> = Vec::new();
        for said in decision.warnings {
            self.judge.tell(
                &envelope.from.address,
                said.text.as_deref().unwrap_or("your message has passed, but see our rules"),
            );
            rules.push(said.rule.into());
        }
        if let (Some((mut message, by)), Event::Message(sent)) = (decision.changed, &mut envelope.event) {
            message.original =
                sent.original.as_ref().and_then(|original| self.rewriter.rewrite(original, &message));
            *sent = message;
            rules.extend(by.into_iter().map(|said| CompactString::from(said.rule)));
        }
        if rules.is_empty() { Verdict::Pass } else { Verdict::Change(rules) }
    }
}

impl Stage for Policy {
    fn name(&self) -> &'static str {
        "policy"
    }

    fn apply(&self, envelope: &mut Envelope, _: &Context) -> Verdict {
        let Some(decision) = self.judge.decide(envelope) else { return Verdict::Pass };
        match decision.verdict {
            Word::Allow => self.passes(envelope, decision),
            Word::Block => Verdict::Refuse(refusal(decision.by)),
            Word::Hold => {
                let (rule, text) = decision.by.map_or_else(Default::default, |said| (said.rule, said.text));
                if let Some(text) = &text {
                    self.judge.tell(&envelope.from.address, text);
                }
                Verdict::Hold(Hold { rule: rule.into(), text: text.map(CompactString::from) })
            }
        }
    }

    fn still_passes(&self, envelope: &Envelope) -> Result<(), Refusal> {
        match self.judge.decide(envelope) {
            Some(Decision { verdict: Word::Block, by, .. }) => Err(refusal(by)),
            _ => Ok(()),
        }
    }

    fn may_see(&self, watcher: &Address, presentity: &Address) -> bool {
        let doc = Arc::new(PresenceDoc::empty(presentity.clone()));
        let state = WatchState::Active;
        let shown = Envelope {
            id: EnvelopeId::default(),
            at: Timestamp(crate::clock::wall().unix_ms()),
            origin: Origin {
                vouch: Vouch::Account(presentity.clone()),
                security: Security::Tls,
                ..Origin::server()
            },
            from: presentity.clone().into(),
            to: watcher.clone().into(),
            hops: MAX_HOPS,
            event: Event::Notify(Notify { key: None, state, doc, changed: None, gone: Vec::new() }),
        };
        self.judge.decide(&shown).is_none_or(|decision| decision.verdict == Word::Allow)
    }
}

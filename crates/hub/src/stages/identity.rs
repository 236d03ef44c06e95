use crate::pipeline::{Context, Stage, Verdict};
use model::{Envelope, Reason, Refusal, Vouch};

/// Nobody speaks in another's name: the sender must be who, or of the domain that, was proved at the door.
pub struct Identity;

impl Stage for Identity {
    fn name(&self) -> &'static str {
        "identity"
    }

    fn apply(&self, envelope: &mut Envelope, _: &Context) -> Verdict {
        let sender = &envelope.from.address;
        let proved = match &envelope.origin.vouch {
            Vouch::Server => true,
            Vouch::Account(account) => account == sender,
            Vouch::Domain(domain, _) => domain.as_str() == sender.domain(),
            Vouch::Nobody => false,
        };
        if proved {
            return Verdict::Pass;
        }
        Verdict::Refuse(
            Refusal::new(Reason::NotAuthorized).with_text("the sender is not who was authenticated"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::limits::tests::{context, message};
    use model::{Address, Proof};

    #[test]
    fn only_the_proved_sender_passes() {
        let romeo = Address::parse("romeo@example.net").unwrap();
        let mallory = Address::parse("mallory@example.net").unwrap();
        for (vouch, passes) in [
            (Vouch::Account(romeo.clone()), true),
            (Vouch::Account(mallory.clone()), false),
            (Vouch::Domain(romeo.to_domain(), Proof::Certificate), true),
            (Vouch::Domain(Address::parse("example.org").unwrap(), Proof::Certificate), false),
            (Vouch::Nobody, false),
            (Vouch::Server, true),
        ] {
            let mut envelope = message("hi");
            envelope.from = romeo.clone().into();
            envelope.origin.vouch = vouch.clone();
            assert_eq!(Identity.apply(&mut envelope, &context()) == Verdict::Pass, passes, "{vouch:?}");
        }
    }
}

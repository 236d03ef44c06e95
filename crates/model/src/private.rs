use std::fmt;

/// What people wrote or keep to themselves: shows how it is called, never what it says, however it is printed. Types
/// that carry such content print it through this, so that no log line can hold it by mistake.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Private<T>(pub T);

impl<T> fmt::Debug for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(private)")
    }
}

impl<T> fmt::Display for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(private)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::*;

    #[test]
    fn what_people_wrote_is_never_printed() {
        const SAID: &str = "only for you";
        let address = Address::parse("juliet@example.com").unwrap();
        let rendering = Original { dialect: Dialect::Xmpp, bytes: SAID.into() };
        let original = Some(rendering.clone());
        let mut tuple = Tuple::plain(None, Basic::Open, Timestamp(0));
        tuple.notes = vec![(None, SAID.into())];
        tuple.original.clone_from(&original);
        let message = Message {
            subject: Some(SAID.into()),
            parts: vec![Part::text(SAID, None)],
            original: original.clone(),
            ..Message::default()
        };
        let subscribe = Subscribe { term: Term::Lasting, note: Some(SAID.into()), original };
        let call = Call { original: rendering.clone(), opens: true, wants_answer: true };
        let opaque = Opaque { original: rendering, wants_answer: false };
        let item = RosterItem {
            contact: address.clone(),
            name: Some(SAID.into()),
            groups: vec![SAID.into()],
            subscription: Subscription::default(),
        };
        let edit =
            RosterEdit::Set { contact: address.clone(), name: Some(SAID.into()), groups: vec![SAID.into()] };
        let publish = Publish { key: LeaseKey("k".into()), tuples: vec![tuple], secs: None };
        let printed = [
            format!("{:?}", Event::Message(message)),
            format!("{:?}", Event::Subscribe(subscribe)),
            format!("{:?}", Event::Opaque(opaque)),
            format!("{:?}", Event::Call(call)),
            format!("{:?}", Event::Publish(publish)),
            format!("{item:?}{edit:?}"),
            format!("{:?}", Ask::Verify { account: address, password: Secret::new(SAID) }),
            format!("{:?} {}", Private(SAID), Private(SAID)),
        ];
        for text in printed {
            assert!(!text.contains("only") && !text.contains("111"), "{text}");
        }
    }
}

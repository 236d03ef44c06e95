//! What the server itself has to say to somebody of ours.

use crate::clock;
use crate::house::Hub;
use crate::link::Job;
use model::{Address, Envelope, EnvelopeId, Event, MAX_HOPS, Message, Origin, Part, Ticket};
use std::sync::Arc;

impl Hub {
    /// Tells somebody of ours something, in the name of their domain. Nothing happens for others: a stranger's server
    /// hears of refusals, and of nothing else.
    pub fn say(self: &Arc<Self>, to: &Address, text: &str) {
        if self.hosts(to.domain()) && to.user().is_some() {
            self.say_as(&to.to_domain(), to, text);
        }
    }

    /// Tells anybody something in the name of somebody of ours.
    pub fn say_as(self: &Arc<Self>, from: &Address, to: &Address, text: &str) {
        let at = clock::wall();
        let mut random = [0u8; 16];
        // Without randomness two notices of one millisecond would have one name, which harms nobody.
        let _ = getrandom::fill(&mut random);
        let id = EnvelopeId::v7(at.unix_ms(), u128::from_le_bytes(random));
        let message =
            Message { parts: vec![Part::text(text.to_owned(), None)], lasting: true, ..Message::default() };
        let envelope = Box::new(Envelope {
            id,
            at,
            origin: Origin::server(),
            from: from.clone().into(),
            to: to.clone().into(),
            hops: MAX_HOPS,
            event: Event::Message(message),
        });
        self.enqueue(&self.own, Job::Submit { ticket: Ticket(0), envelope, outcome_wanted: false });
    }
}

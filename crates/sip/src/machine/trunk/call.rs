//! A connection that we open: they prove who they are, show that they speak to us, and get what waits for them.

use connector::{Flow, Output};
use model::{Answer, Ask, DomainPair, MAX_HOPS, Now, Reason, Refusal};

use super::{Asked, Mailbox, Standing};
use crate::machine::{SOFTWARE, Sent, SipMachine, Waiting};
use crate::transaction::Hop;
use crate::translate::{address, message};
use crate::wire::{Response, Writer};

impl SipMachine {
    /// Begins the errand, if there is one.
    pub(super) fn call(&mut self, now: Now) {
        if let Some(pair) = self.trunk.as_ref().and_then(|t| t.errand.clone()) {
            self.ask_admission(now, pair, Vec::new());
        }
    }

    /// They are who they say. A peer that does not accept our certificate may tell only now (TLS 1.3), and nothing is to
    /// be entrusted to one that never answers: so it is asked something first.
    pub(super) fn hello(&mut self, now: Now, pair: DomainPair) {
        let hop = Hop::Stream(Flow::ACCEPTED);
        let (us, them) = (address::to_uri(&pair.local), address::to_uri(&pair.remote));
        let (branch, tag, call_id) = (self.branch(), self.dice.token(10), self.dice.token(24));
        let mut w = Writer::request("OPTIONS", &them);
        w.header("Via", self.via(hop, &branch))
            .header("Max-Forwards", MAX_HOPS)
            .header("From", format!("<{us}>;tag={tag}"))
            .header("To", format!("<{them}>"))
            .header("Call-ID", call_id)
            .header("CSeq", "1 OPTIONS")
            .header("Contact", self.contact(hop, &pair.local))
            .header("User-Agent", SOFTWARE);
        let number = self.number();
        if self.transactions.request(now.tick, hop, &branch, "OPTIONS", number, w.finish(b"")) {
            self.sent.insert(number, Sent::Hello(pair));
        }
    }

    /// They speak SIP and to us; what they think of the question does not matter.
    pub(in crate::machine) fn hello_answered(
        &mut self,
        now: Now,
        pair: DomainPair,
        response: Option<&Response>,
    ) {
        if let Some(response) = response {
            if let Some(trunk) = &mut self.trunk {
                let accepts = response.list("Accept");
                trunk.opens_cpim = accepts.iter().any(|mime| mime.eq_ignore_ascii_case(message::CPIM));
            }
            return self.bind_mailbox(now, pair);
        }
        let no = Refusal::new(Reason::RemoteTimeout).with_text("their server does not answer");
        self.fail(now, no);
    }

    /// From now on what waits for the pair goes out here.
    pub(super) fn bind_mailbox(&mut self, now: Now, pair: DomainPair) {
        let Some(trunk) = &mut self.trunk else { return };
        let Some(Standing::Certified(mailbox @ Mailbox::No)) = trunk.pairs.get_mut(&pair) else { return };
        *mailbox = Mailbox::Asked;
        let ask = Ask::Bind { account: pair.mailbox(), device: None, attend: Some(0) };
        self.ask(now, ask, Waiting::Trunk(Asked::Mailbox(pair)));
    }

    pub(super) fn mailbox_bound(&mut self, now: Now, pair: DomainPair, answer: Answer) {
        let Some(trunk) = &mut self.trunk else { return };
        match answer {
            Answer::Bound(endpoint) => {
                if let Some(Standing::Certified(mailbox)) = trunk.pairs.get_mut(&pair) {
                    *mailbox = Mailbox::Bound(endpoint);
                }
                if trunk.errand.take_if(|errand| *errand == pair).is_some() {
                    self.out.push_back(Output::Errand(Ok(())));
                }
                self.ask_for_left(now, &pair);
            }
            Answer::Refused(no) if trunk.errand.as_ref() == Some(&pair) => self.fail(now, no),
            _ => {
                if let Some(Standing::Certified(mailbox)) = trunk.pairs.get_mut(&pair) {
                    *mailbox = Mailbox::No;
                }
            }
        }
    }

    /// Asks for the dialogs of a pair that nobody goes on with.
    pub(super) fn ask_for_left(&mut self, now: Now, pair: &DomainPair) {
        if let Some(trunk) = &mut self.trunk {
            trunk.inherited = Some(now.tick);
            let ask = Ask::Inherit { prefix: super::prefix(pair).into() };
            self.ask(now, ask, Waiting::Trunk(Asked::Left));
        }
    }

    /// The errand cannot be done.
    pub(super) fn fail(&mut self, now: Now, no: Refusal) {
        if let Some(trunk) = &mut self.trunk
            && trunk.errand.take().is_some()
        {
            self.out.push_back(Output::Errand(Err(no)));
        }
        self.close(now.tick, Flow::ACCEPTED);
    }
}

//! Consent between one watcher and one presentity: a pure state machine, and the acts that move it.

use super::{compose::compose, from_hub};
use crate::account::Account;
use crate::house::{Consents, Hub};
use crate::link::Job;
use crate::roster::item;
use model::{Address, Authorize, Decision, Envelope, Event, Outcome, PresenceDoc, Subscribe, Term, Ticket};
use std::sync::Arc;
use store::{Authorization, Consent, Trouble};

/// What may happen to a consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// The watcher asks.
    Ask,
    /// The watcher no longer wants it.
    Leave,
    /// The presentity grants.
    Grant,
    /// The presentity refuses or takes back.
    Deny,
}

impl Act {
    /// What a presentity's decision is.
    pub fn of(decision: Decision) -> Self {
        match decision {
            Decision::Granted => Self::Grant,
            Decision::Denied => Self::Deny,
        }
    }
}

/// Who must be told of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Told {
    /// The presentity gets the request.
    pub request: bool,
    /// The watcher hears the grant.
    pub granted: bool,
    /// The watcher hears the refusal.
    pub denied: bool,
}

/// One step (RFC 6121 appendix A, where the presentity's `from` and the watcher's `to` are one and the same state).
pub(crate) fn step(now: Option<Consent>, act: Act) -> (Option<Consent>, Told) {
    use Consent::{Granted, Pending, PreApproved};
    let nothing = Told::default();
    match (act, now) {
        // Asking again repeats the request or the answer: the other side may have lost it.
        (Act::Ask, None | Some(Pending)) => (Some(Pending), Told { request: true, ..nothing }),
        (Act::Ask, Some(Granted | PreApproved)) => (Some(Granted), Told { granted: true, ..nothing }),
        (Act::Leave, Some(PreApproved)) => (Some(PreApproved), nothing),
        (Act::Leave, _) => (None, nothing),
        (Act::Grant, None) => (Some(PreApproved), nothing),
        (Act::Grant, Some(Pending)) => (Some(Granted), Told { granted: true, ..nothing }),
        (Act::Grant, Some(kept)) => (Some(kept), nothing),
        (Act::Deny, Some(Pending | Granted)) => (None, Told { denied: true, ..nothing }),
        (Act::Deny, _) => (None, nothing),
    }
}

impl Hub {
    /// Applies an act between two parties, writes it down and tells who must know. Blocks.
    pub(crate) fn consent(
        self: &Arc<Self>,
        presentity: &Address,
        watcher: &Address,
        act: Act,
        envelope: &Arc<Envelope>,
    ) -> Result<Option<Consent>, Trouble> {
        let (shown, watching) = (self.account(presentity)?, self.account(watcher)?);
        let _alone = self.consenting(presentity, watcher);
        let before = match (&shown, &watching) {
            (Some(a), _) => a.state.lock().book.watcher(watcher),
            (None, Some(a)) => a.state.lock().book.watching(presentity),
            (None, None) => None,
        };
        let listed = |account: &Option<Arc<Account>>, contact: &Address| {
            account.as_ref().and_then(|a| item(&a.state.lock(), contact))
        };
        // Elsewhere they decide; what nobody here asked for changes nothing (RFC 6121 section 3.1.6).
        if shown.is_none() && act == Act::Grant && before.is_none() {
            return Ok(None);
        }
        let lists = (listed(&shown, watcher), listed(&watching, presentity));
        let colleagues =
            self.parts.rules.consents() == Consents::Colleagues && presentity.domain() == watcher.domain();
        let (mut after, mut told) = step(before, act);
        if act == Act::Ask && after == Some(Consent::Pending) && colleagues {
            (after, told) = (Some(Consent::Granted), Told { granted: true, ..Told::default() });
        }
        let mut seen = None;
        if after != before || told.request {
            self.write_consent(presentity, watcher, after, envelope)?;
            seen = self.note_consent(&shown, &watching, presentity, watcher, after, envelope);
        }
        if told.request
            && let Some(shown) = &shown
        {
            let request = match &envelope.event {
                Event::Subscribe(Subscribe { term: Term::Lasting, .. }) => envelope.clone(),
                // A lease that needs consent asks for the lasting kind.
                _ => from_hub(
                    watcher.clone(),
                    presentity.clone(),
                    Event::Subscribe(Subscribe { term: Term::Lasting, note: note(envelope), original: None }),
                ),
            };
            self.tell_roster_devices(shown, &request);
        }
        let decision = match (told.granted, told.denied) {
            (true, _) => Some(Decision::Granted),
            (_, true) => Some(Decision::Denied),
            _ => None,
        };
        if let Some(decision) = decision {
            // The presentity's own words if this is its own act; ours if the hub answers for it.
            let own = matches!(&envelope.event, Event::Authorize(_));
            let answer = match own {
                true => envelope.clone(),
                false => from_hub(
                    presentity.clone(),
                    watcher.clone(),
                    Event::Authorize(Authorize { decision, original: None }),
                ),
            };
            match &watching {
                Some(watching) => self.tell_roster_devices(watching, &answer),
                // Its own words are on their way to their server as they are.
                None if own || self.hosts(watcher.domain()) || shown.is_none() => {}
                None => {
                    let envelope = Box::new(Arc::unwrap_or_clone(answer));
                    self.enqueue(
                        &self.own,
                        Job::Submit { ticket: Ticket(0), envelope, outcome_wanted: false },
                    );
                }
            }
        }
        if before != after {
            // What the watcher could see up to now, if anything.
            let seen = seen.filter(|_| before == Some(Consent::Granted));
            self.consent_changed((&shown, &watching), presentity, watcher, seen, after);
            // A request not yet answered changes nothing on the list of the one who is asked.
            if let Some(account) = watching.as_ref().filter(|_| lists.1 != listed(&watching, presentity)) {
                self.push_contact(account, presentity);
            }
            if let Some(account) = shown.as_ref().filter(|_| lists.0 != listed(&shown, watcher)) {
                self.push_contact(account, watcher);
            }
        }
        Ok(after)
    }

    fn write_consent(
        &self,
        presentity: &Address,
        watcher: &Address,
        consent: Option<Consent>,
        envelope: &Envelope,
    ) -> Result<(), Trouble> {
        match consent {
            None => self.parts.authorizations.clear(presentity, watcher).map(|_| ()),
            Some(consent) => self.parts.authorizations.set(&Authorization {
                presentity: presentity.clone(),
                watcher: watcher.clone(),
                consent,
                note: note(envelope),
            }),
        }
    }

    /// Changes what is in memory; gives what the presentity showed at that very moment.
    fn note_consent(
        &self,
        shown: &Option<Arc<Account>>,
        watching: &Option<Arc<Account>>,
        presentity: &Address,
        watcher: &Address,
        consent: Option<Consent>,
        envelope: &Envelope,
    ) -> Option<Arc<PresenceDoc>> {
        let mut seen = None;
        if let Some(account) = shown {
            let mut state = account.state.lock();
            seen = Some(compose(presentity, &state.publications));
            state.book.set_watcher(watcher, consent, consent.and_then(|_| note(envelope)));
        }
        if let Some(account) = watching {
            account.state.lock().book.set_watching(presentity, consent);
        }
        seen
    }

    /// A presentity decides about a watcher. Blocks.
    pub(crate) fn authorize(
        self: &Arc<Self>,
        envelope: &Arc<Envelope>,
        authorize: &Authorize,
    ) -> Result<Outcome, Trouble> {
        let act = Act::of(authorize.decision);
        self.consent(&envelope.from.address, &envelope.to.address, act, envelope)?;
        Ok(Outcome::Delivered)
    }

    /// Sends an envelope to the devices that keep a contact list or announced themselves (RFC 6121 section 3.1.3).
    pub(crate) fn tell_roster_devices(&self, account: &Arc<Account>, envelope: &Arc<Envelope>) {
        let state = account.state.lock();
        for slot in state.devices.iter().filter(|s| s.roster || s.announces) {
            self.tell(account, slot, envelope);
        }
    }
}

fn note(envelope: &Envelope) -> Option<String> {
    match &envelope.event {
        Event::Subscribe(Subscribe { note, .. }) => note.clone(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Consent::{Granted, Pending, PreApproved};

    /// RFC 6121 appendix A.2 and A.3, read for one direction of presence.
    #[test]
    fn every_state_and_act() {
        let request = Told { request: true, ..Told::default() };
        let granted = Told { granted: true, ..Told::default() };
        let denied = Told { denied: true, ..Told::default() };
        let nothing = Told::default();
        for (act, now, then, told) in [
            (Act::Ask, None, Some(Pending), request),
            (Act::Ask, Some(Pending), Some(Pending), request),
            (Act::Ask, Some(Granted), Some(Granted), granted),
            (Act::Ask, Some(PreApproved), Some(Granted), granted),
            (Act::Leave, None, None, nothing),
            (Act::Leave, Some(Pending), None, nothing),
            (Act::Leave, Some(Granted), None, nothing),
            (Act::Leave, Some(PreApproved), Some(PreApproved), nothing),
            (Act::Grant, None, Some(PreApproved), nothing),
            (Act::Grant, Some(Pending), Some(Granted), granted),
            (Act::Grant, Some(Granted), Some(Granted), nothing),
            (Act::Grant, Some(PreApproved), Some(PreApproved), nothing),
            (Act::Deny, None, None, nothing),
            (Act::Deny, Some(Pending), None, denied),
            (Act::Deny, Some(Granted), None, denied),
            (Act::Deny, Some(PreApproved), None, nothing),
        ] {
            assert_eq!(step(now, act), (then, told), "{act:?} in {now:?}");
        }
    }
}

//! Whom people do not want to hear from: their lists, and who hears of a change. What becomes of what blocked people send, a
//! stage says.

use crate::house::Hub;
use crate::link::{HubEvent, LinkCore};
use model::{Address, Answer, BlockEdit, Endpoint, Notice, Reason, Refusal};
use ports::PortError;
use std::sync::Arc;
use store::Trouble;

impl Hub {
    /// The list, for a device that hears of changes from then on. Blocks.
    pub(crate) fn block_list(
        self: &Arc<Self>,
        link: &Arc<LinkCore>,
        device: &Endpoint,
    ) -> Result<Answer, Trouble> {
        let Some(blocking) = &self.parts.blocking else { return Ok(unsupported()) };
        let Some(account) = self.account(&device.address)? else {
            return Ok(Answer::Refused(Refusal::new(Reason::NotFound)));
        };
        if let Some(slot) = account.state.lock().slot(link, device) {
            slot.blocks = true;
        }
        Ok(Answer::Blocked(blocking.blocked(&device.address)))
    }

    /// Changes the list, and with it who sees whom. Blocks.
    pub(crate) fn edit_block_list(
        self: &Arc<Self>,
        link: &Arc<LinkCore>,
        device: &Endpoint,
        edit: BlockEdit,
    ) -> Result<Answer, Trouble> {
        let Some(blocking) = &self.parts.blocking else { return Ok(unsupported()) };
        let Some(account) = self.account(&device.address)? else {
            return Ok(Answer::Refused(Refusal::new(Reason::NotFound)));
        };
        if account.state.lock().slot(link, device).is_none() {
            return Ok(Answer::Refused(Refusal::new(Reason::Forbidden)));
        }
        let owner = &account.address;
        let (done, notice) = match edit {
            BlockEdit::Block(items) => {
                let who: Vec<Address> = items.iter().map(|(who, _)| who.clone()).collect();
                let done = blocking.block(owner, &who);
                if done.is_ok() {
                    let reports = items.iter().filter_map(|(who, report)| Some((who, report.as_ref()?)));
                    reports.for_each(|(who, report)| blocking.report(owner, who, report));
                }
                (done, Notice::Blocked(who))
            }
            BlockEdit::Unblock(who) => (blocking.unblock(owner, &who), Notice::Unblocked(who)),
        };
        let (Notice::Blocked(ends) | Notice::Unblocked(ends)) = &notice else { return Ok(unsupported()) };
        let ends = ends.clone();
        match done {
            Ok(()) => {}
            Err(PortError::Refused(text)) => {
                return Ok(Answer::Refused(Refusal::new(Reason::Overloaded).with_text(text)));
            }
            Err(PortError::Failed(text)) => return Err(Trouble::Failed(text)),
        }
        for slot in account.state.lock().devices.iter().filter(|slot| slot.blocks) {
            let endpoint = Endpoint::full(owner.clone(), slot.device.clone());
            slot.link.send(HubEvent::Notice(endpoint, notice.clone()));
        }
        // Whoever is blocked sees the owner go, and whoever is not any more sees them again; and the other way round.
        self.look_again(&account);
        for who in ends {
            if let Some(theirs) = self.account(&who)? {
                self.look_again(&theirs);
            }
        }
        Ok(Answer::Done)
    }
}

fn unsupported() -> Answer {
    Answer::Refused(Refusal::new(Reason::Unsupported))
}

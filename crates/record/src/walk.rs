use crate::chain::{ChainId, body_digest, link};
use crate::finding::Fault;
use model::Seq;
use std::collections::HashMap;
use store::Row;

/// Where a walk along the chain stands.
pub(crate) struct Walk {
    /// The chain that the last row was linked with.
    pub(crate) chain: ChainId,
    /// The number that comes next.
    pub(crate) next: u64,
    /// Link of the last row.
    pub(crate) prev: [u8; 32],
    /// Counter and link of the last row of each conversation, for a walk that began with the first row.
    conversations: Option<HashMap<u64, (u64, [u8; 32])>>,
}

impl Walk {
    /// From the first row of a node. What grows in memory is 56 bytes for each conversation.
    pub(crate) fn begin(node: [u8; 16]) -> Self {
        // Every node begins with epoch 1.
        let first = ChainId { node, epoch: 1 };
        Self { chain: first, next: 1, prev: first.genesis(), conversations: Some(HashMap::new()) }
    }

    /// From after a row that is known to be good. What conversations there are is not known, and not looked at.
    pub(crate) fn after(chain: ChainId, last: Seq, link: [u8; 32]) -> Self {
        Self { chain, next: last.0 + 1, prev: link, conversations: None }
    }

    /// How many conversations were seen.
    pub(crate) fn conversations(&self) -> u64 {
        self.conversations.as_ref().map_or(0, |all| all.len() as u64)
    }

    /// Takes a row; `true` if it began the epoch that it names.
    pub(crate) fn step(&mut self, row: &Row, epoch: Option<u64>) -> Result<bool, Fault> {
        if row.seq.0 > self.next {
            return Err(Fault::Missing(Seq(self.next)));
        }
        if row.seq.0 < self.next {
            return Err(Fault::Repeated);
        }
        let later = epoch.filter(|e| *e > self.chain.epoch).map(|epoch| ChainId { epoch, ..self.chain });
        let later = later.filter(|chain| row.link == link(*chain, row));
        if let Some(chain) = later {
            self.chain = chain;
        }
        match (row.prev == self.prev, row.link == link(self.chain, row)) {
            (true, true) => {}
            (true, false) => return Err(Fault::Changed),
            (false, true) => return Err(Fault::NotNext),
            (false, false) => return Err(Fault::Foreign),
        }
        match (&row.salt, &row.body) {
            (Some(salt), Some(body)) if body_digest(salt, body) == row.body_digest => {}
            (Some(_), Some(_)) => return Err(Fault::BodyChanged),
            (None, None) => {}
            _ => return Err(Fault::HalfErased),
        }
        if let Some(conversations) = self.conversations.as_mut().filter(|_| row.conversation != 0) {
            let place = conversations.entry(row.conversation).or_insert((0, [0; 32]));
            if row.conversation_seq != place.0 + 1 {
                return Err(Fault::ConversationGap(place.0 + 1));
            }
            if row.conversation_prev != place.1 {
                return Err(Fault::ConversationBroken);
            }
            *place = (row.conversation_seq, row.link);
        }
        self.next += 1;
        self.prev = row.link;
        Ok(later.is_some())
    }
}

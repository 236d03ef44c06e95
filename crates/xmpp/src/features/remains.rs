//! A session as bytes, for a machine of the next process: both counts of XEP-0198, and what the client has not acknowledged.
//!
//! Messages that wait in their mailbox are only named: it hands them out again, under numbers of the next process. Everything else
//! that was sent is there as it was.

use bytes::Bytes;
use model::{DeliveryId, EnvelopeId, Outcome, Remains, Tick, Ticket};

use super::acks::{Acks, Handed, Resumption, Sent};
use super::carbons::Carbons;
use super::resumption::Session;
use crate::jid;
use crate::machine::Submissions;

const VERSION: &str = "2";
/// The number under which nothing was delivered to the machine that goes on.
const UNTRACKED: DeliveryId = DeliveryId(0);

impl Remains for Session {
    fn to_bytes(&self, waits: &dyn Fn(DeliveryId) -> bool) -> Option<Bytes> {
        let resumption = self.acks.resumption.as_ref()?;
        // An answer is still owed: a count without it would have the client say again what is done.
        if self.submissions.done_before() < self.submissions.next() {
            return None;
        }
        let ours = self.acks.handled(self.submissions.done_before());
        let lang = self.lang.as_deref().filter(|lang| !lang.contains('\n')).unwrap_or_default();
        let mut out = format!(
            "{VERSION}\n{}\n{lang}\n{}\n{}\n{ours}\n{}\n{}\n{}\n",
            jid::text(&self.device),
            u8::from(self.attending),
            u8::from(self.carbons.on),
            self.acks.acked,
            resumption.id,
            resumption.secs,
        )
        .into_bytes();
        for envelope in &self.has {
            out.extend_from_slice(format!("={envelope}\n").as_bytes());
        }
        for sent in &self.acks.sent {
            match sent.delivery.as_deref().filter(|handed| waits(handed.id)) {
                Some(handed) => out.extend_from_slice(format!("{}\n", handed.envelope).as_bytes()),
                None => {
                    out.extend_from_slice(format!("+{}\n", sent.stanza.len()).as_bytes());
                    out.extend_from_slice(&sent.stanza);
                }
            }
        }
        Some(out.into())
    }

    fn kept(&mut self, ticket: Ticket) {
        // When that was does not matter: no machine of this process goes on with it.
        if let Some(seq) = self.submissions.kept(ticket, Tick::default()) {
            self.submissions.finish(seq);
        }
    }
}

impl Session {
    /// Reads what [`Remains::to_bytes`] wrote; `None` for what another version wrote.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        if line(&mut rest)? != VERSION {
            return None;
        }
        let device = jid::parse(line(&mut rest)?).ok()?;
        let lang = Some(line(&mut rest)?).filter(|lang| !lang.is_empty()).map(Box::from);
        let attending = line(&mut rest)? == "1";
        let carbons = Carbons { on: line(&mut rest)? == "1" };
        let ours: u32 = line(&mut rest)?.parse().ok()?;
        let acked = line(&mut rest)?.parse().ok()?;
        let (id, secs) = (line(&mut rest)?.to_owned(), line(&mut rest)?.parse().ok()?);
        let mut acks = Acks { acked, resumption: Some(Resumption { id, secs }), ..Acks::default() };
        acks.enable(0);
        let mut has = Vec::new();
        while !rest.is_empty() {
            let head = line(&mut rest)?;
            if let Some(envelope) = head.strip_prefix('=') {
                has.push(EnvelopeId::parse(envelope)?);
                continue;
            }
            acks.sent.push_back(match head.strip_prefix('+') {
                Some(len) => {
                    let (stanza, after) = rest.split_at_checked(len.parse().ok()?)?;
                    rest = after;
                    Sent { stanza: stanza.into(), delivery: None }
                }
                None => named(EnvelopeId::parse(head)?),
            });
        }
        let submissions = Submissions::after(ours.into());
        Some(Self {
            full: jid::text(&device),
            device,
            lang,
            attending,
            submissions,
            acks,
            carbons,
            has,
            is_of_last_process: true,
        })
    }
}

/// A message that its mailbox will hand out again.
fn named(envelope: EnvelopeId) -> Sent {
    let settlement = Outcome::Delivered.into();
    let handed = Handed { id: UNTRACKED, envelope, settlement };
    Sent { stanza: Box::default(), delivery: Some(Box::new(handed)) }
}

impl Acks {
    /// The client has handled `h` of what the last process sent: what of that its mailbox need not hand out again. What
    /// it will hand out again is not repeated besides.
    pub(super) fn go_on(&mut self, h: u32) -> Vec<EnvelopeId> {
        let new = h.wrapping_sub(self.acked) as usize;
        if new > self.sent.len() {
            return Vec::new();
        }
        let rest = self.sent.split_off(new);
        let has = self.sent.drain(..).filter_map(|sent| sent.delivery).map(|handed| handed.envelope);
        let has = has.collect();
        self.sent = rest.into_iter().filter(|sent| sent.delivery.is_none()).collect();
        self.acked = h;
        has
    }
}

fn line<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let end = rest.iter().position(|b| *b == b'\n')?;
    let (line, after) = (&rest[..end], &rest[end + 1..]);
    *rest = after;
    std::str::from_utf8(line).ok()
}

//! Envelopes as stanzas: which of the tables is whose.

use bytes::Bytes;
use model::{Decision, Endpoint, Envelope, Event, Loss, Notify, Refusal, Term, Tuple, WatchState};

use crate::jid;

use super::{composing, message, ours, presence, receipt};

/// Stanzas for one envelope.
#[derive(Debug)]
pub(crate) enum Wire {
    /// One that other devices may get a copy of.
    One(Bytes),
    /// Any number that are for the addressee alone.
    Many(Vec<Vec<u8>>),
}

/// The stanzas for an envelope, and what was lost; `us` is this server's domain.
///
/// # Errors
/// The refusal to acknowledge with.
pub(crate) fn stanzas(envelope: &Envelope, us: &str) -> Result<(Wire, Vec<Loss>), Refusal> {
    let id = || envelope.id.to_string();
    let from = || jid::text(&envelope.from);
    let to = || jid::text(&envelope.to);
    let dialect = envelope.origin.dialect;
    let one = |(xml, losses): (Bytes, Vec<Loss>)| (Wire::One(xml), losses);
    Ok(match &envelope.event {
        Event::Message(m) => match ours(&m.original) {
            Some(bytes) => (Wire::One(bytes.clone()), Vec::new()),
            None => one(message::render(m, dialect, &id(), &from(), &to())?),
        },
        Event::Composing(c) => one(composing::render(c, &id(), &from(), &to())),
        Event::Receipt(r) => one(receipt::render(r, &id(), &from(), &to(), us)),
        Event::Opaque(o) => match ours(&Some(o.original.clone())) {
            Some(bytes) => (Wire::One(bytes.clone()), Vec::new()),
            None => return Err(Refusal::new(model::Reason::Unsupported)),
        },
        // Calls come over lines, and only to doors of their dialect.
        Event::Call(_) => return Err(Refusal::new(model::Reason::Unsupported)),
        Event::Subscribe(s) => match (ours(&s.original), &s.term) {
            (_, Term::Once { .. } | Term::Lease { secs: 0, .. }) => (Wire::Many(Vec::new()), Vec::new()),
            (Some(bytes), _) => (Wire::One(bytes.clone()), Vec::new()),
            (None, term) => {
                let kind = if *term == Term::End { "unsubscribe" } else { "subscribe" };
                subscription(kind, envelope, s.note.as_deref())
            }
        },
        Event::Authorize(a) => match ours(&a.original) {
            Some(bytes) => (Wire::One(bytes.clone()), Vec::new()),
            None => {
                let kind = if a.decision == Decision::Granted { "subscribed" } else { "unsubscribed" };
                subscription(kind, envelope, None)
            }
        },
        Event::Notify(n) => notify(n, &to()),
        Event::Publish(p) => {
            let (from, to) = (from(), to());
            if p.tuples.is_empty() {
                return Ok((Wire::Many(vec![presence::simple("unavailable", &from, &to, None)]), Vec::new()));
            }
            let (list, losses) =
                p.tuples.iter().map(|t| presence::render(t, &from, &to)).unzip::<_, _, Vec<_>, Vec<_>>();
            (Wire::Many(list), losses.concat())
        }
    })
}

/// Subscription traffic is between bare addresses (RFC 6121 section 3).
fn subscription(kind: &str, envelope: &Envelope, note: Option<&str>) -> (Wire, Vec<Loss>) {
    let xml =
        presence::simple(kind, &jid::bare(&envelope.from.address), &jid::bare(&envelope.to.address), note);
    (Wire::Many(vec![xml]), Vec::new())
}

/// RFC 8048 section 5.2.1: what is pending is not shown; nothing known is `unavailable`.
fn notify(notify: &Notify, to: &str) -> (Wire, Vec<Loss>) {
    let who = |tuple: &Tuple| {
        jid::text(&Endpoint { address: notify.doc.presentity.clone(), device: tuple.device.clone() })
    };
    let mut list = Vec::new();
    let mut losses = Vec::new();
    let mut add = |(xml, lost): (Vec<u8>, Vec<Loss>)| {
        list.push(xml);
        losses.extend(lost);
    };
    match notify.state {
        WatchState::Pending => {}
        WatchState::Rejected | WatchState::Expired => {
            add((presence::simple("unavailable", &jid::bare(&notify.doc.presentity), to, None), Vec::new()));
        }
        WatchState::Active => {
            for tuple in &notify.gone {
                add(presence::render_gone(tuple, &who(tuple), to));
            }
            let all = &notify.doc.tuples;
            match &notify.changed {
                Some(changed) => {
                    changed
                        .iter()
                        .filter_map(|i| all.get(*i))
                        .for_each(|t| add(presence::render(t, &who(t), to)));
                }
                None if all.is_empty() && notify.gone.is_empty() => {
                    let from = jid::bare(&notify.doc.presentity);
                    add((presence::simple("unavailable", &from, to, None), Vec::new()));
                }
                None => all.iter().for_each(|t| add(presence::render(t, &who(t), to))),
            }
        }
    }
    (Wire::Many(list), losses)
}

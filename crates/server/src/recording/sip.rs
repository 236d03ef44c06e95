//! SIP agents, told again.

use super::body;
use super::cast::{Cast, masked};
use super::header;
use super::log::{Entry, Taken};
use super::shadow::Shadow;
use model::{Answer, Credential, Decision, Delivery, Event, Ticket, WatchState};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What a proof was made of: algorithm, user and realm.
type Proof = (String, String, String);

/// The agents' side of one machine.
#[derive(Default)]
pub(super) struct Agents {
    unread: Vec<u8>,
    proofs: BTreeMap<Ticket, Proof>,
}

impl Agents {
    /// Tells one entry; `false` where the neutral words do. `proven` says how the next login ended.
    pub(super) fn tell(
        &mut self,
        entry: &Entry,
        proven: Option<bool>,
        shadow: &mut Shadow,
        cast: &mut Cast,
    ) -> Result<bool, &'static str> {
        match &entry.input {
            Taken::Bytes(bytes) => {
                self.unread.extend_from_slice(bytes);
                while let Some(message) = self.next()? {
                    self.message(&message, None, entry, proven, shadow, cast);
                }
            }
            Taken::Datagram(from, bytes) => {
                let name = cast.peer(*from).parse().map_err(|_| "an address could not be told")?;
                self.message(&String::from_utf8_lossy(bytes), Some(name), entry, proven, shadow, cast);
            }
            // Nothing that this door looks at.
            Taken::Opened | Taken::Secured { .. } => {}
            Taken::Answer(ticket, Answer::Credential(key)) => {
                let Some(ours) = shadow.ticket(*ticket) else { return Ok(true) };
                match (key, self.proofs.get(ticket)) {
                    (Some(Credential::Ha1(_)), Some((algorithm, user, realm))) => {
                        shadow.hear(&format!("answer {} ha1 {algorithm} {user} {realm} secret", ours.0));
                    }
                    _ => shadow.hear(&format!("answer {} none", ours.0)),
                }
            }
            Taken::Deliver(delivery) => match words(delivery, cast) {
                Some(words) => shadow.hear(&words),
                None => return Err("the delivery that came then has no words"),
            },
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The next whole message of the stream.
    fn next(&mut self) -> Result<Option<String>, &'static str> {
        let blank = self.unread.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        if blank >= 4 {
            self.unread.drain(..4);
            return Ok(Some(String::new()));
        }
        if blank == self.unread.len() {
            return Ok(None);
        }
        let Some(head) = self.unread.windows(4).position(|w| w == b"\r\n\r\n") else { return Ok(None) };
        let text = String::from_utf8_lossy(&self.unread[..head]).into_owned();
        let length = header::lines(&text).into_iter().find(|(name, _)| name == "content-length");
        let length: usize = match length.map(|(_, value)| value.trim().parse()) {
            None => 0,
            Some(Ok(length)) => length,
            Some(Err(_)) => return Err("the length of what came then cannot be read"),
        };
        let Some(end) = head.checked_add(4 + length.min(1 << 20)) else { return Ok(None) };
        if self.unread.len() < end {
            return Ok(None);
        }
        let message: Vec<u8> = self.unread.drain(..end).collect();
        Ok(Some(String::from_utf8_lossy(&message[blank..]).into_owned()))
    }

    fn message(
        &mut self,
        message: &str,
        from: Option<SocketAddr>,
        entry: &Entry,
        proven: Option<bool>,
        shadow: &mut Shadow,
        cast: &mut Cast,
    ) {
        let (head, body) = message.split_once("\r\n\r\n").unwrap_or((message, ""));
        let (first, head) = head.split_once("\r\n").unwrap_or((head, ""));
        let mut block = Vec::new();
        if !first.trim().is_empty() {
            block.push(header::first_line(first, cast));
        }
        let method = first.split(' ').next().unwrap_or_default();
        let mut kind = String::new();
        for (name, value) in header::lines(head) {
            let shown = match name.as_str() {
                "authorization" | "proxy-authorization" => {
                    let ticket =
                        entry.said.iter().find(|said| said.user.is_some()).and_then(|said| said.ticket);
                    let (shown, proof) = proof(&value, method, proven, shadow, cast);
                    if let (Some(ticket), Some(proof)) = (ticket, proof) {
                        self.proofs.insert(ticket, proof);
                    }
                    shown
                }
                "content-length" if value.trim() == body.len().to_string() && !body.is_empty() => {
                    "{len}".into()
                }
                _ => header::value(&name, &value, cast),
            };
            if name == "content-type" {
                value.clone_into(&mut kind);
            }
            block.push(format!("{}: {shown}", cast.word(&header::spelled(&name))));
        }
        if !body.is_empty() {
            block.push(String::new());
            block.push(body::told(body, &kind, cast).replace("\r\n", "\n"));
        }
        shadow.message(from, &block.join("\n"));
    }
}

/// The proof as the player makes it, and what it is made of.
fn proof(
    value: &str,
    method: &str,
    proven: Option<bool>,
    shadow: &Shadow,
    cast: &mut Cast,
) -> (String, Option<Proof>) {
    let part = |name: &str| header::digest_part(value, name).unwrap_or_default();
    let user = match part("username") {
        user if user.contains('@') => cast.jid(&user),
        user => cast.user(&user),
    };
    let realm = cast.domain(&part("realm"));
    let uri = header::uri(&part("uri"), cast);
    let known = cast.known_id(&part("nonce")).and_then(|ours| shadow.nonce(ours));
    let Some(nonce) = known else {
        // A challenge of another connection: as foreign to the player's machine as to ours.
        let shown = format!(
            "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"xxxx\", uri=\"{uri}\", response=\"xxxx\""
        );
        return (shown, None);
    };
    let algorithm = match part("algorithm").to_ascii_uppercase().as_str() {
        "SHA-256" => "SHA-256",
        _ => "MD5",
    };
    let password = if proven == Some(false) { "wrong" } else { "secret" };
    let count = match part("qop").is_empty() {
        true => "0".to_owned(),
        false => part("nc").trim_start_matches('0').chars().filter(char::is_ascii_hexdigit).take(8).collect(),
    };
    let shown = format!("@digest({algorithm} {user} {password} {method} {uri} {count} {nonce} {realm})");
    (shown, Some((algorithm.into(), user, realm)))
}

/// A delivery in the words of this door's transcripts.
fn words(delivery: &Delivery, cast: &mut Cast) -> Option<String> {
    let envelope = &delivery.envelope;
    let (from, to) = (cast.endpoint(&envelope.from), cast.endpoint(&delivery.device));
    let id = delivery.id.0;
    Some(match &envelope.event {
        Event::Message(m) => {
            let text = masked(m.text().unwrap_or("-")).replace(['\r', '\n'], " ");
            let late = if delivery.delayed_since.is_some() { " delayed" } else { "" };
            let wants = if m.wants.delivered { " receipt" } else { "" };
            format!("deliver {id} message {from} > {to} \"{text}\"{late}{wants}")
        }
        Event::Composing(_) => format!("deliver {id} composing {from} > {to}"),
        Event::Receipt(r) => format!("deliver {id} receipt {from} > {to} {}", cast.id(&r.of)),
        Event::Notify(n) => {
            let key = n.key.as_ref().map_or_else(|| "-".to_owned(), |key| cast.id(&key.0));
            let state = match n.state {
                WatchState::Active => "active",
                WatchState::Pending => "pending",
                WatchState::Rejected => "rejected",
                _ => "expired",
            };
            let who = cast.jid(n.doc.presentity.as_str());
            let tuple = n.doc.tuples.iter().find_map(|t| t.device.as_ref().map(|d| (d, t.basic)));
            let tuple = tuple.map(|(device, basic)| {
                let basic = if basic == model::Basic::Open { "open" } else { "closed" };
                format!(" {} {basic} available", cast.device(device.as_str()))
            });
            format!("deliver {id} notify {key} {state} {who}{}", tuple.unwrap_or_default())
        }
        Event::Subscribe(_) => format!("deliver {id} subscribe {from} > {to}"),
        Event::Authorize(a) if a.decision == Decision::Granted => {
            format!("deliver {id} granted {from} > {to}")
        }
        Event::Authorize(_) => format!("deliver {id} denied {from} > {to}"),
        Event::Opaque(_) => format!("deliver {id} opaque {from} > {to}"),
        Event::Publish(_) | Event::Call(_) => return None,
    })
}

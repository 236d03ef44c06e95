//! An XMPP connection, told again.

use super::cast::{Cast, masked};
use super::log::{Entry, Taken};
use super::shadow::Shadow;
use super::xml::{self, Item};
use base64::Engine as _;
use model::{Answer, Decision, Delivery, Dialect, Event, ReceiptKind, Role, WatchState};

const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";

/// The client's side of one connection.
#[derive(Default)]
pub(super) struct Client {
    unread: Vec<u8>,
    /// The client's whole SASL exchange is one PLAIN for the player: this much of it was told.
    told: bool,
}

impl Client {
    /// Tells one entry; `false` where it cannot be told, and the transcript ends. `proven` says how the next login
    /// ended.
    pub(super) fn tell(
        &mut self,
        entry: &Entry,
        proven: Option<bool>,
        shadow: &mut Shadow,
        cast: &mut Cast,
    ) -> Result<bool, &'static str> {
        match &entry.input {
            Taken::Bytes(bytes) => return self.bytes(bytes, entry, shadow, cast),
            Taken::Secured { exporter } => {
                self.unread.clear();
                shadow.hear(if *exporter { "secured 1.3" } else { "secured 1.2" });
            }
            Taken::Answer(ticket, Answer::Credential(_)) => {
                let Some(ticket) = shadow.ticket(*ticket) else { return Ok(true) };
                let Some(proven) = proven else { return Err("the client never finished its log-in") };
                shadow.hear(&format!("verified #{} {proven}", ticket.0));
                return Ok(true);
            }
            Taken::Answer(ticket, Answer::Verified(proven)) => {
                if let Some(ticket) = shadow.ticket(*ticket) {
                    shadow.hear(&format!("verified #{} {proven}", ticket.0));
                }
                return Ok(true);
            }
            Taken::Deliver(delivery) => shadow.hear(&words(delivery, cast)),
            _ => return Ok(false),
        }
        Ok(false)
    }

    fn bytes(
        &mut self,
        bytes: &[u8],
        entry: &Entry,
        shadow: &mut Shadow,
        cast: &mut Cast,
    ) -> Result<bool, &'static str> {
        self.unread.extend_from_slice(bytes);
        let mut otherwise = false;
        loop {
            // A character may be cut in two.
            let good = match std::str::from_utf8(&self.unread) {
                Ok(text) => text.len(),
                Err(error) if error.error_len().is_none() => error.valid_up_to(),
                Err(_) => return Err("what came then is no text"),
            };
            let text = String::from_utf8_lossy(&self.unread[..good]).into_owned();
            let whole = match xml::item(&text) {
                Item::Partial => return Ok(otherwise),
                Item::Broken => return Err("what came then is not well formed"),
                Item::Whole(whole) => whole,
            };
            self.unread.drain(..whole.len());
            let name = whole.trim_start_matches('<').split([' ', '>', '/', '\n', '\t']).next();
            match name {
                Some("auth" | "response") if whole.contains(SASL) => {
                    otherwise = true;
                    self.sasl(name == Some("auth"), entry, shadow, cast);
                }
                _ => shadow.read(&xml::redacted(whole, cast)),
            }
        }
    }

    /// Nobody can prove a password again to another challenge: whatever was said becomes one PLAIN.
    fn sasl(&mut self, begins: bool, entry: &Entry, shadow: &mut Shadow, cast: &mut Cast) {
        if begins {
            self.told = false;
        }
        let failed = entry.said.iter().any(|said| said.proven == Some(false));
        let payload = match entry.said.iter().find_map(|said| said.user.as_deref()) {
            Some(user) => {
                let plain = format!("\0{}\0secret", cast.user(user));
                base64::engine::general_purpose::STANDARD.encode(plain)
            }
            // It failed before anybody was asked.
            None if failed && !self.told => "!!".to_owned(),
            None => return,
        };
        self.told = true;
        shadow.read(&format!("<auth xmlns='{SASL}' mechanism='PLAIN'>{payload}</auth>"));
    }
}

/// A delivery in the words of this door's transcripts.
fn words(delivery: &Delivery, cast: &mut Cast) -> String {
    let envelope = &delivery.envelope;
    let verb = match (delivery.role, delivery.delayed_since) {
        (Role::Copy, _) => "carbon",
        (Role::Primary, Some(_)) => "late",
        (Role::Primary, None) => "deliver",
    };
    let (from, to) = (cast.endpoint(&envelope.from), cast.endpoint(&envelope.to));
    let own = |original: &Option<model::Original>, cast: &mut Cast| {
        let original = original.as_ref().filter(|o| o.dialect == Dialect::Xmpp)?;
        let xml = xml::redacted(&String::from_utf8_lossy(&original.bytes), cast);
        Some(xml.replace(['\r', '\n'], " "))
    };
    let what = match &envelope.event {
        Event::Message(m) => match own(&m.original, cast) {
            Some(xml) => format!("xml {xml}"),
            None => format!("text {}", masked(m.text().unwrap_or("-")).replace(['\r', '\n'], " ")),
        },
        Event::Composing(_) => "typing".to_owned(),
        Event::Receipt(r) if matches!(r.kind, ReceiptKind::Failed(_)) => format!("failed {}", cast.id(&r.of)),
        Event::Receipt(r) => format!("received {}", cast.id(&r.of)),
        Event::Subscribe(_) => "subscribe".to_owned(),
        Event::Authorize(a) if a.decision == Decision::Granted => "granted".to_owned(),
        Event::Authorize(_) => "denied".to_owned(),
        Event::Notify(n) if n.state != WatchState::Active => "pending".to_owned(),
        Event::Notify(n) if n.doc.is_open() => "open".to_owned(),
        Event::Opaque(o) => match own(&Some(o.original.clone()), cast) {
            Some(xml) => format!("opaque {xml}"),
            None => "offline".to_owned(),
        },
        _ => "offline".to_owned(),
    };
    format!("{verb} {} {from} {to} {what}", delivery.id.0)
}

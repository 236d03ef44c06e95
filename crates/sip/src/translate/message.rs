//! Instant messages (RFC 7572), typing (RFC 3994) and receipts (RFC 5438).

use bytes::Bytes;
use model::{
    Address, Composing, Dialect, Event, Loss, Message, Original, Part, Reason, Receipt, Refusal, Timestamp,
    Wants,
};

use crate::content::language;
use crate::cpim::Cpim;
use crate::multipart::{is_multipart, pieces};
use crate::translate::{address, charset};
use crate::wire::{NameAddr, Params, Request};
use crate::{imdn, iscomposing};

/// The media type of the CPIM envelope.
pub const CPIM: &str = "message/cpim";

/// What of a SIP request matters to its translation; apart from the wire, so that it can be tested alone.
#[derive(Debug, Clone, Default)]
pub struct Incoming<'a> {
    /// Content-Type.
    pub mime: Option<String>,
    /// Content-Language.
    pub lang: Option<String>,
    /// Subject.
    pub subject: Option<String>,
    /// Call-ID.
    pub call_id: &'a str,
    /// The body.
    pub body: &'a [u8],
}

impl<'a> Incoming<'a> {
    /// Picks it out of a request.
    pub fn of(request: &'a Request) -> Self {
        Self {
            mime: request.header("Content-Type"),
            lang: request.header("Content-Language").and_then(|tag| language(tag.trim())),
            subject: request.header("Subject").filter(|s| !s.is_empty()),
            call_id: &request.call_id,
            body: request.body(),
        }
    }
}

/// A Call-ID for a thread, if the thread can be one: a `word` of RFC 3261 25.1, not too long.
pub fn call_id_of(thread: &str) -> Option<&str> {
    let ok = |b: u8| b.is_ascii_alphanumeric() || b"-.!%*_+`'~()<>:\\\"/[]?{}@".contains(&b);
    (!thread.is_empty() && thread.len() <= 200 && thread.bytes().all(ok)).then_some(thread)
}

/// A translated request.
#[derive(Debug, Clone, PartialEq)]
pub struct Translated {
    /// What it says.
    pub event: Event,
    /// The sender speaks CPIM, so it may be answered in CPIM.
    pub cpim: bool,
    /// Who the envelope says it is from, if it can be told.
    from: Option<Address>,
}

impl Translated {
    /// What `sender` says. Whoever opens an envelope shows the name that stands in it (RFC 3862 3.1), so that must be
    /// theirs. One that names nobody goes no further: where an envelope is wanted, what was in it gets one of ours.
    ///
    /// # Errors
    /// The refusal of an envelope in somebody else's name.
    pub fn said_by(mut self, sender: &Address) -> Result<Event, Refusal> {
        match &self.from {
            _ if !self.cpim => {}
            Some(from) if from == sender => {}
            Some(_) => {
                let text = "the From in the CPIM envelope names somebody else than the sender";
                return Err(Refusal::new(Reason::Forbidden).with_text(text));
            }
            None => {
                if let Event::Message(message) = &mut self.event {
                    message.original = None;
                }
            }
        }
        Ok(self.event)
    }
}

/// MESSAGE to event.
///
/// # Errors
/// The refusal to answer with: nothing in it, or an envelope that cannot be opened.
pub fn from_sip(incoming: &Incoming<'_>) -> Result<Translated, Refusal> {
    let mime = incoming.mime.as_deref().map_or_else(|| "text/plain".to_owned(), tight);
    let original = Some(original(&mime, incoming.body));
    if base(&mime) != CPIM {
        let event = content(incoming, &mime, incoming.body, None, original)?;
        return Ok(Translated { event, cpim: false, from: None });
    }
    let cpim = Cpim::parse(incoming.body)
        .ok_or_else(|| Refusal::new(Reason::BadRequest).with_text("unreadable CPIM envelope"))?;
    let inner = cpim.mime.clone();
    if base(&inner) == CPIM {
        // Its sender would be nobody's who was asked.
        return Err(Refusal::new(Reason::BadRequest).with_text("a CPIM envelope within another"));
    }
    let (body, from) = (cpim.body.clone(), sender(&cpim.from));
    let event = content(incoming, &inner, &body, Some(cpim), original)?;
    Ok(Translated { event, cpim: true, from })
}

/// Whom the From of an envelope names; nobody, if it is nobody's or could be read in another way.
fn sender(from: &str) -> Option<Address> {
    let plain = from.bytes().filter(|&b| b == b'<').count() < 2;
    let address = address::from_header(&NameAddr::parse(from).filter(|_| plain)?)?.address;
    // RFC 3261 8.1.1.3: whoever does not want to be known.
    Some(address).filter(|a| a.domain() != "anonymous.invalid")
}

fn content(
    incoming: &Incoming<'_>,
    mime: &str,
    body: &[u8],
    cpim: Option<Cpim>,
    original: Option<Original>,
) -> Result<Event, Refusal> {
    let thread = Some(incoming.call_id.into());
    let bad = |text: &str| Refusal::new(Reason::BadRequest).with_text(text);
    match base(mime).as_str() {
        iscomposing::MIME => {
            let active = iscomposing::parse(body).ok_or_else(|| bad("unreadable isComposing document"))?;
            let lang = incoming.lang.as_deref().map(Into::into);
            Ok(Event::Composing(Composing { active, thread, lang, original }))
        }
        imdn::MIME => {
            let (of, kind) = imdn::parse(body).ok_or_else(|| bad("unreadable notification"))?;
            Ok(Event::Receipt(Receipt { of: of.into(), kind, original }))
        }
        _ if body.is_empty() => Err(bad("empty message")),
        _ => {
            let cpim = cpim.unwrap_or_default();
            let lang = cpim.lang.or_else(|| incoming.lang.clone());
            let (subject_lang, subject) = match cpim.subject {
                Some((lang, text)) => (lang, Some(text)),
                None => (None, incoming.subject.clone()),
            };
            let (parts, encoded) = parts(mime, lang.as_deref(), body)?;
            // Who does not undo an encoding would show what nobody has looked at.
            let original = original.filter(|_| !encoded && !cpim.encoded);
            Ok(Event::Message(Message {
                id: cpim.id.unwrap_or_default().into(),
                thread,
                subject,
                lang: lang.or(subject_lang).map(Into::into),
                parts,
                wants: cpim.wants,
                lasting: true,
                original,
            }))
        }
    }
}

/// What the body says, each part for itself. Where several say something in the same form and language, one behind the
/// other: a client shows one of each. And whether one of them was encoded for transfer.
fn parts(mime: &str, lang: Option<&str>, body: &[u8]) -> Result<(Vec<Part>, bool), Refusal> {
    let part = |mime: &str, lang: Option<&str>, body: &[u8]| match base(mime).starts_with("message/") {
        // A mail, or a reference to what lies elsewhere: nobody here could say what is in it.
        true => Err(Refusal::new(Reason::NotAcceptable).with_text("a message within a message")),
        false => {
            Ok(Part { mime: unspaced(mime).into(), lang: lang.map(Into::into), body: text(mime, body)? })
        }
    };
    if !is_multipart(&base(mime)) {
        return Ok((vec![part(mime, lang, body)?], false));
    }
    let (mut parts, mut encoded): (Vec<Part>, _) = (Vec::new(), false);
    let bad = |text: &str| Refusal::new(Reason::BadRequest).with_text(text);
    for piece in pieces(mime, body).map_err(bad)? {
        let next = part(&piece.mime, piece.lang.as_deref().or(lang), &piece.body)?;
        encoded |= piece.encoded;
        if next.body.is_empty() {
            continue;
        }
        let same = |it: &&mut Part| it.mime == next.mime && it.lang == next.lang;
        match parts.iter_mut().find(same).filter(|it| it.mime.starts_with("text/")) {
            Some(before) => before.body = [&before.body[..], b"\n", &next.body[..]].concat().into(),
            None => parts.push(next),
        }
    }
    if parts.is_empty() { Err(bad("empty message")) } else { Ok((parts, encoded)) }
}

/// The body with its type, as `Original` of this dialect holds it.
fn original(mime: &str, body: &[u8]) -> Original {
    let mut bytes = mime.as_bytes().to_vec();
    bytes.extend_from_slice(b"\r\n\r\n");
    bytes.extend_from_slice(body);
    Original { dialect: Dialect::Sip, bytes: Bytes::from(bytes) }
}

fn open_original(original: Option<&Original>) -> Option<(String, Bytes)> {
    let original = original.filter(|o| o.dialect == Dialect::Sip)?;
    let at = original.bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
    let mime = std::str::from_utf8(&original.bytes[..at]).ok()?;
    Some((mime.to_owned(), original.bytes.slice(at + 4..)))
}

/// Is it a type of several parts that could be sent as one?
pub fn has_parts(mime: &str) -> bool {
    is_multipart(&base(mime))
}

fn base(mime: &str) -> String {
    mime.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

/// Without the blanks that may stand around the slash (RFC 3261 section 25.1), so that a type has one spelling.
fn tight(mime: &str) -> String {
    let (base, params) = mime.split_at(mime.find(';').unwrap_or(mime.len()));
    base.chars().filter(|c| !c.is_whitespace()).chain(params.chars()).collect()
}

fn unspaced(mime: &str) -> String {
    let p = Params::semicolons(mime);
    let mut out = base(mime);
    for (name, value) in p.list.iter().filter(|(n, _)| n != "charset") {
        out.push_str(&format!(";{name}={}", value.as_deref().unwrap_or("")));
    }
    out
}

/// Text as UTF-8; what is no text stays as it is.
fn text(mime: &str, body: &[u8]) -> Result<Bytes, Refusal> {
    match base(mime).starts_with("text/") {
        true => charset::utf8(&Params::semicolons(mime), body),
        false => Ok(Bytes::copy_from_slice(body)),
    }
}

/// A MESSAGE body to send, with the headers that depend on the event.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outgoing {
    /// Content-Type.
    pub mime: String,
    /// Content-Language.
    pub lang: Option<String>,
    /// Subject.
    pub subject: Option<String>,
    /// Call-ID, when the thread can be one.
    pub call_id: Option<String>,
    /// The body.
    pub body: Vec<u8>,
    /// What was lost.
    pub losses: Vec<Loss>,
}

/// What a translation to SIP must know besides the event.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// The device is known to read CPIM.
    pub cpim: bool,
    /// It refused this message once, and may read it in one part.
    pub apart: bool,
    /// Sender as URI.
    pub from: &'a str,
    /// Addressee as URI.
    pub to: &'a str,
    /// When it was said.
    pub at: Timestamp,
    /// The sender's dialect, for the ledger.
    pub dialect: Dialect,
}

/// Event to MESSAGE.
///
/// # Errors
/// The refusal to acknowledge with: nothing in it that SIP can carry.
pub fn to_sip(event: &Event, cx: &Context<'_>) -> Result<Outgoing, Refusal> {
    match event {
        Event::Message(m) => message_to_sip(m, cx),
        Event::Composing(c) => Ok(Outgoing {
            mime: iscomposing::MIME.to_owned(),
            call_id: c.thread.as_deref().and_then(call_id_of).map(str::to_owned),
            body: iscomposing::render(c.active),
            ..Outgoing::default()
        }),
        Event::Receipt(r) => {
            if r.of.is_empty() {
                // The message was a plain MESSAGE without an id, so there is nothing the device could match.
                return Err(Refusal::new(Reason::Unsupported).with_text("the message has no id to report on"));
            }
            let body = imdn::render(&r.of, &r.kind, cx.at);
            Ok(wrap(cx, imdn::MIME.to_owned(), body, |_| {}))
        }
        _ => Err(Refusal::new(Reason::Unsupported)),
    }
}

/// IMDNs always travel in CPIM (RFC 5438 8).
fn wrap(cx: &Context<'_>, mime: String, body: Vec<u8>, edit: impl FnOnce(&mut Cpim)) -> Outgoing {
    let mut cpim = Cpim {
        from: format!("<{}>", cx.from),
        to: format!("<{}>", cx.to),
        at: Some(cx.at),
        mime,
        body,
        ..Cpim::default()
    };
    edit(&mut cpim);
    Outgoing { mime: CPIM.to_owned(), body: cpim.render(), ..Outgoing::default() }
}

fn message_to_sip(m: &Message, cx: &Context<'_>) -> Result<Outgoing, Refusal> {
    let mut losses = Vec::new();
    let lost = |what: &str| Loss::dropped(what, cx.dialect, Dialect::Sip);
    let call_id = match m.thread.as_deref() {
        None => None,
        Some(t) => {
            let id = call_id_of(t);
            if id.is_none() {
                losses.push(Loss::changed("thread", "call-id", cx.dialect, Dialect::Sip));
            }
            id.map(str::to_owned)
        }
    };
    let lang = |part: Option<&Part>| {
        part.and_then(|p| p.lang.as_ref()).or(m.lang.as_ref()).map(|lang| lang.to_string())
    };
    // SIP to SIP: the sender's own body, as long as this device can open its envelope.
    if let Some((mime, body)) = open_original(m.original.as_ref())
        && (cx.cpim || base(&mime) != CPIM)
        && !(cx.apart && is_multipart(&base(&mime)))
    {
        let (lang, subject) = (lang(m.parts.first()), m.subject.clone());
        return Ok(Outgoing { mime, lang, subject, call_id, body: body.to_vec(), losses });
    }
    let part = m
        .parts
        .iter()
        .find(|p| p.is_plain_text())
        .or_else(|| m.parts.iter().find(|p| base(&p.mime) == "text/html"))
        .or_else(|| m.parts.first())
        .ok_or_else(|| Refusal::new(Reason::NotAcceptable).with_text("no body that SIP can carry"))?;
    for other in m.parts.iter().filter(|p| !std::ptr::eq(*p, part)) {
        losses.push(lost(match base(&other.mime).as_str() {
            "text/html" | "application/xhtml+xml" => "html-body",
            "text/plain" => "body-language",
            _ => "body-part",
        }));
    }
    let mime = match &part.mime {
        m if base(m) == "text/plain" => "text/plain;charset=UTF-8".to_owned(),
        m => m.to_string(),
    };
    let wanted = m.wants != Wants::default();
    let mut out = if cx.cpim && wanted && !m.id.is_empty() {
        wrap(cx, mime, part.body.to_vec(), |c| {
            c.id = Some(m.id.to_string());
            c.wants = m.wants;
        })
    } else {
        if wanted {
            losses.push(lost("receipt-request"));
        }
        Outgoing { mime, body: part.body.to_vec(), ..Outgoing::default() }
    };
    (out.lang, out.subject, out.call_id, out.losses) = (lang(Some(part)), m.subject.clone(), call_id, losses);
    Ok(out)
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;

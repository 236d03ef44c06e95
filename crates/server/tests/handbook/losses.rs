//! What translation keeps, changes and leaves out: each row is sent through both doors' tables.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use model::{
    Address, Basic, Device, Dialect, Event, Loss, LossKind, Message, Notify, Original, PresenceDoc,
    Timestamp, WatchState,
};
use sip::translate::message as sip_message;
use xmpp::wire::{Item, Limits, Scanner, Stamp, Stanza};

use crate::page::holds;
use crate::source;

const AT: Timestamp = Timestamp(0);

/// Children of a message stanza, and whether the SIP device has shown that it reads CPIM.
const XMPP_MESSAGES: &[(&str, &str, bool)] = &[
    ("body", "<body>Hi</body>", false),
    ("language", "<body xml:lang='de'>Hallo</body>", false),
    ("subject", "<subject>Lunch</subject><body>Hi</body>", false),
    ("thread", "<thread>t-1</thread><body>Hi</body>", false),
    ("thread with characters that a Call-ID cannot have", "<thread>at noon</thread><body>Hi</body>", false),
    ("second body in another language", "<body>Hi</body><body xml:lang='de'>Hallo</body>", false),
    (
        "formatted body (XEP-0071)",
        "<body>Hi</body><html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'>\
         <b>Hi</b></body></html>",
        false,
    ),
    ("wish for a receipt", "<body>Hi</body><request xmlns='urn:xmpp:receipts'/>", false),
    ("the same, to a device that reads CPIM", "<body>Hi</body><request xmlns='urn:xmpp:receipts'/>", true),
    ("receipt (XEP-0184)", "<received xmlns='urn:xmpp:receipts' id='m-0'/>", true),
    ("displayed (XEP-0333)", "<displayed xmlns='urn:xmpp:chat-markers:0' id='m-0'/>", true),
    ("typing (XEP-0085)", "<composing xmlns='http://jabber.org/protocol/chatstates'/>", false),
    ("stopped typing", "<paused xmlns='http://jabber.org/protocol/chatstates'/>", false),
];

/// Headers and body of a MESSAGE: Content-Type, Subject, Content-Language, body.
const SIP_MESSAGES: &[(&str, &str, &str, &str, &str)] = &[
    ("text", "text/plain", "", "", "Hi"),
    ("Content-Language", "text/plain", "", "de", "Hallo"),
    ("Subject", "text/plain", "Lunch", "", "Hi"),
    ("text in Latin-1", "text/plain;charset=iso-8859-1", "", "", "Hi"),
    ("HTML alone", "text/html", "", "", "<p>Hi <b>there</b></p>"),
    (
        "several parts (RFC 2046), which another SIP device gets as they came",
        "multipart/mixed;boundary=b",
        "",
        "",
        "--b\r\n\r\nHi\r\n--b\r\nContent-Type: image/png\r\n\r\n...\r\n--b--",
    ),
    (
        "CPIM with the wish for a receipt (RFC 5438)",
        "message/cpim",
        "",
        "",
        "From: <sip:romeo@example.com>\r\nTo: <sip:juliet@example.com>\r\nNS: imdn <urn:ietf:params:imdn>\r\n\
         imdn.Message-ID: m-1\r\nimdn.Disposition-Notification: positive-delivery, display\r\n\r\n\
         Content-Type: text/plain\r\n\r\nHi",
    ),
    (
        "typing (RFC 3994)",
        "application/im-iscomposing+xml",
        "",
        "",
        "<?xml version=\"1.0\"?><isComposing xmlns=\"urn:ietf:params:xml:ns:im-iscomposing\"><state>active</state></isComposing>",
    ),
    ("a picture", "image/png", "", "", "\u{1}"),
];

/// Children of a presence stanza.
const XMPP_PRESENCES: &[(&str, &str)] = &[
    ("available", ""),
    ("away", "<show>away</show>"),
    ("extended away", "<show>xa</show>"),
    ("do not disturb", "<show>dnd</show>"),
    ("free for chat", "<show>chat</show>"),
    ("status", "<status xml:lang='en'>Back at two</status>"),
    ("priority", "<priority>64</priority>"),
    ("negative priority", "<priority>-1</priority>"),
];

/// What is in a tuple besides its status, and what is in the person.
const PIDFS: &[(&str, &str, &str, &str)] = &[
    ("open", "open", "", ""),
    ("closed", "closed", "", ""),
    ("note", "open", "<note xml:lang='en'>Back at two</note>", ""),
    ("second note in the same language", "open", "<note>Back at two</note><note>Or three</note>", ""),
    ("contact with priority", "open", "<contact priority='0.5'>sip:romeo@192.0.2.1</contact>", ""),
    ("busy (RFC 4480)", "open", "", "<activities><busy/></activities>"),
    ("away", "open", "", "<activities><away/></activities>"),
    ("on the phone", "open", "", "<activities><on-the-phone/></activities>"),
    ("meeting", "open", "", "<activities><meeting/></activities>"),
];

fn code(text: &str) -> String {
    let shown: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    format!("`{}`", shown.join("⏎").replace('|', "\\|"))
}

fn ledger(losses: &[Loss]) -> String {
    let told = losses.iter().map(|loss| match loss.kind {
        LossKind::Dropped => format!("`{}` dropped", loss.what),
        LossKind::Changed => format!("`{}` became `{}`", loss.what, loss.became),
    });
    told.collect::<Vec<_>>().join("; ")
}

/// The stanza that a client sent, with what `read` makes of it.
fn stanza<T>(xml: &str, read: impl FnOnce(&Stanza<'_>, Bytes, Option<isize>) -> T) -> T {
    let stream =
        format!("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>{xml}");
    let (mut scanner, mut input) = (Scanner::new(Limits::C2S), stream.as_bytes());
    assert!(matches!(scanner.next(&mut input), Ok(Some(Item::Open(_)))));
    let Ok(Some(Item::Element(stanza))) = scanner.next(&mut input) else { panic!("no stanza: {xml}") };
    let mut bytes = Vec::new();
    let moved =
        stanza.write(&Stamp { from: "juliet@example.com/a", ..Stamp::default() }, |_| false, b"", &mut bytes);
    read(&stanza, bytes.into(), moved)
}

fn from_xmpp(children: &str, cpim: bool) -> (String, Vec<Loss>) {
    let xml = format!("<message id='m-1'>{children}</message>");
    let event = stanza(&xml, |s, bytes, moved| xmpp::translate::message::read(s, "chat", bytes, moved));
    let context = sip_message::Context {
        apart: false,
        cpim,
        from: "sip:juliet@example.com",
        to: "sip:romeo@example.com",
        at: AT,
        dialect: Dialect::Xmpp,
    };
    let out = sip_message::to_sip(&event.expect("an event"), &context).expect("SIP can say it");
    let mut text = String::new();
    for (header, value) in
        [("Call-ID", &out.call_id), ("Subject", &out.subject), ("Content-Language", &out.lang)]
    {
        if let Some(value) = value {
            let _ = writeln!(text, "{header}: {value}");
        }
    }
    let body = String::from_utf8(out.body).expect("text");
    let body: Vec<&str> =
        body.lines().filter(|l| !["From:", "To:", "<?xml"].iter().any(|h| l.starts_with(h))).collect();
    let _ = writeln!(text, "Content-Type: {}\n{}", out.mime, body.join("\n"));
    (text, out.losses)
}

fn from_sip((_, mime, subject, lang, body): &(&str, &str, &str, &str, &str)) -> (String, Vec<Loss>) {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let incoming = sip_message::Incoming {
        mime: some(mime),
        subject: some(subject),
        lang: some(lang),
        call_id: "call-1",
        body: body.as_bytes(),
    };
    let (from, to) = ("romeo@example.com/a", "juliet@example.com");
    let (bytes, losses) = match sip_message::from_sip(&incoming).expect("a message").event {
        Event::Message(m) => match xmpp::translate::message::render(&m, Dialect::Sip, "i-1", from, to) {
            Ok(rendered) => rendered,
            Err(refusal) => return (format!("refused: {refusal}"), Vec::new()),
        },
        Event::Composing(c) => xmpp::translate::composing::render(&c, "i-1", from, to),
        other => panic!("{other:?}"),
    };
    (inside(&bytes), losses)
}

/// An element without the addresses that every one of them has.
fn inside(bytes: &[u8]) -> String {
    let text = String::from_utf8(bytes.to_vec()).expect("XML is text").replace('"', "'");
    text.replace(" from='romeo@example.com/a'", "").replace(" to='juliet@example.com'", "")
}

fn presence_from_xmpp(children: &str) -> (String, Vec<Loss>) {
    let xml = format!("<presence>{children}</presence>");
    let device = Device::new("a").ok();
    let tuple =
        stanza(&xml, |s, bytes, _| xmpp::translate::presence::read(s, device, Basic::Open, AT, bytes));
    let doc =
        PresenceDoc { presentity: Address::parse("juliet@example.com").expect("one"), tuples: vec![tuple] };
    let body = sip::translate::presence::body(WatchState::Active, &doc).expect("a document");
    let notify =
        Notify { key: None, state: WatchState::Active, doc: Arc::new(doc), changed: None, gone: Vec::new() };
    let losses = sip::translate::presence::losses(&notify, Dialect::Xmpp);
    let from = body.find("<basic>").expect("a status");
    let body: String = body[from..].lines().map(str::trim).collect();
    let end = body.find("</presence>").unwrap_or(body.len());
    (body[..end].replace("</status>", "").replace("</tuple>", ""), losses)
}

fn presence_from_sip(basic: &str, tuple: &str, person: &str) -> (String, Vec<Loss>) {
    let body = format!(
        "<presence><tuple id='a'><status><basic>{basic}</basic></status>{tuple}</tuple><person>{person}</person></presence>"
    );
    let tuples = sip::translate::presence::from_pidf(body.as_bytes(), None, AT).expect("PIDF");
    let (bytes, losses) =
        xmpp::translate::presence::render(&tuples[0], "romeo@example.com/a", "juliet@example.com");
    (inside(&bytes), losses)
}

/// Text in two languages, and what is no text: SIP clients send one body, but what other gateways make has several.
fn several_parts() -> Vec<Loss> {
    let part = |mime: &str| model::Part { mime: mime.into(), lang: None, body: Bytes::from_static(b"x") };
    let parts =
        |mimes: &[&str]| Message { parts: mimes.iter().map(|m| part(m)).collect(), ..Message::default() };
    let of = |mimes: &[&str]| {
        xmpp::translate::message::render(&parts(mimes), Dialect::Sip, "i", "a@b/c", "d@e").expect("text").1
    };
    let mut losses = of(&["text/plain", "text/plain"]);
    losses.extend(of(&["text/plain", "text/html"]));
    let event = Event::Message(parts(&["text/plain", "image/png"]));
    let context = sip_message::Context {
        cpim: false,
        apart: false,
        from: "sip:a@b",
        to: "sip:d@e",
        at: AT,
        dialect: Dialect::Xmpp,
    };
    losses.extend(sip_message::to_sip(&event, &context).expect("text").losses);
    losses
}

#[test]
fn what_becomes_of_each_thing() {
    let mut named = several_parts();
    let head = "| sent | the other side gets | named in the record |\n|---|---|---|\n";
    let mut messages = head.replace("| sent", "| | an XMPP client sends").replace("|---|", "|---|---|");
    messages = messages.replace("the other side gets", "a SIP device gets");
    for (what, children, cpim) in XMPP_MESSAGES {
        let (text, losses) = from_xmpp(children, *cpim);
        let _ = writeln!(messages, "| {what} | {} | {} | {} |", code(children), code(&text), ledger(&losses));
        named.extend(losses);
    }
    for (what, children) in XMPP_PRESENCES {
        let (text, losses) = presence_from_xmpp(children);
        let sent = if children.is_empty() { code("<presence/>") } else { code(children) };
        let _ = writeln!(messages, "| {what} | {sent} | {} | {} |", code(&text), ledger(&losses));
        named.extend(losses);
    }
    holds("translation.md", "from xmpp", &messages);

    let mut back =
        "| | a SIP device sends | an XMPP client gets | named in the record |\n|---|---|---|---|\n"
            .to_owned();
    for row @ (what, mime, subject, lang, body) in SIP_MESSAGES {
        let (text, losses) = from_sip(row);
        let mut sent = String::new();
        for (header, value) in [("Subject", subject), ("Content-Language", lang), ("Content-Type", mime)] {
            if !value.is_empty() {
                let _ = writeln!(sent, "{header}: {value}");
            }
        }
        let lines: Vec<&str> =
            body.lines().filter(|l| !["From:", "To:", "NS:"].iter().any(|h| l.starts_with(h))).collect();
        let shown = lines.join("\n").replace('\u{1}', "...").replace("<?xml version=\"1.0\"?>", "");
        let _ =
            writeln!(back, "| {what} | {} | {} | {} |", code(&(sent + &shown)), code(&text), ledger(&losses));
        named.extend(losses);
    }
    for (what, basic, tuple, person) in PIDFS {
        let (text, losses) = presence_from_sip(basic, tuple, person);
        let sent = format!("<basic>{basic}</basic>{tuple}{person}");
        let _ = writeln!(back, "| {what} | {} | {} | {} |", code(&sent), code(&text), ledger(&losses));
        named.extend(losses);
    }
    holds("translation.md", "from sip", &back);

    // Nothing that the doors can lose is missing from the tables.
    for room in ["xmpp", "sip"] {
        for (file, text) in source::files(&format!("crates/{room}/src/translate")) {
            let production = text.split("#[cfg(test)]").next().unwrap_or_default();
            for call in ["Loss::dropped(\"", "Loss::changed(\"", "lost(\"", "Some(\"activity:"] {
                for (i, _) in production.match_indices(call) {
                    let from = production[..i + call.len()].rfind('"').expect("a quote") + 1;
                    let name = production[from..].split('"').next().unwrap_or_default();
                    let seen = named.iter().any(|loss| loss.what == name);
                    assert!(seen, "{room}/{file} can lose `{name}`: a row for it, please");
                }
            }
        }
    }
}

/// Within one protocol the sender's own words travel.
#[test]
fn nothing_is_lost_within_a_protocol() {
    let stanza = Bytes::from_static(b"<message><body>Hi</body><x xmlns='urn:example:own'/></message>");
    let original = Some(Original { dialect: Dialect::Xmpp, bytes: stanza.clone() });
    let message = Message { original, ..Message::default() };
    let (bytes, losses) =
        xmpp::translate::message::render(&message, Dialect::Xmpp, "i", "a@b/c", "d@e").expect("ours");
    assert!(bytes == stanza && losses.is_empty());
}

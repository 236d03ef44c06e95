//! `<message/>` and the neutral `Message`: RFC 7572 sections 4 to 8, RFC 6121 section 5.

use std::borrow::Cow;

use bytes::Bytes;
use compact_str::CompactString;
use model::{Dialect, Event, Loss, Message, Original, Part, Reason, Refusal, Wants};

use crate::wire::{
    CHATSTATES, CLIENT, ChildRef, HINTS, MARKERS, RECEIPTS, STANZA_ID, Stanza, Tree, Writer, XHTML_IM,
};

use super::{composing, ours, receipt};

/// What a message stanza says. `bytes` is the stanza as it will be relayed, `moved` how far its content lies from
/// where it is in `stanza` (see [`Stanza::write`]). `None`: an error report about nothing.
pub fn read(stanza: &Stanza<'_>, kind: &str, bytes: Bytes, moved: Option<isize>) -> Option<Event> {
    if kind == "error" {
        return receipt::failure(stanza).map(|state| Event::Receipt(receipt::read(state, bytes)));
    }
    let mut message = Message { lasting: kind != "headline", ..Message::default() };
    for child in stanza.children() {
        if child.ns() == CLIENT.as_bytes() {
            match child.name() {
                b"body" => {
                    let lang = child.attr("xml:lang").map(|l| CompactString::from(l.as_ref()));
                    message.parts.push(Part::text(text(&child, &bytes, moved), lang));
                }
                b"subject" if message.subject.is_none() => message.subject = Some(child.text().into_owned()),
                b"thread" if message.thread.is_none() => message.thread = Some(child.text().as_ref().into()),
                _ => {}
            }
        } else if child.is("request", RECEIPTS) {
            message.wants.delivered = true;
        } else if child.is("markable", MARKERS) {
            message.wants.displayed = true;
        } else if child.is("no-store", HINTS) || child.is("no-permanent-store", HINTS) {
            message.lasting = false;
        } else if child.is("html", XHTML_IM) {
            html(&child, &mut message.parts);
        }
    }
    if message.parts.is_empty() && message.subject.is_none() && stanza.children().all(|c| is_aside(&c)) {
        // XEP-0184 and XEP-0085: news of a conversation, not part of it.
        if let Some(state) = receipt::state(stanza) {
            return Some(Event::Receipt(receipt::read(state, bytes)));
        }
        if let Some(active) = composing::state(stanza) {
            return Some(Event::Composing(composing::read(active, stanza, bytes)));
        }
    }
    message.id = stanza.attr("id").map(|id| id.as_ref().into()).unwrap_or_default();
    message.lang = stanza.attr("xml:lang").map(|lang| lang.as_ref().into());
    message.original = Some(Original { dialect: Dialect::Xmpp, bytes });
    Some(Event::Message(message))
}

/// Something that may stand beside a receipt or a chat state without making the stanza more than that.
fn is_aside(child: &ChildRef<'_>) -> bool {
    let ns = child.ns();
    let known = [CHATSTATES, RECEIPTS, MARKERS, HINTS, STANZA_ID];
    known.iter().any(|n| n.as_bytes() == ns) || child.is("thread", CLIENT)
}

/// The text of a body: a slice of the relayed bytes where nothing in it is escaped.
fn text(child: &ChildRef<'_>, bytes: &Bytes, moved: Option<isize>) -> Bytes {
    let span = child.inner_span();
    match (child.text(), moved) {
        (Cow::Borrowed(plain), Some(moved)) => {
            let at = (span.at as isize + moved) as usize;
            match bytes.get(at..at + plain.len()) {
                Some(same) if same == plain.as_bytes() => bytes.slice(at..at + plain.len()),
                _ => Bytes::copy_from_slice(plain.as_bytes()),
            }
        }
        (text, _) => Bytes::from(text.into_owned()),
    }
}

/// RFC 7572 section 7: an XHTML body travels as `text/html`.
fn html(child: &ChildRef<'_>, parts: &mut Vec<Part>) {
    let Some(tree) = Tree::read(child.whole(), &[]) else { return };
    for body in tree.root().children().filter(|c| c.name() == b"body") {
        let lang = body.attr("xml:lang").map(|l| CompactString::from(l.as_ref()));
        parts.push(Part { mime: "text/html".into(), lang, body: Bytes::copy_from_slice(body.raw()) });
    }
}

/// The stanza for a message, and what was lost.
///
/// # Errors
/// The refusal to acknowledge with: nothing in it that XMPP can carry, so its reader would see an empty message.
pub fn render(
    message: &Message,
    dialect: Dialect,
    id: &str,
    from: &str,
    to: &str,
) -> Result<(Bytes, Vec<Loss>), Refusal> {
    if let Some(bytes) = ours(&message.original) {
        return Ok((bytes.clone(), Vec::new()));
    }
    if message.subject.is_none() && !message.parts.iter().any(|p| p.is_plain_text() || is_html(p)) {
        return Err(Refusal::new(Reason::NotAcceptable).with_text("no text that XMPP can carry"));
    }
    let mut losses = Vec::new();
    let mut w = Writer::new();
    let id = if message.id.is_empty() { id } else { &message.id };
    w.open("message").attr("from", from).attr("to", to).attr("id", id).attr("type", "normal");
    w.attr_if("xml:lang", message.lang.as_deref());
    words(message, dialect, &mut w, &mut losses);
    let Wants { delivered, displayed } = message.wants;
    if delivered {
        w.empty_ns("request", RECEIPTS);
    }
    if displayed {
        w.empty_ns("markable", MARKERS);
    }
    Ok((w.finish().into(), losses))
}

/// Subject, bodies and thread alone, as children of a stanza.
pub(super) fn texts(message: &Message) -> Vec<u8> {
    let mut w = Writer::new();
    words(message, Dialect::Xmpp, &mut w, &mut Vec::new());
    w.finish()
}

fn words(message: &Message, dialect: Dialect, w: &mut Writer, losses: &mut Vec<Loss>) {
    if let Some(subject) = &message.subject {
        w.leaf("subject", subject);
    }
    bodies(message, dialect, w, losses);
    if let Some(thread) = &message.thread {
        w.leaf("thread", thread);
    }
}

fn is_html(part: &Part) -> bool {
    mime(part) == "text/html"
}

/// The media type without its parameters.
fn mime(part: &Part) -> String {
    part.mime.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

/// One `<body/>` for each language (RFC 6121 section 5.2.3); whatever else there is goes into the ledger.
fn bodies(message: &Message, dialect: Dialect, w: &mut Writer, losses: &mut Vec<Loss>) {
    let plain = |p: &&Part| p.is_plain_text();
    let mut said: Vec<Option<&CompactString>> = Vec::new();
    for part in message.parts.iter().filter(plain) {
        if said.contains(&part.lang.as_ref()) {
            losses.push(Loss::dropped("second-body", dialect, Dialect::Xmpp));
            continue;
        }
        said.push(part.lang.as_ref());
        body(part, &String::from_utf8_lossy(&part.body), message, w);
    }
    for part in message.parts.iter().filter(|p| !plain(p)) {
        if is_html(part) && said.is_empty() {
            // XHTML-IM (XEP-0071) is deprecated: the text is kept, its looks are not.
            body(part, &markup::html::plain(&String::from_utf8_lossy(&part.body)), message, w);
            said.push(part.lang.as_ref());
            losses.push(Loss::changed("html-body", "text", dialect, Dialect::Xmpp));
        } else if is_html(part) {
            losses.push(Loss::dropped("html-body", dialect, Dialect::Xmpp));
        } else {
            losses.push(Loss::dropped(format!("part:{}", mime(part)), dialect, Dialect::Xmpp));
        }
    }
}

fn body(part: &Part, text: &str, message: &Message, w: &mut Writer) {
    w.open("body");
    if part.lang != message.lang {
        w.attr_if("xml:lang", part.lang.as_deref());
    }
    w.text(text).end();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Item, Limits, Scanner, Stamp};

    fn event(xml: &str, kind: &str) -> Option<Event> {
        let stream = format!(
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>{xml}"
        );
        let mut scanner = Scanner::new(Limits::C2S);
        let mut input = stream.as_bytes();
        assert!(matches!(scanner.next(&mut input), Ok(Some(Item::Open(_)))));
        let Ok(Some(Item::Element(stanza))) = scanner.next(&mut input) else { panic!("{xml}") };
        let mut out = Vec::new();
        let moved = stanza.write(&Stamp { from: "a@b/c", ..Stamp::default() }, |_| false, b"", &mut out);
        read(&stanza, kind, out.into(), moved)
    }

    #[test]
    fn stanzas_are_read() {
        let xml = "<message id='1' xml:lang='en' to='x@y'><subject>S</subject><body>Hi</body><body xml:lang='de'>A &amp; B</body>\
            <thread>T</thread><request xmlns='urn:xmpp:receipts'/></message>";
        let Some(Event::Message(m)) = event(xml, "chat") else { panic!() };
        assert_eq!((m.id.as_str(), m.lang.as_deref(), m.thread.as_deref()), ("1", Some("en"), Some("T")));
        assert_eq!((m.subject.as_deref(), m.text()), (Some("S"), Some("Hi")));
        assert_eq!((&m.parts[1].body[..], m.parts[1].lang.as_deref()), (&b"A & B"[..], Some("de")));
        assert!(m.wants.delivered && !m.wants.displayed && m.lasting);
        let original = m.original.unwrap();
        assert!(original.bytes.starts_with(b"<message id='1' xml:lang='en' to='x@y' from='a@b/c'>"));
        // The plain body is a slice of the relayed bytes, not a copy.
        let range = original.bytes.as_ptr_range();
        assert!(range.contains(&m.parts[0].body.as_ptr()));
    }

    #[test]
    fn what_is_no_message_is_told_apart() {
        let rows = [
            (
                "<message><composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
                "chat",
                "composing",
            ),
            (
                "<message><body>x</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>",
                "chat",
                "message",
            ),
            (
                "<message><composing xmlns='http://jabber.org/protocol/chatstates'/><x xmlns='urn:x'/></message>",
                "chat",
                "message",
            ),
            ("<message><received xmlns='urn:xmpp:receipts' id='1'/></message>", "", "receipt"),
            ("<message><displayed xmlns='urn:xmpp:chat-markers:0' id='1'/></message>", "", "receipt"),
            ("<message id='5'><error type='cancel'/></message>", "error", "receipt"),
            ("<message><encrypted xmlns='urn:xmpp:omemo:2'/></message>", "chat", "message"),
            ("<message/>", "", "message"),
        ];
        for (xml, kind, wanted) in rows {
            assert_eq!(event(xml, kind).map(|e| e.kind()), Some(wanted), "{xml}");
        }
        assert_eq!(event("<message><error type='cancel'/></message>", "error"), None);
    }

    #[test]
    fn headlines_and_hints_do_not_last() {
        for (xml, kind, lasting) in [
            ("<message><body>x</body></message>", "", true),
            ("<message><body>x</body></message>", "headline", false),
            ("<message><body>x</body><no-store xmlns='urn:xmpp:hints'/></message>", "chat", false),
        ] {
            let Some(Event::Message(m)) = event(xml, kind) else { panic!() };
            assert_eq!(m.lasting, lasting, "{xml}");
        }
    }

    /// RFC 7572 section 5, table 2.
    #[test]
    fn sip_messages_are_rendered() {
        let text = |body: &'static str, lang: Option<&str>| Part::text(body, lang.map(Into::into));
        let html = Part {
            mime: "text/html; charset=utf-8".into(),
            lang: None,
            body: Bytes::from_static(b"<p>a &lt; <b>b</b><br>c</p>"),
        };
        let image = Part { mime: "image/png".into(), lang: None, body: Bytes::from_static(b"\x89PNG") };
        let rows = [
            (
                Message { parts: vec![text("Neither, fair saint", None)], ..Message::default() },
                "<message from='a@b' to='c@d' id='E' type='normal'><body>Neither, fair saint</body></message>",
                vec![],
            ),
            (
                Message {
                    id: "m1".into(),
                    thread: Some("call-1".into()),
                    subject: Some("Hi & lo".into()),
                    lang: Some("cs".into()),
                    parts: vec![text("x", Some("cs")), text("y", Some("en")), text("z", Some("en"))],
                    wants: Wants { delivered: true, displayed: true },
                    ..Message::default()
                },
                "<message from='a@b' to='c@d' id='m1' type='normal' xml:lang='cs'><subject>Hi &amp; lo</subject><body>x</body>\
                 <body xml:lang='en'>y</body><thread>call-1</thread><request xmlns='urn:xmpp:receipts'/>\
                 <markable xmlns='urn:xmpp:chat-markers:0'/></message>",
                vec![Loss::dropped("second-body", Dialect::Sip, Dialect::Xmpp)],
            ),
            (
                Message { parts: vec![html.clone()], ..Message::default() },
                "<message from='a@b' to='c@d' id='E' type='normal'><body>a &lt; b\nc</body></message>",
                vec![Loss::changed("html-body", "text", Dialect::Sip, Dialect::Xmpp)],
            ),
            (
                Message { parts: vec![html, text("t", None), image], ..Message::default() },
                "<message from='a@b' to='c@d' id='E' type='normal'><body>t</body></message>",
                vec![
                    Loss::dropped("html-body", Dialect::Sip, Dialect::Xmpp),
                    Loss::dropped("part:image/png", Dialect::Sip, Dialect::Xmpp),
                ],
            ),
        ];
        for (message, wanted, lost) in rows {
            let (xml, losses) = render(&message, Dialect::Sip, "E", "a@b", "c@d").unwrap();
            assert_eq!(std::str::from_utf8(&xml), Ok(wanted));
            assert_eq!(losses, lost);
        }
    }

    #[test]
    fn what_has_no_words_is_refused() {
        let image = Part { mime: "image/png".into(), lang: None, body: Bytes::from_static(b"\x89PNG") };
        let mut message = Message { parts: vec![image], ..Message::default() };
        let refused = |message: &Message| {
            render(message, Dialect::Sip, "E", "a@b", "c@d").err().map(|refusal| refusal.reason)
        };
        assert_eq!(refused(&message), Some(Reason::NotAcceptable));
        message.subject = Some("A picture".into());
        assert_eq!(refused(&message), None);
    }
}

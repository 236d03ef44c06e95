//! `<presence/>` and the neutral tuples, watches and authorizations: RFC 8048 sections 5 and 6, RFC 6121 sections
//! 3 and 4.

use bytes::Bytes;
use compact_str::CompactString;
use model::{
    Activity, Authorize, Basic, Decision, Device, Dialect, Event, Loss, Original, Subscribe, Term, Timestamp,
    Tuple,
};

use crate::wire::{CLIENT, Stanza, Writer, with_attr};

use super::ours;

/// A presence stanza of one device. `bytes` is the stanza with `from` stamped and without `to`.
pub fn read(stanza: &Stanza<'_>, device: Option<Device>, basic: Basic, at: Timestamp, bytes: Bytes) -> Tuple {
    let mut tuple = Tuple::plain(device, basic, at);
    let default = stanza.attr("xml:lang").map(|l| CompactString::from(l.as_ref()));
    for child in stanza.children().filter(|c| c.ns() == CLIENT.as_bytes()) {
        match child.name() {
            b"show" => tuple.activity = activity(child.text().trim()),
            b"status" => {
                let lang = child.attr("xml:lang").map(|l| l.as_ref().into()).or_else(|| default.clone());
                tuple.notes.push((lang, child.text().into_owned()));
            }
            b"priority" => tuple.priority = Some(child.text().trim().parse().unwrap_or(0)),
            _ => {}
        }
    }
    tuple.original = Some(Original { dialect: Dialect::Xmpp, bytes });
    tuple
}

/// Is this type of presence about a subscription (RFC 6121 section 4.7.1)?
pub fn is_act(kind: &str) -> bool {
    matches!(kind, "subscribe" | "unsubscribe" | "subscribed" | "unsubscribed" | "probe")
}

/// A presence stanza about a subscription, of a type that [`is_act`]. `bytes` is the stanza between bare addresses.
pub fn act(kind: &str, stanza: &Stanza<'_>, bytes: Bytes) -> Event {
    let original = Some(Original { dialect: Dialect::Xmpp, bytes });
    match kind {
        "subscribe" => {
            let note = stanza.child("status", CLIENT).map(|s| s.text().into_owned());
            Event::Subscribe(Subscribe { term: Term::Lasting, note, original })
        }
        "unsubscribe" => Event::Subscribe(Subscribe { term: Term::End, note: None, original }),
        "probe" => Event::Subscribe(Subscribe { term: Term::Once { key: None }, note: None, original }),
        "subscribed" => Event::Authorize(Authorize { decision: Decision::Granted, original }),
        _ => Event::Authorize(Authorize { decision: Decision::Denied, original }),
    }
}

/// RFC 6121 section 4.7.2.1; a word nobody knows is as good as none.
fn activity(show: &str) -> Activity {
    match show {
        "chat" => Activity::Chatty,
        "away" => Activity::Away,
        "xa" => Activity::ExtendedAway,
        "dnd" => Activity::Busy,
        _ => Activity::Available,
    }
}

/// The `<show/>` for an activity, and what it was called where XMPP has no word of its own.
fn show(activity: Activity) -> (Option<&'static str>, Option<&'static str>) {
    match activity {
        Activity::Available => (None, None),
        Activity::Chatty => (Some("chat"), None),
        Activity::Away => (Some("away"), None),
        Activity::ExtendedAway => (Some("xa"), None),
        Activity::Busy => (Some("dnd"), None),
        Activity::OnThePhone => (Some("dnd"), Some("activity:on-the-phone")),
        Activity::InMeeting => (Some("dnd"), Some("activity:meeting")),
    }
}

/// The stanza that tells `to` of one tuple. `from` is the presentity's JID with the tuple's device.
pub fn render(tuple: &Tuple, from: &str, to: &str) -> (Vec<u8>, Vec<Loss>) {
    if let Some(bytes) = ours(&tuple.original) {
        let mut out = Vec::new();
        with_attr(bytes, "to", to, &mut out);
        return (out, Vec::new());
    }
    let mut losses = Vec::new();
    let mut w = Writer::new();
    w.open("presence").attr("from", from).attr("to", to);
    if tuple.basic == Basic::Closed {
        w.attr("type", "unavailable");
    } else {
        let (word, was) = show(tuple.activity);
        if let Some(word) = word {
            w.leaf("show", word);
        }
        if let Some(was) = was {
            losses.push(Loss::changed(was, "dnd", Dialect::Sip, Dialect::Xmpp));
        }
    }
    let mut said: Vec<Option<&CompactString>> = Vec::new();
    for (lang, note) in &tuple.notes {
        if said.contains(&lang.as_ref()) {
            losses.push(Loss::dropped("second-note", Dialect::Sip, Dialect::Xmpp));
            continue;
        }
        said.push(lang.as_ref());
        w.open("status").attr_if("xml:lang", lang.as_deref()).text(note).end();
    }
    if tuple.basic == Basic::Open
        && let Some(priority) = tuple.priority
    {
        w.leaf("priority", &priority.to_string());
    }
    if tuple.contact.is_some() {
        losses.push(Loss::dropped("contact", Dialect::Sip, Dialect::Xmpp));
    }
    (w.finish(), losses)
}

/// A device that went away: its last words if it had any, else a plain `unavailable`.
pub fn render_gone(tuple: &Tuple, from: &str, to: &str) -> (Vec<u8>, Vec<Loss>) {
    if tuple.basic == Basic::Closed {
        return render(tuple, from, to);
    }
    (simple("unavailable", from, to, None), Vec::new())
}

/// A presence stanza that is all type: subscription traffic and plain unavailability.
pub fn simple(kind: &str, from: &str, to: &str, note: Option<&str>) -> Vec<u8> {
    let mut w = Writer::new();
    w.open("presence").attr("from", from).attr("to", to).attr("type", kind);
    if let Some(note) = note {
        w.leaf("status", note);
    }
    w.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xml(tuple: &Tuple) -> (String, Vec<Loss>) {
        let (bytes, losses) = render(tuple, "a@b/c", "d@e");
        (String::from_utf8(bytes).unwrap(), losses)
    }

    /// RFC 8048 section 6.3, table 2.
    #[test]
    fn tuples_are_rendered() {
        let open = Tuple::plain(None, Basic::Open, Timestamp(0));
        assert_eq!(xml(&open).0, "<presence from='a@b/c' to='d@e'/>");
        let closed = Tuple { priority: Some(3), ..Tuple::plain(None, Basic::Closed, Timestamp(0)) };
        assert_eq!(xml(&closed).0, "<presence from='a@b/c' to='d@e' type='unavailable'/>");
        let rich = Tuple {
            activity: Activity::Away,
            priority: Some(7),
            notes: vec![(Some("en".into()), "out".into()), (None, "weg".into()), (None, "nochmal".into())],
            contact: Some("sip:a@b".into()),
            ..open.clone()
        };
        let (text, losses) = xml(&rich);
        assert_eq!(
            text,
            "<presence from='a@b/c' to='d@e'><show>away</show><status xml:lang='en'>out</status>\
             <status>weg</status><priority>7</priority></presence>"
        );
        assert_eq!(losses.iter().map(|l| l.what.as_str()).collect::<Vec<_>>(), ["second-note", "contact"]);
        for (activity, word, lost) in [
            (Activity::Chatty, "chat", 0),
            (Activity::ExtendedAway, "xa", 0),
            (Activity::Busy, "dnd", 0),
            (Activity::OnThePhone, "dnd", 1),
            (Activity::InMeeting, "dnd", 1),
        ] {
            let (text, losses) = xml(&Tuple { activity, ..open.clone() });
            assert!(text.contains(&format!("<show>{word}</show>")), "{text}");
            assert_eq!(losses.len(), lost);
        }
    }

    #[test]
    fn our_own_bytes_are_relayed_as_they_are() {
        let mut tuple = Tuple::plain(None, Basic::Open, Timestamp(0));
        let bytes = Bytes::from_static(b"<presence from='a@b/c'><x xmlns='urn:x'/></presence>");
        tuple.original = Some(Original { dialect: Dialect::Xmpp, bytes });
        assert_eq!(xml(&tuple).0, "<presence to='d@e' from='a@b/c'><x xmlns='urn:x'/></presence>");
        let (gone, _) = render_gone(&tuple, "a@b/c", "d@e");
        assert_eq!(gone, b"<presence from='a@b/c' to='d@e' type='unavailable'/>");
    }
}

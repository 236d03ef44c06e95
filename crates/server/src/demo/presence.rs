//! The acts about presence: watching, being away, and not being there at all.

use super::element::{Element, cut};
use super::print::Tone;
use super::script::{IN, OUT, Script, TEXT, XMPP, address, enter, hold};
use super::sip::{Message, Request};
use crate::failure::Failure;

impl Script<'_> {
    /// Presence: asked for, granted, shown, in both directions.
    pub(super) async fn watch(&mut self) -> Result<(), Failure> {
        let (juliet, romeo) = (address(&self.stage.juliet), address(&self.stage.romeo));
        let contact = self.romeo.contact();
        let answer = self
            .romeo
            .request(&Request {
                method: "SUBSCRIBE",
                to: &juliet,
                headers: &[&contact, "Event: presence", "Accept: application/pidf+xml", "Expires: 600"],
                ..Request::default()
            })
            .await?;
        hold(answer.status() == Some(200), "200 for the subscription", answer.outcome())?;
        self.romeo.expect("a NOTIFY that says pending", |m| state(m).starts_with("pending")).await?;
        let asks =
            |e: &Element| e.name == "presence" && e.attr("type") == "subscribe" && e.attr("from") == romeo;
        self.juliet.expect("romeo's request on the XMPP side", asks).await?;
        let (seq, _) = self.book.row("subscribe", &romeo, &juliet).await?;
        let what = "asks to see when she is there (SUBSCRIBE)".to_owned();
        self.line(["romeo", "juliet", IN], what, "pending: she decides", Tone::Waiting, Some(seq));

        self.juliet.send(&format!("<presence to='{romeo}' type='subscribed'/>")).await?;
        let open = |m: &Message| state(m).starts_with("active") && pidf(m, "basic") == "open";
        self.romeo.expect("an active NOTIFY with a document that says open", open).await?;
        let (seq, _) = self.book.row("authorize", &juliet, &romeo).await?;
        let what = "allows it; he is notified: \"open\" (PIDF)".to_owned();
        self.line(["juliet", "romeo", OUT], what, "delivered", Tone::Good, Some(seq));

        self.juliet.send("<presence><show>dnd</show><status>reading a letter</status></presence>").await?;
        let busy = |m: &Message| pidf(m, "show") == "dnd" && pidf(m, "note") == "reading a letter";
        self.romeo.expect("a NOTIFY that says dnd, reading a letter", busy).await?;
        let what = "is busy: \"reading a letter\"".to_owned();
        self.line(["juliet", "romeo", OUT], what, "delivered", Tone::Good, None);

        self.juliet.send(&format!("<presence to='{romeo}' type='subscribe'/>")).await?;
        let told = |kind: &'static str| {
            let from = romeo.clone();
            move |e: &Element| {
                e.name == "presence" && e.attr("type") == kind && e.attr("from").starts_with(&from)
            }
        };
        self.juliet.expect("the answer that she may see romeo", told("subscribed")).await?;
        self.juliet.expect("romeo's presence", told("")).await?;
        let (seq, _) = self.book.row("subscribe", &juliet, &romeo).await?;
        let what = "asks to see him; he asked first, so she may".to_owned();
        self.line(["juliet", "romeo", XMPP], what, "granted", Tone::Good, Some(seq));

        let document = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" \
             xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\" \
             entity=\"sip:{romeo}\"><tuple id=\"desk\"><status><basic>open</basic></status><note>at lunch</note></tuple>\
             <dm:person id=\"p\"><rpid:activities><rpid:away/></rpid:activities></dm:person></presence>\r\n"
        );
        let headers = ["Event: presence", "Expires: 600", "Content-Type: application/pidf+xml"];
        let request = Request {
            method: "PUBLISH",
            to: &romeo,
            headers: &headers,
            body: &document,
            ..Request::default()
        };
        let answer = self.romeo.request(&request).await?;
        hold(answer.status() == Some(200), "200 for the publication", answer.outcome())?;
        let away =
            |e: &Element| told("")(e) && e.text_of("show") == "away" && e.text_of("status") == "at lunch";
        self.juliet.expect("romeo away, at lunch", away).await?;
        let what = "is away: \"at lunch\" (PUBLISH)".to_owned();
        self.line(["romeo", "juliet", IN], what, "delivered (200 OK)", Tone::Good, None);
        Ok(())
    }

    /// A message to somebody who is not there waits for her.
    pub(super) async fn miss(&mut self) -> Result<(), Failure> {
        let (juliet, romeo) = (address(&self.stage.juliet), address(&self.stage.romeo));
        self.juliet.leave().await?;
        let closed = |m: &Message| pidf(m, "basic") == "closed";
        self.romeo.expect("a NOTIFY that says closed", closed).await?;
        let what = "logs out; he is notified: \"closed\"".to_owned();
        self.line(["juliet", "romeo", OUT], what, "delivered", Tone::Good, None);

        let text = "O, wilt thou leave me so unsatisfied?";
        let request =
            Request { method: "MESSAGE", to: &juliet, headers: &[TEXT], body: text, ..Request::default() };
        let answer = self.romeo.request(&request).await?;
        hold(
            answer.status() == Some(202),
            "202 for a message to somebody who is not there",
            answer.outcome(),
        )?;
        let (seq, _) = self.book.row("message", &romeo, &juliet).await?;
        let what = format!("\"{text}\" while she is away");
        self.line(["romeo", "juliet", IN], what, "accepted (202): kept for her", Tone::Waiting, Some(seq));

        *self.juliet = *enter(self.stage, false).await?;
        let what = format!("logs in again: direct {}", self.juliet.how);
        self.line(["juliet", "server", XMPP], what, "accepted", Tone::Good, None);
        let seen = self.juliet.expect("the message that was kept", |e| e.text_of("body") == text).await?;
        let since = seen.child("delay").map_or("", |d| d.attr("stamp")).to_owned();
        hold(!since.is_empty(), "a note of when it was said (delay)", "none")?;
        let outcome = self.book.outcome(seq).await?;
        hold(outcome == "delivered", "delivered", &outcome)?;
        let time = since.split('T').nth(1).unwrap_or(&since).trim_end_matches('Z');
        let what = format!("\"{text}\" marked as said at {time}");
        self.line(["romeo", "juliet", IN], what, "delivered", Tone::Good, Some(seq));
        Ok(())
    }
}

fn state(message: &Message) -> &str {
    if message.method() == "NOTIFY" { message.header("Subscription-State") } else { "" }
}

/// The text of the first such element in a presence document.
fn pidf(message: &Message, name: &str) -> String {
    let document = cut(message.body.as_bytes()).filter(|_| message.method() == "NOTIFY");
    document.and_then(|(d, _)| d.find(name).map(|e| e.text.trim().to_owned())).unwrap_or_default()
}

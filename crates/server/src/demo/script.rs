//! The conversation: every line is said over a real connection, and checked at the other end and in the journal before
//! it is printed.

use super::book::Book;
use super::element::Element;
use super::print::{Line, Table, Tone};
use super::sip::{Message, Request, Sip};
use super::xmpp::{Account, Login, Xmpp};
use crate::failure::Failure;
use markup::xml::escaped;
use std::net::SocketAddr;
use tokio_rustls::TlsConnector;

/// Where the conversation takes place.
pub struct Stage {
    /// The clients' trust.
    pub tls: TlsConnector,
    /// XMPP with STARTTLS.
    pub xmpp: SocketAddr,
    /// XMPP with direct TLS.
    pub xmpps: SocketAddr,
    /// SIP over TLS.
    pub sips: SocketAddr,
    /// Speaks XMPP.
    pub juliet: Account,
    /// Speaks SIP.
    pub romeo: Account,
}

pub(super) const XMPP: &str = "XMPP/TLS";
pub(super) const SIP: &str = "SIP/TLS";
pub(super) const OUT: &str = "XMPP/TLS -> SIP/TLS";
pub(super) const IN: &str = "SIP/TLS -> XMPP/TLS";
pub(super) const TEXT: &str = "Content-Type: text/plain;charset=UTF-8";

/// The conversation under way.
pub struct Script<'a> {
    pub(super) stage: &'a Stage,
    table: &'a mut Table,
    pub(super) book: &'a mut Book,
    pub(super) juliet: Box<Xmpp>,
    pub(super) romeo: Sip,
}

/// An expectation that did not hold ends the conversation.
pub(super) fn hold(holds: bool, expected: &str, got: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::new(format!("expected {expected}, but got: {got}"))) }
}

/// `user@domain`.
pub(super) fn address(account: &Account) -> String {
    format!("{}@{}", account.user, account.domain)
}

impl<'a> Script<'a> {
    /// Plays it from the first line to the last.
    pub async fn play(stage: &'a Stage, table: &'a mut Table, book: &'a mut Book) -> Result<(), Failure> {
        let juliet = enter(stage, true).await?;
        let how = juliet.how.clone();
        put(
            table,
            ["juliet", "server", XMPP],
            format!("logs in: STARTTLS, {how}"),
            "accepted",
            Tone::Good,
            None,
        );
        let mut romeo = Sip::connect(stage.sips, &stage.tls, &stage.romeo).await?;
        let answer = romeo.register(600).await?;
        hold(answer.status() == Some(200), "200 for the registration", answer.outcome())?;
        let what = format!("registers: {}", romeo.how);
        put(table, ["romeo", "server", SIP], what, "accepted (200 OK)", Tone::Good, None);
        hold(romeo.how.starts_with("TLS 1.3") && how.starts_with("TLS 1.3"), "TLS 1.3", &romeo.how)?;
        let mut script = Script { stage, table, book, juliet, romeo };
        script.talk().await?;
        script.watch().await?;
        script.miss().await?;
        script.refuse().await?;
        script.juliet.leave().await?;
        script.romeo.leave().await
    }

    pub(super) fn line(
        &mut self,
        ends: [&'static str; 3],
        what: String,
        verdict: &str,
        tone: Tone,
        journal: Option<u64>,
    ) {
        put(self.table, ends, what, verdict, tone, journal);
    }

    /// Messages both ways, then a subject and a thread that survive the way there and back.
    async fn talk(&mut self) -> Result<(), Failure> {
        let text = "Art thou not Romeo, and a Montague?";
        // As most clients do, she asks for a receipt: a plain SIP phone cannot give one, and the journal says so.
        let (_, seq) = self.juliet_says(text, "<request xmlns='urn:xmpp:receipts'/>").await?;
        self.line(["juliet", "romeo", OUT], format!("\"{text}\""), "delivered", Tone::Good, Some(seq));

        let text = "Neither, fair saint, if either thee dislike.";
        let (_, seq) = self.romeo_says(text, "", &[TEXT]).await?;
        self.line(
            ["romeo", "juliet", IN],
            format!("\"{text}\""),
            "delivered (200 OK)",
            Tone::Good,
            Some(seq),
        );

        let text = "How camest thou hither, tell me, & wherefore?";
        let beside = "<subject>The orchard walls</subject><thread>balcony-2.2</thread>";
        let (seen, seq) = self.juliet_says(text, beside).await?;
        let got = format!("Subject {:?}, Call-ID {:?}", seen.header("Subject"), seen.header("Call-ID"));
        let kept = seen.header("Subject") == "The orchard walls" && seen.header("Call-ID") == "balcony-2.2";
        hold(kept, "her subject, and her thread as the Call-ID", &got)?;
        let what = format!("\"{text}\" with a subject, in a thread of its own");
        self.line(["juliet", "romeo", OUT], what, "delivered", Tone::Good, Some(seq));

        let text = "With love's light wings did I o'er-perch these walls; für Dich ❤";
        let headers = [TEXT, "Subject: Re: The orchard walls"];
        let (seen, seq) = self.romeo_says(text, seen.header("Call-ID"), &headers).await?;
        let got = format!("subject {:?}, thread {:?}", seen.text_of("subject"), seen.text_of("thread"));
        let kept =
            seen.text_of("subject") == "Re: The orchard walls" && seen.text_of("thread") == "balcony-2.2";
        hold(kept, "his subject, and her thread back", &got)?;
        let what = format!("\"{text}\" in reply: same thread");
        self.line(["romeo", "juliet", IN], what, "delivered (200 OK)", Tone::Good, Some(seq));
        Ok(())
    }

    async fn juliet_says(&mut self, text: &str, beside: &str) -> Result<(Message, u64), Failure> {
        let (to, from) = (address(&self.stage.romeo), address(&self.stage.juliet));
        let id = format!("say-{}", self.table.lines());
        let body = escaped(text);
        self.juliet
            .send(&format!("<message to='{to}' type='chat' id='{id}'>{beside}<body>{body}</body></message>"))
            .await?;
        let what = format!("{text:?} on the SIP side");
        let seen = self.romeo.expect(&what, |m| m.method() == "MESSAGE" && m.body == text).await?;
        hold(
            seen.header("From").contains(&format!("sip:{from}")),
            "it to be from juliet",
            seen.header("From"),
        )?;
        let (seq, _) = self.book.row("message", &from, &to).await?;
        let outcome = self.book.outcome(seq).await?;
        hold(outcome == "delivered", "delivered", &outcome)?;
        Ok((seen, seq))
    }

    async fn romeo_says(
        &mut self,
        text: &str,
        call_id: &str,
        headers: &[&str],
    ) -> Result<(Element, u64), Failure> {
        let (to, from) = (address(&self.stage.juliet), address(&self.stage.romeo));
        let request =
            Request { method: "MESSAGE", to: &to, call_id, headers, body: text, ..Request::default() };
        let answer = self.romeo.request(&request).await?;
        hold(answer.status() == Some(200), "200 for the message", answer.outcome())?;
        let what = format!("{text:?} on the XMPP side");
        let seen = self.juliet.expect(&what, |e| e.name == "message" && e.text_of("body") == text).await?;
        hold(seen.attr("from").starts_with(&from), "it to be from romeo", seen.attr("from"))?;
        let (seq, _) = self.book.row("message", &from, &to).await?;
        let outcome = self.book.outcome(seq).await?;
        hold(outcome == "delivered", "delivered", &outcome)?;
        Ok((seen, seq))
    }
}

fn put(
    table: &mut Table,
    ends: [&'static str; 3],
    what: String,
    verdict: &str,
    tone: Tone,
    journal: Option<u64>,
) {
    let [who, whom, way] = ends;
    table.line(&Line { who, whom, way, what, verdict: verdict.to_owned(), tone, journal });
}

/// Juliet logs in and is there.
pub(super) async fn enter(stage: &Stage, starttls: bool) -> Result<Box<Xmpp>, Failure> {
    let at = if starttls { stage.xmpp } else { stage.xmpps };
    match Xmpp::log_in(at, starttls, &stage.tls, &stage.juliet).await? {
        Login::In(client) => Ok(client),
        Login::Refused(why) => Err(Failure::new(format!("expected juliet to be let in, but got: {why}"))),
    }
}

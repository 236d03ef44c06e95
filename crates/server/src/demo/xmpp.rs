//! A small XMPP client (RFC 6120, RFC 6121): it logs in, says what the script says and waits for what should come.

use super::element::{Element, cut};
use super::proof::{Scram, random};
use super::wire::{PATIENCE, Wire};
use crate::failure::Failure;
use markup::xml::escaped;
use std::collections::VecDeque;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Whose account.
#[derive(Debug, Clone)]
pub struct Account {
    /// The part before the `@`.
    pub user: String,
    /// The domain.
    pub domain: String,
    /// Its password.
    pub password: String,
}

/// How a log-in ended.
pub enum Login {
    /// The client is in.
    In(Box<Xmpp>),
    /// The server's defined condition, such as `not-authorized`.
    Refused(String),
}

/// A logged-in client.
pub struct Xmpp {
    wire: Wire<TlsStream<TcpStream>>,
    waiting: VecDeque<Element>,
    /// What the connection is secured by and how the client proved itself, in words.
    pub how: String,
}

impl Xmpp {
    /// Connects, with STARTTLS or with TLS from the first byte, proves the password and, if that is accepted, binds a
    /// resource and becomes available.
    pub async fn log_in(
        at: SocketAddr,
        starttls: bool,
        tls: &TlsConnector,
        account: &Account,
    ) -> Result<Login, Failure> {
        let mut plain = Wire::connect(at).await?;
        if starttls {
            open(&mut plain, &account.domain).await?;
            plain.send(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await?;
            named(&mut plain, "proceed").await?;
        }
        let mut wire = plain.secure(tls, &account.domain).await?;
        let features = open(&mut wire, &account.domain).await?;
        let offered = features
            .child("mechanisms")
            .is_some_and(|m| m.children.iter().any(|m| m.text == "SCRAM-SHA-256"));
        if !offered {
            return Err(Failure::new("the server does not offer SCRAM-SHA-256"));
        }
        let mut scram = Scram::new(&account.user, &account.password, &random(24)?);
        let sasl = "urn:ietf:params:xml:ns:xmpp-sasl";
        let first = scram.first();
        wire.send(format!("<auth xmlns='{sasl}' mechanism='SCRAM-SHA-256'>{first}</auth>").as_bytes())
            .await?;
        let answer = scram.answer(&named(&mut wire, "challenge").await?.text)?;
        wire.send(format!("<response xmlns='{sasl}'>{answer}</response>").as_bytes()).await?;
        let last = next(&mut wire, "the outcome of the log-in").await?;
        if last.name == "failure" {
            let condition = last.children.first().map_or_else(String::new, |c| c.name.clone());
            return Ok(Login::Refused(condition));
        }
        if last.name != "success" || !scram.accepts(&last.text) {
            return Err(Failure::new("the server did not prove that it knows the password"));
        }
        open(&mut wire, &account.domain).await?;
        let how = format!("{}, SCRAM-SHA-256", wire.version());
        let mut client = Self { wire, waiting: VecDeque::new(), how };
        client
            .send(
                "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
                 <resource>balcony</resource></bind></iq>",
            )
            .await?;
        client.expect("a bound resource", |e| e.attr("id") == "bind" && e.attr("type") == "result").await?;
        // Only clients that have asked for their contacts are asked about new ones.
        client.send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq><presence/>").await?;
        client.expect("the contact list", |e| e.attr("id") == "roster" && e.attr("type") == "result").await?;
        Ok(Login::In(Box::new(client)))
    }

    /// Sends stanzas.
    pub async fn send(&mut self, xml: &str) -> Result<(), Failure> {
        self.wire.send(xml.as_bytes()).await
    }

    /// Waits for a stanza of which `fits` holds; others are kept for later waits, queries are answered.
    pub async fn expect(&mut self, what: &str, fits: impl Fn(&Element) -> bool) -> Result<Element, Failure> {
        if let Some(at) = self.waiting.iter().position(&fits) {
            return self.waiting.remove(at).ok_or_else(|| Failure::new(format!("expected {what}")));
        }
        let until = Instant::now() + PATIENCE;
        loop {
            let element = self.wire.take(what, until, cut).await?;
            if element.name == "iq" && matches!(element.attr("type"), "get" | "set") {
                let answer = format!("<iq type='result' id='{}'/>", escaped(element.attr("id")));
                self.send(&answer).await?;
            } else if fits(&element) {
                return Ok(element);
            } else {
                self.waiting.push_back(element);
            }
        }
    }

    /// Says goodbye and waits until the server has said it too, so that what follows finds nobody here.
    pub async fn leave(&mut self) -> Result<(), Failure> {
        self.send("<presence type='unavailable'/></stream:stream>").await?;
        self.expect("the end of the stream", |e| e.name == "/stream").await?;
        self.wire.close().await;
        Ok(())
    }
}

async fn next<S: AsyncRead + AsyncWrite + Unpin>(wire: &mut Wire<S>, what: &str) -> Result<Element, Failure> {
    wire.take(what, Instant::now() + PATIENCE, cut).await
}

async fn named<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    name: &str,
) -> Result<Element, Failure> {
    let element = next(wire, &format!("<{name}/>")).await?;
    if element.name == name {
        return Ok(element);
    }
    let inner = element.children.first().map_or("", |c| &c.name);
    Err(Failure::new(format!("expected <{name}/>, but <{}/> came: {inner}", element.name)))
}

/// Opens a stream and returns its features.
async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    domain: &str,
) -> Result<Element, Failure> {
    let header = format!(
        "<?xml version='1.0'?><stream:stream to='{domain}' version='1.0' xml:lang='en' xmlns='jabber:client' \
         xmlns:stream='http://etherx.jabber.org/streams'>"
    );
    wire.send(header.as_bytes()).await?;
    named(wire, "stream").await?;
    named(wire, "features").await
}

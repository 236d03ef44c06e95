//! An XMPP client session: logging in, then reading what comes.

use std::sync::atomic::{AtomicU32, Ordering};
use std::{net::SocketAddr, rc::Rc};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};

use super::{
    scan::{attr, next_unit, text},
    stanza,
};
use crate::{
    Result, clock,
    conn::{Conn, Reader, connect},
    env::{Account, Env, nonce},
    mark::Mark,
    opts::XmppTls,
    rig::{Sender, Sink},
    sasl::{self, Mechanism, Scram},
    template::Template,
};

static SESSIONS: AtomicU32 = AtomicU32::new(0);

/// Connects, secures the connection, authenticates, binds a resource and, if `available`, sends presence and waits
/// until the server has taken it.
pub async fn login(
    env: &Env,
    account: &Account,
    source: Option<SocketAddr>,
    available: bool,
) -> Result<Reader> {
    let inner = login_steps(env, account, source, available).await;
    inner.map_err(|e| format!("login of {}: {e}", account.user).into())
}

async fn login_steps(
    env: &Env,
    account: &Account,
    source: Option<SocketAddr>,
    available: bool,
) -> Result<Reader> {
    let opts = &env.opts;
    let mut r = connect(opts.xmpp, source).await?;
    if opts.xmpp_tls == XmppTls::Direct {
        r.secure(env.tls()?, env.tls_name()).await?;
    }
    let mut features = open(&mut r, &opts.domain).await?;
    if opts.xmpp_tls == XmppTls::Starttls {
        send(&r, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        if !unit(&mut r).await?.starts_with("<proceed") {
            return Err("STARTTLS refused".into());
        }
        r.secure(env.tls()?, env.tls_name()).await?;
        features = open(&mut r, &opts.domain).await?;
    }
    authenticate(&mut r, env, account, &features).await?;
    features = open(&mut r, &opts.domain).await?;
    // Each session its own: an accounts file may name a user several times.
    let resource = format!("b{:08x}-{}", env.run, SESSIONS.fetch_add(1, Ordering::Relaxed));
    send(
        &r,
        &format!(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
             <resource>{resource}</resource></bind></iq>"
        ),
    );
    result(&mut r, "bind").await?;
    if features.contains("xmpp-session") && !features.contains("<optional") {
        send(&r, "<iq type='set' id='sess'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>");
        result(&mut r, "sess").await?;
    }
    if available {
        let to = &opts.domain;
        let ping =
            format!("<presence/><iq type='get' id='ready' to='{to}'><ping xmlns='urn:xmpp:ping'/></iq>");
        send(&r, &ping);
        // An error will do: it shows too that the presence before it has been dealt with.
        while attr(unit(&mut r).await?.as_bytes(), "id") != Some(b"ready") {}
    }
    if r.buf.is_empty() {
        r.buf = Vec::new();
    }
    Ok(r)
}

async fn authenticate(r: &mut Reader, env: &Env, account: &Account, features: &str) -> Result<()> {
    let offered = |m: &Mechanism| features.contains(&format!(">{}<", m.name()));
    let mechanism = match env.opts.mechanism.mechanism() {
        Some(m) => m,
        None => Mechanism::ALL.into_iter().find(offered).ok_or("no common SASL mechanism")?,
    };
    let auth = |first: &[u8]| {
        let (name, first) = (mechanism.name(), BASE64.encode(first));
        format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{name}'>{first}</auth>")
    };
    let mut scram = Scram::new(mechanism, &account.user, &account.password, &nonce());
    if mechanism == Mechanism::Plain {
        send(r, &auth(&sasl::plain(&account.user, &account.password)));
    } else {
        send(r, &auth(scram.first().as_bytes()));
    }
    loop {
        let said = unit(r).await?;
        if said.starts_with("<challenge") {
            let challenge = BASE64.decode(text(&said, "challenge").unwrap_or(""))?;
            let challenge = String::from_utf8(challenge)?;
            // Some servers put the final message into a challenge rather than into the success.
            let answer =
                if challenge.starts_with("v=") { String::new() } else { scram.answer(&challenge)? };
            let answer = BASE64.encode(answer);
            send(r, &format!("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{answer}</response>"));
        } else if said.starts_with("<success") {
            let last = String::from_utf8(BASE64.decode(text(&said, "success").unwrap_or(""))?)?;
            if mechanism != Mechanism::Plain && !last.is_empty() && !scram.verify(&last) {
                return Err("the server does not know the password".into());
            }
            return Ok(());
        } else {
            return Err(format!("SASL: {said}").into());
        }
    }
}

/// Opens a stream and returns its features.
async fn open(r: &mut Reader, domain: &str) -> Result<String> {
    r.buf.clear();
    send(
        r,
        &format!(
            "<?xml version='1.0'?><stream:stream to='{domain}' version='1.0' xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams'>"
        ),
    );
    loop {
        let said = unit(r).await?;
        if said.starts_with("<stream:features") {
            return Ok(said);
        }
        if said.starts_with("<stream:error") || said.starts_with("</") {
            return Err(said.into());
        }
    }
}

async fn result(r: &mut Reader, id: &str) -> Result<()> {
    loop {
        let said = unit(r).await?;
        if attr(said.as_bytes(), "id") == Some(id.as_bytes()) {
            return if said.contains("'error'") || said.contains("\"error\"") {
                Err(said.into())
            } else {
                Ok(())
            };
        }
    }
}

pub(super) fn send(r: &Reader, text: &str) {
    r.conn.queue(|out| out.extend_from_slice(text.as_bytes()));
    r.conn.flush();
}

pub(super) async fn unit(r: &mut Reader) -> Result<String> {
    loop {
        if let Some((start, end)) = next_unit(&r.buf) {
            let unit = String::from_utf8(r.buf[start..end].to_vec())?;
            r.buf.drain(..end);
            return Ok(unit);
        }
        if r.fill().await? == 0 {
            return Err("the server closed the connection".into());
        }
    }
}

/// Reads until the connection ends and reports to `sink` as client `who`. Answers queries and grants all
/// subscription requests.
pub async fn attend(mut r: Reader, who: u32, sink: Rc<dyn Sink>) {
    let conn = r.conn.clone();
    loop {
        let now = clock::now();
        let mut used = 0;
        while let Some((start, end)) = next_unit(&r.buf[used..]) {
            heed(&r.buf[used + start..used + end], &conn, who, &*sink, now);
            used += end;
        }
        if used == r.buf.len() {
            r.buf.clear();
            r.buf.shrink_to(16 * 1024);
        } else {
            r.buf.drain(..used);
        }
        sink.batch_done();
        conn.flush();
        if !matches!(r.fill().await, Ok(1..)) || conn.is_closed() {
            return sink.closed();
        }
    }
}

fn heed(unit: &[u8], conn: &Conn, who: u32, sink: &dyn Sink, now: u64) {
    if unit.starts_with(b"<message") {
        if attr(unit, "type") == Some(b"error") {
            if let Some((flow, seq)) = attr(unit, "id").and_then(stanza::read_id) {
                sink.bounced(flow, seq, condition(unit), now);
            }
        } else if let Some(mark) = Mark::find(unit) {
            sink.arrived(who, mark, now);
        }
    } else if unit.starts_with(b"<presence") {
        match attr(unit, "type") {
            None => {
                if let Some(mark) = Mark::find(unit) {
                    sink.arrived(who, mark, now);
                }
            }
            Some(b"subscribe") => {
                let from = String::from_utf8_lossy(attr(unit, "from").unwrap_or(b""));
                let granted = format!("<presence to='{from}' type='subscribed'/>");
                conn.queue(|out| out.extend_from_slice(granted.as_bytes()));
            }
            Some(_) => {}
        }
    } else if unit.starts_with(b"<iq") && matches!(attr(unit, "type"), Some(b"get" | b"set")) {
        let of = |name| String::from_utf8_lossy(attr(unit, name).unwrap_or(b"")).into_owned();
        let to = attr(unit, "from").map(|_| format!(" to='{}'", of("from"))).unwrap_or_default();
        let reply = format!("<iq type='result' id='{}'{to}/>", of("id"));
        conn.queue(|out| out.extend_from_slice(reply.as_bytes()));
    }
}

/// The defined condition of a stanza error.
fn condition(unit: &[u8]) -> &str {
    const KNOWN: [&str; 10] = [
        "service-unavailable",
        "remote-server-not-found",
        "remote-server-timeout",
        "not-allowed",
        "forbidden",
        "item-not-found",
        "policy-violation",
        "resource-constraint",
        "recipient-unavailable",
        "not-acceptable",
    ];
    KNOWN
        .into_iter()
        .find(|c| memchr::memmem::find(unit, c.as_bytes()).is_some())
        .unwrap_or("other-stanza-error")
}

/// Sends the messages of a flow on a session.
pub struct StanzaSender {
    /// The session.
    pub conn: Rc<Conn>,
    /// The message.
    pub template: Template,
}

impl Sender for StanzaSender {
    fn emit(&self, mark: &Mark, attempt: u8) -> Option<Box<[u8]>> {
        self.conn.queue(|out| self.template.render(mark, attempt, b"", out));
        None
    }

    fn flush(&self) {
        self.conn.flush();
    }

    fn is_answered(&self) -> bool {
        false
    }
}

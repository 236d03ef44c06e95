//! Another company's server, as far as a measurement needs one: a stream to the server under test, authenticated by
//! certificate, that carries both ways (RFC 6120, XEP-0178, XEP-0288).

use std::{net::SocketAddr, sync::Arc};

use rustls::ClientConfig;

use super::session::{send, unit};
use crate::{
    Result,
    conn::{Reader, connect},
};

/// Opens the stream of `partner` to `domain` at `to`, and makes it carry both ways.
pub async fn stream(
    to: SocketAddr,
    partner: &str,
    domain: &str,
    tls: &Arc<ClientConfig>,
    tls_name: &str,
) -> Result<Reader> {
    let mut r = connect(to, None).await?;
    open(&mut r, partner, domain).await?;
    send(&r, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    if !unit(&mut r).await?.starts_with("<proceed") {
        return Err("STARTTLS refused".into());
    }
    r.secure(tls, tls_name).await?;
    let features = open(&mut r, partner, domain).await?;
    if !features.contains(">EXTERNAL<") {
        return Err(format!("the certificate is not believed: {features}").into());
    }
    send(
        &r,
        "<bidi xmlns='urn:xmpp:bidi'/><auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>",
    );
    let said = unit(&mut r).await?;
    if !said.starts_with("<success") {
        return Err(format!("SASL: {said}").into());
    }
    open(&mut r, partner, domain).await?;
    Ok(r)
}

async fn open(r: &mut Reader, partner: &str, domain: &str) -> Result<String> {
    r.buf.clear();
    send(
        r,
        &format!(
            "<?xml version='1.0'?><stream:stream from='{partner}' to='{domain}' version='1.0' xmlns='jabber:server' \
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

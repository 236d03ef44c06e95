//! The answer to an invitation, over HTTPS to whoever invited: to nobody but the partner that the invitation named.

use super::Ground;
use connector::TlsMode;
use model::{Address, Dialect};
use net::Visit;

/// Sends an answer (`https://host[:port]/path`).
///
/// # Errors
/// In words, why it did not get there, or was not welcome.
pub async fn send(ground: &Ground, url: &str, word: &str, partner: &str) -> Result<(), String> {
    let partner = ground.partners.partner(partner).map_err(|e| e.to_string())?;
    let domain = partner.domains.first().and_then(|domain| Address::parse(domain).ok());
    let domain = domain.ok_or("the partner has no domain")?;
    let rest =
        url.strip_prefix("https://").ok_or("the answer is to be sent by HTTPS, and by nothing else")?;
    let (place, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = match place.rsplit_once(':').filter(|_| !place.ends_with(']')) {
        Some((host, port)) => (host, port.parse().map_err(|_| format!("{url:?} is no address"))?),
        None => (place, 443),
    };
    let spots = ground.resolver.spots(host, port, TlsMode::Direct).await?;
    let spot = spots.first().ok_or("there is no such server")?;
    let visit = Visit::begin(spot.addr).await?;
    let (mut visit, facts) = visit.secure(None, domain.domain(), None).await?;
    // What proves their servers in the protocol that was agreed on proves this one.
    let dialect = partner.protocols.first().map_or(Dialect::Xmpp, |p| p.dialect());
    match super::inspect(ground, &domain, dialect, facts).await {
        Some(shown) if shown.wrong.is_none() => {}
        Some(shown) => return Err(shown.wrong.unwrap_or_default()),
        None => return Err("it shows no certificate that can be read".into()),
    }
    let request = format!(
        "POST /{path} HTTP/1.1\r\nHost: {place}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{word}",
        word.len()
    );
    visit.say(request.as_bytes()).await?;
    let heard = visit.hear(|text| text.contains("\r\n\r\n")).await?;
    let status = heard.split(' ').nth(1).unwrap_or_default();
    match status {
        "201" => Ok(()),
        _ => Err(format!("their server answered {}", heard.lines().next().unwrap_or_default())),
    }
}

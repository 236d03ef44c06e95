//! What a domain says over HTTPS of the certificates of its servers (POSH, RFC 7711).

use base64::Engine as _;
use connector::TlsMode;
use model::Dialect;
use net::{Resolver, Visit};
use parking_lot::Mutex;
use partner::Federation;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Domains remembered at a time.
const REMEMBERED: usize = 1_000;
/// Nothing is believed for longer, whatever the document says.
const LONGEST: Duration = Duration::from_secs(86_400);
/// A domain that had none is not asked again for so long.
const AGAIN: Duration = Duration::from_secs(300);
/// Certificates one document may name.
const NAMED: usize = 64;

/// Ours holds for so many seconds.
const OURS: u32 = 3_600;

/// Hashes of certificates, SHA-256 or SHA-512; or why there are none.
type Found = Result<Vec<Vec<u8>>, String>;

/// What was found, and until when it holds.
#[derive(Default)]
pub struct Memory(Mutex<HashMap<String, (Instant, Found)>>);

/// Both kinds of document (RFC 7711 section 3).
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    fingerprints: Vec<HashMap<String, String>>,
    url: Option<String>,
    #[serde(default)]
    expires: u64,
}

impl Memory {
    /// The certificates that a domain names, asked for or remembered.
    pub async fn ask(self: Arc<Self>, resolver: Resolver, web: Weak<Federation>, domain: String) -> Found {
        let now = Instant::now();
        if let Some((until, found)) = self.0.lock().get(&domain)
            && now < *until
        {
            return found.clone();
        }
        let asked = fetch(&resolver, &web, &domain).await;
        let (lasts, found) = match asked {
            Ok((lasts, found)) => (lasts.min(LONGEST), Ok(found)),
            Err(why) => (AGAIN, Err(why)),
        };
        let mut memory = self.0.lock();
        memory.retain(|_, (until, _)| now < *until);
        if memory.len() < REMEMBERED {
            memory.insert(domain, (now + lasts, found.clone()));
        }
        found
    }
}

/// The service's name in the path; `None` where the protocol has none.
pub fn service(dialect: Dialect) -> Option<&'static str> {
    (dialect == Dialect::Xmpp).then_some("xmpp-server")
}

/// What we say of our own certificates, for as long as a change of them is known before.
pub fn document(leaves: &[Vec<u8>]) -> String {
    let hash = |leaf: &Vec<u8>| base64::engine::general_purpose::STANDARD.encode(Sha256::digest(leaf));
    let all: Vec<_> = leaves.iter().map(|leaf| serde_json::json!({ "sha-256": hash(leaf) })).collect();
    serde_json::json!({ "fingerprints": all, "expires": OURS }).to_string()
}

async fn fetch(
    resolver: &Resolver,
    web: &Weak<Federation>,
    domain: &str,
) -> Result<(Duration, Vec<Vec<u8>>), String> {
    let host = partner::ascii(domain);
    let document = get(resolver, web, &host, 443, "/.well-known/posh/xmpp-server.json").await?;
    let first = Duration::from_secs(document.expires);
    let (lasts, document) = match &document.url {
        None => (first, document),
        Some(url) => {
            let (host, port, path) = place(url)?;
            let second = get(resolver, web, host, port, path).await?;
            if second.url.is_some() {
                return Err("what it refers to refers to something else again".into());
            }
            (first.min(Duration::from_secs(second.expires)), second)
        }
    };
    if lasts.is_zero() {
        return Err("it does not say for how long it holds".into());
    }
    let decode = |text: &String| base64::engine::general_purpose::STANDARD.decode(text).ok();
    let hashes = document.fingerprints.iter().take(NAMED).flat_map(|one| {
        let sha256 = one.get("sha-256").and_then(decode).filter(|hash| hash.len() == 32);
        let sha512 = one.get("sha-512").and_then(decode).filter(|hash| hash.len() == 64);
        [sha256, sha512].into_iter().flatten()
    });
    let hashes: Vec<Vec<u8>> = hashes.collect();
    if hashes.is_empty() {
        Err("it names no certificate by SHA-256 or SHA-512".into())
    } else {
        Ok((lasts, hashes))
    }
}

/// `https://host[:port]/path`
fn place(url: &str) -> Result<(&str, u16, &str), String> {
    let wrong = || format!("it refers to {url:?}, which is no place of HTTPS");
    let rest = url.strip_prefix("https://").ok_or_else(wrong)?;
    let at = rest.find('/').ok_or_else(wrong)?;
    let (place, path) = rest.split_at(at);
    let (host, port) = match place.rsplit_once(':').filter(|_| !place.ends_with(']')) {
        Some((host, port)) => (host, port.parse().map_err(|_| wrong())?),
        None => (place, 443),
    };
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
    if host.is_empty() || host.contains('@') || !plain(url) { Err(wrong()) } else { Ok((host, port, path)) }
}

/// One document, from a server that proves to be this host by the authorities that count for other servers.
async fn get(
    resolver: &Resolver,
    web: &Weak<Federation>,
    host: &str,
    port: u16,
    path: &str,
) -> Result<Document, String> {
    let spots = resolver.spots(host, port, TlsMode::Direct).await?;
    let spot = spots.first().ok_or("there is no such server")?;
    let (mut visit, facts) = Visit::begin(spot.addr).await?.secure(None, host, Some("http/1.1")).await?;
    let shown = facts.certificates.ok_or("the web server shows no certificate")?;
    let judge = web.upgrade().ok_or("the server is stopping")?;
    judge
        .is_web_server(host, &shown)
        .map_err(|why| format!("the web server {host} is not trusted: {why}"))?;
    let at = if port == 443 { host.to_owned() } else { format!("{host}:{port}") };
    // HTTP/1.0 has no chunks; the document ends with the connection, or its length is said.
    visit
        .say(
            format!(
                "GET {path} HTTP/1.0\r\nHost: {at}\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
            )
            .as_bytes(),
        )
        .await?;
    let heard = visit.hear(is_whole).await?;
    let (head, body) = heard.split_once("\r\n\r\n").ok_or("the web server's answer is no answer of HTTP")?;
    match head.split(' ').nth(1) {
        Some("200") => {}
        // RFC 7711 has a reference of its own; where others lead is not followed.
        _ => return Err(format!("{host} answered {:?}", head.lines().next().unwrap_or_default())),
    }
    serde_json::from_str(body).map_err(|e| format!("the document of {host} cannot be read: {e}"))
}

fn is_whole(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    match length {
        Some(length) => body.len() >= length,
        None => serde_json::from_str::<serde_json::Value>(body).is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        assert_eq!(place("https://a.example/b/c.json"), Ok(("a.example", 443, "/b/c.json")));
        assert_eq!(place("https://a.example:8443/b"), Ok(("a.example", 8443, "/b")));
        for wrong in
            ["http://a.example/b", "https://a.example", "https://u@a.example/b", "https://a.example/b c"]
        {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_answer_is_whole_by_its_length_or_as_a_document() {
        assert!(!is_whole("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{"));
        assert!(is_whole("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"));
        assert!(is_whole("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"));
        assert!(!is_whole("HTTP/1.1 200 OK\r\n\r\n{\"a\":"));
        assert!(is_whole("HTTP/1.1 200 OK\r\n\r\n{\"a\":1}"));
    }
}

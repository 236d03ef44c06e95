//! Certificates by an authority that is asked by hand: a request goes out, a chain comes back.

use super::paper::{Paper, now};
use super::shelf;
use crate::config::Config;
use crate::failure::Failure;
use rcgen::{CertificateParams, DnType, KeyPair, PublicKeyData};
use std::fs;
use std::path::Path;

/// Makes a key for a domain, unless one waits already, and a request for its certificate (PKCS #10, PEM).
///
/// # Errors
/// [`Failure`] when the key cannot be written.
pub fn make(config: &Config, domain: &str) -> Result<String, Failure> {
    let domain = hosted(config, domain)?;
    let waiting = shelf::next_key(config, &domain);
    let key = match fs::read_to_string(&waiting) {
        Ok(pem) => KeyPair::from_pem(&pem)?,
        Err(_) => {
            let key = KeyPair::generate()?;
            shelf::put(&waiting, key.serialize_pem().as_bytes())?;
            key
        }
    };
    let mut params = CertificateParams::new(vec![partner::ascii(&domain)])?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, domain);
    Ok(params.serialize_request(&key)?.pem()?)
}

/// Puts a chain in place that came back for a request. Gives what it says.
///
/// # Errors
/// [`Failure`] where it is not for the domain, not for the key, over, or cannot be written; nothing has changed then.
pub fn install(config: &Config, domain: &str, chain: &Path) -> Result<Paper, Failure> {
    let domain = hosted(config, domain)?;
    let paper = Paper::open(chain)?;
    let wrong = |what: String| Err(Failure::new(format!("{}: {what}", chain.display())));
    if !paper.is_for(&domain) {
        return wrong(format!("this certificate is for {}, not for {domain}", paper.names.join(", ")));
    }
    if paper.days_left(now()) < 0 {
        return wrong("this certificate has expired".into());
    }
    let files = shelf::files(config, &domain);
    let waiting = shelf::next_key(config, &domain);
    let fits = |key: &Path| {
        let pem = fs::read_to_string(key).ok()?;
        let key = KeyPair::from_pem(&pem).ok()?;
        Some(key.subject_public_key_info() == paper.key)
    };
    let text = fs::read(chain).map_err(|e| Failure::new(format!("{}: {e}", chain.display())))?;
    if fits(&waiting) == Some(true) {
        let key = fs::read(&waiting).map_err(|e| Failure::new(format!("{}: {e}", waiting.display())))?;
        shelf::put_pair(config, &domain, &key, &text)?;
        let _ = fs::remove_file(&waiting);
    } else if fits(&files.key) == Some(true) {
        shelf::put(&files.certificate, &text)?;
    } else {
        return wrong(format!(
            "this certificate is not for a key of ours; ask for one with `rialto certificate request {domain}`"
        ));
    }
    Ok(paper)
}

fn hosted(config: &Config, domain: &str) -> Result<String, Failure> {
    let domain = xmpp::jid::domain(domain).unwrap_or_else(|_| domain.to_ascii_lowercase());
    if config.domains.iter().any(|d| d.domain() == domain) {
        return Ok(domain);
    }
    let ours: Vec<&str> = config.domains.iter().map(model::Address::domain).collect();
    Err(Failure::new(format!("{domain} is not one of `domains`: {}", ours.join(", "))))
}

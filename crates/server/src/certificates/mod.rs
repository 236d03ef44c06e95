//! Our certificates: which there are, how they come here, and when they end.

pub mod acme;
mod dns01;
mod http01;
pub mod paper;
pub mod request;
pub mod shelf;
mod watch;

pub use watch::watch;

use crate::config::Config;
use crate::failure::Failure;
use net::{KeyFiles, Tls, TlsError};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

/// Every certificate the configuration wants, the one for everybody first.
pub fn files(config: &Config) -> Vec<KeyFiles> {
    let everybody = config.tls.iter().map(|(certificate, key)| KeyFiles {
        domain: None,
        certificate: certificate.clone(),
        key: key.clone(),
    });
    let mut files: Vec<KeyFiles> = everybody.chain(config.tls_domains.iter().cloned()).collect();
    let domains = config.domains.iter().map(model::Address::domain);
    files.extend(domains.map(|domain| shelf::files(config, domain)).filter(|f| f.certificate.exists()));
    if files.is_empty() && config.acme.is_some() {
        files.extend(Some(shelf::stand_in(config)).filter(|f| f.certificate.exists()));
    }
    files
}

/// Reads them; what is wrong with one is said where the configuration names it.
///
/// # Errors
/// [`Failure`] with file and line.
pub fn open(config: &Config) -> Result<Option<Arc<Tls>>, Failure> {
    for domain in &config.domains {
        // Where nobody but the server may write, it is the server that sees to it.
        let _ = shelf::settle(config, domain.domain());
    }
    let files = files(config);
    if files.is_empty() {
        return Ok(None);
    }
    for KeyFiles { domain, key, .. } in &files {
        let mode = fs::metadata(key).map_or(0, |m| m.permissions().mode());
        if mode & 0o007 != 0 {
            let what = format!("{}: everybody on this machine can read this key; chmod 600", key.display());
            return Err(at(config, domain.as_deref(), "key", what));
        }
    }
    match Tls::open(&files) {
        Ok(tls) => Ok(Some(Arc::new(tls))),
        Err(error) => {
            let (which, fix) = match &error {
                TlsError::Pem { file, .. } if files.iter().any(|f| f.key.display().to_string() == *file) => {
                    ("key", "this must be the private key in PEM, readable by the server")
                }
                TlsError::Pem { .. } => ("certificate", "this must be the chain in PEM, leaf first"),
                _ => ("certificate", "replace certificate and key together, then reload"),
            };
            // With several, the one that does not open alone is the one.
            let alone = files.iter().find(|f| Tls::open(std::slice::from_ref(f)).is_err());
            let domain = alone.and_then(|f| f.domain.as_deref());
            Err(at(config, domain, which, format!("{error}; {fix}")))
        }
    }
}

fn at(config: &Config, domain: Option<&str>, which: &str, what: String) -> Failure {
    match domain {
        None => config.source.mistake(&format!("tls.{which}"), what).into(),
        Some(domain) => Failure::new(format!("certificate of {domain}: {what}")),
    }
}

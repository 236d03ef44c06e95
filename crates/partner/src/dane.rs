//! Certificates that a domain vouches for in its own signed DNS (RFC 6698, RFC 7671, RFC 7673).

use crate::names::names;
use crate::trust::{Measure, path};
use model::{Certificates, Dialect};
use ports::{Signed, Tlsa};
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256, Sha512};
use utoipa::ToSchema;
use webpki::{VerifiedPath, anchor_from_trusted_cert};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Does a partner's own signed DNS count as proof?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Dane {
    /// As `[federation]` says, and not where only a key or an authority of the partner's own counts.
    #[default]
    Usual,
    /// It does not count.
    No,
    /// Nothing else counts.
    Only,
}

/// What shown certificates are, seen from the records.
pub(crate) enum Verdict {
    /// One of them matches, in these words.
    Proved(String),
    /// All servers of the domain say how their certificates are, and this one is not so.
    Refused(String),
    /// There is a server about whose certificate nothing is said that can be understood.
    Undecided,
}

pub(crate) fn judge(
    shown: &Certificates,
    domain: &str,
    dialect: Dialect,
    servers: &[Signed],
    measure: Measure<'_>,
) -> Verdict {
    let mut told = Vec::new();
    let mut everywhere = !servers.is_empty();
    for server in servers {
        let usable: Vec<&Tlsa> = server.records.iter().filter(|r| is_usable(r)).collect();
        everywhere &= !usable.is_empty();
        for record in usable {
            let place = format!("{} at _{}._tcp.{}", usage(record), server.port, server.host);
            match fits(shown, domain, dialect, &server.host, record, measure) {
                Ok(()) => return Verdict::Proved(format!("by DANE: {place}, in signed DNS")),
                Err(why) => told.push(format!("{place}: {why}")),
            }
        }
    }
    match everywhere {
        true => Verdict::Refused(format!(
            "it is not the certificate that its DNS names (DANE; {})",
            told.join("; ")
        )),
        false => Verdict::Undecided,
    }
}

/// Is it a record that we know what to do with (RFC 7671 section 10.1)?
fn is_usable(record: &Tlsa) -> bool {
    let length = record.data.len();
    let fits = match record.matching {
        0 => length > 0,
        1 => length == 32,
        2 => length == 64,
        _ => false,
    };
    record.usage <= 3 && record.selector <= 1 && fits
}

fn usage(record: &Tlsa) -> &'static str {
    ["PKIX-TA", "PKIX-EE", "DANE-TA", "DANE-EE"].get(usize::from(record.usage)).copied().unwrap_or("unknown")
}

/// Does a chain satisfy one record?
fn fits(
    shown: &Certificates,
    domain: &str,
    dialect: Dialect,
    host: &str,
    record: &Tlsa,
    measure: Measure<'_>,
) -> Result<(), String> {
    let leaf = shown.0.first().ok_or("no certificate is shown")?;
    let leaf = CertificateDer::from(leaf.as_ref());
    // For DANE-EE neither the name nor the time matters (RFC 7671 section 5.1).
    if record.usage == 3 {
        return matches(record, &leaf).then_some(()).ok_or_else(|| "another certificate".to_owned());
    }
    let (_, parsed) = X509Certificate::from_der(&leaf).map_err(|_| "a certificate that cannot be read")?;
    // The name of the server counts as well: a signed record of the domain leads there (RFC 7673 section 6).
    if !names(&parsed, domain, dialect) && !names(&parsed, host, dialect) {
        return Err(format!("it names neither {domain} nor {host}"));
    }
    let in_words = |error: webpki::Error| crate::trust::in_words(&error, &parsed);
    match record.usage {
        2 => {
            let stated = (record.selector == 0 && record.matching == 0)
                .then(|| CertificateDer::from(record.data.as_slice()));
            let others = shown.0[1..].iter().map(|c| CertificateDer::from(c.as_ref()));
            let mut why = "its authority is not among the certificates shown".to_owned();
            for authority in stated.into_iter().chain(others).filter(|c| matches(record, c)) {
                let Ok(anchor) = anchor_from_trusted_cert(&authority) else { continue };
                match path(shown, &leaf, &[anchor], measure, None) {
                    Ok(_) => return Ok(()),
                    Err(error) => why = in_words(error),
                }
            }
            Err(why)
        }
        1 if !matches(record, &leaf) => Err("another certificate".into()),
        1 => crate::trust::chain(shown, &leaf, measure, None).map(drop).map_err(in_words),
        _ => {
            let through = |path: &VerifiedPath<'_>| {
                let above = path.intermediate_certificates().any(|c| matches(record, &c.der()));
                let end = path.anchor();
                let is_end = |c: &CertificateDer<'_>| {
                    anchor_from_trusted_cert(c).is_ok_and(|a| {
                        a.subject == end.subject && a.subject_public_key_info == end.subject_public_key_info
                    })
                };
                // An authority that we trust is known by its name and key alone, unless it is shown.
                let key_alone =
                    record.selector == 1 && matches_bytes(record, &spki(&end.subject_public_key_info));
                let is_shown = || {
                    let mut others = shown.0[1..].iter().map(|c| CertificateDer::from(c.as_ref()));
                    others.any(|c| is_end(&c) && matches(record, &c))
                };
                if above || key_alone || is_shown() { Ok(()) } else { Err(webpki::Error::UnknownIssuer) }
            };
            crate::trust::chain(shown, &leaf, measure, Some(&through)).map(drop).map_err(in_words)
        }
    }
}

/// An anchor has the content of its SubjectPublicKeyInfo; records are about the whole.
fn spki(content: &[u8]) -> Vec<u8> {
    let mut whole = vec![0x30];
    match content.len() {
        length @ ..=0x7f => whole.push(length as u8),
        length @ ..=0xff => whole.extend([0x81, length as u8]),
        length => whole.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    whole.extend(content);
    whole
}

fn matches(record: &Tlsa, certificate: &[u8]) -> bool {
    if record.selector == 0 {
        return matches_bytes(record, certificate);
    }
    X509Certificate::from_der(certificate)
        .is_ok_and(|(_, parsed)| matches_bytes(record, parsed.public_key().raw))
}

fn matches_bytes(record: &Tlsa, selected: &[u8]) -> bool {
    match record.matching {
        0 => selected == record.data.as_slice(),
        1 => Sha256::digest(selected).as_slice() == record.data.as_slice(),
        _ => Sha512::digest(selected).as_slice() == record.data.as_slice(),
    }
}

//! The authority that `rialto init` made, for partners who have none: it signs the request of a partner for the names
//! that were agreed on, whatever names the request has.

use crate::config::Config;
use crate::failure::Failure;
use model::Timestamp;
use partner::Partner;
use rcgen::{
    CertificateParams, CertificateRevocationListParams, CertificateSigningRequestParams, DnType,
    ExtendedKeyUsagePurpose, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use std::path::Path;
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

/// Nobody's certificate lasts longer.
const LONGEST: u32 = 825;
/// A day in milliseconds.
const DAY: u64 = 86_400_000;

/// What was signed.
pub struct Issued {
    /// The chain, leaf first, PEM.
    pub chain: String,
    /// The authority, PEM.
    pub authority: String,
}

fn ours(config: &Config) -> Result<(String, Issuer<'static, KeyPair>), Failure> {
    let read = |file: &Path| {
        let why = "this server has no authority of its own, or cannot read it; `rialto init` makes one";
        std::fs::read_to_string(file).map_err(|e| Failure::new(format!("{}: {e}: {why}", file.display())))
    };
    let (authority, key) =
        (read(&config.base().join("ca.pem"))?, read(&config.base().join("tls/ca-key.pem"))?);
    let issuer = Issuer::from_ca_cert_pem(&authority, KeyPair::from_pem(&key)?)?;
    Ok((authority, issuer))
}

/// The day of a time: year, month and day.
fn day(at: u64) -> (i32, u8, u8) {
    let (year, month, day, ..) = Timestamp(at).civil();
    (i32::try_from(year).unwrap_or(2026), month as u8, day as u8)
}

/// Signs a request (PKCS #10, PEM) for a partner's domains, for so many days.
///
/// # Errors
/// [`Failure`] where there is no authority, or nothing that can be signed.
pub fn sign(config: &Config, partner: &Partner, request: &str, days: u32) -> Result<Issued, Failure> {
    if !(1..=LONGEST).contains(&days) {
        return Err(Failure::new(format!("a certificate lasts 1 to {LONGEST} days")));
    }
    let (authority, issuer) = ours(config)?;
    let asked = CertificateSigningRequestParams::from_pem(request)
        .map_err(|e| Failure::new(format!("this is no certificate request that can be signed: {e}")))?;
    let mut leaf = CertificateParams::new(
        partner.domains.iter().map(|domain| partner::ascii(domain)).collect::<Vec<_>>(),
    )?;
    leaf.distinguished_name.push(DnType::CommonName, partner.name.clone());
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    leaf.use_authority_key_identifier_extension = true;
    // From yesterday, so that a clock that is a little slow agrees.
    let now = crate::clock::now().unix_ms();
    let midnight = |at| {
        let (year, month, day) = day(at);
        rcgen::date_time_ymd(year, month, day)
    };
    leaf.not_before = midnight(now.saturating_sub(DAY));
    leaf.not_after = midnight(now + u64::from(days) * DAY);
    let leaf = leaf.signed_by(&asked.public_key, &issuer)?;
    Ok(Issued { chain: format!("{}{authority}", leaf.pem()), authority })
}

/// Takes back a certificate that was signed here, PEM: it is listed in `ca.crl` of the data directory, which is made anew.
/// Gives its serial number and the list's whole path. Must not be called twice at a time.
///
/// # Errors
/// [`Failure`] where there is no authority, the certificate is not by it, or the list cannot be read or written.
pub fn revoke(config: &Config, certificate: &str) -> Result<(String, String), Failure> {
    let (authority, issuer) = ours(config)?;
    let read = |pem: &str| {
        CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|e| Failure::new(format!("this is no certificate in PEM: {e}")))
    };
    let (authority, leaf) = (read(&authority)?, read(certificate)?);
    let unreadable = |_| Failure::new("this certificate cannot be read");
    let (_, authority) = X509Certificate::from_der(&authority).map_err(unreadable)?;
    let (_, leaf) = X509Certificate::from_der(&leaf).map_err(unreadable)?;
    if leaf.issuer().as_raw() != authority.subject().as_raw()
        || leaf.verify_signature(Some(authority.public_key())).is_err()
    {
        return Err(Failure::new("this server's authority did not sign this certificate"));
    }
    let midnight = |at| {
        let (year, month, day) = day(at);
        rcgen::date_time_ymd(year, month, day)
    };
    let file = std::path::absolute(config.data.join("ca.crl"))?;
    let (number, mut revoked) = listed(&file)?;
    let serial = leaf.raw_serial();
    if !revoked.iter().any(|one| one.serial_number.as_ref() == serial) {
        revoked.push(RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: midnight(crate::clock::now().unix_ms()),
            reason_code: None,
            invalidity_date: None,
        });
    }
    let now = crate::clock::now().unix_ms();
    let list = CertificateRevocationListParams {
        this_update: midnight(now.saturating_sub(DAY)),
        // A list is made whenever somebody joins it, and only then.
        next_update: midnight(now + 10 * 365 * DAY),
        crl_number: SerialNumber::from(number + 1),
        issuing_distribution_point: None,
        revoked_certs: revoked,
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let pem = list.signed_by(&issuer)?.pem()?;
    let fresh = file.with_extension("crl.new");
    std::fs::write(&fresh, pem)?;
    std::fs::rename(&fresh, &file)?;
    let serial = serial.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((serial, file.display().to_string()))
}

/// Who is listed already, and the list's number.
fn listed(file: &Path) -> Result<(u64, Vec<RevokedCertParams>), Failure> {
    let damaged = |why: String| Failure::new(format!("{}: {why}", file.display()));
    let pem = match std::fs::read(file) {
        Ok(pem) => pem,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((0, Vec::new())),
        Err(error) => return Err(damaged(error.to_string())),
    };
    let der = CertificateRevocationListDer::from_pem_slice(&pem).map_err(|e| damaged(e.to_string()))?;
    let (_, list) = CertificateRevocationList::from_der(&der).map_err(|e| damaged(e.to_string()))?;
    let number = list.crl_number().and_then(|n| n.to_string().parse().ok()).unwrap_or(0);
    let revoked = list.iter_revoked_certificates().map(|one| RevokedCertParams {
        serial_number: SerialNumber::from_slice(one.raw_serial()),
        revocation_time: one.revocation_date.to_datetime(),
        reason_code: None,
        invalidity_date: None,
    });
    Ok((number, revoked.collect()))
}

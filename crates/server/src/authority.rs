//! The authority that `rialto init` made, for partners who have none: it signs the request of a partner for the names
//! that were agreed on, whatever names the request has.

use crate::config::Config;
use crate::failure::Failure;
use model::Timestamp;
use partner::Partner;
use rcgen::{
    CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair,
    KeyUsagePurpose,
};
use std::path::Path;

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

/// Signs a request (PKCS #10, PEM) for a partner's domains, for so many days.
///
/// # Errors
/// [`Failure`] where there is no authority, or nothing that can be signed.
pub fn sign(config: &Config, partner: &Partner, request: &str, days: u32) -> Result<Issued, Failure> {
    if !(1..=LONGEST).contains(&days) {
        return Err(Failure::new(format!("a certificate lasts 1 to {LONGEST} days")));
    }
    let read = |file: &Path| {
        let why = "this server has no authority of its own, or cannot read it; `rialto init` makes one";
        std::fs::read_to_string(file).map_err(|e| Failure::new(format!("{}: {e}: {why}", file.display())))
    };
    let (authority, key) =
        (read(&config.base().join("ca.pem"))?, read(&config.base().join("tls/ca-key.pem"))?);
    let issuer = Issuer::from_ca_cert_pem(&authority, KeyPair::from_pem(&key)?)?;
    let asked = CertificateSigningRequestParams::from_pem(request)
        .map_err(|e| Failure::new(format!("this is no certificate request that can be signed: {e}")))?;
    let mut leaf = CertificateParams::new(partner.domains.clone())?;
    leaf.distinguished_name.push(DnType::CommonName, partner.name.clone());
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    leaf.use_authority_key_identifier_extension = true;
    // From yesterday, so that a clock that is a little slow agrees.
    let now = crate::house::now().unix_ms();
    let midnight = |at: u64| {
        let (year, month, day, ..) = Timestamp(at).civil();
        rcgen::date_time_ymd(i32::try_from(year).unwrap_or(2026), month as u8, day as u8)
    };
    leaf.not_before = midnight(now.saturating_sub(DAY));
    leaf.not_after = midnight(now + u64::from(days) * DAY);
    let leaf = leaf.signed_by(&asked.public_key, &issuer)?;
    Ok(Issued { chain: format!("{}{authority}", leaf.pem()), authority })
}

//! Making a new server's directory: configuration, a local certificate authority and a certificate.

use crate::failure::Failure;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What to make.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Where.
    pub dir: PathBuf,
    /// The hosted domains.
    pub domains: Vec<String>,
    /// The addresses to listen on.
    pub listen: Vec<IpAddr>,
    /// The ports to listen on.
    pub ports: Ports,
}

/// Ports; 0 lets the system choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// XMPP with STARTTLS.
    pub xmpp: u16,
    /// XMPP with direct TLS.
    pub xmpps: u16,
    /// SIP over UDP and TCP.
    pub sip: u16,
    /// SIP over TLS.
    pub sips: u16,
}

impl Ports {
    /// The registered ports.
    pub const STANDARD: Ports = Ports { xmpp: 5222, xmpps: 5223, sip: 5060, sips: 5061 };

    /// Four ports in a row.
    pub fn from_base(base: u16) -> Self {
        Self { xmpp: base, xmpps: base + 1, sip: base + 2, sips: base + 3 }
    }
}

/// Makes the directory with `rialto.toml`, `ca.pem` and `tls/`. Refuses to overwrite a configuration.
///
/// # Errors
/// [`Failure`] when something exists already or cannot be written.
pub fn prepare(setup: &Setup) -> Result<PathBuf, Failure> {
    let config = setup.dir.join("rialto.toml");
    if config.exists() {
        return Err(Failure::new(format!(
            "{} exists already; choose another --data directory",
            config.display()
        )));
    }
    private_dir(&setup.dir)?;
    private_dir(&setup.dir.join("tls"))?;
    private_dir(&setup.dir.join("data"))?;
    certificates(setup)?;
    write_private(&config, configuration(setup).as_bytes())?;
    Ok(config)
}

fn private_dir(dir: &Path) -> Result<(), Failure> {
    if dir.is_dir() {
        return Ok(());
    }
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|e| Failure::new(format!("cannot make {}: {e}", dir.display())))
}

fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut f| f.write_all(bytes))
        .map_err(|e| Failure::new(format!("cannot write {}: {e}", path.display())))
}

/// A local authority, good for trying out and for a closed network, and a certificate for the domains by it.
fn certificates(setup: &Setup) -> Result<(), Failure> {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    ca.distinguished_name.push(DnType::CommonName, format!("Rialto local CA for {}", setup.domains[0]));
    valid_for(&mut ca, 10);
    let ca_key = KeyPair::generate()?;
    let ca_certificate = ca.self_signed(&ca_key)?;

    let domains = setup.domains.iter().map(|d| partner::ascii(d));
    let mut names: Vec<String> = domains.flat_map(|d| [d.clone(), format!("*.{d}")]).collect();
    names.extend(["localhost", "127.0.0.1", "::1"].map(String::from));
    let mut leaf = CertificateParams::new(names)?;
    leaf.distinguished_name.push(DnType::CommonName, setup.domains[0].clone());
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    valid_for(&mut leaf, 2);
    let key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&key, &Issuer::from_params(&ca, &ca_key))?;

    write_private(&setup.dir.join("ca.pem"), ca_certificate.pem().as_bytes())?;
    write_private(&setup.dir.join("tls/ca-key.pem"), ca_key.serialize_pem().as_bytes())?;
    let chain = format!("{}{}", certificate.pem(), ca_certificate.pem());
    write_private(&setup.dir.join("tls/cert.pem"), chain.as_bytes())?;
    write_private(&setup.dir.join("tls/key.pem"), key.serialize_pem().as_bytes())
}

/// From yesterday, so that a clock that is a little slow agrees, for so many years.
fn valid_for(certificate: &mut CertificateParams, years: i32) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let yesterday = since.as_secs().saturating_sub(86_400);
    let (year, month, day, ..) = model::Timestamp(yesterday * 1000).civil();
    // A day every month has, so that the year's end needs no care for leap years.
    let (year, month, day) = (i32::try_from(year).unwrap_or(2026), month as u8, day.min(28) as u8);
    certificate.not_before = rcgen::date_time_ymd(year, month, day);
    certificate.not_after = rcgen::date_time_ymd(year + years, month, day);
}

fn configuration(setup: &Setup) -> String {
    let quoted: Vec<String> = setup.domains.iter().map(|d| format!("{d:?}")).collect();
    let mut text = format!(
        "# Rialto. `rialto config reference` explains every key, `rialto check` says what is wrong here.\n\n\
         # The domains of your addresses, user@domain.\n\
         domains = [{}]\n\n\
         # Store and control socket, relative to this file.\n\
         data = \"data\"\n\n\
         # Replace these by a certificate your partners trust.\n\
         [tls]\ncertificate = \"tls/cert.pem\"\nkey = \"tls/key.pem\"\n",
        quoted.join(", ")
    );
    let at = |port| setup.listen.iter().map(move |&ip| std::net::SocketAddr::new(ip, port));
    for (port, tls) in [(setup.ports.xmpp, "starttls"), (setup.ports.xmpps, "direct")] {
        for address in at(port) {
            let _ = write!(text, "\n[[xmpp.listen]]\naddress = \"{address}\"\ntls = \"{tls}\"\n");
        }
    }
    for (port, transport) in [(setup.ports.sip, "udp"), (setup.ports.sip, "tcp"), (setup.ports.sips, "tls")] {
        for address in at(port) {
            let _ = write!(text, "\n[[sip.listen]]\naddress = \"{address}\"\ntransport = \"{transport}\"\n");
        }
    }
    text
}

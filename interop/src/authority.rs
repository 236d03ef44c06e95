//! A throw-away certificate authority, and certificates that are good or bad in a way of one's choice.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData as _, SanType, date_time_ymd,
};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};

/// An authority that one test trusts.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    dir: PathBuf,
}

/// A certificate with its key, in files.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The chain, leaf first.
    pub chain: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    None,
    /// Its time is over.
    Expired,
    /// It is for another domain.
    WrongName,
    /// Nobody vouches for it.
    SelfSigned,
    /// It is for servers, and not for those who connect to them.
    NoClientUse,
}

impl Authority {
    /// Make one, and keep what it makes in this directory.
    ///
    /// # Panics
    /// If a file cannot be written.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        std::fs::create_dir_all(dir).expect("the temporary directory is writable");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "The tests' own authority");
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        let authority = Self { issuer: Issuer::new(params, key), pem, dir: dir.to_owned() };
        write(&authority.file(), &authority.pem);
        authority
    }

    /// Its own certificate.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.dir.join("authority.pem")
    }

    /// Its own certificate together with another authority's.
    ///
    /// # Panics
    /// If a file cannot be read or written.
    #[must_use]
    pub fn and(&self, other: &Path) -> PathBuf {
        let file = self.dir.join("authorities.pem");
        let other = std::fs::read_to_string(other).expect("the other authority's certificate");
        write(&file, &format!("{}{other}", self.pem));
        file
    }

    /// A certificate for a domain.
    #[must_use]
    pub fn certify(&self, domain: &str) -> Certificate {
        self.certify_with(domain, Flaw::None)
    }

    /// A certificate that names a domain as SIP does, by a URI (RFC 5922 section 7.1).
    ///
    /// # Panics
    /// If a file cannot be written.
    #[must_use]
    pub fn certify_uri(&self, domain: &str) -> Certificate {
        let uri = format!("sip:{domain}");
        let name = SanType::URI(uri.try_into().expect("an ASCII domain"));
        let mut params = CertificateParams::default();
        params.subject_alt_names.push(name);
        self.issue(params, domain, Flaw::None)
    }

    /// The same with a flaw.
    ///
    /// # Panics
    /// If a file cannot be written.
    #[must_use]
    pub fn certify_with(&self, domain: &str, flaw: Flaw) -> Certificate {
        let name = if flaw == Flaw::WrongName { "somebody-else.example" } else { domain };
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        self.issue(params, domain, flaw)
    }

    /// A certificate for a domain whose time is over in so many seconds.
    ///
    /// # Panics
    /// If a file cannot be written.
    #[must_use]
    pub fn certify_for(&self, domain: &str, seconds: u64) -> Certificate {
        let mut params = CertificateParams::new(vec![domain.to_owned()]).expect("a name");
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
        params.not_after = date_time_ymd(1970, 1, 1) + since + Duration::from_secs(seconds);
        self.sign(params, domain, Flaw::None)
    }

    fn issue(&self, mut params: CertificateParams, domain: &str, flaw: Flaw) -> Certificate {
        params.not_after =
            if flaw == Flaw::Expired { date_time_ymd(2021, 1, 1) } else { date_time_ymd(2120, 1, 1) };
        self.sign(params, domain, flaw)
    }

    fn sign(&self, mut params: CertificateParams, domain: &str, flaw: Flaw) -> Certificate {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        if flaw != Flaw::NoClientUse {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        }
        params.not_before = date_time_ymd(2020, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let chain = match flaw {
            Flaw::SelfSigned => params.self_signed(&key).expect("a certificate").pem(),
            _ => params.signed_by(&key, &self.issuer).expect("a certificate").pem(),
        };
        let made = Certificate {
            chain: self.dir.join(format!("{domain}.pem")),
            key: self.dir.join(format!("{domain}.key")),
        };
        write(&made.chain, &chain);
        write(&made.key, &key.serialize_pem());
        made
    }
}

/// The SHA-256 of a certificate, the first of a PEM file.
///
/// # Panics
/// If that cannot be read.
#[must_use]
pub fn sha256(file: &Path) -> Vec<u8> {
    Sha256::digest(CertificateDer::from_pem_file(file).expect("a certificate in PEM")).to_vec()
}

/// The SHA-256 of a key, a PEM file, as `--pin` takes it.
///
/// # Panics
/// If that cannot be read.
#[must_use]
pub fn key_sha256(file: &Path) -> String {
    let pem = std::fs::read_to_string(file).expect("a key");
    let key = KeyPair::from_pem(&pem).expect("a key in PEM").subject_public_key_info();
    Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn write(file: &Path, text: &str) {
    std::fs::write(file, text).unwrap_or_else(|fault| panic!("{}: {fault}", file.display()));
}

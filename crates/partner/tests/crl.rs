//! Certificates that an authority has taken back (RFC 5280 section 5).

use bytes::Bytes;
use model::{Address, Certificates, Dialect, DomainPair, Opener};
use partner::{Federation, Mode, Partner, Settings};
use ports::{Applicant, Partners};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use std::path::Path;

struct Authority(Issuer<'static, KeyPair>, String);

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    Authority(Issuer::new(params, key), pem)
}

impl Authority {
    fn leaf(&self, serial: u64) -> Certificates {
        let mut params = CertificateParams::new(vec!["acme.example".to_owned()]).unwrap();
        params.serial_number = Some(serial.into());
        let leaf = params.signed_by(&KeyPair::generate().unwrap(), &self.0).unwrap();
        Certificates([Bytes::copy_from_slice(leaf.der())].into())
    }

    fn list(&self, serials: &[u64], until: i32) -> rcgen::CertificateRevocationList {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: rcgen::date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2020, 1, 1),
            next_update: rcgen::date_time_ymd(until, 1, 1),
            crl_number: 1.into(),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.0).unwrap()
    }
}

fn federation(authority: &Authority, list: &Path) -> Federation {
    let settings = Settings { mode: Mode::Allow, dialback: true, ..Settings::default() };
    let federation = Federation::new([Address::parse("example.com").unwrap()].into(), settings);
    let mut partner = Partner::new("acme", vec!["acme.example".into()]);
    partner.trust.authority = Some(authority.1.clone());
    partner.trust.crl = vec![list.display().to_string()];
    federation.add_partner(partner).unwrap();
    federation
}

/// Why it is refused, and may it be called back?
fn judged(federation: &Federation, shown: &Certificates) -> (String, bool) {
    let domain = |text| Address::parse(text).unwrap();
    let applicant = Applicant {
        pair: DomainPair { local: domain("example.com"), remote: domain("acme.example") },
        dialect: Dialect::Xmpp,
        opener: Opener::Us,
        certificates: Some(shown.clone()),
        secured: true,
    };
    let admission = federation.admit(&applicant).unwrap();
    (admission.certified.err().unwrap_or_default(), admission.dialback)
}

#[test]
fn whoever_is_listed_is_refused_and_the_list_may_change() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("acme.crl");
    let theirs = authority("Theirs");
    let (one, two) = (theirs.leaf(1), theirs.leaf(2));
    std::fs::write(&file, theirs.list(&[], 2120).der()).unwrap();
    let federation = federation(&theirs, &file);
    assert_eq!(judged(&federation, &one).0, "");
    std::fs::write(&file, theirs.list(&[1], 2120).pem().unwrap()).unwrap();
    assert_eq!(judged(&federation, &one), ("its certificate was revoked".into(), false));
    assert_eq!(judged(&federation, &two).0, "");
    // Lists of others in the same file are no matter, nor is who is on them.
    let both = format!(
        "{}{}",
        authority("Others").list(&[2], 2120).pem().unwrap(),
        theirs.list(&[1], 2120).pem().unwrap()
    );
    std::fs::write(&file, both).unwrap();
    assert_eq!(judged(&federation, &two).0, "");
    assert!(!judged(&federation, &one).0.is_empty());
    // A list in their name that is not theirs makes nothing good.
    std::fs::write(&file, authority("Theirs").list(&[], 2120).der()).unwrap();
    assert_eq!(
        judged(&federation, &one),
        ("its revocation list is not signed by its authority".into(), false)
    );
}

#[test]
fn an_old_list_is_used_and_said_to_be_old() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("acme.crl");
    let theirs = authority("Theirs");
    std::fs::write(&file, theirs.list(&[1], 2021).pem().unwrap()).unwrap();
    let federation = federation(&theirs, &file);
    assert!(judged(&federation, &theirs.leaf(1)).0.contains("revoked"));
    assert_eq!(judged(&federation, &theirs.leaf(2)).0, "");
    let remark = federation.contacts(|domain| domain == "acme.example").remove(0).remark.unwrap();
    assert!(remark.contains("is out of date since Jan  1 00:00:00 2021"), "{remark}");
}

#[test]
fn without_its_list_nobody_is_believed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("acme.crl");
    let theirs = authority("Theirs");
    std::fs::write(&file, theirs.list(&[], 2120).pem().unwrap()).unwrap();
    let federation = federation(&theirs, &file);
    for spoil in [|file: &Path| std::fs::write(file, "nonsense"), |file: &Path| std::fs::remove_file(file)] {
        spoil(&file).unwrap();
        let (why, dialback) = judged(&federation, &theirs.leaf(1));
        assert!(why.contains("acme.crl cannot be read") && !dialback, "{why}");
    }
    let mut partner = Partner::new("b", vec!["b.example".into()]);
    for (path, why) in [("acme.crl", "the whole path"), (file.to_str().unwrap(), "cannot be read")] {
        partner.trust.crl = vec![path.into()];
        let said = federation.add_partner(partner.clone()).unwrap_err().to_string();
        assert!(said.contains(why), "{said}");
    }
}

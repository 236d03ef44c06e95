//! What proves that a server is a partner's, and what does not.

use bytes::Bytes;
use model::{Address, Certificates, Dialect, DomainPair, Opener};
use partner::{Federation, Mode, Partner, Pin, Settings};
use ports::{Applicant, Partners};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose as Usage, IsCa, Issuer, KeyPair};

struct Authority(Issuer<'static, KeyPair>, String);

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    Authority(Issuer::new(params, key), pem)
}

fn leaf(by: &Authority, name: &str, uses: &[Usage], until: i32) -> Certificates {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.extended_key_usages = uses.to_vec();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    let certificate = params.signed_by(&KeyPair::generate().unwrap(), &by.0).unwrap();
    Certificates([Bytes::copy_from_slice(certificate.der())].into())
}

fn federation(partner: Partner) -> Federation {
    let settings = Settings { mode: Mode::Allow, dialback: true, ..Settings::default() };
    let federation = Federation::new([Address::parse("example.com").unwrap()].into(), settings);
    federation.add_partner(partner).unwrap();
    federation
}

fn applicant(shown: Option<&Certificates>, opener: Opener) -> Applicant {
    let domain = |text| Address::parse(text).unwrap();
    Applicant {
        pair: DomainPair { local: domain("example.com"), remote: domain("acme.example") },
        dialect: Dialect::Xmpp,
        opener,
        certificates: shown.cloned(),
        secured: true,
    }
}

/// What is wrong with it, and whether the server may be called back.
fn admitted(partner: &Partner, shown: &Certificates, opener: Opener) -> (String, bool) {
    let admission = federation(partner.clone()).admit(&applicant(Some(shown), opener)).unwrap();
    (admission.certified.err().unwrap_or_default(), admission.dialback)
}

#[test]
fn a_private_authority_counts_for_its_partner() {
    let (ours, others) = (authority("Ours"), authority("Others"));
    let both = [Usage::ServerAuth, Usage::ClientAuth];
    let mut partner = Partner::new("acme", vec!["acme.example".into()]);
    partner.trust.authority = Some(ours.1.clone());
    for (shown, wrong) in [
        (leaf(&ours, "acme.example", &both, 2120), ""),
        (leaf(&others, "acme.example", &both, 2120), "which we do not trust"),
        (leaf(&ours, "evil.example", &both, 2120), "is for evil.example, not for acme.example"),
        (leaf(&ours, "acme.example", &both, 2021), "expired"),
    ] {
        let (said, dialback) = admitted(&partner, &shown, Opener::Them);
        assert!(said.contains(wrong) && said.is_empty() == wrong.is_empty(), "{said:?} for {wrong:?}");
        assert!(dialback);
    }
    // An authority of one's own that alone counts is not to be got round.
    partner.trust.system = false;
    assert!(!admitted(&partner, &leaf(&others, "acme.example", &both, 2120), Opener::Them).1);
}

#[test]
fn a_certificate_that_is_not_for_clients_is_tolerated_aloud() {
    let ours = authority("Ours");
    let shown = leaf(&ours, "acme.example", &[Usage::ServerAuth], 2120);
    let mut partner = Partner::new("acme", vec!["acme.example".into()]);
    partner.trust.authority = Some(ours.1.clone());
    let tolerant = federation(partner.clone());
    assert_eq!(tolerant.admit(&applicant(Some(&shown), Opener::Them)).unwrap().certified, Ok(()));
    let seen = tolerant.contacts(|domain| domain == "acme.example");
    assert!(seen[0].proved && seen[0].remark.as_ref().unwrap().contains("client authentication"), "{seen:?}");
    partner.trust.tolerant = false;
    assert!(admitted(&partner, &shown, Opener::Them).0.contains("extended key usage"));
    assert_eq!(admitted(&partner, &shown, Opener::Us).0, "");
}

#[test]
fn a_pinned_key_is_needed_and_enough() {
    let (ours, others) = (authority("Ours"), authority("Others"));
    let shown = leaf(&others, "elsewhere.example", &[], 2120);
    let mut partner = Partner::new("acme", vec!["acme.example".into()]);
    partner.trust.authority = Some(ours.1.clone());
    partner.trust.pins = vec![Pin::of(&shown.0[0]).unwrap().to_string().to_uppercase()];
    assert_eq!(admitted(&partner, &shown, Opener::Them), (String::new(), false));
    let another = leaf(&ours, "acme.example", &[], 2120);
    let (said, dialback) = admitted(&partner, &another, Opener::Them);
    assert!(said.contains("is not the one that was agreed on") && !dialback, "{said}");
    partner.trust.pins.push(Pin::of(&another.0[0]).unwrap().to_string());
    assert_eq!(admitted(&partner, &another, Opener::Them).0, "");
    let old = leaf(&ours, "acme.example", &[], 2021);
    partner.trust.pins.push(Pin::of(&old.0[0]).unwrap().to_string());
    assert!(admitted(&partner, &old, Opener::Them).0.contains("not valid now"));
}

#[test]
fn without_tls_only_where_somebody_insists() {
    let mut partner = Partner::new("acme", vec!["acme.example".into()]);
    let plain = Applicant { secured: false, ..applicant(None, Opener::Them) };
    let refusal = federation(partner.clone()).admit(&plain).unwrap_err();
    assert_eq!(refusal.rule.as_deref(), Some("federation.tls"));
    partner.trust.insecure = true;
    let admission = federation(partner).admit(&plain).unwrap();
    assert!(admission.certified.unwrap_err().contains("not secured") && admission.dialback);
}

#[test]
fn a_domain_in_unicode_is_proved_by_its_name_in_ascii() {
    let ours = authority("Ours");
    let mut partner = Partner::new("acme", vec!["xn--bcher-kva.example".into()]);
    partner.trust.authority = Some(ours.1.clone());
    let federation = federation(partner);
    let domain = |text| Address::parse(text).unwrap();
    for (name, proved) in [("xn--bcher-kva.example", true), ("bucher.example", false)] {
        let shown = leaf(&ours, name, &[Usage::ServerAuth, Usage::ClientAuth], 2120);
        let pair = DomainPair { local: domain("example.com"), remote: domain("bücher.example") };
        let applicant = Applicant { pair, ..applicant(Some(&shown), Opener::Them) };
        assert_eq!(federation.admit(&applicant).unwrap().certified.is_ok(), proved, "{name}");
    }
}

#[test]
fn a_certificate_that_has_just_expired_is_waited_for() {
    let ours = authority("Ours");
    let mut partner = Partner::new("acme", vec!["acme.example".into()]);
    partner.trust.authority = Some(ours.1.clone());
    partner.trust.dialback = false;
    let ended = |days: u64| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let mut params = CertificateParams::new(vec!["acme.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after =
            rcgen::date_time_ymd(1970, 1, 1) + since - std::time::Duration::from_secs(days * 86_400);
        let certificate = params.signed_by(&KeyPair::generate().unwrap(), &ours.0).unwrap();
        Certificates([Bytes::copy_from_slice(certificate.der())].into())
    };
    let federation = federation(partner);
    let refusal = federation.admit(&applicant(Some(&ended(1)), Opener::Us)).unwrap_err();
    assert!(refusal.reason.is_transient() && refusal.to_string().contains("expired on"), "{refusal}");
    let admission = federation.admit(&applicant(Some(&ended(31)), Opener::Us)).unwrap();
    assert!(admission.certified.unwrap_err().contains("expired on"));
}

//! Certificates that a domain's signed DNS vouches for, and those that it does not (RFC 7671, RFC 7673).

use bytes::Bytes;
use model::{Address, Certificates, Dialect, DomainPair, Opener};
use partner::{Dane, Federation, Mode, Partner, Protocol, RouteSecurity, Settings, StaticRoute};
use ports::{Applicant, Hop, Partners, Published, Signed, Tlsa};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData};
use sha2::{Digest, Sha256, Sha512};
use std::sync::{Arc, Mutex};

/// What DNS says, for which hops it was asked, and what the domain's web server says.
struct Dns(Result<Vec<Signed>, String>, Mutex<Vec<Vec<Hop>>>, Vec<Vec<u8>>);

impl Published for Dns {
    fn tlsa(&self, _: &Address, _: Dialect, hops: &[Hop]) -> Result<Vec<Signed>, String> {
        self.1.lock().unwrap().push(hops.to_vec());
        self.0.clone()
    }

    fn posh(&self, _: &Address, _: Dialect) -> Result<Vec<Vec<u8>>, String> {
        Ok(self.2.clone())
    }
}

/// A self-signed authority, a certificate by it, and their keys' SubjectPublicKeyInfo.
struct Made {
    authority: Vec<u8>,
    leaf: Vec<u8>,
    authority_key: Vec<u8>,
    leaf_key: Vec<u8>,
    pem: String,
}

fn made(name: &str, until: i32) -> Made {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "An authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let (key, leaf_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let authority = params.self_signed(&key).unwrap();
    let keys = (key.subject_public_key_info(), leaf_key.subject_public_key_info());
    let issuer = Issuer::new(params, key);
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    let leaf = params.signed_by(&leaf_key, &issuer).unwrap();
    Made {
        pem: authority.pem(),
        authority: authority.der().to_vec(),
        leaf: leaf.der().to_vec(),
        authority_key: keys.0,
        leaf_key: keys.1,
    }
}

fn shown(all: &[&[u8]]) -> Certificates {
    Certificates(all.iter().map(|der| Bytes::copy_from_slice(der)).collect())
}

fn tlsa(usage: u8, selector: u8, matching: u8, of: &[u8]) -> Tlsa {
    let data = match matching {
        1 => Sha256::digest(of).to_vec(),
        2 => Sha512::digest(of).to_vec(),
        _ => of.to_vec(),
    };
    Tlsa { usage, selector, matching, data }
}

fn server(host: &str, records: Vec<Tlsa>) -> Signed {
    Signed { host: host.into(), port: 5269, records }
}

fn settings(authorities: &[&str]) -> Settings {
    let mut settings = Settings { mode: Mode::Open, dialback: true, dane: true, ..Settings::default() };
    authorities.iter().for_each(|pem| settings.roots.add_pem(pem).unwrap());
    settings
}

fn applicant(shown: Option<Certificates>) -> Applicant {
    let domain = |text| Address::parse(text).unwrap();
    Applicant {
        pair: DomainPair { local: domain("example.com"), remote: domain("acme.example") },
        dialect: Dialect::Xmpp,
        opener: Opener::Them,
        certificates: shown,
        secured: true,
    }
}

fn federation(settings: Settings, found: Result<Vec<Signed>, String>) -> (Federation, Arc<Dns>) {
    let federation = Federation::new([Address::parse("example.com").unwrap()].into(), settings);
    let dns = Arc::new(Dns(found, Mutex::default(), Vec::new()));
    federation.look_up_with(dns.clone());
    (federation, dns)
}

/// Why it is refused, and may it be called back?
fn judged(settings: Settings, found: Result<Vec<Signed>, String>, shown: Certificates) -> (String, bool) {
    let admission = federation(settings, found).0.admit(&applicant(Some(shown))).unwrap();
    (admission.certified.err().unwrap_or_default(), admission.dialback)
}

#[test]
fn each_usage_selector_and_matching() {
    let good = made("acme.example", 2120);
    let other = made("acme.example", 2120);
    let chain = || shown(&[&good.leaf, &good.authority]);
    for usage in 0..=3 {
        for selector in 0..=1 {
            for matching in 0..=2 {
                let what = |m: &Made| match (usage, selector) {
                    (0 | 2, 0) => m.authority.clone(),
                    (0 | 2, _) => m.authority_key.clone(),
                    (_, 0) => m.leaf.clone(),
                    _ => m.leaf_key.clone(),
                };
                let judge = |of: &Made, authorities: &[&str]| {
                    let record = tlsa(usage, selector, matching, &what(of));
                    judged(settings(authorities), Ok(vec![server("im.acme.example", vec![record])]), chain())
                };
                let case = format!("{usage} {selector} {matching}");
                let trusted = [good.pem.as_str()];
                assert_eq!(judge(&good, &trusted), (String::new(), false), "{case}");
                let (why, dialback) = judge(&other, &trusted);
                assert!(why.contains("not the certificate that its DNS names") && !dialback, "{case}: {why}");
                // The first two are only about which of the good certificates it is.
                let (why, _) = judge(&good, &[]);
                assert_eq!(why.is_empty(), usage >= 2, "{case}: {why}");
            }
        }
    }
}

#[test]
fn names_and_time_matter_to_authorities_alone() {
    let expired = made("acme.example", 2021);
    let elsewhere = made("somebody-else.example", 2120);
    let host = made("im.acme.example", 2120);
    let judge = |m: &Made, usage: u8, of: &[u8]| {
        let found = Ok(vec![server("im.acme.example", vec![tlsa(usage, 0, 1, of)])]);
        judged(settings(&[]), found, shown(&[&m.leaf, &m.authority])).0
    };
    assert_eq!(judge(&expired, 3, &expired.leaf), "");
    assert!(judge(&expired, 2, &expired.authority).contains("expired"));
    assert_eq!(judge(&elsewhere, 3, &elsewhere.leaf), "");
    assert!(judge(&elsewhere, 2, &elsewhere.authority).contains("names neither"));
    assert_eq!(judge(&host, 2, &host.authority), "");
    // An authority that is wholly in DNS need not be shown; a name in DNS without a certificate proves nothing.
    let whole = made("acme.example", 2120);
    let found = |matching| Ok(vec![server("im.acme.example", vec![tlsa(2, 0, matching, &whole.authority)])]);
    assert_eq!(judged(settings(&[]), found(0), shown(&[&whole.leaf])).0, "");
    assert!(judged(settings(&[]), found(1), shown(&[&whole.leaf])).0.contains("not among the certificates"));
    // Somebody else's certificate under an authority of the same name does not lead there.
    let forged = made("acme.example", 2120);
    let why = judged(settings(&[]), found(1), shown(&[&forged.leaf, &whole.authority])).0;
    assert!(why.contains("not the certificate that its DNS names"), "{why}");
}

#[test]
fn what_is_not_published_leaves_it_to_the_ordinary_rules() {
    let m = made("acme.example", 2120);
    let unknown = Tlsa { usage: 9, selector: 0, matching: 1, data: vec![0; 32] };
    let short = Tlsa { usage: 3, selector: 1, matching: 1, data: vec![0; 31] };
    let matching = tlsa(3, 1, 1, &m.leaf_key);
    let wrong = tlsa(3, 1, 1, b"another");
    for found in [
        vec![],
        vec![server("im.acme.example", vec![])],
        vec![server("im.acme.example", vec![unknown, short])],
        // One of its servers says nothing: this may be that one.
        vec![server("im.acme.example", vec![wrong]), server("im2.acme.example", vec![])],
    ] {
        let (why, dialback) = judged(settings(&[]), Ok(found.clone()), shown(&[&m.leaf]));
        assert!(why.contains("which we do not trust") && dialback, "{found:?}: {why}");
        assert_eq!(judged(settings(&[&m.pem]), Ok(found), shown(&[&m.leaf])).0, "");
    }
    // Switched off, nobody is asked.
    let mut off = settings(&[]);
    off.dane = false;
    let (federation, dns) = federation(off, Ok(vec![server("im.acme.example", vec![matching])]));
    assert!(federation.admit(&applicant(Some(shown(&[&m.leaf])))).unwrap().certified.is_err());
    assert!(dns.1.lock().unwrap().is_empty());
}

#[test]
fn what_is_forged_or_missing_is_refused() {
    let m = made("acme.example", 2120);
    let (forged, _) = federation(settings(&[&m.pem]), Err("bogus".into()));
    let refusal = forged.admit(&applicant(Some(shown(&[&m.leaf])))).unwrap_err();
    let text = refusal.to_string();
    assert!(text.contains("cannot be trusted (DANE): bogus") && refusal.reason.is_transient(), "{text}");
    let found = Ok(vec![server("im.acme.example", vec![tlsa(3, 1, 1, &m.leaf_key)])]);
    let admission = federation(settings(&[]), found).0.admit(&applicant(None)).unwrap();
    assert!(admission.certified.unwrap_err().contains("its DNS names one") && !admission.dialback);
}

#[test]
fn what_was_agreed_with_a_partner_comes_first() {
    let m = made("acme.example", 2120);
    let good = || Ok(vec![server("im.acme.example", vec![tlsa(3, 1, 1, &m.leaf_key)])]);
    let judge = |edit: &dyn Fn(&mut Partner), found: Result<Vec<Signed>, String>, federation_wide: bool| {
        let mut settings = settings(&[]);
        settings.dane = federation_wide;
        let (federation, dns) = federation(settings, found);
        let mut partner = Partner::new("acme", vec!["acme.example".into()]);
        edit(&mut partner);
        federation.add_partner(partner).unwrap();
        let admission = federation.admit(&applicant(Some(shown(&[&m.leaf])))).unwrap();
        let contact = federation.contacts(|domain| domain == "acme.example").remove(0);
        (admission.certified.err().unwrap_or_default(), admission.dialback, contact.remark, dns)
    };
    let (why, _, remark, _) = judge(&|_| (), good(), true);
    assert_eq!(why, "");
    assert_eq!(remark.unwrap(), "by DANE: DANE-EE at _5269._tcp.im.acme.example, in signed DNS");
    assert!(judge(&|_| (), good(), false).0.contains("which we do not trust"));
    assert!(judge(&|p| p.trust.dane = Dane::No, good(), true).0.contains("which we do not trust"));
    // An authority of their own, and no other, was agreed on.
    assert!(judge(&|p| p.trust.system = false, good(), true).0.contains("which we do not trust"));
    let only: &dyn Fn(&mut Partner) = &|p| {
        p.trust.dane = Dane::Only;
        p.trust.authority = Some(m.pem.clone());
    };
    assert_eq!(judge(only, good(), false).0, "");
    let (why, dialback, ..) = judge(only, Ok(vec![]), false);
    assert!(why.contains("only DANE counts") && !dialback, "{why}");
    // Where a route was agreed on, that is the place.
    let (.., dns) = judge(
        &|p| {
            p.routes = vec![StaticRoute {
                protocol: Protocol::Xmpp,
                host: "gate.acme.example".into(),
                port: Some(5270),
                security: RouteSecurity::Usual,
            }];
        },
        good(),
        true,
    );
    let asked = dns.1.lock().unwrap().concat();
    assert_eq!(
        asked.iter().map(|h| (h.host.as_str(), h.port)).collect::<Vec<_>>(),
        [("gate.acme.example", Some(5270))]
    );
}

#[test]
fn what_the_web_names_counts_last_and_in_time() {
    let (good, expired) = (made("somebody-else.example", 2120), made("acme.example", 2021));
    let judge = |m: &Made, named: Vec<u8>, edit: fn(&mut Partner), on: bool| {
        let settings = Settings { mode: Mode::Open, posh: on, ..Settings::default() };
        let federation = Federation::new([Address::parse("example.com").unwrap()].into(), settings);
        federation.look_up_with(Arc::new(Dns(Ok(vec![]), Mutex::default(), vec![named])));
        let mut partner = Partner::new("acme", vec!["acme.example".into()]);
        edit(&mut partner);
        federation.add_partner(partner).unwrap();
        federation.admit(&applicant(Some(shown(&[&m.leaf])))).unwrap().certified.err().unwrap_or_default()
    };
    let sha256 = |m: &Made| Sha256::digest(&m.leaf).to_vec();
    assert_eq!(judge(&good, sha256(&good), |_| (), true), "");
    assert_eq!(judge(&good, Sha512::digest(&good.leaf).to_vec(), |_| (), true), "");
    assert!(judge(&expired, sha256(&expired), |_| (), true).contains("expired"));
    assert!(judge(&good, sha256(&expired), |_| (), true).contains("nor does the domain name it"));
    for (edit, on) in [
        ((|_| ()) as fn(&mut Partner), false),
        (|p| p.trust.posh = false, true),
        (|p| p.trust.system = false, true),
        (|p| p.trust.pins = vec!["ab".repeat(32)], true),
    ] {
        assert!(!judge(&good, sha256(&good), edit, on).is_empty());
    }
}

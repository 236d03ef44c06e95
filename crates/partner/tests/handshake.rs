//! Two companies that never met: one invites, the other accepts; and what must not pass for either.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::{Address, Dialect};
use partner::{
    BookError, By, Feature, Federation, Mode, Partner, Protocol, Settings, Signer, StaticRoute, Wish,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::sync::Arc;
use store::{MemoryStore, Partners as _, Shelf};

struct Side {
    federation: Federation,
    signer: Signer,
    store: Arc<MemoryStore>,
    chain: Vec<Vec<u8>>,
    route: StaticRoute,
}

fn side(domain: &str, port: u16) -> Side {
    let store = Arc::new(MemoryStore::new());
    let settings =
        Settings { mode: Mode::Allow, dialects: vec![Dialect::Xmpp, Dialect::Sip], ..Settings::default() };
    let domains = [Address::parse(domain).unwrap()].into();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(rcgen::DnType::CommonName, format!("CA of {domain}"));
    let ca_key = KeyPair::generate().unwrap();
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let leaf = CertificateParams::new(vec![domain.to_owned()]).unwrap();
    let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &Issuer::from_params(&ca, &ca_key)).unwrap();
    let host = "127.0.0.1".to_owned();
    Side {
        federation: Federation::open(domains, settings, store.clone()).unwrap(),
        signer: Signer::new(store.clone()),
        store,
        chain: vec![leaf.der().to_vec(), ca_certificate.der().to_vec()],
        route: StaticRoute { protocol: Protocol::Xmpp, host, port: Some(port), security: Default::default() },
    }
}

impl Side {
    fn invite(&self, edit: impl FnOnce(&mut Partner)) -> partner::Invitation {
        let mut partner = Partner::new("acme", vec!["acme.example".into()]);
        edit(&mut partner);
        let wish = Wish {
            partner,
            days: 7,
            routes: vec![self.route.clone()],
            contacts: vec!["noc@example.com".into()],
            link: false,
        };
        self.federation.invite(&self.signer, wish, &self.chain, None).unwrap()
    }

    fn accept(&self, word: &str) -> Result<partner::Accepted, BookError> {
        let ours = (&[self.route.clone()][..], &["noc".to_owned()][..]);
        self.federation.accept_paper(&self.signer, (word, By::Hand), None, ours, &self.chain)
    }
}

fn refused<T: std::fmt::Debug>(result: Result<T, BookError>, words: &str) {
    let error = result.unwrap_err().to_string();
    assert!(error.contains(words), "{error:?} for {words:?}");
}

#[test]
fn an_invitation_its_acceptance_and_the_answer_make_two_partners() {
    let (example, acme) = (side("example.com", 1), side("acme.example", 2));
    let invitation = example.invite(|p| p.features.retain(|f| *f != Feature::Files));
    assert_eq!(example.federation.invitations().unwrap().len(), 1);

    let text = format!("Dear partner,\n\nhttps://im.example.com/invite#{}\n\nRegards", invitation.word);
    let shown = acme.federation.read_paper(&text).unwrap();
    assert_eq!((shown.fingerprint, shown.is_answer), (invitation.fingerprint.clone(), false));
    assert_eq!(acme.federation.partners(), [], "looking changes nothing");
    let mut wanted = shown.partner;
    wanted.features.remove(&Feature::Calls);
    let ours = (&[acme.route.clone()][..], &[][..]);
    let accepted = acme
        .federation
        .accept_paper(&acme.signer, (&text, By::Hand), Some(wanted), ours, &acme.chain)
        .unwrap();
    let theirs = acme.federation.partner("example.com").unwrap();
    assert_eq!(theirs, accepted.partner);

    let answer = accepted.answer.unwrap();
    assert!(example.federation.read_paper(&answer).unwrap().is_answer);
    let done = example.accept(&answer).unwrap();
    assert_eq!(done.answer, None);
    let ours = example.federation.partner("acme").unwrap();
    assert_eq!(ours.signed_by, Some(acme.signer.fingerprint().unwrap()));
    assert_eq!(theirs.signed_by, Some(example.signer.fingerprint().unwrap()));
    for (partner, port) in [(&ours, 2), (&theirs, 1)] {
        assert_eq!(partner.routes[0].port, Some(port));
        assert_eq!(partner.protocols, [Protocol::Xmpp, Protocol::Sip]);
        assert!(
            !partner.trust.system && partner.trust.authority.as_ref().unwrap().contains("BEGIN CERTIFICATE")
        );
        assert!(!partner.features.contains(&Feature::Files) && !partner.features.contains(&Feature::Calls));
        assert!(partner.features.contains(&Feature::Im));
    }
    assert_eq!(
        (theirs.name.as_str(), &theirs.contacts[..]),
        ("example", &["noc@example.com".to_owned()][..])
    );
    assert!(example.federation.invitations().unwrap().is_empty());
}

#[test]
fn nothing_can_be_used_twice() {
    let (example, acme) = (side("example.com", 1), side("acme.example", 2));
    let invitation = example.invite(|_| ());
    let answer = acme.accept(&invitation.word).unwrap().answer.unwrap();
    refused(acme.accept(&invitation.word), "accepted here already");
    acme.federation.remove_partner("example").unwrap();
    refused(acme.accept(&invitation.word), "accepted here already");
    example.accept(&answer).unwrap();
    refused(example.accept(&answer), "no invitation of ours waits");
    example.federation.remove_partner("acme").unwrap();
    refused(example.accept(&answer), "no invitation of ours waits");

    let withdrawn = example.invite(|_| ());
    example.federation.withdraw(&withdrawn.id).unwrap();
    refused(example.federation.withdraw(&withdrawn.id), "no invitation");
    let late = side("acme.example", 3).accept(&withdrawn.word).unwrap().answer.unwrap();
    refused(example.accept(&late), "no invitation of ours waits");
}

/// The same word with another payload.
fn altered(word: &str, change: impl FnOnce(String) -> String) -> String {
    let mut parts: Vec<String> = word.split('.').map(ToOwned::to_owned).collect();
    let payload = String::from_utf8(URL_SAFE_NO_PAD.decode(&parts[1]).unwrap()).unwrap();
    parts[1] = URL_SAFE_NO_PAD.encode(change(payload));
    parts.join(".")
}

#[test]
fn what_was_altered_or_forged_is_refused() {
    let (example, acme, evil) = (side("example.com", 1), side("acme.example", 2), side("evil.example", 3));
    let invitation = example.invite(|_| ());
    refused(acme.accept("hello"), "neither an invitation");
    refused(acme.accept("rialto1.x.y.z"), "is it whole?");
    refused(acme.accept(&invitation.word[..invitation.word.len() - 9]), "is it whole?");
    refused(
        acme.accept(&altered(&invitation.word, |p| p.replace("example.com", "evil.example"))),
        "does not hold",
    );
    // Signed by somebody else in the first one's name.
    let forged = evil.invite(|_| ());
    let (ours, theirs): (Vec<_>, Vec<_>) =
        (invitation.word.split('.').collect(), forged.word.split('.').collect());
    refused(acme.accept(&[ours[0], ours[1], ours[2], theirs[3]].join(".")), "does not hold");
    refused(acme.accept(&[ours[0], ours[1], theirs[2], ours[3]].join(".")), "does not hold");
    // With the signer's key in place of the first one's it holds, and says whose it is.
    assert_ne!(acme.federation.read_paper(&forged.word).unwrap().fingerprint, invitation.fingerprint);
    refused(evil.accept(&invitation.word), "is for acme.example, not for this server");
    refused(example.accept(&invitation.word), "our own");

    // Answers: to an invitation that was never made, and by somebody who only saw that there is one.
    let other = side("example.com", 1).invite(|_| ());
    let stray = acme.accept(&other.word).unwrap().answer.unwrap();
    refused(example.accept(&stray), "no invitation of ours waits");
    acme.federation.remove_partner("example").unwrap();
    let guessed = acme.accept(&invitation.word).unwrap().answer.unwrap();
    refused(
        example.accept(&altered(&guessed, |p| p.replace("acme.example", "evil.example"))),
        "does not hold",
    );
    // An answer that was signed for another invitation of the same name.
    let waiting = example.store.document(Shelf::Invitation, &invitation.id).unwrap().unwrap();
    let waiting = String::from_utf8(waiting).unwrap();
    let digest = waiting.split("\"digest\":\"").nth(1).unwrap()[..64].to_owned();
    let another = waiting.replace(&digest, &"0".repeat(64));
    example.store.put_document(Shelf::Invitation, &invitation.id, another.as_bytes()).unwrap();
    refused(example.accept(&guessed), "answers another invitation");
    // Answered for other domains than were invited.
    let less = waiting.replace("acme.example", "bank.example");
    example.store.put_document(Shelf::Invitation, &invitation.id, less.as_bytes()).unwrap();
    refused(example.accept(&guessed), "for acme.example, which was not invited");
    assert_eq!(example.federation.partners(), []);
}

#[test]
fn what_expired_is_refused_on_either_side() {
    let (example, acme) = (side("example.com", 1), side("acme.example", 2));
    let invitation = example.invite(|_| ());
    let answer = acme.accept(&invitation.word).unwrap().answer.unwrap();
    let waiting = example.store.document(Shelf::Invitation, &invitation.id).unwrap().unwrap();
    let waiting = String::from_utf8(waiting).unwrap();
    let expires = waiting.split("\"expires\":").nth(1).unwrap().trim_end_matches('}').to_owned();
    let late = waiting.replace(&expires, "1000");
    example.store.put_document(Shelf::Invitation, &invitation.id, late.as_bytes()).unwrap();
    refused(example.accept(&answer), "expired on 1970-01-01");
    assert!(example.federation.invitations().unwrap().is_empty());

    // An expired invitation cannot be made here, so it is one with the time taken back, signed by its own key.
    let wish = |days| {
        let partner = Partner::new("acme", vec!["acme.example".into()]);
        Wish { partner, days, routes: Vec::new(), contacts: Vec::new(), link: false }
    };
    for days in [0, 91] {
        refused(example.federation.invite(&example.signer, wish(days), &[], None), "1 to 90 days");
    }
    let old = include_str!("expired.invitation");
    refused(acme.accept(old), "expired on 2020-01-01");
}

#[test]
fn wishes_that_cannot_be_are_refused() {
    let (example, acme) = (side("example.com", 1), side("acme.example", 2));
    let wish = |edit: fn(&mut Partner)| {
        let mut partner = Partner::new("acme", vec!["acme.example".into()]);
        edit(&mut partner);
        let wish = Wish { partner, days: 7, routes: Vec::new(), contacts: Vec::new(), link: false };
        example.federation.invite(&example.signer, wish, &example.chain, None)
    };
    refused(wish(|p| p.domains = vec!["*.acme.example".into()]), "wildcards");
    refused(wish(|p| p.domains = vec!["example.com".into()]), "this server's own");
    let sip = wish(|p| p.protocols = vec![Protocol::Sip]).unwrap();
    let mut only = acme.federation.read_paper(&sip.word).unwrap().partner;
    assert_eq!(only.protocols, [Protocol::Sip]);
    only.domains.push("more.example".into());
    let taken = acme.federation.accept_paper(
        &acme.signer,
        (&sip.word, By::Hand),
        Some(only),
        (&[], &[]),
        &acme.chain,
    );
    refused(taken, "those that were signed");
}

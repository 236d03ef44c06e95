//! How two companies come to know one another: one invites, the other accepts, and the answer completes it. Everything
//! here blocks.

use crate::agreement::{Partner, Protocol, StaticRoute, Trust};
use crate::clock::wall;
use crate::error::{BookError, written};
use crate::federation::Federation;
use crate::paper::{Half, Paper, Signed, Signer, digest, hex, read, word};
use model::{Address, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Shelf, Trouble};
use utoipa::ToSchema;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A day in milliseconds.
const DAY: u64 = 86_400_000;
/// An invitation may wait so many days at most.
const LONGEST: u32 = 90;
/// Invitations that may wait at a time.
const OPEN: usize = 1000;
/// Before the name of an invitation that was accepted here.
const ACCEPTED: &str = "accepted ";

/// What is wanted of an invitation.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// What is to be agreed with them; their domains are named, so that nobody else can answer.
    pub partner: Partner,
    /// Days until it expires.
    pub days: u32,
    /// Where our servers are, if DNS does not say.
    #[serde(default)]
    pub routes: Vec<StaticRoute>,
    /// Whom they may call at ours.
    #[serde(default)]
    pub contacts: Vec<String>,
    /// Whoever has it may answer it over HTTPS, and then it is complete.
    #[serde(default)]
    pub link: bool,
}

/// An invitation, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Invitation {
    /// Its name here.
    pub id: String,
    /// What is sent.
    pub word: String,
    /// What is compared over the telephone.
    pub fingerprint: String,
    /// RFC 3339.
    pub expires: String,
    /// The same as a link, where it may be answered over HTTPS.
    pub link: Option<String>,
}

/// An invitation that waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Waiting {
    /// Its name here.
    pub id: String,
    /// What is to be agreed.
    pub partner: Partner,
    /// SHA-256 of the invitation as it was sent.
    pub digest: String,
    /// Unix milliseconds.
    pub expires: u64,
    /// May it be answered over HTTPS?
    #[serde(default)]
    pub link: bool,
}

/// A paper as it is shown to whoever is to accept it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Shown {
    /// Is it the answer to an invitation of ours?
    pub is_answer: bool,
    /// SHA-256 of the signer's key.
    pub fingerprint: String,
    /// RFC 3339; of an invitation.
    pub expires: Option<String>,
    /// The partner that accepting it would make.
    pub partner: Partner,
}

/// What accepting an invitation gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Accepted {
    /// The partner.
    pub partner: Partner,
    /// The answer, which must reach whoever invited; none where this was the answer.
    pub answer: Option<String>,
    /// Where it may be sent, `https://...`.
    pub send_to: Option<String>,
    /// Why it did not get there.
    #[serde(default)]
    pub unsent: Option<String>,
}

/// How a paper came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// An administrator has it in hand.
    Hand,
    /// It came over HTTPS.
    Link,
}

fn bad(words: impl Into<String>) -> BookError {
    BookError::Bad(words.into())
}

impl Federation {
    /// Our half of an agreement: what our certificates are, leaf first, DER, and what may pass.
    fn half(
        &self,
        partner: &Partner,
        routes: &[StaticRoute],
        contacts: &[String],
        chain: &[Vec<u8>],
    ) -> Result<Half, BookError> {
        let snapshot = self.snapshot();
        let usual = snapshot.settings.dialects.iter().filter_map(|d| Protocol::of(*d)).collect();
        let protocols: Vec<Protocol> =
            if partner.protocols.is_empty() { usual } else { partner.protocols.clone() };
        let names = |der: &[u8]| {
            X509Certificate::from_der(der).map(|(_, c)| (c.subject().to_string(), c.issuer().to_string()))
        };
        let leaf = chain.first().and_then(|leaf| names(leaf).ok());
        let last = chain.last().filter(|last| names(last).is_ok_and(|(subject, issuer)| subject == issuer));
        // A chain that ends with its own authority is not by one that everybody knows.
        let authority = last.filter(|_| chain.len() > 1).map(|der| pem(der));
        Ok(Half {
            domains: self.domains().map(Address::to_string).collect(),
            protocols,
            routes: routes.to_vec(),
            keys: chain
                .first()
                .and_then(|leaf| crate::Pin::of(leaf))
                .iter()
                .map(ToString::to_string)
                .collect(),
            authority,
            self_signed: chain.len() == 1 && leaf.is_some_and(|(subject, issuer)| subject == issuer),
            features: partner.features.clone(),
            contacts: contacts.to_vec(),
        })
    }

    /// Invites another company.
    ///
    /// # Errors
    /// [`BookError`]
    pub fn invite(
        &self,
        signer: &Signer,
        wish: Wish,
        chain: &[Vec<u8>],
        url: Option<&str>,
    ) -> Result<Invitation, BookError> {
        let _writing = self.writing.lock();
        if !(1..=LONGEST).contains(&wish.days) {
            return Err(bad(format!("an invitation waits 1 to {LONGEST} days")));
        }
        let partner = self.checked(wish.partner)?;
        if self.snapshot().partners.contains_key(&partner.name) {
            return Err(BookError::Conflict(format!("there is a partner {:?} already", partner.name)));
        }
        if let Some(wild) = partner.domains.iter().find(|domain| domain.starts_with("*.")) {
            return Err(bad(format!(
                "{wild}: invite a company by the names of its domains; wildcards can be added later"
            )));
        }
        // What is offered must be something they can write down.
        Partner { routes: wish.routes.clone(), ..Partner::new("us", vec!["us.example".into()]) }
            .normalised()
            .map_err(bad)?;
        self.drop_expired()?;
        if self.store.documents(Shelf::Invitation)?.len() >= OPEN {
            return Err(BookError::Conflict("too many invitations wait already; withdraw some".into()));
        }
        let mut random = [0u8; 16];
        getrandom::fill(&mut random).map_err(|e| Trouble::Failed(format!("no randomness: {e}")))?;
        let id = hex(&random);
        let expires = wall().unix_ms() + u64::from(wish.days) * DAY;
        let half = self.half(&partner, &wish.routes, &wish.contacts, chain)?;
        let url = match (wish.link, url) {
            (false, _) => None,
            (true, Some(url)) => Some(url.trim_end_matches('/')),
            (true, None) => return Err(bad("a link needs `listen` and `url` in [federation]")),
        };
        let answer = url.map(|url| format!("{url}/answer"));
        let whom = partner.domains.clone();
        let word = signer.sign(&Paper::Invitation { id: id.clone(), whom, expires, answer, half })?;
        let waiting = Waiting { id: id.clone(), partner, digest: digest(&word), expires, link: wish.link };
        self.store.put_document(Shelf::Invitation, &id, &written(&waiting)?)?;
        let (fingerprint, expires) = (signer.fingerprint()?, Timestamp(expires).to_string());
        let link = url.map(|url| format!("{url}/invite#{word}"));
        Ok(Invitation { id, word, fingerprint, expires, link })
    }

    /// Invitations that wait for their answers.
    ///
    /// # Errors
    /// [`BookError::Trouble`]
    pub fn invitations(&self) -> Result<Vec<Waiting>, BookError> {
        let now = wall().unix_ms();
        let all = self.store.documents(Shelf::Invitation)?;
        let read = all.iter().filter_map(|(_, doc)| serde_json::from_slice::<Waiting>(doc).ok());
        Ok(read.filter(|waiting| waiting.expires > now).collect())
    }

    /// Takes an invitation back.
    ///
    /// # Errors
    /// [`BookError`]
    pub fn withdraw(&self, id: &str) -> Result<(), BookError> {
        let _writing = self.writing.lock();
        let missing = || BookError::Missing(format!("no invitation {id:?} waits"));
        self.waiting(id)?.ok_or_else(missing)?;
        self.store.remove_document(Shelf::Invitation, id)?;
        Ok(())
    }

    /// Reads a paper, and changes nothing.
    ///
    /// # Errors
    /// [`BookError`]
    pub fn read_paper(&self, text: &str) -> Result<Shown, BookError> {
        let (signed, digest) = self.proved(text)?;
        self.shown(&signed, &digest)
    }

    /// Accepts an invitation, and gives the answer that must reach the inviter, or takes the answer to one of ours.
    /// `partner` is what was shown, with whatever was changed in it.
    ///
    /// # Errors
    /// [`BookError`]
    pub fn accept_paper(
        &self,
        signer: &Signer,
        (text, by): (&str, By),
        partner: Option<Partner>,
        ours: (&[StaticRoute], &[String]),
        chain: &[Vec<u8>],
    ) -> Result<Accepted, BookError> {
        let (signed, digest) = self.proved(text)?;
        let _writing = self.writing.lock();
        let shown = self.shown(&signed, &digest)?;
        let agreed = partner.unwrap_or_else(|| shown.partner.clone());
        if agreed.domains != shown.partner.domains {
            return Err(bad("the domains of a handshake are those that were signed"));
        }
        let agreed = Partner { features: &agreed.features & &shown.partner.features, ..agreed };
        let agreed = self.checked(Partner { signed_by: Some(shown.fingerprint), revision: 1, ..agreed })?;
        if self.snapshot().partners.contains_key(&agreed.name) {
            return Err(BookError::Conflict(format!("there is a partner {:?} already", agreed.name)));
        }
        let (answer, send_to) = match &signed.paper {
            Paper::Invitation { id, answer, expires, .. } => {
                if by == By::Link {
                    return Err(bad("this is no answer to an invitation"));
                }
                let half = self.half(&agreed, ours.0, ours.1, chain)?;
                let word = signer.sign(&Paper::Answer { id: id.clone(), digest: digest.clone(), half })?;
                self.drop_expired()?;
                // It is remembered for as long as it could be used again.
                let used = Used { digest, expires: *expires };
                let name = format!("{ACCEPTED}{id}");
                if !self.store.add_document(Shelf::Invitation, &name, &written(&used)?)? {
                    return Err(BookError::Conflict("this invitation was accepted here already".into()));
                }
                (Some(word), answer.clone())
            }
            Paper::Answer { id, .. } => {
                if by == By::Link && !self.waiting(id)?.is_some_and(|waiting| waiting.link) {
                    return Err(bad("this invitation is not to be answered over HTTPS, but by hand"));
                }
                if !self.store.remove_document(Shelf::Invitation, id)? {
                    return Err(no_invitation());
                }
                (None, None)
            }
        };
        let partner = self.keep_new(agreed)?;
        Ok(Accepted { partner, answer, send_to, unsent: None })
    }

    fn proved(&self, text: &str) -> Result<(Signed, String), BookError> {
        let word = word(text).ok_or_else(|| bad("this is neither an invitation nor an answer to one"))?;
        Ok((read(word).map_err(bad)?, digest(word)))
    }

    /// Everything that can be said of a paper without doing anything.
    fn shown(&self, signed: &Signed, digest: &str) -> Result<Shown, BookError> {
        let fingerprint = signed.fingerprint.clone();
        match &signed.paper {
            Paper::Invitation { whom, expires, half, id, .. } => {
                if *expires <= wall().unix_ms() {
                    let when = Timestamp(*expires);
                    return Err(bad(format!(
                        "this invitation expired on {when}; ask for another, or compare the clocks"
                    )));
                }
                let own = self.domains().any(|ours| half.domains.iter().any(|d| d == ours.as_str()));
                if own {
                    return Err(bad("this invitation is our own: it is for the other company"));
                }
                if !whom.iter().all(|domain| self.domains().any(|ours| ours.as_str() == domain)) {
                    return Err(bad(format!(
                        "this invitation is for {}, not for this server",
                        whom.join(", ")
                    )));
                }
                if self.store.document(Shelf::Invitation, &format!("{ACCEPTED}{id}"))?.is_some() {
                    return Err(BookError::Conflict("this invitation was accepted here already".into()));
                }
                let name = name_of(half);
                let partner = mirrored(Partner::new(&name, half.domains.clone()), half)?;
                let expires = Some(Timestamp(*expires).to_string());
                Ok(Shown { is_answer: false, fingerprint, expires, partner })
            }
            Paper::Answer { id, digest: of, half } => {
                let waiting = self.waiting(id)?.ok_or_else(no_invitation)?;
                if waiting.expires <= wall().unix_ms() {
                    let when = Timestamp(waiting.expires);
                    return Err(bad(format!(
                        "the invitation that this answers expired on {when}; make another"
                    )));
                }
                if *of != waiting.digest || digest == waiting.digest {
                    return Err(bad("this answers another invitation than the one that was made here"));
                }
                if let Some(more) = half.domains.iter().find(|d| !waiting.partner.domains.contains(d)) {
                    return Err(bad(format!("it is answered for {more}, which was not invited")));
                }
                if let Some(less) = waiting.partner.domains.iter().find(|d| !half.domains.contains(d)) {
                    return Err(bad(format!("it is not answered for {less}, which was invited")));
                }
                let partner = mirrored(waiting.partner, half)?;
                Ok(Shown { is_answer: true, fingerprint, expires: None, partner })
            }
        }
    }

    fn waiting(&self, id: &str) -> Result<Option<Waiting>, BookError> {
        let doc = self.store.document(Shelf::Invitation, id)?;
        Ok(doc.and_then(|doc| serde_json::from_slice(&doc).ok()))
    }

    fn drop_expired(&self) -> Result<(), BookError> {
        let now = wall().unix_ms();
        for (name, doc) in self.store.documents(Shelf::Invitation)? {
            let until: Option<Until> = serde_json::from_slice(&doc).ok();
            if until.is_some_and(|until| until.expires <= now) {
                self.store.remove_document(Shelf::Invitation, &name)?;
            }
        }
        Ok(())
    }
}

/// An invitation that was accepted here.
#[derive(Serialize, Deserialize)]
struct Used {
    digest: String,
    expires: u64,
}

/// What every document of the shelf has.
#[derive(Deserialize)]
struct Until {
    expires: u64,
}

fn no_invitation() -> BookError {
    BookError::Missing(
        "no invitation of ours waits for this answer: it was answered, withdrawn, or never made".into(),
    )
}

/// A name for those who sent this: their first domain without its last label.
fn name_of(half: &Half) -> String {
    let domain = half.domains.first().map_or("partner", String::as_str);
    let name = domain.rsplit_once('.').map_or(domain, |(front, _)| front);
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-.".contains(c) { c } else { '-' })
        .take(64)
        .collect()
}

/// A partner with what its own half says of it.
fn mirrored(partner: Partner, half: &Half) -> Result<Partner, BookError> {
    let trust = match (&half.authority, half.self_signed) {
        (Some(pem), _) => Trust { authority: Some(pem.clone()), system: false, ..partner.trust },
        (None, true) => Trust { pins: half.keys.clone(), ..partner.trust },
        (None, false) => partner.trust,
    };
    let both = |p: &Protocol| partner.protocols.is_empty() || partner.protocols.contains(p);
    let protocols: Vec<Protocol> = half.protocols.iter().copied().filter(both).collect();
    if protocols.is_empty() {
        return Err(bad("the two servers have no protocol in common"));
    }
    let partner = Partner {
        routes: match partner.routes.is_empty() {
            true => half.routes.iter().filter(|r| protocols.contains(&r.protocol)).cloned().collect(),
            false => partner.routes,
        },
        protocols,
        trust,
        features: &partner.features & &half.features,
        contacts: if partner.contacts.is_empty() { half.contacts.clone() } else { partner.contacts },
        ..partner
    };
    partner.normalised().map_err(bad)
}

fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

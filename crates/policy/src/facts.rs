//! What rules may know of an envelope. What costs something is found out when a rule first asks.

use crate::content::{Detectors, Found, kind, kinds_of, texts};
use crate::document::{Direction, Protocol, Verified};
use crate::who::{Belonging, Society};
use crate::{Feature, Features, features};
use model::{Dialect, Envelope, Event, Proof, Vouch};
use std::borrow::Cow;
use std::cell::OnceCell;

/// A file that is uploaded, or that a link in an envelope leads to.
#[derive(Debug, Clone, Copy)]
pub struct FileFacts<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its bytes.
    pub size: u64,
    /// How it begins, [`FILE_HEAD`] bytes at most; `None` while nothing of it has come.
    pub head: Option<&'a [u8]>,
}

/// So much of a file shows what kind it is.
pub const FILE_HEAD: usize = 33 * 1024;

/// An envelope and the people at its ends.
pub struct Facts<'a> {
    pub(crate) file: Option<FileFacts<'a>>,
    pub(crate) envelope: &'a Envelope,
    pub(crate) from: Belonging,
    pub(crate) to: Belonging,
    features: OnceCell<Features>,
    texts: OnceCell<Vec<Cow<'a, str>>>,
    found: OnceCell<Found>,
}

impl<'a> Facts<'a> {
    /// What there is to know now.
    pub fn of(envelope: &'a Envelope, society: &dyn Society) -> Self {
        Self {
            envelope,
            from: society.belonging(&envelope.from.address),
            to: society.belonging(&envelope.to.address),
            file: None,
            features: OnceCell::new(),
            texts: OnceCell::new(),
            found: OnceCell::new(),
        }
    }

    /// The same of a file between these people, and of nothing else in the envelope.
    #[must_use]
    pub fn about(self, file: FileFacts<'a>) -> Self {
        Self { file: Some(file), ..self }
    }

    pub(crate) fn features(&self) -> Features {
        if self.file.is_some() {
            return Feature::Files.into();
        }
        *self.features.get_or_init(|| features(self.envelope))
    }

    pub(crate) fn direction(&self) -> Direction {
        match (self.from.local, self.to.local) {
            (true, true) => Direction::Inside,
            (true, false) => Direction::Out,
            (false, true) => Direction::In,
            (false, false) => Direction::Through,
        }
    }

    /// Is it how somebody of ours is, for whoever watches?
    pub(crate) fn is_our_status(&self) -> bool {
        self.from.local && matches!(self.envelope.event, Event::Publish(_))
    }

    pub(crate) fn protocol(&self) -> Option<Protocol> {
        match self.envelope.origin.dialect {
            Dialect::Xmpp => Some(Protocol::Xmpp),
            Dialect::Sip => Some(Protocol::Sip),
            Dialect::Hub => None,
        }
    }

    pub(crate) fn verified(&self) -> Verified {
        match self.envelope.origin.vouch {
            Vouch::Account(_) | Vouch::Server => Verified::Account,
            Vouch::Domain(_, Proof::Certificate) => Verified::Certificate,
            Vouch::Domain(_, Proof::Dialback) => Verified::Dialback,
            Vouch::Domain(_, Proof::Unsaid) => Verified::Server,
            Vouch::Nobody => Verified::Nobody,
        }
    }

    /// Who answers for the sender, as a rule's `verified` names it.
    pub fn verified_by(&self) -> &'static str {
        self.verified().name()
    }

    pub(crate) fn encrypted(&self) -> bool {
        self.features().contains(&Feature::E2e)
    }

    /// All parts and the subject, or the sender's rendering where that is more; in bytes.
    pub(crate) fn size(&self) -> u64 {
        if let Some(file) = &self.file {
            return file.size;
        }
        let Event::Message(m) = &self.envelope.event else { return 0 };
        let parts: usize = m.parts.iter().map(|part| part.body.len()).sum();
        let all = parts + m.subject.as_ref().map_or(0, String::len);
        all.max(m.original.as_ref().map_or(0, |original| original.bytes.len())) as u64
    }

    pub(crate) fn files(&self) -> Vec<usize> {
        if let Some(file) = &self.file {
            return file.head.map(kind).into_iter().collect();
        }
        match &self.envelope.event {
            Event::Message(message) => kinds_of(message),
            _ => Vec::new(),
        }
    }

    pub(crate) fn texts(&self) -> &[Cow<'a, str>] {
        self.texts.get_or_init(|| match self.file {
            Some(file) => vec![Cow::Borrowed(file.name)],
            None => texts(&self.envelope.event),
        })
    }

    pub(crate) fn found(&self, detectors: &Detectors) -> &Found {
        self.found.get_or_init(|| detectors.scan(self.texts()))
    }
}

//! A policy as an administrator writes it: one TOML text.

use crate::Feature;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

/// The whole text.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    /// What holds where no rule decides.
    #[serde(default)]
    pub default: Usual,
    /// Where `time` is meant; IANA name.
    pub timezone: Option<Spanned<String>>,
    /// What to look for in texts, by name.
    #[serde(default)]
    pub detect: BTreeMap<Spanned<String>, Detector>,
    /// Who must not meet.
    #[serde(default)]
    pub wall: Vec<Wall>,
    /// In the order in which they are asked.
    #[serde(default)]
    pub rule: Vec<Rule>,
}

/// What holds where no rule decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Usual {
    #[default]
    Allow,
    Block,
}

/// Something to look for. Every way of finding it counts.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Detector {
    /// Words and phrases, whatever their case and spelling tricks.
    #[serde(default)]
    pub words: Vec<Spanned<String>>,
    /// Words count with digits and signs for letters, and with blanks in the middle.
    pub disguised: Option<Spanned<bool>>,
    /// Regular expressions.
    #[serde(default)]
    pub regex: Vec<Spanned<String>>,
    /// Numbers with check digits.
    #[serde(default)]
    pub numbers: Vec<Spanned<String>>,
}

/// Between any two of these nothing passes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wall {
    pub name: Spanned<String>,
    pub between: Spanned<Vec<Spanned<String>>>,
    /// Nothing but these is stopped; without any, everything.
    #[serde(default)]
    pub features: Vec<Feature>,
    /// For whom it is no wall.
    #[serde(default)]
    pub except: Vec<Spanned<String>>,
    /// What the sender hears.
    pub text: Option<String>,
}

/// One rule. It applies where all that is written in it holds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    pub name: Spanned<String>,
    #[serde(default)]
    pub from: Vec<Spanned<String>>,
    #[serde(default)]
    pub to: Vec<Spanned<String>>,
    /// The same for both directions: one end is among these.
    #[serde(default)]
    pub party: Vec<Spanned<String>>,
    #[serde(default)]
    pub except_from: Vec<Spanned<String>>,
    #[serde(default)]
    pub except_to: Vec<Spanned<String>>,
    #[serde(default)]
    pub features: Vec<Feature>,
    #[serde(default)]
    pub direction: Vec<Direction>,
    #[serde(default)]
    pub protocols: Vec<Protocol>,
    /// The sender's device, with `*` for anything.
    #[serde(default)]
    pub devices: Vec<Spanned<String>>,
    #[serde(default)]
    pub verified: Vec<Verified>,
    /// True: only what is encrypted end to end; false: only what is not.
    pub encrypted: Option<bool>,
    /// Names of detectors, one of which must find something.
    #[serde(default)]
    pub content: Vec<Spanned<String>>,
    /// In how many places they must.
    pub at_least: Option<Spanned<u32>>,
    /// Kinds of files, by their first bytes.
    #[serde(default)]
    pub files: Vec<Spanned<String>>,
    /// More bytes than this, all parts together.
    pub larger_than: Option<u64>,
    /// Windows such as `mon-fri 08:00-18:00`.
    #[serde(default)]
    pub time: Vec<Spanned<String>>,
    /// A CEL expression.
    #[serde(rename = "if")]
    pub condition: Option<Spanned<String>>,
    pub then: Spanned<Then>,
    /// What the sender hears, or the disclaimer.
    pub text: Option<Spanned<String>>,
    /// Not asked.
    #[serde(default)]
    pub off: bool,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Then {
    Allow,
    Warn,
    Mask,
    Disclaimer,
    Hold,
    Block,
}

/// Which way something goes, seen from this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    Inside,
    Out,
    In,
    Through,
}

/// What the sender speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    Xmpp,
    Sip,
}

/// Who answers for the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verified {
    /// An account of ours.
    Account,
    /// The sender's server, however it was proved.
    Server,
    /// The sender's server, proved by its certificate.
    Certificate,
    /// The sender's server, proved by a call back (XEP-0220).
    Dialback,
    /// Nobody.
    Nobody,
}

impl Verified {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Server => "server",
            Self::Certificate => "certificate",
            Self::Dialback => "dialback",
            Self::Nobody => "nobody",
        }
    }

    /// Does the word of a rule mean what is so?
    pub fn means(self, so: Self) -> bool {
        self == so || (self == Self::Server && matches!(so, Self::Certificate | Self::Dialback))
    }
}

impl Direction {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inside => "inside",
            Self::Out => "out",
            Self::In => "in",
            Self::Through => "through",
        }
    }
}

//! Whom a word of a rule means, and where somebody belongs.

use compact_str::CompactString;
use model::Address;
use std::sync::Arc;

/// Where somebody belongs, at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Belonging {
    /// Of a domain that this server hosts.
    pub local: bool,
    /// The name of the partner whose domain it is.
    pub partner: Option<CompactString>,
    /// The groups one is in.
    pub groups: Vec<Arc<str>>,
}

/// Who knows where people belong. Asked for each envelope, so quick; what it says may change at any time.
pub trait Society: Send + Sync {
    /// Where somebody belongs.
    fn belonging(&self, who: &Address) -> Belonging;

    /// Is there such a group?
    fn has_group(&self, name: &str) -> bool;

    /// Is there such a partner?
    fn has_partner(&self, name: &str) -> bool;
}

/// Who decides by the policy in force.
pub trait Judge: Send + Sync {
    /// What is to become of an envelope now; `None` where there is no policy.
    fn decide(&self, envelope: &model::Envelope) -> Option<crate::Decision>;

    /// What is to become of a file that goes the way of an envelope, now; `None` where there is no policy.
    fn decide_file(&self, envelope: &model::Envelope, file: crate::FileFacts<'_>) -> Option<crate::Decision>;

    /// Tells a sender of ours something, in the name of our domain. Must not block.
    fn tell(&self, sender: &Address, text: &str);
}

/// One word that names people.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// `user@domain`
    One(Address),
    /// `*@domain`
    Domain(String),
    /// `*@*.domain`: every domain below.
    Below(String),
    /// `group:NAME` or `NAME`
    Group(String),
    /// `partner:NAME`
    Partner(String),
    /// `*`
    Anybody,
    /// `local`: who has an account here.
    Local,
    /// `remote`: everybody else.
    Remote,
    /// `partners`: of any company with which something was agreed.
    Partners,
    /// `strangers`: of any other.
    Strangers,
}

impl Who {
    /// # Errors
    /// In words, what is wrong with it.
    pub fn parse(word: &str) -> Result<Self, String> {
        let word = word.trim().to_lowercase();
        let named = |name: &str| match name.is_empty() || name.contains(|c: char| !is_of_name(c)) {
            true => Err(format!(
                "{word:?} names nobody: write \"user@domain\", \"*@domain\", \"*@*.domain\", a group, \
                 \"partner:NAME\", \"local\", \"remote\", \"partners\", \"strangers\" or \"*\""
            )),
            false => Ok(name.to_owned()),
        };
        if let Some(name) = word.strip_prefix("partner:") {
            return Ok(Self::Partner(named(name)?));
        }
        if let Some(name) = word.strip_prefix("group:") {
            return Ok(Self::Group(named(name)?));
        }
        if let Some(domain) = word.strip_prefix("*@*.") {
            let domain = Address::new("", domain).map_err(|_| format!("{domain:?} is no domain"))?;
            return Ok(Self::Below(domain.domain().to_owned()));
        }
        if word.contains('@') {
            let address = Address::parse(&word).map_err(|_| format!("{word:?} is no address"))?;
            return Ok(match address.user() {
                Some("*") => Self::Domain(address.domain().to_owned()),
                _ => Self::One(address),
            });
        }
        Ok(match word.as_str() {
            "*" => Self::Anybody,
            "local" => Self::Local,
            "remote" => Self::Remote,
            "partners" => Self::Partners,
            "strangers" => Self::Strangers,
            name => Self::Group(named(name)?),
        })
    }

    /// Does the word mean this person?
    pub fn means(&self, who: &Address, belonging: &Belonging) -> bool {
        match self {
            Self::One(one) => one == who,
            Self::Domain(domain) => domain == who.domain(),
            Self::Below(above) => {
                who.domain().strip_suffix(above.as_str()).is_some_and(|rest| rest.ends_with('.'))
            }
            Self::Group(name) => belonging.groups.iter().any(|group| **group == **name),
            Self::Partner(name) => belonging.partner.as_deref() == Some(name),
            Self::Anybody => true,
            Self::Local => belonging.local,
            Self::Remote => !belonging.local,
            Self::Partners => belonging.partner.is_some(),
            Self::Strangers => !belonging.local && belonging.partner.is_none(),
        }
    }
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// Does one of the words mean this person?
pub(crate) fn means(words: &[Who], who: &Address, belonging: &Belonging) -> bool {
    words.iter().any(|word| word.means(who, belonging))
}

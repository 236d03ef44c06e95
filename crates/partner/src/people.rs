//! Groups of people, and who is meant where rules name somebody.

use model::Address;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use utoipa::ToSchema;

/// A group of people, of this server or of others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// Addresses, and `*@domain` for everybody of a domain.
    pub members: Vec<String>,
}

impl Group {
    /// Puts members in order and drops repetitions.
    ///
    /// # Errors
    /// In words, what is wrong with it.
    pub fn normalised(mut self) -> Result<Self, String> {
        name_is_good(&self.name)?;
        for member in &mut self.members {
            let pattern = Pattern::parse(member)?;
            if matches!(pattern, Pattern::Group(_)) {
                return Err(format!("{member:?} is no member: write \"user@domain\" or \"*@domain\""));
            }
            *member = pattern.to_string();
        }
        self.members.sort();
        self.members.dedup();
        Ok(self)
    }
}

/// One word of a rule that names people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// One person.
    One(Address),
    /// Everybody of a domain.
    Domain(String),
    /// A group by its name.
    Group(String),
}

impl Pattern {
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim().to_lowercase();
        if !text.contains('@') {
            name_is_good(&text)?;
            return Ok(Self::Group(text));
        }
        let wrong = || format!("{text:?} is neither \"user@domain\" nor \"*@domain\" nor a group's name");
        let address = Address::parse(&text).map_err(|_| wrong())?;
        Ok(match address.user() {
            Some("*") => Self::Domain(address.domain().to_owned()),
            _ => Self::One(address),
        })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(address) => write!(f, "{address}"),
            Self::Domain(domain) => write!(f, "*@{domain}"),
            Self::Group(name) => f.write_str(name),
        }
    }
}

/// Does a word name somebody: `user@domain`, `*@domain` or a group?
///
/// # Errors
/// In words, why not.
pub fn is_who(word: &str) -> Result<(), String> {
    Pattern::parse(word).map(drop)
}

/// Who is meant, ready to be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct People {
    people: HashSet<Address>,
    domains: HashSet<String>,
}

impl People {
    /// Those whom these words name; a word for a group that there is not names nobody.
    pub fn of(words: &[String], groups: &BTreeMap<String, Group>) -> Self {
        let mut all = Self::default();
        all.add(words, Some(groups));
        all
    }

    fn add(&mut self, words: &[String], groups: Option<&BTreeMap<String, Group>>) {
        for word in words {
            match (Pattern::parse(word), groups) {
                (Ok(Pattern::One(address)), _) => drop(self.people.insert(address)),
                (Ok(Pattern::Domain(domain)), _) => drop(self.domains.insert(domain)),
                (Ok(Pattern::Group(name)), Some(groups)) => {
                    if let Some(group) = groups.get(&name) {
                        self.add(&group.members, None);
                    }
                }
                _ => {}
            }
        }
    }

    pub fn has(&self, who: &Address) -> bool {
        self.people.contains(who) || self.domains.contains(who.domain())
    }
}

pub(crate) fn name_is_good(name: &str) -> Result<(), String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    match !name.is_empty() && name.len() <= 64 && name.bytes().all(plain) {
        true => Ok(()),
        false => Err(format!("{name:?} is no name: write letters, digits, `-`, `_` and `.`, 64 at most")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_people_domains_and_groups() {
        let sales =
            Group { name: "sales".into(), members: vec!["Anna@a.example".into(), "*@b.example".into()] };
        let groups = BTreeMap::from([("sales".to_owned(), sales.normalised().unwrap())]);
        let people = People::of(&["sales".into(), "carl@c.example".into(), "nobody".into()], &groups);
        for (who, meant) in [
            ("anna@a.example", true),
            ("bert@a.example", false),
            ("anybody@b.example", true),
            ("carl@c.example", true),
            ("c.example", false),
        ] {
            assert_eq!(people.has(&Address::parse(who).unwrap()), meant, "{who}");
        }
        let nested = Group { name: "x".into(), members: vec!["sales".into()] };
        assert!(nested.normalised().unwrap_err().contains("is no member"));
    }
}

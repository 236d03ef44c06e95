//! Names that look like others (UTS 39): of hosts, of people, and of those whose word counts.

use crate::links::shown;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use unicode_normalization::UnicodeNormalization;
use unicode_security::confusable_detection::skeleton;
use unicode_security::{RestrictionLevel, RestrictionLevelDetection};

/// What is looked for. Made anew when partners or people change.
#[derive(Default)]
pub(crate) struct Names {
    /// Domains that are ours or a partner's.
    domains: HashSet<String>,
    /// What they look like.
    looks: HashMap<String, String>,
    /// No name among them has more labels.
    labels: usize,
    seed: RandomState,
    /// People's names, and what they look like, by hash.
    people: HashSet<u64>,
    people_look: HashSet<u64>,
    /// Executives: the words of their names in one order.
    executives: HashMap<String, String>,
}

/// What a text looks like, without regard for case and marks: two that look alike have the same.
fn look(text: &str) -> String {
    let once = |text: &str| -> String {
        let plain: String =
            skeleton(text).nfkd().filter(|c| !unicode_normalization::char::is_combining_mark(*c)).collect();
        // The tables have m for rn, and nothing for w.
        plain.to_lowercase().replace('w', "vv")
    };
    // What is a capital to the tables may be small with us: 0, O, o.
    once(&once(&text.to_lowercase()))
}

/// The words of a person's name, in one order; none where it says too little.
fn words(name: &str) -> Option<String> {
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let mut words: Vec<String> =
        name.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(look).collect();
    words.sort();
    (!words.is_empty()).then(|| words.join(" "))
}

/// Written in scripts that nobody mixes (UTS 39 section 5.2)?
fn is_mixed(text: &str) -> bool {
    text.split('.').any(|label| {
        !label.is_ascii() && label.detect_restriction_level() > RestrictionLevel::HighlyRestrictive
    })
}

impl Names {
    /// `people` are the names before the `@`.
    pub fn new<'a>(
        domains: impl Iterator<Item = String>,
        people: impl Iterator<Item = &'a str>,
        executives: &[String],
    ) -> Self {
        let mut names = Self::default();
        for domain in domains {
            let shown = shown(&domain).to_lowercase();
            names.labels = names.labels.max(shown.split('.').count());
            names.looks.insert(look(&shown), shown.clone());
            names.domains.insert(shown);
        }
        for name in people {
            names.people.insert(names.seed.hash_one(name));
            names.people_look.insert(names.seed.hash_one(look(name)));
        }
        for name in executives {
            let Some(found) = words(name) else { continue };
            names.executives.insert(found, name.clone());
            // An address may have the words without anything between them, in either order.
            let parts: Vec<&str> = name.split_whitespace().collect();
            let turned: Vec<&str> = parts.iter().rev().copied().collect();
            for joined in [parts.concat(), turned.concat()] {
                names.executives.insert(look(&joined), name.clone());
            }
        }
        names
    }

    /// Why a host is not what it seems; `None` for one of those it could be taken for, and for all others.
    pub fn host(&self, host: &str) -> Option<String> {
        let host = shown(host).to_lowercase();
        let host = host.trim_end_matches('.');
        let suffixes = || std::iter::once(host).chain(host.match_indices('.').map(|(at, _)| &host[at + 1..]));
        if suffixes().any(|suffix| self.domains.contains(suffix)) {
            return None;
        }
        // Looking is dear, and what has more labels than all of them looks like none.
        let ends = host.rmatch_indices('.').map(|(at, _)| &host[at + 1..]).chain([host]).take(self.labels);
        if let Some(domain) = ends.filter_map(|end| self.looks.get(&look(end))).last() {
            return Some(format!("a name that looks like {domain}"));
        }
        let inside = self.domains.iter().find(|domain| {
            domain.contains('.')
                && host.find(domain.as_str()).is_some_and(|at| {
                    (at == 0 || host[..at].ends_with(['.', '-']))
                        && host[at + domain.len()..].starts_with('.')
                })
        });
        if let Some(domain) = inside {
            return Some(format!("a name that begins like {domain} and is somebody else's"));
        }
        is_mixed(host).then(|| "a name that mixes alphabets".to_owned())
    }

    /// Why somebody's name is not what it seems, for somebody from elsewhere.
    pub fn person(&self, user: &str) -> Option<String> {
        if let Some(name) = self.executive(user) {
            return Some(name);
        }
        let known = self.people.contains(&self.seed.hash_one(user));
        if !known && self.people_look.contains(&self.seed.hash_one(look(user))) {
            return Some("a name that looks like one of ours".to_owned());
        }
        is_mixed(user).then(|| "a name that mixes alphabets".to_owned())
    }

    /// Is this the name of somebody whose word counts?
    pub fn executive(&self, name: &str) -> Option<String> {
        if self.executives.is_empty() {
            return None;
        }
        let found = self.executives.get(&words(name)?)?;
        Some(format!("the name of {found}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let domains = ["example.com", "bank.example", "bücher.example"].map(str::to_owned);
        Names::new(domains.into_iter(), ["juliet", "romeo", "warm"].into_iter(), &["Anna Smith".to_owned()])
    }

    #[test]
    fn hosts_that_look_like_ours() {
        let names = names();
        for (host, wanted) in [
            ("example.com", None),
            ("mail.example.com", None),
            ("EXAMPLE.com.", None),
            ("xn--bcher-kva.example", None),
            ("other.org", None),
            ("examplecom.org", None),
            ("пример.рф", None),
            ("日本ごカタ.example", None),
            ("exarnple.com", Some("example.com")),
            ("examp1e.com", Some("example.com")),
            ("www.examp1e.com", Some("example.com")),
            ("еxample.com", Some("example.com")), // Cyrillic е
            ("xn--xample-2of.com", Some("example.com")),
            ("exạmple.com", Some("example.com")),
            ("bаnk.example", Some("bank.example")), // Cyrillic а
            ("example.com.evil.org", Some("begins like example.com")),
            ("login-example.com.evil.org", Some("begins like example.com")),
            ("pаypal.org", Some("mixes alphabets")), // Cyrillic а
        ] {
            let found = names.host(host);
            match wanted {
                None => assert_eq!(found, None, "{host}"),
                Some(wanted) => {
                    assert!(found.as_deref().is_some_and(|f| f.contains(wanted)), "{host}: {found:?}")
                }
            }
        }
    }

    #[test]
    fn what_stands_before_a_name_does_not_hide_it() {
        let found = names().host(&("x.".repeat(400) + "examp1e.com"));
        assert_eq!(found.as_deref(), Some("a name that looks like example.com"));
        let found = names().host(&("examp1e.com.".to_owned() + "evil.org"));
        assert_eq!(found, None, "it is nobody of ours who is at the end");
    }

    #[test]
    fn people_who_look_like_ours() {
        let names = names();
        for (user, wanted) in [
            ("juliet", false),
            ("tybalt", false),
            ("anna", false),
            ("anna.smithson", false),
            ("ju1iet", true),
            ("juIiet", false), // addresses are lower case
            ("julіet", true),  // Ukrainian і
            ("rоmeo", true),   // Cyrillic о
            ("vvarrn", true),
            ("anna.smith", true),
            ("smith_anna2", true),
            ("annasmith", true),
            ("Smith, Anna", true),
            ("Аnna Smith", true), // Cyrillic А
        ] {
            assert_eq!(names.person(user).is_some(), wanted, "{user}: {:?}", names.person(user));
        }
    }
}

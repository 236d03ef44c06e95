//! Which rules a person can matter to, so that ten thousand rules cost no more than those few.

use crate::who::{Belonging, Who};
use model::Address;
use std::collections::HashMap;

/// A set of rules by number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    pub fn none(rules: usize) -> Self {
        Self(vec![0; rules.div_ceil(64)])
    }

    pub fn insert(&mut self, rule: usize) {
        self.0[rule / 64] |= 1 << (rule % 64);
    }

    pub fn and(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a &= b);
    }

    pub fn or(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a |= b);
    }

    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros() as usize)?;
                left &= left - 1;
                Some(at * 64 + bit)
            })
        })
    }
}

/// The rules that name somebody: a list while they are few, else a set.
#[derive(Debug, Clone)]
enum Named {
    Few(Vec<u32>),
    Many(Bits),
}

impl Named {
    fn insert(&mut self, rule: usize, rules: usize) {
        match self {
            Self::Many(bits) => bits.insert(rule),
            Self::Few(list) => {
                list.push(rule as u32);
                if list.len() * 4 > rules.div_ceil(8) {
                    let mut bits = Bits::none(rules);
                    list.iter().for_each(|rule| bits.insert(*rule as usize));
                    *self = Self::Many(bits);
                }
            }
        }
    }

    fn add_to(&self, bits: &mut Bits) {
        match self {
            Self::Few(list) => list.iter().for_each(|rule| bits.insert(*rule as usize)),
            Self::Many(many) => bits.or(many),
        }
    }
}

/// Rules by whom they name at one end.
#[derive(Debug)]
pub(crate) struct Index {
    rules: usize,
    people: HashMap<Address, Named>,
    domains: HashMap<String, Named>,
    below: HashMap<String, Named>,
    groups: HashMap<String, Named>,
    partners: HashMap<String, Named>,
    anybody: Bits,
    local: Bits,
    remote: Bits,
    any_partner: Bits,
    strangers: Bits,
}

impl Index {
    /// The words of each rule, by its number; no words at all mean everybody.
    pub fn new<'a>(words: impl ExactSizeIterator<Item = &'a [Who]>) -> Self {
        let rules = words.len();
        let none = || Bits::none(rules);
        let mut index = Self {
            rules,
            people: HashMap::new(),
            domains: HashMap::new(),
            below: HashMap::new(),
            groups: HashMap::new(),
            partners: HashMap::new(),
            anybody: none(),
            local: none(),
            remote: none(),
            any_partner: none(),
            strangers: none(),
        };
        for (rule, words) in words.enumerate() {
            if words.is_empty() {
                index.anybody.insert(rule);
            }
            for word in words {
                index.insert(word, rule);
            }
        }
        index
    }

    fn insert(&mut self, word: &Who, rule: usize) {
        fn of<'a, K: std::hash::Hash + Eq + Clone>(map: &'a mut HashMap<K, Named>, key: &K) -> &'a mut Named {
            map.entry(key.clone()).or_insert_with(|| Named::Few(Vec::new()))
        }
        let rules = self.rules;
        match word {
            Who::One(who) => of(&mut self.people, who).insert(rule, rules),
            Who::Domain(name) => of(&mut self.domains, name).insert(rule, rules),
            Who::Below(name) => of(&mut self.below, name).insert(rule, rules),
            Who::Group(name) => of(&mut self.groups, name).insert(rule, rules),
            Who::Partner(name) => of(&mut self.partners, name).insert(rule, rules),
            Who::Anybody => self.anybody.insert(rule),
            Who::Local => self.local.insert(rule),
            Who::Remote => self.remote.insert(rule),
            Who::Partners => self.any_partner.insert(rule),
            Who::Strangers => self.strangers.insert(rule),
        }
    }

    /// The rules that name this person.
    pub fn of(&self, who: &Address, belonging: &Belonging) -> Bits {
        let mut bits = self.anybody.clone();
        let mut add = |named: Option<&Named>| {
            if let Some(named) = named {
                named.add_to(&mut bits);
            }
        };
        if !self.people.is_empty() {
            add(self.people.get(who));
        }
        if !self.domains.is_empty() {
            add(self.domains.get(who.domain()));
        }
        if !self.below.is_empty() {
            let mut rest = who.domain();
            while let Some((_, above)) = rest.split_once('.') {
                add(self.below.get(above));
                rest = above;
            }
        }
        if !self.groups.is_empty() {
            belonging.groups.iter().for_each(|group| add(self.groups.get(&**group)));
        }
        if let Some(partner) = &belonging.partner {
            add(self.partners.get(partner.as_str()));
        }
        match (belonging.local, &belonging.partner) {
            (true, _) => bits.or(&self.local),
            (false, partner) => {
                bits.or(&self.remote);
                bits.or(if partner.is_some() { &self.any_partner } else { &self.strangers });
            }
        }
        bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_has_the_rules_that_name_them_in_any_way() {
        let words: Vec<Vec<Who>> = [
            "anna@a.example",
            "*@a.example",
            "*@*.example",
            "sales",
            "partner:x",
            "*",
            "local",
            "remote",
            "partners",
            "strangers",
        ]
        .iter()
        .map(|word| vec![Who::parse(word).unwrap()])
        .chain([Vec::new()])
        .collect();
        let index = Index::new(words.iter().map(Vec::as_slice));
        let anna = Address::parse("anna@a.example").unwrap();
        let bert = Address::parse("bert@b.org").unwrap();
        let inside = Belonging { local: true, partner: None, groups: vec!["sales".into()] };
        let agreed = Belonging { partner: Some("x".into()), ..Belonging::default() };
        let list = |who, b: &Belonging| index.of(who, b).iter().collect::<Vec<_>>();
        assert_eq!(list(&anna, &inside), [0, 1, 2, 3, 5, 6, 10]);
        assert_eq!(list(&bert, &agreed), [4, 5, 7, 8, 10]);
        assert_eq!(list(&bert, &Belonging::default()), [5, 7, 9, 10]);
        // As the words say one by one.
        for (who, belonging) in [(&anna, &inside), (&bert, &agreed)] {
            for (rule, words) in words.iter().enumerate().filter(|(_, words)| !words.is_empty()) {
                assert_eq!(words[0].means(who, belonging), list(who, belonging).contains(&rule), "{words:?}");
            }
        }
    }
}

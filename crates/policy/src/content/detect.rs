//! All that rules look for, in one pass for each way of looking.

use super::disguise::{Disguised, Words};
use super::fold::{Joined, clean, clean_mapped, fold, fold_looking, fold_mapped, joined, stands_alone};
use super::numbers::{self, Number};
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use std::borrow::Cow;
use std::ops::Range;

/// The automaton of a set of expressions may take so much: with the usual 2 MiB it is thrown away and built again for
/// each message, which makes a message cost a millisecond.
const DFA_BYTES: usize = 64 << 20;
/// One expression may compile to so much.
const REGEX_BYTES: usize = 1 << 20;
/// Words of so many bytes together may have the automaton that is quickest, and largest.
const QUICK_WORDS: usize = 128 << 10;
/// Shorter words are not looked for in what was put together: they would be found in anything.
const SHORTEST_JOINED: usize = 5;

/// Collects what to look for.
#[derive(Default)]
pub(crate) struct Builder {
    words: Vec<String>,
    word_of: Vec<u32>,
    regexes: Vec<Regex>,
    regex_of: Vec<u32>,
    numbers: Vec<Number>,
    number_of: Vec<u32>,
    disguised: Words,
}

impl Builder {
    /// A word, and whether it counts when it is disguised.
    ///
    /// # Errors
    /// In words, why it cannot be looked for.
    pub fn word(&mut self, detector: usize, word: &str, disguised: bool) -> Result<(), String> {
        let folded = fold(word.trim());
        if !folded.contains(char::is_alphanumeric) {
            return Err(format!("{word:?} has neither letter nor digit"));
        }
        if disguised {
            self.disguised.add(detector as u32, &folded);
        }
        self.words.push(folded);
        self.word_of.push(detector as u32);
        Ok(())
    }

    /// # Errors
    /// In words, what is wrong with it, and where in it.
    pub fn regex(&mut self, detector: usize, pattern: &str) -> Result<(), String> {
        let regex = RegexBuilder::new(pattern).size_limit(REGEX_BYTES).build().map_err(|e| match e {
            regex::Error::CompiledTooBig(_) => {
                "it would take more memory than an expression may; bound its repetitions".to_owned()
            }
            e => e.to_string(),
        })?;
        if regex.is_match("") {
            return Err("it finds something in an empty text, so in every text".to_owned());
        }
        self.regexes.push(regex);
        self.regex_of.push(detector as u32);
        Ok(())
    }

    /// # Errors
    /// The kinds there are.
    pub fn number(&mut self, detector: usize, name: &str) -> Result<(), Vec<&'static str>> {
        let number =
            Number::named(name).ok_or_else(|| numbers::NUMBERS.iter().map(|n| n.name).collect::<Vec<_>>())?;
        self.numbers.push(number);
        self.number_of.push(detector as u32);
        Ok(())
    }

    /// # Errors
    /// In words, why all together are too much.
    pub fn build(self, names: Vec<String>) -> Result<Detectors, String> {
        let words = match self.words.is_empty() {
            true => None,
            false => Some(
                AhoCorasick::builder()
                    .match_kind(MatchKind::Standard)
                    // The quickest automaton, unless it would take tens of megabytes.
                    .kind(
                        (self.words.iter().map(String::len).sum::<usize>() < QUICK_WORDS)
                            .then_some(AhoCorasickKind::DFA),
                    )
                    .build(&self.words)
                    .map_err(|e| format!("the words are too many: {e}"))?,
            ),
        };
        let set = RegexSetBuilder::new(self.regexes.iter().map(Regex::as_str))
            .size_limit(DFA_BYTES)
            .dfa_size_limit(DFA_BYTES)
            .build()
            .map_err(|e| format!("the expressions are too many: {e}"))?;
        Ok(Detectors {
            names,
            words,
            lengths: self.words.iter().map(String::len).collect(),
            word_of: self.word_of,
            set,
            regexes: self.regexes,
            regex_of: self.regex_of,
            numbers: self.numbers,
            number_of: self.number_of,
            disguised: self.disguised.build()?,
        })
    }
}

/// All that rules look for.
pub(crate) struct Detectors {
    pub names: Vec<String>,
    words: Option<AhoCorasick>,
    lengths: Vec<usize>,
    word_of: Vec<u32>,
    set: RegexSet,
    regexes: Vec<Regex>,
    regex_of: Vec<u32>,
    numbers: Vec<Number>,
    number_of: Vec<u32>,
    disguised: Option<Disguised>,
}

/// Which detectors found something, by their numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found(Vec<bool>);

impl Found {
    pub fn has(&self, detector: usize) -> bool {
        self.0.get(detector).copied().unwrap_or_default()
    }

    pub fn count(&self) -> usize {
        self.0.iter().filter(|found| **found).count()
    }

    fn note(&mut self, detector: u32) {
        self.0[detector as usize] = true;
    }
}

impl Detectors {
    /// Which of them find something in any of the texts.
    pub fn scan(&self, texts: &[Cow<'_, str>]) -> Found {
        let mut found = Found(vec![false; self.names.len()]);
        for text in texts {
            if let Some(words) = &self.words {
                let (folded, joined) = fold_looking(text);
                self.words_in(words, &folded, |word, _| found.note(self.word_of[word]));
                if let Some(joined) = joined {
                    self.split_words_in(words, &folded, &joined, |word, _| found.note(self.word_of[word]));
                }
                if let Some(disguised) = &self.disguised {
                    disguised.find(&folded, |detector, _| found.note(detector));
                }
            }
            if self.regexes.is_empty() && self.numbers.is_empty() {
                continue;
            }
            let clean = clean(text);
            for regex in &self.set.matches(&clean) {
                found.note(self.regex_of[regex]);
            }
            numbers::find(&self.numbers, &clean, |number, _| found.note(self.number_of[number]));
        }
        found
    }

    pub fn expressions(&self) -> Vec<&str> {
        self.regexes.iter().map(Regex::as_str).collect()
    }

    pub fn matches(&self, expression: usize, text: &str) -> bool {
        self.regexes.get(expression).is_some_and(|regex| regex.is_match(text))
    }

    fn words_in(&self, words: &AhoCorasick, text: &str, mut found: impl FnMut(usize, Range<usize>)) {
        for at in words.find_overlapping_iter(text).filter(|at| stands_alone(text, at.range())) {
            found(at.pattern().as_usize(), at.range());
        }
    }

    /// Words that somebody took apart.
    fn split_words_in(
        &self,
        words: &AhoCorasick,
        text: &str,
        joined: &Joined,
        mut found: impl FnMut(usize, Range<usize>),
    ) {
        for at in words.find_overlapping_iter(&joined.text) {
            let word = at.pattern().as_usize();
            let range = joined.back(at.start())..joined.back(at.end() - 1) + 1;
            if self.lengths[word] >= SHORTEST_JOINED && stands_alone(text, range.clone()) {
                found(word, range);
            }
        }
    }

    /// Where these detectors find something in a text, in order and without overlaps.
    pub fn places(&self, which: &[usize], text: &str) -> Vec<Range<usize>> {
        let wanted = |detector: u32| which.contains(&(detector as usize));
        let mut places = Vec::new();
        if let Some(words) = &self.words {
            let mapped = fold_mapped(text);
            let mut note = |word: usize, range| {
                if wanted(self.word_of[word]) {
                    places.push(mapped.back(range));
                }
            };
            self.words_in(words, &mapped.text, &mut note);
            if let Some(joined) = joined(&mapped.text) {
                self.split_words_in(words, &mapped.text, &joined, &mut note);
            }
            if let Some(disguised) = &self.disguised {
                disguised.find(&mapped.text, |detector, range| {
                    if wanted(detector) {
                        places.push(mapped.back(range));
                    }
                });
            }
        }
        let mapped = clean_mapped(text);
        for (regex, _) in self.regexes.iter().zip(&self.regex_of).filter(|(_, detector)| wanted(**detector)) {
            places.extend(
                regex.find_iter(&mapped.text).filter(|m| !m.is_empty()).map(|m| mapped.back(m.range())),
            );
        }
        numbers::find(&self.numbers, &mapped.text, |number, range| {
            if wanted(self.number_of[number]) {
                places.push(mapped.back(range));
            }
        });
        merged(places)
    }

    /// In how many places they find something.
    pub fn count(&self, which: &[usize], texts: &[Cow<'_, str>]) -> usize {
        texts.iter().map(|text| self.places(which, text).len()).sum()
    }
}

fn merged(mut places: Vec<Range<usize>>) -> Vec<Range<usize>> {
    places.sort_by_key(|place| place.start);
    let mut out: Vec<Range<usize>> = Vec::with_capacity(places.len());
    for place in places {
        match out.last_mut() {
            Some(last) if place.start < last.end => last.end = last.end.max(place.end),
            _ => out.push(place),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detectors() -> Detectors {
        let mut builder = Builder::default();
        builder.word(0, "Falcon", false).unwrap();
        builder.word(0, "project blue bird", false).unwrap();
        builder.regex(1, "PRJ-[0-9]{4}").unwrap();
        builder.number(2, "payment-card").unwrap();
        builder.build(vec!["words".into(), "tickets".into(), "cards".into()]).unwrap()
    }

    #[test]
    fn each_way_of_writing_it_is_found() {
        let detectors = detectors();
        for (text, wanted) in [
            ("the falcon lands", [true, false, false]),
            ("the falcons land", [false; 3]),
            ("FALCON", [true, false, false]),
            ("fаlсоn", [true, false, false]),
            ("f a l c o n", [true, false, false]),
            ("F-A-L-C-O-N!", [true, false, false]),
            ("fal\u{200b}con", [true, false, false]),
            ("Project  Blue\nBird", [true, false, false]),
            ("see PRJ-1234", [false, true, false]),
            ("see ＰＲＪ-１２３４", [false, true, false]),
            ("4111 1111 1111 1111", [false, false, true]),
            ("4111\u{2011}1111\u{2013}1111\u{2212}1111", [false, false, true]),
            ("4111 - 1111  1111\t1111", [false, false, true]),
            ("41\u{7f}11 1111 1111 11\u{8f}11", [false, false, true]),
            ("fal\u{7f}con PRJ-\u{80}1234", [true, true, false]),
            ("nothing", [false; 3]),
        ] {
            let found = detectors.scan(&[Cow::Borrowed(text)]);
            assert_eq!([found.has(0), found.has(1), found.has(2)], wanted, "{text}");
        }
    }

    #[test]
    fn places_are_those_of_the_text_as_written() {
        let detectors = detectors();
        let text = "ａ f a l c o n, fаlсоn and PRJ-1234";
        let at = |which: &[usize]| -> Vec<&str> {
            detectors.places(which, text).into_iter().map(|r| &text[r]).collect()
        };
        assert_eq!(at(&[0]), ["f a l c o n", "fаlсоn"]);
        assert_eq!(at(&[1]), ["PRJ-1234"]);
        assert_eq!(detectors.count(&[0, 1], &[Cow::Borrowed(text)]), 3);
        let text = "a fal\u{7f}con, 41\u{9f}11 – 1111\u{2011}1111\t1111.";
        let at = |which: &[usize]| -> Vec<&str> {
            detectors.places(which, text).into_iter().map(|r| &text[r]).collect()
        };
        assert_eq!(at(&[0, 2]), ["fal\u{7f}con", "41\u{9f}11 – 1111\u{2011}1111\t1111"]);
    }
}

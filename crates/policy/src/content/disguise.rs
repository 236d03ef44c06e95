//! Words that somebody disguised: with digits and signs in place of letters (`fa1con`), or blanks in the middle (`fal con`).
//! Not everybody wants them found, since *the rapist* is in it: so it is a choice of each detector.

use super::fold::GLUE;
use super::fold::stands_alone;
use aho_corasick::AhoCorasick;
use std::ops::Range;

/// Shorter words are not looked for across blanks: they would be found in anything.
const SHORTEST_SPLIT: usize = 5;

/// What stands for which letters.
const SIGNS: [(char, &str); 15] = [
    ('0', "o"),
    ('1', "li"),
    ('!', "li"),
    ('|', "li"),
    ('2', "z"),
    ('3', "e"),
    ('4', "a"),
    ('@', "a"),
    ('5', "s"),
    ('$', "s"),
    ('6', "g"),
    ('9', "g"),
    ('7', "t"),
    ('+', "t"),
    ('8', "b"),
];

fn letters(sign: char) -> Option<&'static str> {
    SIGNS.iter().find(|(c, _)| *c == sign).map(|(_, letters)| *letters)
}

fn stands_for(written: char, meant: char) -> bool {
    written == meant || letters(written).is_some_and(|letters| letters.contains(meant))
}

/// One spelling for a letter and all that stands for it, or for others that it stands for.
fn class(c: char) -> char {
    match c {
        'i' => 'l',
        c => letters(c).and_then(|letters| letters.chars().next()).unwrap_or(c),
    }
}

/// Letters and what stands for them, in one spelling, without what is between; each with where it comes from.
fn reduced(text: &str) -> (String, Vec<u32>) {
    let (mut out, mut from) = (String::with_capacity(text.len()), Vec::with_capacity(text.len()));
    let is_part = |c: char| c.is_alphanumeric() || letters(c).is_some();
    let mut before = None;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let between = before.is_some_and(is_part) && chars.peek().is_some_and(|(_, c)| is_part(*c));
        if is_part(c) {
            out.push(class(c));
        } else if !((c == ' ' || GLUE.contains(&c)) && between) {
            out.push(' ');
        }
        from.resize(out.len(), at as u32);
        before = Some(c);
    }
    (out, from)
}

/// Collects the words.
#[derive(Default)]
pub(crate) struct Words {
    spelt: Vec<String>,
    detector_of: Vec<u32>,
}

impl Words {
    /// One more, folded.
    pub fn add(&mut self, detector: u32, folded: &str) {
        self.spelt.push(folded.chars().filter(|c| c.is_alphanumeric()).collect());
        self.detector_of.push(detector);
    }

    /// `None` where there are none.
    ///
    /// # Errors
    /// In words, why they are too many.
    pub fn build(self) -> Result<Option<Disguised>, String> {
        if self.spelt.is_empty() {
            return Ok(None);
        }
        let classes = self.spelt.iter().map(|word| word.chars().map(class).collect::<String>());
        let automaton = AhoCorasick::new(classes).map_err(|e| format!("the words are too many: {e}"))?;
        Ok(Some(Disguised { automaton, spelt: self.spelt, detector_of: self.detector_of }))
    }
}

/// Finds them.
pub(crate) struct Disguised {
    automaton: AhoCorasick,
    spelt: Vec<String>,
    detector_of: Vec<u32>,
}

impl Disguised {
    /// Tells the detector, and where in the folded text.
    pub fn find(&self, folded: &str, mut found: impl FnMut(u32, Range<usize>)) {
        let (text, from) = reduced(folded);
        for at in self.automaton.find_overlapping_iter(&text) {
            let places = &from[at.range()];
            let (Some(first), Some(last)) = (places.first(), places.last()) else { continue };
            let (first, last) = (*first as usize, *last as usize);
            let end = last + folded[last..].chars().next().map_or(0, char::len_utf8);
            let word = at.pattern().as_usize();
            if stands_alone(folded, first..end) && self.reads(word, &folded[first..end]) {
                found(self.detector_of[word], first..end);
            }
        }
    }

    /// Does it read as the word? Half of it must be as it is, or any number would read as some word.
    fn reads(&self, word: usize, written: &str) -> bool {
        let spelt = &self.spelt[word];
        let pieces = || written.chars().filter(|c| c.is_alphanumeric() || letters(*c).is_some());
        let same = pieces().zip(spelt.chars()).filter(|(written, meant)| written == meant).count();
        let length = spelt.chars().count();
        let split = written.contains(' ');
        pieces().zip(spelt.chars()).all(|(written, meant)| stands_for(written, meant))
            && same * 2 >= length
            && (!split || length >= SHORTEST_SPLIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(words: &[&str], text: &str) -> Vec<String> {
        let mut all = Words::default();
        words.iter().for_each(|word| all.add(0, word));
        let mut found = Vec::new();
        all.build().unwrap().unwrap().find(text, |_, range| found.push(text[range].to_owned()));
        found
    }

    #[test]
    fn disguises_are_seen_through() {
        let words = ["falcon", "blue bird", "password", "fail", "b2b"];
        for text in [
            "fa1con",
            "f@lcon",
            "f4lc0n",
            "fal con",
            "f al con",
            "f a1 c0n",
            "fa|con",
            "fa!con",
            "fal-c0n",
            "bluebird",
            "blu ebird",
            "b1ue b1rd",
            "p@$$word",
            "pa55w0rd",
            "p4ssword",
            "fa1l",
            "fai1",
            "b2b",
        ] {
            assert_eq!(found(&words, text), [text], "{text}");
            assert_eq!(found(&words, &format!("so, ({text})!")), [text], "{text} in a sentence");
        }
    }

    #[test]
    fn what_reads_as_something_else_is_left_alone() {
        let words = ["falcon", "fail", "sos", "loot", "therein"];
        for text in [
            "falcons",
            "my falcony",
            "fall",
            "fa il",
            "505",
            "1007",
            "fal. con",
            "fal (con)",
            "falkon",
            "the rain",
            "fal  (con",
            "",
        ] {
            assert_eq!(found(&words, text), [""; 0], "{text}");
        }
        assert_eq!(found(&["therein"], "the rein"), ["the rein"], "why it is a choice");
    }
}

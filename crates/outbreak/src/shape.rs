//! The shape of a text: what is left when names, numbers, tokens and white space are taken out.

use crate::link::is_token;

/// A shape of fewer words says nothing: people send "thanks, see you" all day.
const WORDS: usize = 8;
/// Or of fewer letters.
const LETTERS: usize = 32;
/// Longer texts are looked at to here only, in bytes.
const LONGEST: usize = 4_096;
/// A word without digits that is as long looks made by a machine, see [`is_token`].
const TOKEN: usize = 20;

/// May the byte stand within a word? Of what is not ASCII only the characters can tell.
fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'\'' || !byte.is_ascii()
}

/// Collects the pieces of a text.
#[derive(Default)]
pub(crate) struct Shape {
    text: String,
    words: usize,
    letters: usize,
}

impl Shape {
    /// Adds a piece. `names` are those of sender and addressee.
    pub fn add(&mut self, piece: &str, names: &[&str]) {
        let bytes = piece.as_bytes();
        let mut at = 0;
        self.text.reserve(bytes.len().min(LONGEST) + 1);
        while self.text.len() < LONGEST
            && let Some(begin) = bytes[at..].iter().position(|b| in_word(*b)).map(|i| at + i)
        {
            let end = bytes[begin..].iter().position(|b| !in_word(*b)).map_or(bytes.len(), |i| begin + i);
            let run = &piece[begin..end];
            // Only what is not ASCII can have borders of words that are not.
            if run.is_ascii() {
                self.add_ascii(run, names);
            } else {
                let words = run.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|w| !w.is_empty());
                words.for_each(|word| self.add_word(word, names));
            }
            at = end;
        }
    }

    fn add_ascii(&mut self, word: &str, names: &[&str]) {
        let (mut upper, mut digits, mut lower) = (0, 0, 0);
        for byte in word.bytes() {
            upper += usize::from(byte.is_ascii_uppercase());
            lower += usize::from(byte.is_ascii_lowercase());
            digits += usize::from(byte.is_ascii_digit());
        }
        let first = word.as_bytes()[0].is_ascii_uppercase();
        let name = first && upper == 1 && lower > 0 && lower + 1 == word.len();
        let named = || names.iter().any(|name| name.eq_ignore_ascii_case(word));
        if name || digits > 0 || word.len() >= TOKEN || named() {
            return;
        }
        self.words += 1;
        self.letters += word.len();
        let at = self.text.len();
        self.text.push_str(word);
        self.text[at..].make_ascii_lowercase();
        self.text.push(' ');
    }

    fn add_word(&mut self, word: &str, names: &[&str]) {
        if word.is_ascii() {
            return self.add_ascii(word, names);
        }
        let mut chars = word.chars();
        let first = chars.next().is_some_and(char::is_uppercase);
        let name = first && chars.clone().next().is_some() && chars.all(char::is_lowercase);
        let number = word.chars().any(char::is_numeric);
        let named = || names.iter().any(|name| name.eq_ignore_ascii_case(word));
        if name || number || is_token(word) || named() {
            return;
        }
        self.words += 1;
        self.letters += word.chars().count();
        self.text += &policy::fold(word);
        self.text.push(' ');
    }

    /// The shape, if the text has enough of one.
    pub fn done(&self) -> Option<&str> {
        (self.words >= WORDS && self.letters >= LETTERS).then_some(self.text.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str, names: &[&str]) -> Option<String> {
        let mut shape = Shape::default();
        shape.add(text, names);
        shape.done().map(str::to_owned)
    }

    #[test]
    fn what_is_made_for_one_recipient_does_not_count() {
        let one = shape("Hey Bob, is this really you on that picture from the party? code 4711", &[]);
        assert!(one.is_some());
        for other in [
            "Hey Alice,  is this REALLY you on that picture\nfrom the party? code 12",
            "Hey is this rеally you on that picture from the party!!! code x9k2m4q",
        ] {
            assert_eq!(shape(other, &[]), one, "{other}");
        }
        assert_eq!(
            shape("hey bob is this really you on that picture from the party", &["bob"]),
            shape("hey eve is this really you on that picture from the party", &["eve"])
        );
        assert_ne!(shape("may we meet at the station a bit later than usual today", &[]), one);
    }

    #[test]
    fn short_texts_have_none() {
        for text in [
            "",
            "ok",
            "Thanks a lot, see you tomorrow!",
            "12345678 90123456 11 22 33 44 55 66 77",
            "a b c d e f g h",
        ] {
            assert_eq!(shape(text, &[]), None, "{text}");
        }
    }
}

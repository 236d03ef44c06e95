//! The shape of a text: what is left when names, numbers, tokens and white space are taken out.

use crate::link::is_token;

/// A shape of fewer words says nothing: people send "thanks, see you" all day.
const WORDS: usize = 8;
/// Or of fewer letters.
const LETTERS: usize = 32;
/// Longer texts are looked at to here only, in bytes.
const LONGEST: usize = 4_096;

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
        for word in piece.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|w| !w.is_empty()) {
            if self.text.len() >= LONGEST {
                return;
            }
            let mut chars = word.chars();
            let first = chars.next().is_some_and(char::is_uppercase);
            let name = first && chars.clone().next().is_some() && chars.all(char::is_lowercase);
            let number = word.chars().any(char::is_numeric);
            let named = || names.iter().any(|name| name.eq_ignore_ascii_case(word));
            if name || number || is_token(word) || named() {
                continue;
            }
            self.words += 1;
            self.letters += word.chars().count();
            match word.is_ascii() {
                true => self.text.extend(word.bytes().map(|b| char::from(b.to_ascii_lowercase()))),
                false => self.text += &policy::fold(word),
            }
            self.text.push(' ');
        }
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

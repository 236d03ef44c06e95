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

/// Kinds of bytes, as bits, so that one look says what is in a word.
const LOWER: u8 = 1;
const UPPER: u8 = 2;
const DIGIT: u8 = 4;
const APOSTROPHE: u8 = 8;
const BEYOND: u8 = 16;

/// The kind of each byte; 0 for borders of words.
static KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        kinds[byte] = match byte as u8 {
            b'a'..=b'z' => LOWER,
            b'A'..=b'Z' => UPPER,
            b'0'..=b'9' => DIGIT,
            b'\'' => APOSTROPHE,
            128.. => BEYOND,
            _ => 0,
        };
        byte += 1;
    }
    kinds
};

/// Collects the pieces of a text.
#[derive(Default)]
pub(crate) struct Shape {
    text: Vec<u8>,
    words: usize,
    letters: usize,
}

impl Shape {
    /// Adds a piece. `names` are those of sender and addressee.
    pub fn add(&mut self, piece: &str, names: &[&str]) {
        let bytes = piece.as_bytes();
        self.text.reserve(bytes.len().min(LONGEST) + 1);
        let mut at = 0;
        while at < bytes.len() && self.text.len() < LONGEST {
            let first = KINDS[usize::from(bytes[at])];
            if first == 0 {
                at += 1;
                continue;
            }
            let begin = at;
            let mut rest = 0;
            loop {
                at += 1;
                match bytes.get(at).map_or(0, |byte| KINDS[usize::from(*byte)]) {
                    0 => break,
                    kind => rest |= kind,
                }
            }
            match (first | rest) & BEYOND {
                0 => self.add_ascii(&bytes[begin..at], first, rest, names),
                // Only the characters can tell where words end there.
                _ => self.add_beyond(&piece[begin..at], names),
            }
        }
    }

    /// A word with the kind of its first byte and those of all others.
    fn add_ascii(&mut self, word: &[u8], first: u8, rest: u8, names: &[&str]) {
        let name = (first, rest) == (UPPER, LOWER);
        let named = || names.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(word));
        if name || (first | rest) & DIGIT != 0 || word.len() >= TOKEN || named() {
            return;
        }
        self.words += 1;
        self.letters += word.len();
        // Letters have this bit in lower case, and so has the apostrophe.
        self.text.extend(word.iter().map(|byte| byte | 0x20));
        self.text.push(b' ');
    }

    fn add_beyond(&mut self, run: &str, names: &[&str]) {
        let words = run.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|w| !w.is_empty());
        for word in words {
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
            self.text.extend(policy::fold(word).bytes());
            self.text.push(b' ');
        }
    }

    /// The shape, if the text has enough of one.
    pub fn done(&self) -> Option<&[u8]> {
        (self.words >= WORDS && self.letters >= LETTERS).then_some(&self.text[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str, names: &[&str]) -> Option<String> {
        let mut shape = Shape::default();
        shape.add(text, names);
        shape.done().map(|shape| String::from_utf8(shape.to_vec()).unwrap())
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

//! Words: how texts are taken apart, when they are indexed as when they are searched for.

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The name under which an index knows this way of taking texts apart.
pub(crate) const NAME: &str = "words";

/// Longer runs are cut: nobody looks for more.
const LONGEST: usize = 64;

/// Letters and digits that follow one another make a word, in lower case and without accents; every character of a
/// script that writes no spaces is a word of its own, so that a phrase finds it.
#[derive(Clone, Default)]
pub(crate) struct Words {
    token: Token,
}

pub(crate) struct Stream<'a> {
    text: &'a str,
    at: usize,
    token: &'a mut Token,
}

impl Tokenizer for Words {
    type TokenStream<'a> = Stream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Stream<'a> {
        self.token.reset();
        Stream { text, at: 0, token: &mut self.token }
    }
}

impl TokenStream for Stream<'_> {
    fn advance(&mut self) -> bool {
        let rest = &self.text[self.at..];
        let Some(skip) = rest.find(char::is_alphanumeric) else { return false };
        let begin = self.at + skip;
        let mut len = 0;
        for c in self.text[begin..].chars() {
            let alone = is_alone(c);
            if !c.is_alphanumeric() || (alone && len > 0) || len >= LONGEST {
                break;
            }
            len += c.len_utf8();
            if alone {
                break;
            }
        }
        self.at = begin + len;
        self.token.offset_from = begin;
        self.token.offset_to = self.at;
        self.token.position = self.token.position.wrapping_add(1);
        self.token.text.clear();
        let word = &self.text[begin..self.at];
        if word.is_ascii() {
            self.token.text.push_str(word);
            self.token.text.make_ascii_lowercase();
        } else {
            // Decomposed, so that accents can be left out.
            let plain = word.nfkd().filter(|c| !is_combining_mark(*c));
            self.token.text.extend(plain.flat_map(char::to_lowercase));
        }
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

/// Han, Hiragana and Katakana, Thai, Lao, Khmer and Myanmar write words without spaces.
fn is_alone(c: char) -> bool {
    matches!(u32::from(c),
        0x0e00..=0x0eff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x3040..=0x30ff | 0x3400..=0x4dbf
        | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x2_0000..=0x3_ffff)
}

/// The words of a text.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut tokenizer = Words::default();
    let mut stream = tokenizer.token_stream(text);
    let mut all = Vec::new();
    while stream.advance() {
        all.push(stream.token().text.clone());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn texts_fall_into_words() {
        assert_eq!(words("Hello, World! it's 12:30"), ["hello", "world", "it", "s", "12", "30"]);
        assert_eq!(words("Ärger über CAFÉ"), ["arger", "uber", "cafe"]);
        assert_eq!(words("会議room2は"), ["会", "議", "room2", "は"]);
        assert_eq!(words(" ...  "), Vec::<String>::new());
        assert_eq!(words(&"x".repeat(150)).iter().map(String::len).collect::<Vec<_>>(), [64, 64, 22]);
    }
}

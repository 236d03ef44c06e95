//! One spelling for what looks alike, so that tricks of spelling hide nothing.

use std::borrow::Cow;
use unicode_normalization::UnicodeNormalization;
use unicode_security::confusable_detection::skeleton;

/// A text with, for each of its bytes, where in the original it comes from.
pub(crate) struct Mapped {
    pub text: String,
    /// The byte of the original at which the character begins that this byte comes from, and one for the end.
    from: Vec<u32>,
}

impl Mapped {
    /// The range of the original that a range of the text comes from.
    pub fn back(&self, range: std::ops::Range<usize>) -> std::ops::Range<usize> {
        let at = |i: usize| self.from.get(i).copied().unwrap_or_default() as usize;
        let last = self.from.last().copied().unwrap_or_default();
        // Up to where the next character of the original begins.
        let end = self.from[range.end.min(self.from.len() - 1)..]
            .iter()
            .copied()
            .find(|f| *f as usize > at(range.end - 1));
        at(range.start)..end.unwrap_or(last) as usize
    }
}

/// Is it nothing that a reader sees?
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

/// Is it a mark upon the letter before?
fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

/// A text without invisible characters, compatible forms (wide digits, ligatures) as usual: for regular expressions,
/// numbers and links.
pub fn clean(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(clean_mapped(text).text)
}

/// The same with its map.
pub(crate) fn clean_mapped(text: &str) -> Mapped {
    map(text, |c, out| out.extend(std::iter::once(c).nfkc()))
}

/// For words: lower case, look-alikes as the Latin letter they look like, marks off, runs of space as one.
pub fn fold(text: &str) -> String {
    fold_looking(text).0
}

/// The same, and whether [`joined`] may find something to put together in it.
pub(crate) fn fold_looking(text: &str) -> (String, bool) {
    if text.is_ascii() {
        return fold_ascii(text.as_bytes());
    }
    (fold_mapped(text).text, true)
}

/// What a byte is to its neighbours: a letter or digit, a space, anything else; 0 stands for the text's ends.
static CLASSES: [u8; 256] = {
    let mut classes = [3; 256];
    let mut byte = 0;
    while byte < 128 {
        let b = byte as u8;
        if b.is_ascii_alphanumeric() {
            classes[byte] = 1;
        } else if b == b' ' {
            classes[byte] = 2;
        }
        byte += 1;
    }
    classes
};

/// For each five classes in a row, two bits each, whether the middle one stands between what may be one word: a space
/// between two letters that stand alone, anything else between two letters.
static BETWEEN: [bool; 1 << 10] = {
    let mut between = [false; 1 << 10];
    let mut row = 0;
    while row < between.len() {
        let (a, b, c, d, e) = (row >> 8, row >> 6 & 3, row >> 4 & 3, row >> 2 & 3, row & 3);
        between[row] = b == 1 && d == 1 && (c == 3 || (c == 2 && a != 1 && e != 1));
        row += 1;
    }
    between
};

/// Every message passes here: one look at each byte does it all.
fn fold_ascii(text: &[u8]) -> (String, bool) {
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    let (mut row, mut may_join) = (0, false);
    for byte in text {
        let byte = match byte {
            b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => b' ',
            byte => byte.to_ascii_lowercase(),
        };
        if byte == b' ' && out.last() == Some(&b' ') {
            continue;
        }
        out.push(byte);
        row = (row << 2 | usize::from(CLASSES[usize::from(byte)])) & 0x3ff;
        may_join |= BETWEEN[row];
    }
    may_join |= BETWEEN[row << 2 & 0x3ff];
    (String::from_utf8(out).unwrap_or_default(), may_join)
}

/// The same with its map.
pub(crate) fn fold_mapped(text: &str) -> Mapped {
    map(text, |c, out| {
        if c.is_ascii() {
            return push_folded(c, out);
        }
        let mut buffer = [0; 4];
        let compatible: String = c.encode_utf8(&mut buffer).nfkd().filter(|c| !is_mark(*c)).collect();
        if compatible.is_ascii() {
            return compatible.chars().for_each(|c| push_folded(c, out));
        }
        for c in skeleton(&compatible).filter(|c| !is_mark(*c)) {
            c.to_lowercase().for_each(|c| push_folded(c, out));
        }
    })
}

fn push_folded(c: char, out: &mut String) {
    match c {
        c if c.is_whitespace() => {
            if !out.ends_with(' ') {
                out.push(' ');
            }
        }
        c => out.push(c.to_ascii_lowercase()),
    }
}

fn map(text: &str, each: impl Fn(char, &mut String)) -> Mapped {
    let mut mapped =
        Mapped { text: String::with_capacity(text.len()), from: Vec::with_capacity(text.len() + 1) };
    for (at, c) in text.char_indices() {
        if !is_invisible(c) {
            each(c, &mut mapped.text);
        }
        mapped.from.resize(mapped.text.len(), at as u32);
    }
    mapped.from.push(text.len() as u32);
    mapped
}

/// The text with split words put together (`f a l c o n`, `fal-con`, `f.a.l.c.o.n`), and where each byte comes from.
/// `None` where there is none.
pub(crate) fn joined(text: &str) -> Option<(String, Vec<u32>)> {
    match text.is_ascii() {
        true => joined_ascii(text.as_bytes()),
        false => joined_chars(text),
    }
}

/// What people put between the letters of one word.
pub(crate) const GLUE: [char; 14] = ['-', '_', '.', '*', '\'', '’', '·', '~', '|', '+', '/', '\\', ',', '='];

/// Most texts: every byte is a character.
fn joined_ascii(text: &[u8]) -> Option<(String, Vec<u32>)> {
    let letter = |i: usize| text.get(i).is_some_and(u8::is_ascii_alphanumeric);
    let alone = |i: usize| letter(i) && !letter(i + 1) && (i == 0 || !letter(i - 1));
    let mut out = String::with_capacity(text.len());
    let mut from = Vec::with_capacity(text.len());
    for (i, &byte) in text.iter().enumerate() {
        let between = !byte.is_ascii_alphanumeric() && i > 0 && letter(i - 1) && letter(i + 1);
        let glue = || match byte {
            b' ' => alone(i - 1) && alone(i + 1),
            byte => GLUE.contains(&char::from(byte)),
        };
        if !(between && glue()) {
            out.push(char::from(byte));
            from.push(i as u32);
        }
    }
    (out.len() < text.len()).then_some((out, from))
}

fn joined_chars(text: &str) -> Option<(String, Vec<u32>)> {
    let mut out = String::with_capacity(text.len());
    let mut from = Vec::with_capacity(text.len());
    let mut changed = false;
    let chars: Vec<(usize, char)> = text.char_indices().collect();
    let letter = |i: usize| chars.get(i).is_some_and(|(_, c)| c.is_alphanumeric());
    // Does a letter stand alone here, between spaces?
    let alone = |i: usize| letter(i) && !letter(i + 1) && (i == 0 || !letter(i - 1));
    for (i, &(at, c)) in chars.iter().enumerate() {
        let between = i > 0 && letter(i - 1) && letter(i + 1);
        let drop = between && (GLUE.contains(&c) || (c == ' ' && alone(i - 1) && alone(i + 1)));
        if drop {
            changed = true;
            continue;
        }
        out.push(c);
        from.resize(out.len(), at as u32);
    }
    changed.then_some((out, from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_alikes_are_spelt_alike() {
        for (given, wanted) in [
            ("Falcon", "falcon"),
            ("fаlсоn", "falcon"), // Cyrillic а, с, о
            ("ｆａｌｃｏｎ", "falcon"),
            ("f\u{200b}al\u{ad}con", "falcon"),
            ("fâlcön", "falcon"),
            ("f\u{301}alcon", "falcon"),
            ("𝐟𝐚𝐥𝐜𝐨𝐧", "falcon"),
            ("two \u{a0}\n words", "two words"),
            ("modern", "modern"),
        ] {
            assert_eq!(fold(given), wanted, "{given}");
        }
    }

    #[test]
    fn split_words_are_put_together() {
        for (given, wanted) in [
            ("f a l c o n lands", Some("falcon lands")),
            ("f.a.l.c.o.n", Some("falcon")),
            ("the fal-con", Some("the falcon")),
            ("plain words, here", None),
            ("a dog and i", None),
        ] {
            assert_eq!(joined(given).map(|(text, _)| text).as_deref(), wanted, "{given}");
        }
    }

    #[test]
    fn the_quick_way_joins_as_the_other() {
        for text in [
            "f a l c o n lands",
            "f.a.l.c.o.n",
            "it's 3-4 x y",
            "a",
            "-a-",
            "a b",
            " a b c",
            "well-known_name, a.b c",
        ] {
            assert_eq!(joined_ascii(text.as_bytes()), joined_chars(text), "{text}");
        }
    }

    #[test]
    fn a_look_at_the_classes_misses_nothing() {
        for text in [
            "f a l c o n",
            "a b",
            "xa b",
            "a bc",
            "fal-con",
            "-a",
            "a-",
            "a  b",
            "a\tb c",
            "it is",
            "o'k",
            "",
        ] {
            let (folded, may_join) = fold_looking(text);
            assert!(may_join || joined(&folded).is_none(), "{text}");
        }
        for text in ["plain words, here", "a dog and i", "- a -", "xa b"] {
            assert!(!fold_looking(text).1, "{text}");
        }
    }

    #[test]
    fn a_range_is_found_back() {
        let text = "x ｆａｌ\u{200b}con y";
        let mapped = fold_mapped(text);
        let at = mapped.text.find("falcon").unwrap();
        assert_eq!(&text[mapped.back(at..at + 6)], "ｆａｌ\u{200b}con");
        let mapped = clean_mapped("é");
        assert_eq!(mapped.back(0..mapped.text.len()), 0.."é".len());
    }
}

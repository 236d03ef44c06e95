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

/// Is it nothing that a reader sees? U+0085 is a line break.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Has it nothing but ASCII, all of which a reader sees?
fn is_plain(text: &str) -> bool {
    text.is_ascii() && memchr::memchr(0x7f, text.as_bytes()).is_none()
}

/// Is it a mark upon the letter before?
fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

/// A text without invisible characters, compatible forms (wide digits, ligatures) as usual: for regular expressions,
/// numbers and links.
pub fn clean(text: &str) -> Cow<'_, str> {
    if is_plain(text) {
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

/// The same, and with split words put together.
pub(crate) fn fold_looking(text: &str) -> (String, Option<Joined>) {
    if is_plain(text) {
        let (folded, glue) = fold_ascii(text.as_bytes());
        let joined = Joined::without(&folded, &glue);
        return (folded, joined);
    }
    let folded = fold_mapped(text).text;
    let joined = joined(&folded);
    (folded, joined)
}

/// What people put between the letters of one word.
pub(crate) const GLUE: [char; 14] = ['-', '_', '.', '*', '\'', '’', '·', '~', '|', '+', '/', '\\', ',', '='];

/// What a byte is to its neighbours: a letter or digit, a space, glue; 0 for anything else and beyond the text's ends.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        if (byte as u8).is_ascii_alphanumeric() {
            classes[byte] = 1;
        }
        byte += 1;
    }
    classes[b' ' as usize] = 2;
    let mut at = 0;
    while at < GLUE.len() {
        if GLUE[at].is_ascii() {
            classes[GLUE[at] as usize] = 3;
        }
        at += 1;
    }
    classes
};

/// For each five classes in a row, two bits each, whether the middle one stands within what may be one word: glue between two
/// letters, or a space between two that stand alone.
static WITHIN: [bool; 1 << 10] = {
    let mut within = [false; 1 << 10];
    let mut row = 0;
    while row < within.len() {
        let (a, b, c, d, e) = (row >> 8, row >> 6 & 3, row >> 4 & 3, row >> 2 & 3, row & 3);
        within[row] = b == 1 && d == 1 && (c == 3 || (c == 2 && a != 1 && e != 1));
        row += 1;
    }
    within
};

/// Each byte in lower case; white space as a space.
static FOLDED: [u8; 256] = {
    let mut folded = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        folded[byte] = match byte as u8 {
            b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => b' ',
            byte => byte.to_ascii_lowercase(),
        };
        byte += 1;
    }
    folded
};

/// Every message passes here: one look at each byte folds it, and tells where the folded text has glue.
fn fold_ascii(text: &[u8]) -> (String, Vec<usize>) {
    let mut out = vec![0; text.len()];
    let (mut len, mut last, mut row, mut glue) = (0, 0, 0, Vec::new());
    for byte in text {
        let byte = FOLDED[usize::from(*byte)];
        if (byte, last) == (b' ', b' ') {
            continue;
        }
        last = byte;
        out[len] = byte;
        len += 1;
        row = (row << 2 | usize::from(CLASSES[usize::from(byte)])) & 0x3ff;
        if WITHIN[row] {
            glue.push(len - 3);
        }
    }
    if WITHIN[row << 2 & 0x3ff] {
        glue.push(len - 2);
    }
    out.truncate(len);
    (String::from_utf8(out).unwrap_or_default(), glue)
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
        // An `I` of another script: what it looks like depends on the case.
        let looks_like = |text: &str, letter: &str| skeleton(text).eq(letter.chars());
        if c.is_uppercase() && looks_like(&compatible, "l") && looks_like(&compatible.to_lowercase(), "i") {
            return out.push('i');
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

/// A text with split words put together (`f a l c o n`, `fal-con`, `f.a.l.c.o.n`).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Joined {
    pub text: String,
    /// From which of its bytes on how many bytes have been left out.
    steps: Vec<(usize, usize)>,
}

impl Joined {
    /// An ASCII text without its glue; `None` where it has none.
    fn without(text: &str, glue: &[usize]) -> Option<Self> {
        let mut joined =
            Self { text: String::with_capacity(text.len()), steps: Vec::with_capacity(glue.len()) };
        let mut from = 0;
        for at in glue {
            joined.text.push_str(&text[from..*at]);
            from = at + 1;
            joined.steps.push((joined.text.len(), joined.steps.len() + 1));
        }
        joined.text.push_str(&text[from..]);
        (!glue.is_empty()).then_some(joined)
    }

    /// The byte of the whole text that this byte is.
    pub fn back(&self, at: usize) -> usize {
        let before = self.steps.partition_point(|(from, _)| *from <= at);
        at + before.checked_sub(1).map_or(0, |last| self.steps[last].1)
    }
}

/// Puts split words of a folded text together. `None` where there are none.
pub(crate) fn joined(folded: &str) -> Option<Joined> {
    match folded.is_ascii() {
        true => Joined::without(folded, &fold_ascii(folded.as_bytes()).1),
        false => joined_chars(folded),
    }
}

fn joined_chars(text: &str) -> Option<Joined> {
    let mut joined = Joined { text: String::with_capacity(text.len()), steps: Vec::new() };
    let mut left_out = 0;
    let chars: Vec<char> = text.chars().collect();
    let letter = |i: usize| chars.get(i).is_some_and(|c| c.is_alphanumeric());
    // Does a letter stand alone here, between spaces?
    let alone = |i: usize| letter(i) && !letter(i + 1) && (i == 0 || !letter(i - 1));
    for (i, &c) in chars.iter().enumerate() {
        let between = i > 0 && letter(i - 1) && letter(i + 1);
        if between && (GLUE.contains(&c) || (c == ' ' && alone(i - 1) && alone(i + 1))) {
            left_out += c.len_utf8();
            joined.steps.push((joined.text.len(), left_out));
            continue;
        }
        joined.text.push(c);
    }
    (left_out > 0).then_some(joined)
}

/// Is it no part of a longer word?
pub(super) fn stands_alone(text: &str, range: std::ops::Range<usize>) -> bool {
    let part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    !part(text[..range.start].chars().next_back()) && !part(text[range.end..].chars().next())
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
            ("p\u{406}n p\u{399}n", "pin pin"), // Cyrillic І, Greek Ι
            ("fa\u{4c0}con", "falcon"),         // palochka
            ("f\u{3164}a\u{ffa0}l\u{1d173}con", "falcon"),
            ("f\u{200b}al\u{ad}con", "falcon"),
            ("fal\u{7f}con", "falcon"),
            ("f\u{80}al\u{9f}con", "falcon"),
            ("two\u{85}words", "two words"),
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
            assert_eq!(joined(given).map(|j| j.text).as_deref(), wanted, "{given}");
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
            assert_eq!(joined(text), joined_chars(text), "{text}");
        }
    }

    #[test]
    fn what_was_put_together_is_found_back() {
        for text in ["see f a l c o n and b-c", "ä f·a·l-c’o n"] {
            let joined = joined(text).unwrap();
            let whole: Vec<char> = text.chars().filter(|c| c.is_alphanumeric()).collect();
            let letters = joined.text.char_indices().filter(|(_, c)| c.is_alphanumeric());
            for ((at, c), wanted) in letters.zip(whole) {
                assert!(c == wanted && text[joined.back(at)..].starts_with(c), "{text}: {c} at {at}");
            }
        }
    }

    #[test]
    fn a_range_is_found_back() {
        let text = "x ｆａｌ\u{200b}con y";
        let mapped = fold_mapped(text);
        let at = mapped.text.find("falcon").unwrap();
        assert_eq!(&text[mapped.back(at..at + 6)], "ｆａｌ\u{200b}con");
        let text = "x fal\u{7f}c\u{9f}on y";
        let mapped = fold_mapped(text);
        let at = mapped.text.find("falcon").unwrap();
        assert_eq!(&text[mapped.back(at..at + 6)], "fal\u{7f}c\u{9f}on");
        let mapped = clean_mapped("é");
        assert_eq!(mapped.back(0..mapped.text.len()), 0.."é".len());
    }
}

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// A password in the one spelling all keys are derived from; wiped from memory when dropped.
pub struct Prepared(Zeroizing<String>);

impl Prepared {
    /// The bytes keys are derived from.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Why a text is no password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// It is empty.
    Empty,
    /// It holds a control character.
    Control,
    /// It is longer than any person types.
    Long,
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Empty => "the password is empty",
            Self::Control => "the password holds a control character",
            Self::Long => "the password is longer than 1,023 bytes",
        })
    }
}

/// The same bound as for the parts of an address.
const MAX: usize = 1_023;

/// Brings a password into one spelling, as the OpaqueString profile does (RFC 8265 section 4.2): case stays, every
/// kind of space becomes the plain one, characters are composed (NFC), control characters are refused.
///
/// # Errors
/// [`Unfit`] for what no account may have for a password.
pub fn prepare(password: &str) -> Result<Prepared, Unfit> {
    if password.is_empty() {
        return Err(Unfit::Empty);
    }
    if password.len() > MAX {
        return Err(Unfit::Long);
    }
    if password.chars().any(char::is_control) {
        return Err(Unfit::Control);
    }
    // Composing can lengthen a text threefold at most; with room for that nothing is left behind by growing.
    let mut text = Zeroizing::new(String::with_capacity(password.len() * 3));
    text.extend(password.chars().map(plain_space).nfc());
    Ok(Prepared(text))
}

/// Unicode's category Zs, all of it.
fn plain_space(c: char) -> char {
    match c {
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => ' ',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling() {
        let same = |a: &str, b: &str| assert_eq!(prepare(a).unwrap().as_bytes(), b.as_bytes());
        same("pencil", "pencil");
        same("Pa\u{308}ssword", "P\u{e4}ssword");
        same("two\u{a0}words\u{3000}", "two words ");
        same("\u{3a9} ohm, not \u{2126}", "\u{3a9} ohm, not \u{3a9}");
        assert_eq!(prepare("").err(), Some(Unfit::Empty));
        assert_eq!(prepare("a\nb").err(), Some(Unfit::Control));
        assert_eq!(prepare(&"x".repeat(1_024)).err(), Some(Unfit::Long));
    }
}

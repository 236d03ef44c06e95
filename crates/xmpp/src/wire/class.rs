//! Byte and character classes of XML 1.0, as far as a stream scanner needs them.
//!
//! The fifth edition allows nearly any character in a name, the four before it a few scripts, and expat, which reads the
//! streams of most servers and many clients, keeps to those. What is a name to us must be one to everybody: a stanza goes
//! on as it came, and whoever cannot read it ends the stream. So names are those of both.
//!
//! ASCII is answered from one table; everything else is decoded one character at a time, so that bad UTF-8
//! and the two non-characters XML forbids are found exactly where they stand.

use super::Condition;

/// Ordinary content, no decision needed.
pub(crate) const PLAIN: u8 = 0;
/// A control character XML forbids.
pub(crate) const BAD: u8 = 1;
/// First byte of a character outside ASCII.
pub(crate) const WIDE: u8 = 2;
/// `<`
pub(crate) const LT: u8 = 3;
/// `&`
pub(crate) const AMP: u8 = 4;
/// `]`, which may begin the forbidden `]]>`.
pub(crate) const BRACKET: u8 = 5;
/// Tab, line feed, carriage return.
pub(crate) const BREAK: u8 = 6;

const NAME_START: u8 = 0x10;
const NAME: u8 = 0x20;

const fn build() -> [u8; 256] {
    let mut table = [PLAIN; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        table[i] = match b {
            b'\t' | b'\n' | b'\r' => BREAK,
            0..=0x1f => BAD,
            b'<' => LT,
            b'&' => AMP,
            b']' => BRACKET,
            0x80..=0xff => WIDE,
            _ => PLAIN,
        };
        if b.is_ascii_alphabetic() || b == b'_' {
            table[i] |= NAME_START | NAME;
        }
        if b.is_ascii_digit() || b == b'-' || b == b'.' {
            table[i] |= NAME;
        }
        i += 1;
    }
    table
}

static TABLE: [u8; 256] = build();

/// The content class of a byte.
#[inline(always)]
pub(crate) fn class(b: u8) -> u8 {
    TABLE[b as usize] & 0x0f
}

/// Can this ASCII byte begin a name?
#[inline(always)]
pub(crate) fn is_name_start(b: u8) -> bool {
    TABLE[b as usize] & NAME_START != 0
}

/// Can this ASCII byte continue a name? (`:` is not counted: the namespace rules treat it apart.)
#[inline(always)]
pub(crate) fn is_name(b: u8) -> bool {
    TABLE[b as usize] & NAME != 0
}

/// XML white space.
#[inline(always)]
pub(crate) fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r')
}

/// May this scalar value appear in an XML document?
pub(crate) fn is_xml_char(c: u32) -> bool {
    matches!(c, 0x9 | 0xa | 0xd | 0x20..=0xd7ff | 0xe000..=0xfffd | 0x10000..=0x10ffff)
}

/// Letters that every edition has in names, of the larger alphabets.
fn is_wide_name_start(c: u32) -> bool {
    matches!(c, 0xc0..=0xd6 | 0xd8..=0xf6 | 0xf8..=0x131 | 0x14a..=0x17e | 0x180..=0x1c3 | 0x1cd..=0x1f0
        | 0x1fa..=0x217 | 0x250..=0x2a8 | 0x3a3..=0x3ce | 0x40e..=0x44f | 0x45e..=0x481 | 0x490..=0x4c4
        | 0x531..=0x556 | 0x561..=0x586 | 0x5d0..=0x5ea | 0x621..=0x63a | 0x671..=0x6b7 | 0x905..=0x939
        | 0xe01..=0xe2e | 0x10d0..=0x10f6 | 0x1e00..=0x1e9b | 0x1ea0..=0x1ef9 | 0x3041..=0x3094 | 0x30a1..=0x30fa
        | 0x4e00..=0x9fa5 | 0xac00..=0xd7a3)
}

fn is_wide_name(c: u32) -> bool {
    is_wide_name_start(c) || c == 0xb7
}

/// Decodes the character that begins at `at` (its first byte is not ASCII). `None`: the rest has not arrived yet.
///
/// Bytes that break the rules of UTF-8 have a condition of their own (RFC 6120 section 4.9.3.22).
pub(crate) fn wide(win: &[u8], at: usize) -> Result<Option<(u32, usize)>, Condition> {
    let first = win[at];
    let (len, low, high) = match first {
        0xc2..=0xdf => (2, 0x80, 0xbf),
        0xe0 => (3, 0xa0, 0xbf),
        0xed => (3, 0x80, 0x9f),
        0xe1..=0xef => (3, 0x80, 0xbf),
        0xf0 => (4, 0x90, 0xbf),
        0xf1..=0xf3 => (4, 0x80, 0xbf),
        0xf4 => (4, 0x80, 0x8f),
        _ => return Err(Condition::UnsupportedEncoding),
    };
    let mut c = u32::from(first) & (0x7f >> len);
    for i in 1..len {
        let Some(&b) = win.get(at + i) else { return Ok(None) };
        let fits = if i == 1 { (low..=high).contains(&b) } else { (0x80..=0xbf).contains(&b) };
        if !fits {
            return Err(Condition::UnsupportedEncoding);
        }
        c = c << 6 | u32::from(b & 0x3f);
    }
    if is_xml_char(c) { Ok(Some((c, len))) } else { Err(Condition::NotWellFormed) }
}

/// The longest reference we accept, `&` and `;` included. Longer ones only pad a number with zeros.
const REFERENCE: usize = 14;

/// Checks the reference that begins with `&` at `at`; gives its length. `None`: not all of it has arrived.
///
/// Only the five predefined entities and character references are XMPP (RFC 6120 section 11.1).
pub(crate) fn reference(win: &[u8], at: usize) -> Result<Option<usize>, Condition> {
    let mut end = at + 1;
    loop {
        match win.get(end) {
            None => return Ok(None),
            Some(b';') => break,
            Some(&b) if (is_name(b) || (b == b'#' && end == at + 1)) && end - at < REFERENCE => end += 1,
            Some(_) => return Err(Condition::NotWellFormed),
        }
    }
    let body = &win[at + 1..end];
    match resolve(body) {
        Some(_) => Ok(Some(end + 1 - at)),
        None if body.first().is_some_and(|b| is_name_start(*b)) => Err(Condition::RestrictedXml),
        None => Err(Condition::NotWellFormed),
    }
}

/// The character a reference body (between `&` and `;`) stands for.
pub(crate) fn resolve(body: &[u8]) -> Option<char> {
    let number = match body {
        b"amp" => return Some('&'),
        b"lt" => return Some('<'),
        b"gt" => return Some('>'),
        b"quot" => return Some('"'),
        b"apos" => return Some('\''),
        [b'#', b'x', hex @ ..] => digits(hex, 16)?,
        [b'#', decimal @ ..] => digits(decimal, 10)?,
        _ => return None,
    };
    if is_xml_char(number) { char::from_u32(number) } else { None }
}

fn digits(text: &[u8], radix: u32) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u32, |sum, b| sum.checked_mul(radix)?.checked_add(char::from(*b).to_digit(radix)?))
}

/// The first place from `at` on that holds `<`, `&`, `stop`, a control character or a byte outside ASCII; else the
/// end. Eight bytes at a time: most of every stanza is passed over here.
#[inline(always)]
pub(crate) fn skip(bytes: &[u8], mut at: usize, stop: u8) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // The high bit of the lowest byte that is zero, and perhaps of bytes above it.
    let zero = |w: u64| w.wrapping_sub(ONES) & !w & HIGH;
    while let Some(eight) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let w = u64::from_le_bytes(*eight);
        let low = w.wrapping_sub(ONES * 0x20) & !w & HIGH;
        let found = low
            | w & HIGH
            | zero(w ^ (ONES * b'<' as u64))
            | zero(w ^ (ONES * b'&' as u64))
            | zero(w ^ (ONES * u64::from(stop)));
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(&b) = bytes.get(at) {
        if b == stop || !matches!(class(b), PLAIN | BRACKET) {
            break;
        }
        at += 1;
    }
    at
}

/// Why a run of text stopped.
pub(crate) enum Stop {
    /// At a `<`.
    Tag,
    /// At the end of what has arrived, or at a sequence of which the rest is missing.
    More,
}

/// Walks character data from `at` and says where and why it stopped.
#[inline]
pub(crate) fn text(win: &[u8], mut at: usize) -> Result<(usize, Stop), Condition> {
    loop {
        if win.get(at) == Some(&b'<') {
            return Ok((at, Stop::Tag));
        }
        at = skip(win, at, b']');
        let Some(&b) = win.get(at) else { return Ok((at, Stop::More)) };
        match class(b) {
            PLAIN | BREAK => at += 1,
            LT => return Ok((at, Stop::Tag)),
            AMP => match reference(win, at)? {
                Some(len) => at += len,
                None => return Ok((at, Stop::More)),
            },
            BRACKET => match (win.get(at + 1), win.get(at + 2)) {
                (None, _) | (Some(b']'), None) => return Ok((at, Stop::More)),
                (Some(b']'), Some(b'>')) => return Err(Condition::NotWellFormed),
                _ => at += 1,
            },
            WIDE => match wide(win, at)? {
                Some((_, len)) => at += len,
                None => return Ok((at, Stop::More)),
            },
            _ => return Err(Condition::NotWellFormed),
        }
    }
}

/// Walks the inside of a CDATA section; `Stop::Tag` means that `]]>` begins at the place given.
pub(crate) fn cdata(win: &[u8], mut at: usize) -> Result<(usize, Stop), Condition> {
    loop {
        let Some(&b) = win.get(at) else { return Ok((at, Stop::More)) };
        match class(b) {
            BRACKET => match (win.get(at + 1), win.get(at + 2)) {
                (None, _) | (Some(b']'), None) => return Ok((at, Stop::More)),
                (Some(b']'), Some(b'>')) => return Ok((at, Stop::Tag)),
                _ => at += 1,
            },
            WIDE => match wide(win, at)? {
                Some((_, len)) => at += len,
                None => return Ok((at, Stop::More)),
            },
            BAD => return Err(Condition::NotWellFormed),
            _ => at += 1,
        }
    }
}

/// Checks the attribute value that begins at `at` and ends with `quote`: where the quote is, and whether reading
/// the value needs unescaping or white-space normalisation.
#[inline]
pub(crate) fn value(bytes: &[u8], mut at: usize, quote: u8) -> Result<(usize, bool), Condition> {
    let mut coded = false;
    loop {
        at = skip(bytes, at, quote);
        let Some(&b) = bytes.get(at) else { return Err(Condition::NotWellFormed) };
        if b == quote {
            return Ok((at, coded));
        }
        match class(b) {
            BREAK => {
                coded = true;
                at += 1;
            }
            AMP => {
                coded = true;
                at += reference(bytes, at)?.ok_or(Condition::NotWellFormed)?;
            }
            WIDE => at += wide(bytes, at)?.ok_or(Condition::UnsupportedEncoding)?.1,
            _ => return Err(Condition::NotWellFormed),
        }
    }
}

/// Reads a qualified name at `at`: its end, and the place of its colon if it has one.
#[inline]
pub(crate) fn qname(bytes: &[u8], at: usize) -> Result<(usize, Option<usize>), Condition> {
    let mut end = at;
    let mut colon = None;
    let mut fresh = true;
    while let Some(&b) = bytes.get(end) {
        if is_name(b) {
            if fresh && !is_name_start(b) {
                return Err(Condition::NotWellFormed);
            }
            fresh = false;
            end += 1;
        } else if b == b':' {
            if fresh || colon.is_some() {
                return Err(Condition::NotWellFormed);
            }
            colon = Some(end);
            fresh = true;
            end += 1;
        } else if b >= 0x80 {
            let (c, len) = wide(bytes, end)?.ok_or(Condition::UnsupportedEncoding)?;
            if !(if fresh { is_wide_name_start(c) } else { is_wide_name(c) }) {
                return Err(Condition::NotWellFormed);
            }
            fresh = false;
            end += len;
        } else {
            break;
        }
    }
    if fresh { Err(Condition::NotWellFormed) } else { Ok((end, colon)) }
}

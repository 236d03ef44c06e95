//! Numbers that carry check digits, so that a number is told from a mere row of digits.

use std::ops::Range;

/// A kind of number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number {
    pub name: &'static str,
    /// How many digits (letters included).
    digits: (usize, usize),
    is: fn(&[u8]) -> bool,
}

/// All kinds.
pub(crate) const NUMBERS: &[Number] = &[
    Number { name: "payment-card", digits: (13, 19), is: payment_card },
    Number { name: "iban", digits: (15, 34), is: iban },
    Number { name: "us-ssn", digits: (9, 9), is: us_ssn },
    Number { name: "ch-ahv", digits: (13, 13), is: |n| n.starts_with(b"756") && ean(n) },
    Number { name: "de-tax-id", digits: (11, 11), is: de_tax_id },
    Number { name: "fr-nir", digits: (15, 15), is: fr_nir },
    Number { name: "nl-bsn", digits: (9, 9), is: nl_bsn },
    Number { name: "be-rrn", digits: (11, 11), is: be_rrn },
    Number { name: "es-dni", digits: (9, 9), is: es_dni },
    Number { name: "se-personnummer", digits: (10, 10), is: |n| all_digits(n) && date(&n[2..6]) && luhn(n) },
    Number { name: "pl-pesel", digits: (11, 11), is: pl_pesel },
    Number { name: "br-cpf", digits: (11, 11), is: br_cpf },
    Number { name: "in-aadhaar", digits: (12, 12), is: in_aadhaar },
];

/// The longest of all.
const LONGEST: usize = 34;

impl Number {
    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        NUMBERS.iter().copied().find(|number| number.name == name)
    }

    /// Does it hold letters?
    fn has_letters(self) -> bool {
        matches!(self.name, "iban" | "es-dni")
    }

    /// May it begin with this group? Of those with letters few groups may, and most groups are words.
    fn may_begin(self, group: &[u8]) -> bool {
        let digit = |at: usize| group.get(at).is_some_and(u8::is_ascii_digit);
        let letter = |at: usize| group.get(at).is_some_and(u8::is_ascii_alphabetic);
        match self.name {
            "iban" => letter(0) && letter(1) && digit(2) && digit(3),
            "es-dni" => digit(0) || (letter(0) && digit(1)),
            _ => true,
        }
    }
}

/// No number of any kind has fewer digits.
const FEWEST: usize = 8;

/// A text's numbers of these kinds: which, and where.
pub(crate) fn find(kinds: &[Number], text: &str, mut found: impl FnMut(usize, Range<usize>)) {
    let text = text.as_bytes();
    if kinds.is_empty() || text.iter().filter(|b| b.is_ascii_digit()).take(FEWEST).count() < FEWEST {
        return;
    }
    for letters in [false, true] {
        if kinds.iter().any(|kind| kind.has_letters() == letters) {
            scan(kinds, letters, text, &mut found);
        }
    }
}

/// So many separators may stand between two groups of a number: ` - ` is what people write.
const BETWEEN: usize = 3;

/// How long the separator is that the text begins with; 0 where there is none.
fn separator(text: &[u8]) -> usize {
    match text {
        [b' ' | b'-' | b'.' | b'/' | b'\n' | b'\r' | b'\t' | b'_', ..] => 1,
        // Most texts have no other dash.
        [byte, ..] if byte.is_ascii() => 0,
        // Dashes (general category Pd) that cleaning leaves, and the minus sign.
        // Line ends of Unicode.
        [0xe2, 0x80, 0xa8 | 0xa9, ..] => 3,
        [0xc2, 0x85, ..] => 2,
        [0xe2, 0x80, 0x90..=0x95, ..] | [0xe2, 0x88, 0x92, ..] => 3,
        [0xe2, 0xb8, 0x97 | 0x9a | 0xba | 0xbb, ..] | [0xe2, 0xb9, 0x80 | 0x9d, ..] => 3,
        [0xe1, 0x90, 0x80, ..]
        | [0xe1, 0xa0, 0x86, ..]
        | [0xe3, 0x80, 0x9c | 0xb0, ..]
        | [0xe3, 0x82, 0xa0, ..] => 3,
        [0xd6, 0x8a | 0xbe, ..] => 2,
        _ => 0,
    }
}

/// Where the next group begins, if it is near enough to be of the same number.
fn next_group(text: &[u8], end: usize, of_number: impl Fn(u8) -> bool) -> Option<usize> {
    let mut at = end;
    for _ in 0..BETWEEN {
        match separator(text.get(at..)?) {
            0 => return None,
            length => at += length,
        }
        if text.get(at).is_some_and(|b| of_number(*b)) {
            return Some(at);
        }
    }
    None
}

/// Numbers begin and end with a group of digits (and letters); groups with few separators between are read as one.
fn scan(kinds: &[Number], letters: bool, text: &[u8], found: &mut impl FnMut(usize, Range<usize>)) {
    let of_number = |b: u8| b.is_ascii_digit() || (letters && b.is_ascii_alphabetic());
    let end_of_group =
        |from: usize| text[from..].iter().position(|b| !of_number(*b)).map_or(text.len(), |n| from + n);
    let glued = |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(u8::is_ascii_alphanumeric);
    let mut at = 0;
    // A group without a digit begins no number, and most groups are words.
    while let Some(digit) = text[at..].iter().position(u8::is_ascii_digit).map(|skipped| at + skipped) {
        let start = text[at..digit].iter().rposition(|b| !of_number(*b)).map_or(at, |before| at + before + 1);
        at = end_of_group(digit);
        let may_begin = |kind: &Number| kind.has_letters() == letters && kind.may_begin(&text[start..at]);
        // Letters or digits glued to a number make it something else.
        if glued(start.checked_sub(1)) || !kinds.iter().any(may_begin) {
            continue;
        }
        let (mut number, mut length) = ([0u8; LONGEST], 0);
        let (mut from, mut end) = (start, at);
        while length + (end - from) <= LONGEST {
            number[length..length + end - from].copy_from_slice(&text[from..end]);
            length += end - from;
            for (n, kind) in kinds.iter().enumerate().filter(|(_, kind)| may_begin(kind)) {
                let (least, most) = kind.digits;
                if (least..=most).contains(&length) && (kind.is)(&number[..length]) && !glued(Some(end)) {
                    found(n, start..end);
                }
            }
            let Some(next) = next_group(text, end, of_number) else { break };
            from = next;
            end = end_of_group(from);
        }
    }
}

fn all_digits(n: &[u8]) -> bool {
    n.iter().all(u8::is_ascii_digit)
}

fn digit(b: u8) -> u32 {
    u32::from(b.wrapping_sub(b'0'))
}

fn value(n: &[u8]) -> u64 {
    n.iter().fold(0, |sum, b| sum * 10 + u64::from(digit(*b)))
}

/// Month and day, perhaps.
fn date(mmdd: &[u8]) -> bool {
    (1..=12).contains(&value(&mmdd[..2])) && (1..=31).contains(&value(&mmdd[2..]))
}

/// ISO/IEC 7812-1 annex B.
fn luhn(n: &[u8]) -> bool {
    let sum: u32 = n
        .iter()
        .rev()
        .enumerate()
        .map(|(i, b)| match (i % 2, digit(*b)) {
            (0, d) => d,
            (_, d) if d > 4 => d * 2 - 9,
            (_, d) => d * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

fn payment_card(n: &[u8]) -> bool {
    let prefix = value(&n[..4]);
    let issued = matches!((prefix, n.len()),
        (4000..=4999, 13 | 16 | 19)
        | (5100..=5599 | 2221..=2720, 16)
        | (3400..=3499 | 3700..=3799, 15)
        | (3000..=3059 | 3600..=3699 | 3800..=3999, 14..=19)
        | (6011 | 6440..=6599, 16..=19)
        | (3528..=3589, 16..=19)
        | (6200..=6299, 16..=19)
        | (5000..=5099 | 5600..=5899 | 6300..=6399 | 6700..=6799, 13..=19)
        | (2200..=2204, 16..=19));
    issued && all_digits(n) && luhn(n) && n[1..].iter().any(|b| *b != n[0])
}

/// ISO 13616: mod 97 of the number with its first four characters behind.
fn iban(n: &[u8]) -> bool {
    const LENGTHS: &str = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BR29BY28CH21CR22CY28CZ24DE22DK18DO28EE20EG29ES24FI18FO18FR27\
        GB22GE22GI23GL18GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19\
        MR27MT31MU30NL18NO15PK24PL28PS29PT25QA29RO24RS22SA24SC31SE24SI19SK24SM27ST25SV28TL23TN24TR26UA29VA22VG24XK20";
    let country = n[..2].to_ascii_uppercase();
    let length =
        LENGTHS.as_bytes().chunks(4).find(|c| c[..2] == country[..]).map(|c| value(&c[2..]) as usize);
    length == Some(n.len())
        && n[2..4].iter().all(u8::is_ascii_digit)
        && n[4..].iter().chain(&n[..4]).fold(0u32, |rest, b| match b {
            b'0'..=b'9' => (rest * 10 + digit(*b)) % 97,
            letter => (rest * 100 + u32::from(letter.to_ascii_uppercase() - b'A') + 10) % 97,
        }) == 1
}

/// No check digit, but numbers that are never given.
fn us_ssn(n: &[u8]) -> bool {
    let (area, group, serial) = (value(&n[..3]), value(&n[3..5]), value(&n[5..]));
    all_digits(n)
        && (1..900).contains(&area)
        && area != 666
        && group > 0
        && serial > 0
        && n[1..].iter().any(|b| *b != n[0])
}

fn ean(n: &[u8]) -> bool {
    all_digits(n)
        && n.iter().rev().enumerate().map(|(i, b)| digit(*b) * if i % 2 == 0 { 1 } else { 3 }).sum::<u32>()
            % 10
            == 0
}

/// ISO 7064 mod 11, 10; one digit is there twice or thrice.
fn de_tax_id(n: &[u8]) -> bool {
    if !all_digits(n) || n[0] == b'0' {
        return false;
    }
    let mut counts = [0; 10];
    n[..10].iter().for_each(|b| counts[digit(*b) as usize] += 1);
    let often = counts.iter().filter(|c| **c > 1).count() == 1 && counts.iter().all(|c| *c <= 3);
    let product = n[..10].iter().fold(10, |product, b| {
        let sum = (digit(*b) + product) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    often && (11 - product) % 10 == digit(n[10])
}

fn fr_nir(n: &[u8]) -> bool {
    all_digits(n) && matches!(n[0], b'1'..=b'4' | b'7' | b'8') && 97 - value(&n[..13]) % 97 == value(&n[13..])
}

fn nl_bsn(n: &[u8]) -> bool {
    let sum: i64 = n.iter().zip([9, 8, 7, 6, 5, 4, 3, 2, -1]).map(|(b, w)| i64::from(digit(*b)) * w).sum();
    all_digits(n) && sum % 11 == 0 && value(n) > 0
}

fn be_rrn(n: &[u8]) -> bool {
    let (number, check) = (value(&n[..9]), value(&n[9..]));
    all_digits(n) && date(&n[2..6]) && [number, 2_000_000_000 + number].iter().any(|n| 97 - n % 97 == check)
}

fn es_dni(n: &[u8]) -> bool {
    let letter = b"TRWAGMYFPDXBNJZSQVHLCKE";
    let first = match n[0].to_ascii_uppercase() {
        b'X' => b'0',
        b'Y' => b'1',
        b'Z' => b'2',
        other => other,
    };
    let mut number = [0; 8];
    number.copy_from_slice(&n[..8]);
    number[0] = first;
    all_digits(&number) && letter[(value(&number) % 23) as usize] == n[8].to_ascii_uppercase()
}

fn pl_pesel(n: &[u8]) -> bool {
    let sum: u32 = n.iter().zip([1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]).map(|(b, w)| digit(*b) * w).sum();
    all_digits(n)
        && sum.is_multiple_of(10)
        && (1..=31).contains(&value(&n[4..6]))
        && (1..=12).contains(&(value(&n[2..4]) % 20))
}

fn br_cpf(n: &[u8]) -> bool {
    let check = |len: usize| {
        let sum: u32 =
            n[..len].iter().enumerate().map(|(i, b)| digit(*b) * (len as u32 + 1 - i as u32)).sum();
        sum * 10 % 11 % 10 == digit(n[len])
    };
    all_digits(n) && n[1..].iter().any(|b| *b != n[0]) && check(9) && check(10)
}

/// Verhoeff's digit, over the symmetries of a pentagon.
fn in_aadhaar(n: &[u8]) -> bool {
    let compose = |a: u32, b: u32| match (a / 5, b / 5) {
        (0, 0) => (a + b) % 5,
        (0, _) => (a + b) % 5 + 5,
        (_, 0) => (a - 5 + 5 - b) % 5 + 5,
        (_, _) => (a + 5 - b) % 5,
    };
    let turn =
        |place: usize, d: u32| (0..place % 8).fold(d, |d, _| [1, 5, 7, 6, 2, 8, 3, 0, 9, 4][d as usize]);
    all_digits(n)
        && n[0] > b'1'
        && n.iter().rev().enumerate().fold(0, |sum, (place, b)| compose(sum, turn(place, digit(*b)))) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<&'static str> {
        let mut all = Vec::new();
        find(NUMBERS, text, |kind, _| all.push(NUMBERS[kind].name));
        all
    }

    #[test]
    fn numbers_with_the_right_check_are_found() {
        for (text, name) in [
            ("card 4111 1111 1111 1111 12/25", "payment-card"),
            ("4111-1111-1111-1111.", "payment-card"),
            ("amex 378282246310005", "payment-card"),
            ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "payment-card"),
            ("4111–1111–1111–1111", "payment-card"),
            ("4111\u{2010}1111—1111\u{2212}1111", "payment-card"),
            ("4111\u{2028}1111\u{2029}1111\u{85}1111", "payment-card"),
            ("4111 - 1111 – 1111 - 1111", "payment-card"),
            ("4111  1111\t1111\r\n1111", "payment-card"),
            ("GB82 – WEST – 1234 – 5698 – 7654 – 32", "iban"),
            ("to GB82 WEST 1234 5698 7654 32 please", "iban"),
            ("de89370400440532013000", "iban"),
            ("ssn 078-05-1120", "us-ssn"),
            ("756.9217.0769.85", "ch-ahv"),
            ("86095742719", "de-tax-id"),
            ("2 94 03 75 120 005 91", "fr-nir"),
            ("111222333", "nl-bsn"),
            ("85.07.30-033 28", "be-rrn"),
            ("12345678Z", "es-dni"),
            ("811228-9874", "se-personnummer"),
            ("44051401359", "pl-pesel"),
            ("529.982.247-25", "br-cpf"),
            ("2341 2341 2346", "in-aadhaar"),
        ] {
            assert!(names(text).contains(&name), "{text}: {:?}", names(text));
        }
    }

    #[test]
    fn what_only_looks_like_one_is_not() {
        for text in [
            "4111 1111 1111 1112",
            "order 1234567890123456",
            "x4111111111111111",
            "GB82 WEST 1234 5698 7654 33",
            "call +41 44 123 45 67 now",
            "2026-11-21 10:00:00",
            "4111    1111    1111    1111",
            "4111–",
            "4111 – 1111, 1111 – 1111",
        ] {
            assert!(
                !names(text).iter().any(|n| matches!(*n, "payment-card" | "iban")),
                "{text}: {:?}",
                names(text)
            );
        }
    }

    #[test]
    fn where_a_number_stands() {
        let text = "no 4111 1111 1111 1111 12";
        let mut at = Vec::new();
        find(&[NUMBERS[0]], text, |_, range| at.push(text[range].to_owned()));
        assert_eq!(at, ["4111 1111 1111 1111"]);
    }
}

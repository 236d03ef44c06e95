//! Helvetica, as every reader of PDF has it (ISO 32000-1 section 9.6.2.2).

/// Widths of ASCII from the space on, in thousandths of the size.
const WIDTHS: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556,
    556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278,
    500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469,
    556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500,
    278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];

/// What the width is where the table has none: most letters with accents are so wide.
const OTHER: u16 = 556;

/// A text in WinAnsiEncoding.
pub(super) fn encoded(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| match c {
            ' '..='~' | '\u{a0}'..='\u{ff}' => c as u32 as u8,
            '\u{202f}' | '\u{2009}' => b' ',
            '\u{2212}' => b'-',
            '\u{2013}' => 0x96,
            '\u{2014}' => 0x97,
            '\u{2019}' => 0x92,
            '\u{2026}' => 0x85,
            '\u{20ac}' => 0x80,
            _ => b'?',
        })
        .collect()
}

/// How wide a text is, in points.
pub(super) fn width(text: &str, size: f32) -> f32 {
    let of = |byte: &u8| WIDTHS.get(usize::from(*byte).wrapping_sub(32)).copied().unwrap_or(OTHER);
    encoded(text).iter().map(|byte| f32::from(of(byte))).sum::<f32>() * size / 1000.0
}

/// The text, or as much of it as fits, and an ellipsis.
pub(super) fn cut(text: &str, size: f32, wide: f32) -> String {
    if width(text, size) <= wide {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if width(&kept, size) + width("\u{2026}", size) > wide {
            kept.pop();
            break;
        }
    }
    kept.push('\u{2026}');
    kept
}

/// The text in lines that fit.
pub(super) fn wrapped(text: &str, size: f32, wide: f32) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last().map_or("", String::as_str);
        let longer = if last.is_empty() { word.to_owned() } else { format!("{last} {word}") };
        match lines.last_mut().filter(|last| last.is_empty() || width(&longer, size) <= wide) {
            Some(last) => *last = longer,
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_fit() {
        assert_eq!(width("i", 1000.0), 222.0);
        assert_eq!(width("W m", 10.0), (9.44 + 2.78 + 8.33));
        assert_eq!(encoded("é–日"), [0xe9, 0x96, b'?']);
        assert_eq!(cut("short", 10.0, 100.0), "short");
        let long = cut(&"juliet@".repeat(20), 10.0, 100.0);
        assert!(long.ends_with('\u{2026}') && width(&long, 10.0) <= 100.0, "{long}");
        let lines = wrapped("one two three four five six", 10.0, 50.0);
        assert!(lines.len() > 2 && lines.iter().all(|line| width(line, 10.0) <= 50.0), "{lines:?}");
        assert_eq!(lines.join(" "), "one two three four five six");
    }
}

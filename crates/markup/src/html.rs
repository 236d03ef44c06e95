//! HTML.

use std::fmt::Write as _;

/// Appends what can stand between tags and in a quoted attribute. What no page can show becomes U+FFFD, and what would turn
/// around the text beside it is named: whoever reads evidence must see that it is there.
pub fn text(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                let _ = write!(out, "[U+{:04X}]", u32::from(c));
            }
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

/// The same as a text of its own.
pub fn escaped(value: &str) -> String {
    crate::escaped(value, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_hidden_and_nothing_is_markup() {
        assert_eq!(
            escaped("<a href=\"x\" title='&'>\u{202e}gpj.exe\u{1}\r\n"),
            "&lt;a href=&quot;x&quot; title=&#39;&amp;&#39;&gt;[U+202E]gpj.exe\u{fffd}\u{fffd}\n"
        );
    }
}

//! XML 1.0.

/// May this character stand in a document (section 2.2)? Those that may not, may not stand there escaped either.
pub fn can_hold(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

/// Appends what stands between tags. What XML cannot hold becomes U+FFFD, so that a reader sees that something was there.
pub fn text(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // As it is, it would be read as a line feed (section 2.11).
            '\r' => out.push_str("&#13;"),
            c if can_hold(c) => out.push(c),
            _ => out.push('\u{fffd}'),
        }
    }
}

/// Appends the value of an attribute, for either kind of quote; as [`text`].
pub fn attribute(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '\'' => out.push_str("&apos;"),
            '"' => out.push_str("&quot;"),
            // As they are, they would be read as blanks (section 3.3.3).
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            c => text(c.encode_utf8(&mut [0; 4]), out),
        }
    }
}

/// Something that can stand between tags and in an attribute.
pub fn escaped(value: &str) -> String {
    crate::escaped(value, attribute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_read_otherwise_is_escaped() {
        let mut out = String::new();
        text("a <b> & 'c'\r\n\t\u{1}\u{fffe}\u{10ffff}", &mut out);
        assert_eq!(out, "a &lt;b&gt; &amp; 'c'&#13;\n\t\u{fffd}\u{fffd}\u{10ffff}");
        assert_eq!(escaped("'\"\t\n&"), "&apos;&quot;&#9;&#10;&amp;");
    }
}

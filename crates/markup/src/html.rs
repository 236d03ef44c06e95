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

/// The words of an HTML document as those get it who cannot show one: tags out, the common entities resolved, breaks kept.
pub fn plain(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(i) = rest.find('<') {
        out.push_str(&rest[..i]);
        let tag = &rest[i + 1..];
        let end = tag.find('>').unwrap_or(tag.len());
        let name: String =
            tag[..end].chars().skip_while(|c| *c == '/').take_while(char::is_ascii_alphanumeric).collect();
        let closes = tag.starts_with('/');
        rest = tag.get(end + 1..).unwrap_or("");
        match name.to_ascii_lowercase().as_str() {
            "br" => out.push('\n'),
            "p" | "div" | "li" | "tr" | "h1" | "h2" | "h3" if closes => out.push('\n'),
            skipped @ ("style" | "script" | "head") if !closes => {
                let closes = |at: usize| {
                    let name =
                        rest.as_bytes()[at..].strip_prefix(b"</").and_then(|name| name.get(..skipped.len()));
                    name.is_some_and(|name| name.eq_ignore_ascii_case(skipped.as_bytes()))
                };
                let at =
                    rest.match_indices('<').map(|(at, _)| at).find(|at| closes(*at)).unwrap_or(rest.len());
                rest = &rest[at..];
            }
            _ => {}
        }
    }
    out.push_str(rest);
    for (entity, plain) in [
        ("&nbsp;", " "),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&apos;", "'"),
        ("&amp;", "&"),
    ] {
        if out.contains(entity) {
            out = out.replace(entity, plain);
        }
    }
    out.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_reader_shows_is_left_out() {
        let said = plain("a<STYLE>b{}</p></Style>c<script>d</script ><style>e</style>f<head>g");
        assert_eq!(said, "acf");
    }

    #[test]
    fn nothing_is_hidden_and_nothing_is_markup() {
        assert_eq!(
            escaped("<a href=\"x\" title='&'>\u{202e}gpj.exe\u{1}\r\n"),
            "&lt;a href=&quot;x&quot; title=&#39;&amp;&#39;&gt;[U+202E]gpj.exe\u{fffd}\u{fffd}\n"
        );
    }
}

use std::collections::BTreeMap;

/// What the placeholders of a transcript stand for so far.
#[derive(Debug, Clone, Default)]
pub struct Names(BTreeMap<String, String>);

impl Names {
    /// Gives a name a value.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// What a name stands for.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A text with the known placeholders filled in.
    pub fn fill(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for (name, value) in &self.0 {
            out = out.replace(&format!("{{{name}}}"), value);
        }
        out
    }

    /// Does the text fit the pattern, line by line? If so, the placeholders have their values afterwards; if not,
    /// nothing has changed.
    pub(crate) fn take(&mut self, pattern: &str, text: &str) -> bool {
        let mut trial = self.0.clone();
        let (mut wants, mut gots) = (pattern.lines(), text.lines());
        loop {
            match (wants.next(), gots.next()) {
                (None, None) => break,
                (Some(want), Some(got)) if fits(want, got, &mut trial) => {}
                _ => return false,
            }
        }
        self.0 = trial;
        true
    }
}

/// The first placeholder of a pattern: what is before it, its name, what is after it. Other braces are text.
fn placeholder(pattern: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(open) = pattern[from..].find('{').map(|at| at + from) {
        let rest = &pattern[open + 1..];
        if let Some(close) = rest.find('}') {
            let name = &rest[..close];
            let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            if !name.is_empty() && name.chars().all(word) {
                return Some((&pattern[..open], name, &rest[close + 1..]));
            }
        }
        from = open + 1;
    }
    None
}

/// One line. A placeholder takes as little as it can and must be the same wherever it stands again; `{any}` need not.
fn fits(pattern: &str, line: &str, names: &mut BTreeMap<String, String>) -> bool {
    let Some((head, name, tail)) = placeholder(pattern) else { return pattern == line };
    let Some(rest) = line.strip_prefix(head) else { return false };
    if let Some(known) = names.get(name).cloned() {
        return rest.strip_prefix(known.as_str()).is_some_and(|rest| fits(tail, rest, names));
    }
    (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| {
        let mut trial = names.clone();
        if name != "any" {
            trial.insert(name.to_owned(), rest[..at].to_owned());
        }
        let found = fits(tail, &rest[at..], &mut trial);
        if found {
            *names = trial;
        }
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_capture_and_bind() {
        for (pattern, text, fits) in [
            ("a {x} c", "a b c", true),
            ("{x}-{x}", "1-1", true),
            ("{x}-{x}", "1-2", false),
            ("{any}-{any}", "1-2", true),
            ("{x} end", "an end end", true),
            ("Once { key: None }", "Once { key: None }", true),
            ("Once { key: None }", "Once { key: Some }", false),
            ("one\ntwo", "one", false),
            ("{any}", "one\ntwo", false),
            ("{x}é", "éé", true),
        ] {
            assert_eq!(Names::default().take(pattern, text), fits, "{pattern}");
        }
    }

    #[test]
    fn a_miss_leaves_no_trace() {
        let mut names = Names::default();
        assert!(!names.take("{x}\nb", "a\nc"));
        assert_eq!(names.get("x"), None);
        assert!(names.take("{x}{n} b", "a1 b"));
        assert_eq!(names.fill("<{n}>{other}"), "<a1>{other}");
    }
}

//! Parameter lists: `token;name=value;name="quoted"` and comma-separated lists (RFC 3261 25.1).

/// One header value cut into its first token and its parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params {
    /// What stands before the first separator.
    pub head: String,
    /// Names in lower case, values unquoted.
    pub list: Vec<(String, Option<String>)>,
}

impl Params {
    /// Reads `head;name=value;...`. Never fails: what cannot be read is left out.
    pub fn semicolons(value: &str) -> Self {
        let mut parts = split_outside_quotes(value, ';').into_iter();
        let head = parts.next().unwrap_or("").trim().to_owned();
        Self { head, list: parts.filter_map(pair).collect() }
    }

    /// Reads `scheme name=value, name=value` (RFC 3261 20.7, authentication headers).
    pub fn auth(value: &str) -> Self {
        let value = value.trim();
        let (head, rest) = value.split_once([' ', '\t']).unwrap_or((value, ""));
        Self {
            head: head.to_owned(),
            list: split_outside_quotes(rest, ',').into_iter().filter_map(pair).collect(),
        }
    }

    /// The value of a parameter; a bare flag has the empty value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.list.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_deref().unwrap_or(""))
    }
}

fn pair(part: &str) -> Option<(String, Option<String>)> {
    let part = part.trim();
    if part.is_empty() {
        return None;
    }
    Some(match part.split_once('=') {
        Some((n, v)) => (n.trim().to_ascii_lowercase(), Some(unquote(v.trim()))),
        None => (part.to_ascii_lowercase(), None),
    })
}

/// Removes the quotes and backslashes of a quoted string (RFC 3261 25.1); anything else is returned as is.
pub fn unquote(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut out = String::with_capacity(inner.len());
    let mut escaped = false;
    for c in inner.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            out.push(c);
            escaped = false;
        }
    }
    out
}

/// Cuts a list at its commas, outside quotes and angle brackets, trimmed, empty members dropped.
pub fn split_list(value: &str) -> Vec<&str> {
    split_outside_quotes(value, ',').into_iter().map(str::trim).filter(|s| !s.is_empty()).collect()
}

fn split_outside_quotes(value: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut escaped, mut angle) = (0, false, false, false);
    for (i, c) in value.char_indices() {
        if escaped {
            escaped = false;
            continue;
        }
        match c {
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '<' if !quoted => angle = true,
            '>' if !quoted => angle = false,
            c if c == separator && !quoted && !angle => {
                parts.push(&value[start..i]);
                start = i + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&value[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_with_their_quotes_and_flags() {
        let p = Params::semicolons("presence;id=\"a;b\\\"c\"; flag ;X=1");
        assert_eq!(p.head, "presence");
        assert_eq!(p.get("id"), Some("a;b\"c"));
        assert_eq!(p.get("flag"), Some(""));
        assert_eq!(p.get("x"), Some("1"));
        assert_eq!(p.get("y"), None);
    }

    #[test]
    fn digest_parameters_keep_commas_inside_quotes() {
        let p = Params::auth("Digest username=\"a,b\", nc=00000001,qop=auth");
        assert_eq!(p.head, "Digest");
        assert_eq!(p.get("username"), Some("a,b"));
        assert_eq!(p.get("qop"), Some("auth"));
    }

    #[test]
    fn lists_respect_angle_brackets() {
        assert_eq!(split_list("<sip:a,b@c>, \"x,y\" <sip:d>"), vec!["<sip:a,b@c>", "\"x,y\" <sip:d>"]);
    }
}

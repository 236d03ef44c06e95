//! Headers within a SIP body (RFC 3862 section 2, RFC 2045 section 3): a client may show names, subjects and names of
//! files that stand in none of its parts.

use model::{Dialect, Message, lossy};
use std::borrow::Cow;

/// What they say beside the message's own subject, a text for each.
pub(super) fn heads(message: &Message) -> Vec<String> {
    let structured = |bytes: &[u8]| {
        [&b"message/"[..], b"multipart/"]
            .iter()
            .any(|kind| bytes.get(..kind.len()).is_some_and(|it| it.eq_ignore_ascii_case(kind)))
    };
    let original = message.original.as_ref().filter(|it| it.dialect == Dialect::Sip && structured(&it.bytes));
    let Some(original) = original else { return Vec::new() };
    let text = lossy(&original.bytes);
    let first = text.lines().next().into_iter().filter_map(named);
    let rest = text.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        match name.split(';').next().unwrap_or(name).trim().to_ascii_lowercase().as_str() {
            "from" | "to" | "cc" => value.split_once('<').map(|(name, _)| Cow::Borrowed(name)),
            "subject" | "content-description" => Some(Cow::Borrowed(value)),
            "content-type" | "content-disposition" => named(value),
            _ => None,
        }
    });
    let said = |it: &str| it.is_empty() || message.subject.as_deref() == Some(it);
    let all = first.chain(rest).map(|text| text.trim().trim_matches('"').to_owned());
    all.filter(|text| !said(text)).collect()
}

/// The names that its parameters give a file: what stands in quotation marks may have any sign in it.
fn named(value: &str) -> Option<Cow<'_, str>> {
    let (mut quoted, mut names) = (false, Vec::new());
    let params = value.split(|c| {
        quoted ^= c == '"';
        c == ';' && !quoted
    });
    for param in params.skip(1) {
        let (name, value) = param.split_once('=').unwrap_or_default();
        if name.to_ascii_lowercase().contains("name") {
            names.push(value.trim().trim_matches('"'));
        }
    }
    (!names.is_empty()).then(|| Cow::Owned(names.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Original;

    #[test]
    fn what_a_client_may_show_is_read_and_the_rest_is_not() {
        let body = "message/cpim\r\n\r\nFrom: \"Falcon One\" <sip:a@b>\r\nTo: <sip:c@d>\r\nSubject:;lang=fr le faucon\r\n\
                    Subject: same\r\nimdn.Message-ID: 4111111111111111\r\n\r\nContent-Type: image/png; name=\"f.png\"\r\n\
                    content-disposition: attachment; filename=\"x;secret plans.pdf\"; size=3\r\n\r\nFrom me: x";
        let original = |dialect| Some(Original { dialect, bytes: body.as_bytes().to_vec().into() });
        let message = |dialect| Message {
            original: original(dialect),
            subject: Some("same".into()),
            ..Message::default()
        };
        let wanted = ["Falcon One", ";lang=fr le faucon", "f.png", "x;secret plans.pdf"];
        assert_eq!(heads(&message(Dialect::Sip)), wanted);
        assert!(heads(&message(Dialect::Xmpp)).is_empty());
    }
}

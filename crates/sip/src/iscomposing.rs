//! Typing indications (RFC 3994).

use crate::xml;

/// The media type.
pub const MIME: &str = "application/im-iscomposing+xml";

/// Whether the sender is typing. `None` if the body is not such a document.
pub fn parse(body: &[u8]) -> Option<bool> {
    let root = xml::parse(body)?;
    if root.name != "isComposing" {
        return None;
    }
    // An unknown state is idle (RFC 3994 3.2).
    Some(root.child("state").is_some_and(|s| s.text.trim() == "active"))
}

/// Writes the document. `refresh` is how long an active state lasts without being repeated.
pub fn render(active: bool) -> Vec<u8> {
    let (state, refresh) = if active { ("active", "<refresh>120</refresh>") } else { ("idle", "") };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<isComposing xmlns=\"urn:ietf:params:xml:ns:im-iscomposing\">\
         <state>{state}</state><contenttype>text/plain</contenttype>{refresh}</isComposing>\r\n"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_round_trip() {
        assert_eq!(parse(&render(true)), Some(true));
        assert_eq!(parse(&render(false)), Some(false));
        assert_eq!(parse(b"<isComposing><state>thinking</state></isComposing>"), Some(false));
        assert_eq!(parse(b"<x/>"), None);
    }
}

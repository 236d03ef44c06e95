//! Disposition notifications (RFC 5438).

use crate::xml;
use markup::xml::escaped;
use model::{Reason, ReceiptKind, Refusal, Timestamp};

/// The media type.
pub const MIME: &str = "message/imdn+xml";

/// The message meant, and what became of it. `None` for what is not such a document or tells nothing we know
/// (processing notifications).
pub fn parse(body: &[u8]) -> Option<(String, ReceiptKind)> {
    let root = xml::parse(body)?;
    if root.name != "imdn" {
        return None;
    }
    let id = root.child("message-id")?.text.trim().to_owned();
    let status = |kind: &str| root.child(kind)?.child("status")?.nodes.first().map(|n| n.name.clone());
    let kind = match (status("delivery-notification").as_deref(), status("display-notification").as_deref()) {
        (_, Some("displayed")) => ReceiptKind::Displayed,
        (Some("delivered"), _) => ReceiptKind::Delivered,
        (Some("failed" | "error"), _) => ReceiptKind::Failed(Refusal::new(Reason::Unavailable)),
        (Some("forbidden"), _) => ReceiptKind::Failed(Refusal::new(Reason::Forbidden)),
        _ => return None,
    };
    (!id.is_empty()).then_some((id, kind))
}

/// Writes the document.
pub fn render(of: &str, kind: &ReceiptKind, at: Timestamp) -> Vec<u8> {
    let (element, status) = match kind {
        ReceiptKind::Delivered => ("delivery-notification", "delivered"),
        ReceiptKind::Displayed => ("display-notification", "displayed"),
        ReceiptKind::Failed(r) if r.reason == Reason::Forbidden => ("delivery-notification", "forbidden"),
        ReceiptKind::Failed(_) => ("delivery-notification", "failed"),
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<imdn xmlns=\"urn:ietf:params:xml:ns:imdn\"><message-id>{}</message-id>\
         <datetime>{at}</datetime><{element}><status><{status}/></status></{element}></imdn>\r\n",
        escaped(of)
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_round_trip() {
        for kind in [
            ReceiptKind::Delivered,
            ReceiptKind::Displayed,
            ReceiptKind::Failed(Refusal::new(Reason::Unavailable)),
            ReceiptKind::Failed(Refusal::new(Reason::Forbidden)),
        ] {
            assert_eq!(parse(&render("a<1>", &kind, Timestamp(0))), Some(("a<1>".into(), kind)));
        }
    }

    #[test]
    fn others_are_ignored() {
        for body in [
            "<imdn><message-id>1</message-id><processing-notification><status><processed/></status></processing-notification></imdn>",
            "<imdn><delivery-notification><status><delivered/></status></delivery-notification></imdn>",
            "<other/>",
        ] {
            assert_eq!(parse(body.as_bytes()), None);
        }
    }
}

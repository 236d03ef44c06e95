//! Receipts: XEP-0184, chat markers (XEP-0333) and error stanzas, and the neutral `Receipt` (RFC 5438).

use bytes::Bytes;
use model::{Dialect, Loss, Original, Receipt, ReceiptKind};

use crate::wire::{CLIENT, MARKERS, RECEIPTS, Stanza, Writer};

use super::{ours, refusal};

/// Which message a stanza without a body reports on, and what became of it.
pub fn state(stanza: &Stanza<'_>) -> Option<(String, ReceiptKind)> {
    for child in stanza.children() {
        let kind = if child.is("received", RECEIPTS) || child.is("received", MARKERS) {
            ReceiptKind::Delivered
        } else if child.is("displayed", MARKERS) {
            ReceiptKind::Displayed
        } else {
            continue;
        };
        let of = child.attr("id").filter(|id| !id.is_empty())?;
        return Some((of.into_owned(), kind));
    }
    None
}

/// What an error stanza says of the message with its `id`.
pub fn failure(stanza: &Stanza<'_>) -> Option<(String, ReceiptKind)> {
    let of = stanza.attr("id").filter(|id| !id.is_empty())?;
    let error = stanza.child("error", CLIENT)?;
    Some((of.into_owned(), ReceiptKind::Failed(refusal::read(&error))))
}

/// The receipt with its bytes.
pub fn read((of, kind): (String, ReceiptKind), bytes: Bytes) -> Receipt {
    Receipt { of: of.into(), kind, original: Some(Original { dialect: Dialect::Xmpp, bytes }) }
}

/// The message for it; `us` is this server's domain.
pub fn render(receipt: &Receipt, id: &str, from: &str, to: &str, us: &str) -> (Bytes, Vec<Loss>) {
    if let Some(bytes) = ours(&receipt.original) {
        return (bytes.clone(), Vec::new());
    }
    let mut w = Writer::new();
    w.open("message").attr("from", from).attr("to", to);
    match &receipt.kind {
        ReceiptKind::Delivered => {
            w.attr("id", id).open_ns("received", RECEIPTS).attr("id", &receipt.of).end();
        }
        ReceiptKind::Displayed => {
            w.attr("id", id).open_ns("displayed", MARKERS).attr("id", &receipt.of).end();
        }
        ReceiptKind::Failed(why) => {
            w.attr("id", &receipt.of).attr("type", "error");
            refusal::render(why).write(us, &mut w);
        }
    }
    (w.finish().into(), Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Reason, Refusal};

    #[test]
    fn imdn_becomes_receipts_markers_and_errors() {
        let rows = [
            (
                ReceiptKind::Delivered,
                "<message from='a@b' to='c@d' id='i'><received xmlns='urn:xmpp:receipts' id='m1'/></message>",
            ),
            (
                ReceiptKind::Displayed,
                "<message from='a@b' to='c@d' id='i'><displayed xmlns='urn:xmpp:chat-markers:0' id='m1'/></message>",
            ),
            (
                ReceiptKind::Failed(Refusal::new(Reason::NotFound)),
                "<message from='a@b' to='c@d' id='m1' type='error'><error type='cancel'>\
                 <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
            ),
        ];
        for (kind, wanted) in rows {
            let (xml, _) = render(&Receipt { of: "m1".into(), kind, original: None }, "i", "a@b", "c@d", "b");
            assert_eq!(std::str::from_utf8(&xml), Ok(wanted));
        }
    }
}

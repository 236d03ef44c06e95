//! Files by upload, XEP-0363: a client asks for a slot, puts the file there by HTTP, and sends the link.

use model::{Answer, Ask, Dialect, FileOffer, NoSlot, Origin, Reason, Security, Slot, Vouch};

use super::{Feature, Handler};
use crate::machine::{C2s, Reply, Request};
use crate::translate::refusal::{self, StanzaError};
use crate::wire::{DATA_FORM, UPLOAD, Writer};

pub(super) const FEATURE: Feature = Feature {
    about: Some(about),
    iqs: &[Handler { name: "request", ns: UPLOAD, answer, early: false }],
    ..Feature::NONE
};

/// The longest media type we read, in bytes (RFC 6838 section 4.2 has 127 for each half).
const LONGEST_TYPE: usize = 255;

/// The server keeps files, so large at most (section 3).
fn about(c2s: &C2s, w: &mut Writer) {
    let Some(most) = c2s.config.upload else { return };
    // Clients look for this identity beside the feature.
    w.open("identity").attr("category", "store").attr("type", "file").attr("name", "Files").end();
    w.open("feature").attr("var", UPLOAD).end();
    w.open_ns("x", DATA_FORM).attr("type", "result");
    w.open("field").attr("var", "FORM_TYPE").attr("type", "hidden").leaf("value", UPLOAD).end();
    w.open("field").attr("var", "max-file-size").leaf("value", &most.to_string()).end();
    w.end();
}

fn answer(c2s: &mut C2s, request: &Request<'_, '_>) -> Reply {
    let (Some(by), Some(account), true) = (c2s.bound.clone(), c2s.account.clone(), request.server) else {
        return Reply::Error(StanzaError::NOT_ALLOWED);
    };
    let Some(most) = c2s.config.upload else { return Reply::Error(StanzaError::SERVICE_UNAVAILABLE) };
    let size = request.payload.attr("size").and_then(|size| size.parse::<u64>().ok());
    let (Some(name), Some(size), false) = (request.payload.attr("filename"), size, request.set) else {
        return Reply::Error(StanzaError::BAD_REQUEST);
    };
    if size > most {
        return Reply::Error(too_large(most));
    }
    let mime = request.payload.attr("content-type").filter(|mime| mime.len() <= LONGEST_TYPE);
    let security = if c2s.tls.is_some() { Security::Tls } else { Security::Plain };
    let offer = FileOffer {
        by,
        origin: Origin { dialect: Dialect::Xmpp, security, vouch: Vouch::Account(account) },
        name: name.into_owned(),
        size,
        mime: mime.map(|mime| mime.into_owned()),
    };
    c2s.ask_for(request, Ask::Slot(Box::new(offer)), given)
}

fn given(_: &mut C2s, answer: Answer) -> Reply {
    match answer {
        Answer::Slot(Ok(Slot { put, get })) => {
            let mut w = Writer::new();
            w.open_ns("slot", UPLOAD);
            w.open("put").attr("url", &put).end().open("get").attr("url", &get).end();
            Reply::Result(w.finish())
        }
        Answer::Slot(Err(no)) => Reply::Error(refused(no)),
        Answer::Refused(refusal) => Reply::Error(refusal::render(&refusal)),
        _ => Reply::Error(StanzaError::INTERNAL),
    }
}

/// Section 4, error conditions.
fn refused(no: NoSlot) -> StanzaError {
    if let (Reason::TooLarge, Some(most)) = (no.refusal.reason, no.most) {
        return too_large(most);
    }
    let mut error = refusal::render(&no.refusal);
    error.more = no.retry.map(|at| {
        let mut w = Writer::new();
        w.open_ns("retry", UPLOAD).attr("stamp", &at.to_string());
        w.finish().into()
    });
    error
}

fn too_large(most: u64) -> StanzaError {
    let mut w = Writer::new();
    w.open_ns("file-too-large", UPLOAD).leaf("max-file-size", &most.to_string());
    let text = format!("The file is too large: {most} bytes are the most.");
    StanzaError { more: Some(w.finish().into()), ..StanzaError::NOT_ACCEPTABLE.with_text(&text) }
}

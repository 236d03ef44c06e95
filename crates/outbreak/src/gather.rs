//! The artefacts that an envelope carries.

use crate::artefact::{Artefact, Kind};
use crate::link::{Link, links};
use crate::shape::Shape;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;
use model::{Address, Envelope, Event, Message, Original, lossy};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

/// Files of one envelope that are looked at.
const FILES: usize = 4;

/// One thing that an envelope carries, the narrower name of it first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// The thing.
    pub exact: Artefact,
    /// The wider name under which links count that differ in a token only.
    pub folded: Option<Artefact>,
}

impl From<Artefact> for Carried {
    fn from(exact: Artefact) -> Self {
        Self { exact, folded: None }
    }
}

impl From<Link> for Carried {
    fn from(link: Link) -> Self {
        let of = |normal: &str| Artefact::of(Kind::Link, normal.as_bytes(), Some(&link.host));
        Self { exact: of(&link.exact), folded: link.folded.as_deref().map(of) }
    }
}

/// Things of one envelope that are followed.
const FOLLOWED: usize = 256;

/// Those that are followed. Of more than anybody writes by hand it is a choice that nobody can foresee, and the same for
/// each message: what all messages of a worm have in common is chosen in most of them or in none.
pub(crate) fn followed<'a>(carried: &'a [Carried], dice: &RandomState) -> Vec<&'a Carried> {
    let mut all: Vec<_> = carried.iter().collect();
    if all.len() > FOLLOWED {
        all.sort_by_cached_key(|one| (one.exact.kind == Kind::Link, dice.hash_one(one.exact.key)));
        all.truncate(FOLLOWED);
    }
    all
}

/// What an envelope carries that can spread: links, files, and the shape of its text.
pub fn artefacts(envelope: &Envelope) -> Vec<Carried> {
    let mut all = Vec::new();
    match &envelope.event {
        Event::Message(message) => of_message(message, envelope, &mut all),
        Event::Subscribe(subscribe) => {
            subscribe.note.iter().for_each(|note| push(&mut all, note, |_| ()));
        }
        Event::Publish(publish) => {
            for (_, note) in publish.tuples.iter().flat_map(|tuple| &tuple.notes) {
                push(&mut all, note, |_| ());
            }
        }
        // Not the links: every client's answer about itself has some.
        Event::Opaque(opaque) => hashes(&opaque.original, &mut all),
        _ => {}
    }
    all
}

/// The links of a text as a reader sees it, each once. `between` hears what stands between them.
fn push(all: &mut Vec<Carried>, text: &str, between: impl FnMut(&str)) {
    let found = links(&policy::clean(text), usize::MAX, between);
    if found.is_empty() {
        return;
    }
    // Their number is bounded by the size of a message.
    let mut seen: HashSet<_> = all.iter().map(|one| one.exact.key).collect();
    all.extend(found.into_iter().map(Carried::from).filter(|one| seen.insert(one.exact.key)));
}

fn of_message(message: &Message, envelope: &Envelope, all: &mut Vec<Carried>) {
    let names: Vec<&str> =
        [&envelope.from.address, &envelope.to.address].into_iter().flat_map(names_of).collect();
    let mut shape = Shape::default();
    if let Some(subject) = &message.subject {
        push(all, subject, |between| shape.add(between, &names));
    }
    let mut files = Vec::new();
    for part in &message.parts {
        match part.mime.get(..5).is_some_and(|mime| mime.eq_ignore_ascii_case("text/")) {
            true if part.is_plain_text() => {
                let text = lossy(&part.body);
                push(all, &text, |between| shape.add(between, &names));
            }
            true => push(all, &policy::markup(&part.body), |_| ()),
            false if files.len() < FILES && !part.body.is_empty() => {
                files.push(Carried::from(Artefact::file(&Sha256::digest(&part.body))));
            }
            false => {}
        }
    }
    if let Some(original) = message.original.as_ref().filter(|original| has_more(original)) {
        push(all, &policy::markup(&original.bytes), |_| ());
        hashes(original, all);
    }
    all.append(&mut files);
    if let Some(shape) = shape.done() {
        all.push(Artefact::of(Kind::Text, shape, None).into());
    }
}

/// The words of somebody's name, as far as the address has them.
fn names_of(who: &Address) -> impl Iterator<Item = &str> {
    who.user().unwrap_or_default().split(['.', '_', '-']).filter(|name| name.len() > 1)
}

/// May the rendering hold a link or a file that stands in no part?
fn has_more(original: &Original) -> bool {
    static MARKS: LazyLock<[memmem::Finder; 5]> =
        LazyLock::new(|| ["<url", "href=", "uri=", "src=", "urn:xmpp:hashes"].map(memmem::Finder::new));
    original.bytes.starts_with(b"<") && MARKS.iter().any(|mark| mark.find(&original.bytes).is_some())
}

/// Hashes of files that are offered (XEP-0300 in XEP-0234, XEP-0446 and XEP-0385).
fn hashes(original: &Original, all: &mut Vec<Carried>) {
    let bytes = &original.bytes[..];
    if memmem::find(bytes, b"urn:xmpp:hashes").is_none() || memmem::find(bytes, b":file").is_none() {
        return;
    }
    let mut from = 0;
    for _ in 0..FILES {
        let Some(at) = memmem::find(&bytes[from..], b"<hash").map(|at| from + at) else { return };
        let Some(open) = memchr::memchr(b'>', &bytes[at..]).map(|end| at + end + 1) else { return };
        let close = memchr::memchr(b'<', &bytes[open..]).map_or(bytes.len(), |end| open + end);
        let hash: Vec<u8> = bytes[open..close].iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
        // A SHA-256 is the name that the content itself has.
        let raw = STANDARD.decode(&hash).unwrap_or(hash);
        let hash = Carried::from(Artefact::file(&raw));
        if close - open >= 16 && !all.contains(&hash) {
            all.push(hash);
        }
        from = close;
    }
}

//! What others send that is looked into: texts with links, archives; and lists of links, in whatever format.

use super::first;
use bytes::Bytes;
use hygiene::{ArchiveLimits, Eyes, ListSettings, Listed, Lookalike, Settings};
use model::{Address, Endpoint, Envelope, EnvelopeId, Event, MAX_HOPS, Message, Origin, Part, Timestamp};
use ports::{Hygiene as _, Remedy};
use std::cell::RefCell;

/// Small ones, so that what is out of bounds is found soon.
const LIMITS: ArchiveLimits = ArchiveLimits { bytes: 1 << 20, ratio: 50, depth: 3, files: 64 };

pub fn run(input: &[u8]) {
    thread_local! {
        static EYES: RefCell<Eyes> = RefCell::new(eyes());
    }
    let (choice, input) = first(input);
    EYES.with_borrow_mut(|eyes| match choice % 3 {
        0 => text(eyes, &model::lossy(input)),
        1 => archive(eyes, input),
        _ => list(eyes, input),
    });
}

fn folder() -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("rialto-fuzz-hygiene-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn settings(list: &[u8]) -> Settings {
    let file = folder().join("list");
    std::fs::write(&file, list).expect("a list");
    Settings {
        domains: vec!["corp.example".into()],
        lists: vec![ListSettings { name: "bad".into(), file, listed: Listed::Bad(Remedy::Block) }],
        lookalike: Lookalike { remedy: Some(Remedy::Hold), ..Lookalike::default() },
        archives: Some(LIMITS),
        ..Settings::default()
    }
}

fn eyes() -> Eyes {
    let eyes = Eyes::default();
    eyes.set(settings(b"||evil.example^\n0.0.0.0 bad.example\nhttp://worse.example/x\n"));
    eyes
}

/// However the rest reads, a link that stands by itself is found.
fn text(eyes: &Eyes, text: &str) {
    let found = eyes.look(&envelope(Part::text(text.to_owned(), None)));
    let with = eyes.look(&envelope(Part::text(format!("{text}\n http://evil.example/a \n"), None)));
    assert!(with.iter().any(|finding| finding.remedy == Remedy::Block), "{text:?}");
    assert!(found.len() <= with.len() + 1, "{text:?}");
}

fn archive(eyes: &Eyes, bytes: &[u8]) {
    let part =
        Part { mime: "application/octet-stream".into(), lang: None, body: Bytes::copy_from_slice(bytes) };
    let envelope = envelope(part);
    assert_eq!(eyes.look(&envelope).len(), eyes.look(&envelope).len());
}

/// Whatever stands in the line before, the next line is read.
fn list(eyes: &mut Eyes, bytes: &[u8]) {
    *eyes = Eyes::default();
    eyes.set(settings(&[bytes, b"\nlast.example\n"].concat()));
    let view = eyes.lists();
    assert!(view[0].entries > 0 && view[0].trouble.is_none(), "{view:?}");
    let _ = eyes.look(&envelope(Part::text("see http://last.example/ and 。http://a.b.evil.example", None)));
    *eyes = self::eyes();
}

fn envelope(part: Part) -> Envelope {
    let address = |user, domain| Address::new(user, domain).expect("an address");
    Envelope {
        id: EnvelopeId(1),
        at: Timestamp(1_800_000_000_000),
        origin: Origin::server(),
        from: Endpoint::bare(address("eve", "partner.example")),
        to: Endpoint::bare(address("anna", "corp.example")),
        hops: MAX_HOPS,
        event: Event::Message(Message { parts: vec![part], lasting: true, ..Message::default() }),
    }
}

//! Archives of other servers that somebody takes over: whatever they hold, what is taken is XML, and what is not is said
//! with its place.

use super::first;
use import::{Bad, Found, Source};
use std::path::PathBuf;

pub fn run(input: &[u8]) {
    let (choice, input) = first(input);
    let folder = std::env::temp_dir().join(format!("rialto-fuzz-imports-{}", std::process::id()));
    let file = |within: &str| -> PathBuf {
        let file = folder.join(within);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(&file, input).expect("a file");
        file
    };
    let (source, path) = match choice % 4 {
        0 => (Source::Xep0227, file("pie.xml")),
        1 => (Source::Jsonl, file("messages.jsonl")),
        2 => (Source::Ejabberd, file("host.xml")),
        _ => {
            file("prosody/corp%2eexample/archive/anna.list");
            file("prosody/corp%2eexample/accounts/anna.dat");
            file("prosody/corp%2eexample/roster/anna.dat");
            (Source::Prosody, folder.join("prosody"))
        }
    };
    let mut refused = Vec::new();
    let end = import::read(source, &path, &mut |found| {
        match found {
            Ok(Found::Said(said)) => {
                assert!(super::second_opinion::xml(said.stanza.as_bytes()), "{:?}", said.stanza);
                assert!(!said.place.is_empty());
            }
            Ok(Found::Account(_)) => {}
            Err(bad) => refused.push(bad),
        }
        Ok(())
    });
    for Bad { place, why } in refused.into_iter().chain(end.err()) {
        assert!(!place.is_empty() && !why.is_empty());
    }
}

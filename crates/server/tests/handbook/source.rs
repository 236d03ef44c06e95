//! The source, read as text: what it cites, what it names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::page::at;

/// Every Rust file of a folder and the folders in it, as path from there and text.
pub fn files(folder: &str) -> Vec<(String, String)> {
    let (root, mut found) = (at(folder), Vec::new());
    walk(&root, &root, &mut found);
    found.sort();
    found
}

fn walk(root: &Path, dir: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(dir).expect("a folder of ours") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            walk(root, &path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let name = path.strip_prefix(root).expect("inside").to_string_lossy().into_owned();
            found.push((name, std::fs::read_to_string(&path).expect("text")));
        }
    }
}

/// Each `RFC 1234` and `XEP-1234` in these crates, with the files that cite it, `crate/file`: those that name it in their
/// head, where there are any, for they are about it.
pub fn citations(crates: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    let (mut all, mut heads) = (BTreeMap::new(), BTreeMap::new());
    for room in crates {
        for (name, text) in files(&format!("crates/{room}/src")) {
            let place = format!("{room}/{}", name.trim_end_matches(".rs").trim_end_matches("/mod"));
            let head: String = text.lines().take_while(|l| l.starts_with("//!")).collect();
            note(&text, &place, &mut all);
            note(&head, &place, &mut heads);
        }
    }
    all.extend(heads);
    all
}

fn note(text: &str, place: &str, found: &mut BTreeMap<String, BTreeSet<String>>) {
    for kind in ["RFC ", "XEP-"] {
        for (i, _) in text.match_indices(kind) {
            let Some(number) = text.get(i + 4..i + 8) else { continue };
            if number.bytes().all(|b| b.is_ascii_digit()) {
                found.entry(format!("{kind}{number}")).or_default().insert(place.to_owned());
            }
        }
    }
}

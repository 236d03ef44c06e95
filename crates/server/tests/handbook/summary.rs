//! The table of contents.

use crate::page::at;

/// Every file of the handbook with its text.
pub fn pages() -> Vec<(String, String)> {
    let files = std::fs::read_dir(at("docs/src")).expect("the handbook");
    let names = files.map(|entry| entry.expect("readable").file_name().into_string().expect("plain names"));
    let read = |name: String| {
        let text = std::fs::read_to_string(at("docs/src").join(&name)).expect("text");
        (name, text)
    };
    names.map(read).collect()
}

#[test]
fn every_page_is_in_the_summary_and_every_link_leads_somewhere() {
    let dir = at("docs/src");
    let summary = std::fs::read_to_string(dir.join("SUMMARY.md")).expect("text");
    for (name, text) in pages() {
        let listed = name == "SUMMARY.md" || summary.contains(&format!("]({name})"));
        assert!(listed, "{name} is not in SUMMARY.md");
        for (i, _) in text.match_indices("](") {
            let target = text[i + 2..].split([')', '#']).next().unwrap_or_default();
            let outside = target.contains("://") || target.is_empty();
            assert!(outside || dir.join(target).exists(), "{name}: a link to {target}, which is not there");
        }
    }
}

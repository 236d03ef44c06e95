//! The table of contents.

use crate::page::at;

#[test]
fn every_page_is_in_the_summary_and_every_link_leads_somewhere() {
    let dir = at("docs/src");
    let summary = std::fs::read_to_string(dir.join("SUMMARY.md")).expect("text");
    for entry in std::fs::read_dir(&dir).expect("the handbook") {
        let name = entry.expect("readable").file_name().into_string().expect("plain names");
        let listed = name == "SUMMARY.md" || summary.contains(&format!("]({name})"));
        assert!(listed, "{name} is not in SUMMARY.md");
        let text = std::fs::read_to_string(dir.join(&name)).expect("text");
        for (i, _) in text.match_indices("](") {
            let target = text[i + 2..].split([')', '#']).next().unwrap_or_default();
            let outside = target.contains("://") || target.is_empty();
            assert!(outside || dir.join(target).exists(), "{name}: a link to {target}, which is not there");
        }
    }
}

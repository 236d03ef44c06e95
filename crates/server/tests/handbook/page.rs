//! A page of the handbook, and the place in it that belongs to the code.

use std::path::{Path, PathBuf};

/// A path from the root of the project.
pub fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Compares the page between `<!-- name -->` and `<!-- end of name -->` with the table; writes it if asked to.
#[track_caller]
pub fn holds(page: &str, name: &str, table: &str) {
    let path = at("docs/src").join(page);
    let text = std::fs::read_to_string(&path).expect("the page is there");
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("{page} has no {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{page} has no {end}"));
    let wanted = format!("{before}{begin}{table}{end}{after}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &wanted).expect("the page is ours");
        return;
    }
    assert!(text == wanted, "{page}: {name} is not what the code says now:\n{table}\nUPDATE_DOCS=1 mends it");
}

//! Text that somebody wrote, made fit to stand in XML and in HTML: one place for what must be escaped, and for what neither
//! can hold.

pub mod html;
pub mod xml;

/// Escapes into a new text.
fn escaped(value: &str, by: fn(&str, &mut String)) -> String {
    let mut out = String::with_capacity(value.len() + 8);
    by(value, &mut out);
    out
}

//! The stanzas that are sent.

use crate::template::Template;

/// A chat message of exactly `size` bytes, or of the smallest size above it that holds the mark.
pub fn message(to: &str, flow: u32, size: usize) -> Template {
    sized("", to, flow, size)
}

/// The same as a server sends it, for one of its users.
pub fn message_from(from: &str, to: &str, flow: u32, size: usize) -> Template {
    sized(&format!("from='{from}/b' "), to, flow, size)
}

fn sized(from: &str, to: &str, flow: u32, size: usize) -> Template {
    let pattern = |pad: &str| {
        format!(
            "<message {from}to='{to}' type='chat' id='rb{flow:08x}.{{seq}}'><body>{{mark}}{pad}</body></message>"
        )
    };
    let bare = Template::new(&pattern("")).len();
    Template::new(&pattern(&crate::filler(size.saturating_sub(bare))))
}

/// Presence with a status that carries the mark.
pub fn presence() -> Template {
    Template::new("<presence><show>away</show><status>{mark}</status></presence>")
}

/// Reads flow and number back from a message's id.
pub fn read_id(id: &[u8]) -> Option<(u32, u32)> {
    let rest = id.strip_prefix(b"rb")?;
    (rest.len() == 17 && rest[8] == b'.').then_some(())?;
    Some((crate::mark::hex(&rest[..8])? as u32, crate::mark::hex(&rest[9..])? as u32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mark::Mark;

    #[test]
    fn messages_are_exactly_as_long_as_asked() {
        for to in ["u1@localhost", "a-rather-long-name@some.example.org"] {
            let t = message(to, 77, 400);
            let mut out = Vec::new();
            let mark = Mark { run: 9, flow: 77, seq: 5, at: 123 };
            t.render(&mark, 0, b"", &mut out);
            assert_eq!(out.len(), 400);
            assert_eq!(Mark::find(&out), Some(mark));
            let id = super::super::scan::attr(&out, "id").unwrap();
            assert_eq!(read_id(id), Some((77, 5)));
            assert_eq!(super::super::scan::next_unit(&out), Some((0, 400)));
        }
        assert!(message("u1@localhost", 0, 10).len() > 100);
    }
}

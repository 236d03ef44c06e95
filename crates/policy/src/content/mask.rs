//! Taking out what was found, and nothing else.

use super::detect::Detectors;
use model::{Message, Part};
use std::borrow::Cow;

/// What stands where something was.
const MASK: char = '█';

/// The message without what these detectors find in it. The sender's rendering is gone with it, and so are forms of the
/// body that cannot be masked without knowing their grammar. `None` where something would still be found.
pub(crate) fn masked(message: &Message, detectors: &Detectors, which: &[usize]) -> Option<Message> {
    let mut changed = message.clone();
    changed.original = None;
    if let Some(subject) = &mut changed.subject {
        *subject = mask(detectors, which, subject);
    }
    if let Some(thread) = &changed.thread
        && !detectors.places(which, thread).is_empty()
    {
        changed.thread = None;
    }
    let plain = changed.parts.iter().any(Part::is_plain_text);
    // The same in another form, which reads without it.
    changed.parts.retain(|part| {
        part.is_plain_text() || !plain || !part.mime.to_ascii_lowercase().starts_with("text/")
    });
    for part in changed.parts.iter_mut().filter(|part| part.is_plain_text()) {
        let text = String::from_utf8_lossy(&part.body);
        part.body = mask(detectors, which, &text).into();
    }
    let event = model::Event::Message(changed);
    let found = detectors.scan(&super::texts(&event));
    let model::Event::Message(changed) = event else { return None };
    (!which.iter().any(|detector| found.has(*detector))).then_some(changed)
}

fn mask(detectors: &Detectors, which: &[usize], text: &str) -> String {
    let mut out = Cow::Borrowed(text);
    for place in detectors.places(which, text).into_iter().rev() {
        let hidden: String =
            text[place.clone()].chars().map(|c| if c.is_whitespace() { c } else { MASK }).collect();
        out.to_mut().replace_range(place, &hidden);
    }
    out.into_owned()
}

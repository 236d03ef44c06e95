//! What content rules make of a text: what was masked is not found any more, and nothing else changes.

use super::policy_text::Nobody;
use bytes::Bytes;
use model::{Endpoint, Envelope, EnvelopeId, Event, MAX_HOPS, Message, Origin, Part, Timestamp, Vouch};
use policy::{Facts, Policy, Verdict};
use std::sync::LazyLock;

const POLICY: &str = "
[detect.all]
words = ['falcon', 'blue bird', 'straße']
disguised = true
regex = ['PRJ-[0-9]{4}', '(?i)secret\\s+[a-z]+']
numbers = ['payment-card', 'iban', 'es-dni', 'us-ssn']
[[rule]]
name = 'mask'
content = ['all']
then = 'mask'
";

pub fn run(input: &[u8]) {
    static MASKING: LazyLock<Policy> =
        LazyLock::new(|| Policy::read(POLICY).unwrap_or_else(|wrong| panic!("{wrong:?}")));
    let text = model::lossy(input);
    assert_eq!(text, String::from_utf8_lossy(input));
    let _ = policy::markup(input);
    let (folded, clean) = (policy::fold(&text), policy::clean(&text));
    assert!(clean.is_ascii() || !text.is_ascii());
    assert!(!folded.contains("  "), "{folded:?}");
    let envelope = envelope(Bytes::copy_from_slice(text.as_bytes()));
    let decision = MASKING.decide(&Facts::of(&envelope, &Nobody));
    let found = MASKING.found_in(&text) > 0;
    // What still says it after masking does not pass.
    assert_eq!(decision.changed.is_some() || decision.verdict == Verdict::Block, found, "{text:?}");
    let Some((masked, _)) = decision.changed else { return };
    for part in &masked.parts {
        let left = std::str::from_utf8(&part.body).expect("text stays text");
        assert_eq!(MASKING.found_in(left), 0, "{left:?}");
    }
}

fn envelope(text: Bytes) -> Envelope {
    let address = |user| model::Address::new(user, "corp.example").expect("an address");
    Envelope {
        id: EnvelopeId(1),
        at: Timestamp(1_800_000_000_000),
        origin: Origin { vouch: Vouch::Account(address("anna")), ..Origin::server() },
        from: Endpoint::bare(address("anna")),
        to: Endpoint::bare(address("bert")),
        hops: MAX_HOPS,
        event: Event::Message(Message {
            parts: vec![Part::text(text, None)],
            lasting: true,
            ..Message::default()
        }),
    }
}

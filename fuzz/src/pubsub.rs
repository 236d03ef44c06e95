//! What publish-subscribe services say (XEP-0060), and what we say to them after it.

use model::Address;
use xmpp::pubsub::{self, News};

pub fn run(input: &[u8]) {
    let Some(news) = pubsub::read(input) else { return };
    // No stream lets through what is no XML.
    if !super::second_opinion::xml(input) {
        return;
    }
    let words = match news {
        News::Answer { id, more, .. } => vec![id, more.unwrap_or_default()],
        News::Refused { id, why } => vec![id, why],
        News::Changed { node, came, went } => [vec![node], came, went].concat(),
        News::Purged(node) | News::Deleted(node) => vec![node],
    };
    let me = xmpp::jid::parse("me@example.com/lists").expect("an address");
    let service = Address::parse("lists.example").expect("a domain");
    for word in words {
        for said in [
            pubsub::subscribe(&word, &me, &service, &word, true),
            pubsub::items(&word, &me, &service, &word, Some(&word)),
        ] {
            assert!(super::second_opinion::xml(&said), "{}", String::from_utf8_lossy(&said));
        }
    }
}

//! The scanner against a strict parser nobody here wrote: what we let through, it must accept too.

use proptest::prelude::*;
use rxml::Parse;
use xmpp::wire::{Item, Limits, Scanner};

const OPEN: &str =
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='urn:db'>";

/// Elements handed out before the first error, and that error.
fn ours(xml: &str) -> (usize, bool) {
    let stream = format!("{OPEN}{xml}");
    let mut scanner = Scanner::new(Limits { depth: 1000, ..Limits::C2S });
    let mut input = stream.as_bytes();
    let mut count = 0;
    loop {
        match scanner.next(&mut input) {
            Ok(None) => return (count, false),
            Ok(Some(Item::Element(_))) => count += 1,
            Ok(Some(_)) => {}
            Err(_) => return (count, true),
        }
    }
}

fn theirs(xml: &str) -> (usize, bool) {
    let stream = format!("{OPEN}{xml}");
    let mut parser = rxml::Parser::new();
    let mut input = stream.as_bytes();
    let (mut depth, mut count) = (0, 0);
    loop {
        match parser.parse(&mut input, false) {
            Ok(Some(rxml::Event::StartElement(..))) => depth += 1,
            Ok(Some(rxml::Event::EndElement(..))) => {
                depth -= 1;
                if depth == 1 {
                    count += 1;
                }
            }
            Ok(Some(_)) => {}
            Ok(None) => return (count, false),
            Err(rxml::error::EndOrError::NeedMoreData) => return (count, false),
            Err(_) => return (count, true),
        }
    }
}

const SEEDS: [&str; 6] = [
    "<message to='a@b' xml:lang='en'><body>hello &amp; good &#x41; day</body></message>",
    "<iq type=\"get\" id='1'><query xmlns='jabber:iq:roster'><item jid='x'/></query></iq>",
    "<db:a db:x='1' x='2'><b xmlns:c='urn:c' c:d='e'><c:f/></b></db:a>",
    "<a><![CDATA[ <b> ]] ]]></a>",
    "<a b='\u{20ac}'>\u{1f600} ]] &lt;</a>",
    "<presence><show>away</show><c xmlns='http://jabber.org/protocol/caps' ver='='/></presence>",
];

/// A seed with some of it cut, doubled or replaced.
fn mutant() -> impl Strategy<Value = String> {
    let edit = (any::<prop::sample::Index>(), 0usize..4, "[<>&;:='\"/!\\[\\]a-c x#0-9-]{1,3}");
    (0..SEEDS.len(), prop::collection::vec(edit, 0..4)).prop_map(|(seed, edits)| {
        let mut chars: Vec<char> = SEEDS[seed].chars().collect();
        for (at, cut, put) in edits {
            let at = at.index(chars.len() + 1).min(chars.len());
            let end = (at + cut).min(chars.len());
            chars.splice(at..end, put.chars());
        }
        chars.into_iter().collect()
    })
}

#[test]
fn the_seeds_pass_both() {
    for seed in SEEDS {
        assert_eq!((ours(seed), theirs(seed)), ((1, false), (1, false)), "{seed}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn what_we_accept_is_well_formed(xml in mutant()) {
        let ((mine, _), (other, _)) = (ours(&xml), theirs(&xml));
        prop_assert!(mine <= other, "we accept {} of {:?}, the oracle {}", mine, xml, other);
    }
}

//! The XMPP stream scanner: however it is cut, the same comes out; what it lets through, a strict parser accepts too.

use super::first;
use rxml::Parse as _;
use xmpp::wire::{Item, Limits, Scanner, Stamp};

const OPEN: &[u8] = b"<stream:stream to='example.com' version='1.0' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='urn:db'>";

pub fn run(input: &[u8]) {
    let (choice, bytes) = first(input);
    let stream = if choice & 1 == 0 { [OPEN, bytes].concat() } else { bytes.to_vec() };
    let whole = told(&stream, stream.len().max(1));
    let pieces = told(&stream, choice / 2 + 1);
    assert_eq!(whole, pieces, "pieces of {}", choice / 2 + 1);
    let mine = whole.iter().filter(|line| line.starts_with('<')).count();
    let theirs = elements(&stream);
    assert!(mine <= theirs, "we accept {mine}, the other {theirs}: {:?}", String::from_utf8_lossy(&stream));
}

fn told(stream: &[u8], size: usize) -> Vec<String> {
    let mut scanner = Scanner::new(Limits::BEFORE_AUTH);
    let mut told = Vec::new();
    for mut piece in stream.chunks(size) {
        loop {
            match scanner.next(&mut piece) {
                Ok(None) => break,
                Ok(Some(Item::Open(header))) => told.push(format!("open {header:?}")),
                Ok(Some(Item::Close)) => told.push("close".to_owned()),
                Ok(Some(Item::Element(stanza))) => {
                    for child in stanza.children() {
                        let (_, _, _) = (child.text(), child.attr("to"), child.inner());
                    }
                    let mut copy = Vec::new();
                    stanza.write(&Stamp { from: "a@b/c", ..Stamp::default() }, |_| false, b"", &mut copy);
                    told.push(String::from_utf8(copy).expect("only UTF-8 comes out"));
                }
                Err(condition) => {
                    told.push(format!("error {condition}"));
                    return told;
                }
            }
        }
    }
    told
}

/// Whole elements on the first level that the other parser accepts.
fn elements(stream: &[u8]) -> usize {
    // The other parser wants line ends as XML 1.0 section 2.11 makes them.
    let stream: Vec<u8> = stream.iter().map(|b| if *b == b'\r' { b'\n' } else { *b }).collect();
    let mut parser = rxml::Parser::new();
    let mut rest = &stream[..];
    let (mut depth, mut count) = (0, 0);
    loop {
        match parser.parse(&mut rest, false) {
            Ok(Some(rxml::Event::StartElement(..))) => depth += 1,
            Ok(Some(rxml::Event::EndElement(..))) => {
                depth -= 1;
                count += usize::from(depth == 1);
            }
            Ok(Some(_)) => {}
            _ => return count,
        }
    }
}

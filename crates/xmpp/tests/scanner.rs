//! The stream scanner from outside: hostile streams, chunking, and round trips of what it hands out.

use proptest::prelude::*;
use xmpp::wire::{Condition, Item, Limits, Scanner, Stamp};

const OPEN: &str = "<?xml version='1.0'?><stream:stream to='example.com' version='1.0' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='urn:db'>";

/// Everything a stream gives, as text, fed in pieces of the sizes given (cycled).
fn run(stream: &[u8], sizes: &[usize], limits: Limits) -> Vec<String> {
    let mut scanner = Scanner::new(limits);
    let mut out = Vec::new();
    let mut rest = stream;
    let mut sizes = sizes.iter().cycle();
    while !rest.is_empty() {
        let n = sizes.next().copied().unwrap_or(rest.len()).clamp(1, rest.len());
        let (mut piece, tail) = rest.split_at(n);
        rest = tail;
        loop {
            match scanner.next(&mut piece) {
                Ok(None) => break,
                Ok(Some(Item::Open(header))) => out.push(format!("open {:?}", header)),
                Ok(Some(Item::Close)) => out.push("close".into()),
                Ok(Some(Item::Element(stanza))) => {
                    let mut line = format!("{} {:?}", text(stanza.name()), text(stanza.ns()));
                    for child in stanza.children() {
                        line += &format!(" [{} {:?} {}]", text(child.name()), text(child.ns()), child.text());
                    }
                    let mut copy = Vec::new();
                    stanza.write(&Stamp { from: "a@b/c", ..Stamp::default() }, |_| false, b"", &mut copy);
                    out.push(line + " " + &text(&copy));
                }
                Err(condition) => {
                    out.push(format!("error {condition}"));
                    let mut again: &[u8] = b"<x/>";
                    assert_eq!(scanner.next(&mut again).err(), Some(condition), "errors stay");
                    return out;
                }
            }
        }
    }
    out
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("only UTF-8 comes out")
}

fn whole(stream: &[u8]) -> Vec<String> {
    run(stream, &[stream.len()], Limits::BEFORE_AUTH)
}

#[test]
fn hostile_streams_end_with_the_exact_condition() {
    use Condition::*;
    let long_name = "n".repeat(257);
    let long = format!("<message><body>{}</body></message>", "x".repeat(10_000));
    let deep = "<a>".repeat(33);
    let attributes: String = (0..33).map(|i| format!(" a{i}=''")).collect();
    let namespaces: String = (0..17).map(|i| format!(" xmlns:n{i}='u'")).collect();
    let children = "<a/>".repeat(257);
    let rows: Vec<(String, Condition)> = [
        // The prolog and the header: whole streams, marked by `^`.
        ("^<?xml version='1.1'?>", NotWellFormed),
        ("^<?xml version='1.0' encoding='ISO-8859-1'?>", UnsupportedEncoding),
        ("^<?xml encoding='utf-8'?>", NotWellFormed),
        ("^<?xml version='1.0'?><?xml version='1.0'?>", RestrictedXml),
        ("^<?php version='1.0'?>", RestrictedXml),
        ("^\u{feff}<stream:stream>", NotWellFormed),
        ("^\0<\0s", UnsupportedEncoding),
        ("^<\0s\0", UnsupportedEncoding),
        ("^hello", NotWellFormed),
        ("^</stream:stream>", NotWellFormed),
        ("^<!DOCTYPE stream>", RestrictedXml),
        ("^<!-- hello -->", RestrictedXml),
        ("^<stream:stream xmlns='jabber:client'>", NotWellFormed),
        ("^<stream:stream xmlns:stream='urn:x' xmlns='jabber:client'>", InvalidNamespace),
        ("^<s:flow xmlns:s='http://etherx.jabber.org/streams' xmlns='jabber:client'>", BadFormat),
        ("^<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns='jabber:client'/>", BadFormat),
        ("^<s:stream xmlns:s='http://etherx.jabber.org/streams' version='one'>", UnsupportedVersion),
        // First-level content.
        ("hello", BadFormat),
        ("&amp;", BadFormat),
        ("<![CDATA[x]]>", BadFormat),
        ("</other>", NotWellFormed),
        ("</stream:stream x>", NotWellFormed),
        ("</stream:stream><a/>", NotWellFormed),
        ("<!-- no -->", RestrictedXml),
        ("<message><!-- no --></message>", RestrictedXml),
        ("<message><?pi?></message>", RestrictedXml),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]>", RestrictedXml),
        ("<a>&unknown;</a>", RestrictedXml),
        ("<a b='&unknown;'/>", RestrictedXml),
        ("<a>&#0;</a>", NotWellFormed),
        ("<a>&#xFFFE;</a>", NotWellFormed),
        ("<a>&#xD800;</a>", NotWellFormed),
        ("<a>&#x110000;</a>", NotWellFormed),
        ("<a>&#99999999999;</a>", NotWellFormed),
        ("<a>&#;</a>", NotWellFormed),
        ("<a>& b</a>", NotWellFormed),
        ("<a>a\u{1}b</a>", NotWellFormed),
        ("<a b='\u{1}'/>", NotWellFormed),
        ("<a>\u{ffff}</a>", NotWellFormed),
        ("<a>\u{fffe}</a>", NotWellFormed),
        ("<a><![CDATA[\u{ffff}]]></a>", NotWellFormed),
        ("<a><![CDATA[\u{2}]]></a>", NotWellFormed),
        ("<a><![cdata[x]]></a>", RestrictedXml),
        ("<a>]]></a>", NotWellFormed),
        ("<a b='1' b='2'/>", NotWellFormed),
        ("<a xmlns:x='u' xmlns:y='u' x:b='1' y:b='2'/>", NotWellFormed),
        ("<a xmlns='u' xmlns='u'/>", NotWellFormed),
        ("<a xmlns:x='u' xmlns:x='v'/>", NotWellFormed),
        ("<a xmlns:x=''/>", NotWellFormed),
        ("<a xmlns:xml='u'/>", NotWellFormed),
        ("<a xmlns:xmlns='u'/>", NotWellFormed),
        ("<a xmlns:x='http://www.w3.org/XML/1998/namespace'/>", NotWellFormed),
        ("<a xmlns='http://www.w3.org/2000/xmlns/'/>", NotWellFormed),
        ("<a xmlns='http://www.w3.org/XML/1998/namespace'/>", NotWellFormed),
        ("<xmlns:a/>", NotWellFormed),
        ("<x:a/>", NotWellFormed),
        ("<a x:b='1'/>", NotWellFormed),
        ("<a><b xmlns:x='u'/><x:c/></a>", NotWellFormed),
        ("<a:b:c/>", NotWellFormed),
        ("<:a/>", NotWellFormed),
        ("<a:/>", NotWellFormed),
        ("<a b:='1'/>", NotWellFormed),
        ("<1a/>", NotWellFormed),
        ("< a/>", NotWellFormed),
        ("<>", NotWellFormed),
        ("<a\u{d7}/>", NotWellFormed),
        // What the fifth edition has and the four before have not, many peers cannot read.
        ("<a\u{132}/>", NotWellFormed),
        ("<\u{10000}/>", NotWellFormed),
        ("<a \u{fe1e}='x'/>", NotWellFormed),
        ("<a b='<'/>", NotWellFormed),
        ("<a b=1/>", NotWellFormed),
        ("<a b/>", NotWellFormed),
        ("<a b='1'c='2'/>", NotWellFormed),
        ("<a / >", NotWellFormed),
        ("<a></b>", NotWellFormed),
        ("<a><b></a></b>", NotWellFormed),
        ("<a></a b='1'>", NotWellFormed),
        ("<x:a xmlns:x='u'></a>", NotWellFormed),
        ("<a xmlns='jabber&#58;client'/>", PolicyViolation),
        (&*long, PolicyViolation),
        (&*deep, PolicyViolation),
        (&*format!("<a{attributes}/>"), PolicyViolation),
        (&*format!("<a{namespaces}/>"), PolicyViolation),
        (&*format!("<a>{children}</a>"), PolicyViolation),
        (&*format!("<{long_name}/>"), PolicyViolation),
        (&*format!("<a {long_name}=''/>"), PolicyViolation),
    ]
    .into_iter()
    .map(|(s, c)| (s.strip_prefix('^').map_or_else(|| format!("{OPEN}{s}"), str::to_owned), c))
    .collect();
    assert!(rows.len() >= 60);
    for (stream, condition) in rows {
        let wanted = format!("error {condition}");
        let got = whole(stream.as_bytes());
        assert_eq!(got.last(), Some(&wanted), "{}", stream.strip_prefix(OPEN).unwrap_or(&stream));
        assert_eq!(run(stream.as_bytes(), &[1], Limits::BEFORE_AUTH), got, "byte by byte: {stream}");
    }
}

#[test]
fn bad_utf8_is_an_unsupported_encoding() {
    for bad in
        [&b"\xff"[..], b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x28\xa1", b"\x80", b"\xc3 "]
    {
        for (before, after) in
            [(&b"<a>"[..], &b"</a>"[..]), (b"<a b='", b"'/>"), (b"<a><![CDATA[", b"]]></a>"), (b"<a", b"/>")]
        {
            let stream = [OPEN.as_bytes(), before, bad, after].concat();
            let got = whole(&stream);
            assert_eq!(got.last().map(String::as_str), Some("error unsupported-encoding"), "{bad:?}");
        }
    }
}

#[test]
fn what_xmpp_allows_is_accepted() {
    let stream = [
        OPEN,
        " \r\n\t ",
        "<message to='>' id=\"a'b\" ><body>a &lt; b ]] &#x1F600; <![CDATA[<x>&]]]]></body ></message>",
        "<presence/>",
        "<iq type='get' xml:lang = 'de'><db:x xmlns='urn:y' db:a='1' a='2'/><y xmlns='urn:z&amp;w'/></iq>",
        "<c:message xmlns:c='jabber:client'><c:body>hi</c:body></c:message>",
        "<r xmlns='urn:xmpp:sm:3'/>",
        "</stream:stream >",
    ]
    .concat();
    let wanted = [
        "message \"jabber:client\" [body \"jabber:client\" a < b ]] \u{1f600} <x>&]]] <message to='>' id=\"a'b\" \
         from='a@b/c'><body>a &lt; b ]] &#x1F600; <![CDATA[<x>&]]]]></body ></message>",
        "presence \"jabber:client\" <presence from='a@b/c'/>",
        "iq \"jabber:client\" [x \"urn:db\" ] [y \"urn:z&amp;w\" ] <iq type='get' xml:lang = 'de' from='a@b/c' \
         xmlns:db='urn:db'><db:x xmlns='urn:y' db:a='1' a='2'/><y xmlns='urn:z&amp;w'/></iq>",
        "message \"jabber:client\" [body \"jabber:client\" hi] <c:message xmlns:c='jabber:client' from='a@b/c'>\
         <c:body>hi</c:body></c:message>",
        "r \"urn:xmpp:sm:3\" <r xmlns='urn:xmpp:sm:3' from='a@b/c'/>",
        "close",
    ];
    assert_eq!(&whole(stream.as_bytes())[1..], wanted);
}

#[test]
fn white_space_between_stanzas_costs_nothing() {
    let mut scanner = Scanner::new(Limits::BEFORE_AUTH);
    let mut open = OPEN.as_bytes();
    assert!(matches!(scanner.next(&mut open), Ok(Some(Item::Open(_)))));
    for _ in 0..1000 {
        let spaces = [b' '; 1000];
        let mut input = &spaces[..];
        assert!(matches!(scanner.next(&mut input), Ok(None)));
        assert_eq!(scanner.held(), 0);
    }
    let mut input = &b"<presence/>"[..];
    assert!(matches!(scanner.next(&mut input), Ok(Some(Item::Element(_)))));
}

#[test]
fn a_restart_keeps_what_was_pipelined_and_forget_drops_it() {
    let two = format!("{OPEN}<auth xmlns='x'/>{OPEN}<presence/>");
    for forget in [false, true] {
        let mut scanner = Scanner::new(Limits::BEFORE_AUTH);
        let mut input = two.as_bytes();
        assert!(matches!(scanner.next(&mut input), Ok(Some(Item::Open(_)))));
        assert!(matches!(scanner.next(&mut input), Ok(Some(Item::Element(_)))));
        if forget {
            scanner.forget();
            input = b"";
        }
        scanner.restart(Limits::C2S);
        assert_eq!(matches!(scanner.next(&mut input), Ok(Some(Item::Open(_)))), !forget);
    }
}

/// Pieces that make plausible, and often broken, streams.
fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just("<message to='a@b' type='chat'><body>hello &amp; good day</body></message>".to_owned()),
        2 => Just("<presence/>".to_owned()),
        1 => Just("<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>".to_owned()),
        2 => "[ -~\u{20ac}\u{1f600}\u{fffe}\n]{0,12}".prop_map(|s| format!("<a b='x'>{s}</a>")),
        1 => Just("<a><![CDATA[ ]] ]>]]></a>".to_owned()),
        1 => Just("<db:a db:x='1'><b xmlns='urn:x'/></db:a>".to_owned()),
        1 => Just(" \n".to_owned()),
        1 => Just("</stream:stream>".to_owned()),
        1 => "[<>&;\\]\\[!a:='\"/ ]{0,6}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_chunking_gives_the_same(
        parts in prop::collection::vec(fragment(), 0..8),
        sizes in prop::collection::vec(1usize..40, 1..12),
    ) {
        let stream = format!("{OPEN}{}", parts.concat());
        let limits = Limits { bytes: 400, depth: 8, children: 4, ..Limits::BEFORE_AUTH };
        prop_assert_eq!(run(stream.as_bytes(), &sizes, limits), whole_with(stream.as_bytes(), limits));
    }

    #[test]
    fn no_bytes_panic_and_copies_scan_again(
        bytes in prop::collection::vec(any::<u8>(), 0..64),
        parts in prop::collection::vec(fragment(), 0..4),
    ) {
        let stream = [OPEN.as_bytes(), parts.concat().as_bytes(), &bytes].concat();
        for line in whole(&stream) {
            if let Some(i) = line.find(" <") && !line.starts_with("open") {
                let xml = line.rsplit_once(" <").map(|_| &line[i + 1..]).unwrap_or("");
                if xml.matches(" <").count() == 0 {
                    let again = whole(format!("{OPEN}{xml}").as_bytes());
                    prop_assert!(again.len() == 2 && !again[1].starts_with("error"), "{} gave {:?}", xml, again);
                }
            }
        }
    }
}

fn whole_with(stream: &[u8], limits: Limits) -> Vec<String> {
    run(stream, &[stream.len()], limits)
}

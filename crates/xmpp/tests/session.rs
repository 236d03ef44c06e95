//! Log-in by SCRAM, and properties of a whole connection.

mod rig;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use connector::{Input, TlsMode};
use hmac::{Hmac, KeyInit, Mac};
use model::{Answer, Credential, Ticket};
use proptest::prelude::*;
use rig::{Rig, config};
use sha2::{Digest, Sha256};

const OPEN: &str = "<< <stream:stream to='example.com' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

fn mac(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}

fn payload(line: &str) -> String {
    let xml = line.strip_prefix(">> ").unwrap();
    let text = xml.split_once('>').unwrap().1.split('<').next().unwrap();
    String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
}

/// One SCRAM-SHA-256 log-in; gives the last lines.
fn scram(mechanism: &str, gs2: &str, binding: &[u8], password: &[u8]) -> Vec<String> {
    let mut salted = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(b"s3cret", b"salt of sixteen.", 4096, &mut salted);
    let stored = Sha256::digest(mac(&salted, b"Client Key"));
    let credential = Credential::Scram {
        salt: Bytes::from_static(b"salt of sixteen."),
        iterations: 4096,
        stored_key: stored.to_vec().into(),
        server_key: mac(&salted, b"Server Key").into(),
    };
    let mut rig = Rig::new(config(TlsMode::Direct));
    rig.step("<= opened");
    rig.step("<= secured 1.3");
    rig.step(OPEN);
    let first = "n=Juliet,r=clientnonce";
    let message = STANDARD.encode(format!("{gs2}{first}"));
    let asked = rig.step(&format!(
        "<< <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>{message}</auth>"
    ));
    if !asked[0].starts_with("=> ask") {
        return asked;
    }
    let lines = rig.give(Input::Answer(Ticket(1), Answer::Credential(Some(credential))));
    let challenge = payload(&lines[0]);
    let nonce = challenge.split(',').next().unwrap();
    let bound = STANDARD.encode([gs2.as_bytes(), binding].concat());
    let bare = format!("c={bound},{nonce}");
    let mut mine = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(password, b"salt of sixteen.", 4096, &mut mine);
    let key = mac(&mine, b"Client Key");
    let auth = format!("{first},{challenge},{bare}");
    let signature = mac(&Sha256::digest(&key), auth.as_bytes());
    let proof: Vec<u8> = key.iter().zip(signature).map(|(k, s)| k ^ s).collect();
    let last = STANDARD.encode(format!("{bare},p={}", STANDARD.encode(proof)));
    let lines = rig.step(&format!("<< <response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{last}</response>"));
    if lines[0].contains("<success") {
        assert_eq!(
            payload(&lines[0]),
            format!("v={}", STANDARD.encode(mac(&mac(&salted, b"Server Key"), auth.as_bytes())))
        );
    }
    lines
}

#[test]
fn scram_and_channel_binding() {
    let end_point = b"hash of the certificate";
    type Row<'a> = (&'a str, &'a str, &'a [u8], &'a [u8], &'a str);
    let rows: &[Row<'_>] = &[
        ("SCRAM-SHA-256", "n,,", b"", b"s3cret", "<success"),
        ("SCRAM-SHA-256", "n,a=juliet@example.com,", b"", b"s3cret", "<success"),
        ("SCRAM-SHA-256", "n,a=romeo@example.com,", b"", b"s3cret", "<invalid-authzid"),
        ("SCRAM-SHA-256", "n,,", b"", b"wrong", "<not-authorized"),
        ("SCRAM-SHA-256", "y,,", b"", b"s3cret", "<not-authorized"),
        ("SCRAM-SHA-256", "n,,", b"x", b"s3cret", "<not-authorized"),
        ("SCRAM-SHA-256-PLUS", "p=tls-exporter,,", &[5; 32], b"s3cret", "<success"),
        ("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,", end_point, b"s3cret", "<success"),
        ("SCRAM-SHA-256-PLUS", "p=tls-exporter,,", &[6; 32], b"s3cret", "<not-authorized"),
        ("SCRAM-SHA-256-PLUS", "p=tls-unique,,", &[6; 32], b"s3cret", "<not-authorized"),
        ("SCRAM-SHA-512", "n,,", b"", b"s3cret", "<invalid-mechanism"),
    ];
    for (mechanism, gs2, binding, password, wanted) in rows {
        let lines = scram(mechanism, gs2, binding, password);
        assert!(lines[0].contains(wanted), "{mechanism} {gs2}: {lines:?}");
    }
}

/// What a session may hear: valid, odd and broken.
fn chatter() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just("<message to='a@b' id='1'><body>hello &amp; good day</body></message>".to_owned()),
        1 => Just("<message to='a@b'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>".to_owned()),
        1 => Just("<presence><show>away</show></presence>".to_owned()),
        1 => Just("<presence to='x@y' type='subscribe'/>".to_owned()),
        1 => Just("<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>".to_owned()),
        1 => Just("<iq type='get' id='2'><query xmlns='jabber:iq:roster'/></iq>".to_owned()),
        1 => Just("<enable xmlns='urn:xmpp:sm:3'/>".to_owned()),
        1 => Just("<r xmlns='urn:xmpp:sm:3'/>".to_owned()),
        1 => Just("<a xmlns='urn:xmpp:sm:3' h='0'/>".to_owned()),
        1 => Just("<iq type='set' id='3' to='example.com'><x xmlns='y' a='\"'/></iq>".to_owned()),
        1 => Just(" ".to_owned()),
        1 => "<(message|presence|iq) (to|type|id|from)='[a-z@./<& ]{0,8}'/>",
    ]
}

/// Bytes and outputs of the whole, joined so that chunking cannot show.
fn joined(lines: Vec<String>) -> String {
    let mut all = String::new();
    for line in lines {
        all += &line.replace(">> ", "").replace("=> pause", "").replace("=> resume", "");
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn chunking_does_not_show(
        parts in prop::collection::vec(chatter(), 1..10),
        sizes in prop::collection::vec(1usize..50, 1..8),
    ) {
        let text = parts.concat();
        let mut whole = Rig::new(config(TlsMode::Direct));
        whole.log_in();
        let one = joined(whole.bytes(text.as_bytes()));
        let mut pieces = Rig::new(config(TlsMode::Direct));
        pieces.log_in();
        let mut rest = text.as_bytes();
        let mut lines = Vec::new();
        for size in sizes.iter().cycle() {
            if rest.is_empty() { break; }
            let (piece, tail) = rest.split_at((*size).min(rest.len()));
            lines.extend(pieces.bytes(piece));
            rest = tail;
        }
        prop_assert_eq!(joined(lines), one);
    }

    /// Any order of anything: no panic, and what we emit is well formed (the rig checks that).
    #[test]
    fn operations_in_any_order(
        start in 0usize..2,
        steps in prop::collection::vec((0usize..20, 1u64..6, chatter()), 1..40),
    ) {
        let mut rig = Rig::new(config(if start == 0 { TlsMode::Upgrade } else { TlsMode::Direct }));
        if start == 1 {
            rig.log_in();
        }
        for (what, n, xml) in steps {
            let step = match what {
                0 => format!("<= kept #{n}"),
                1 => format!("<= settled #{n} not-found"),
                2 => format!("<= verified #{n} true"),
                3 => format!("<= bound #{n} juliet@example.com/balcony"),
                4 => format!("<= done #{n}"),
                5 => format!("<= roster #{n} a@b=both"),
                6 => format!("<= nobody #{n}"),
                7 => "<= secured 1.2".to_owned(),
                8 => "<= opened".to_owned(),
                9 => format!("<= deliver {n} romeo@example.net/x juliet@example.com text hello"),
                10 => format!("<= carbon {n} romeo@example.net/x juliet@example.com open"),
                11 => format!("+{}s", n * 20),
                12 => OPEN.to_owned(),
                13 => "<< <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>".to_owned(),
                14 => "<< <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGp1bGlldABzM2NyZXQ=</auth>".to_owned(),
                _ => format!("<< {xml}"),
            };
            rig.step(&step);
        }
    }
}

/// `cargo test --release -p xmpp --test session -- --ignored --nocapture`
#[test]
#[ignore = "a measurement, not a test"]
#[allow(clippy::disallowed_methods)]
fn speed() {
    use xmpp::wire::{Item, Limits, Scanner, Stamp};
    let stanza = "<message to='juliet@example.com/balcony-5f3a9c' id='a1b2c3d4-e5f6-7890' type='chat' xml:lang='en'>\
        <body>Neither, fair saint, if either thee dislike &amp; so on, as long as the night lasts, my dear lady.</body>\
        <active xmlns='http://jabber.org/protocol/chatstates'/><origin-id xmlns='urn:xmpp:sid:0' id='a1b2c3d4-e5f6-7890'/>\
        <request xmlns='urn:xmpp:receipts'/></message>";
    println!("{} bytes", stanza.len());
    let best = |name: &str, f: &mut dyn FnMut()| {
        let mut best = f64::MAX;
        for _ in 0..7 {
            let start = std::time::Instant::now();
            for _ in 0..20_000 {
                f();
            }
            best = best.min(start.elapsed().as_secs_f64() / 20_000.0);
        }
        println!("{name}: {:.0} k/s, {:.2} us", 1e-3 / best, best * 1e6);
    };
    let mut scanner = Scanner::new(Limits::C2S);
    let mut head = OPEN.strip_prefix("<< ").unwrap().as_bytes();
    assert!(scanner.next(&mut head).is_ok());
    best("scan", &mut || {
        let mut input = stanza.as_bytes();
        assert!(matches!(scanner.next(&mut input), Ok(Some(Item::Element(_)))));
    });
    let mut out = Vec::with_capacity(1024);
    best("scan and write", &mut || {
        let mut input = stanza.as_bytes();
        let Ok(Some(Item::Element(s))) = scanner.next(&mut input) else { panic!() };
        out.clear();
        s.write(&Stamp { from: "romeo@example.net/orchard", ..Stamp::default() }, |_| false, b"", &mut out);
    });
    let mut rig = Rig::new(config(TlsMode::Direct));
    rig.log_in();
    let mut ticket = 2;
    let mut envelope = None;
    best("bytes to envelope, kept", &mut || {
        rig.machine.handle(rig.now, Input::Bytes(connector::Flow::ACCEPTED, stanza.as_bytes()));
        while let Some(output) = rig.machine.poll() {
            if let connector::Output::Submit { envelope: e, .. } = output {
                envelope = Some(e);
            }
        }
        ticket += 1;
        rig.machine.handle(rig.now, Input::Kept(Ticket(ticket)));
        while rig.machine.poll().is_some() {}
    });
    let envelope = std::sync::Arc::new(*envelope.unwrap());
    best("deliver", &mut || {
        let delivery = model::Delivery {
            id: model::DeliveryId(1),
            device: envelope.from.clone(),
            envelope: envelope.clone(),
            role: model::Role::Primary,
            delayed_since: None,
        };
        rig.machine.handle(rig.now, Input::Deliver(delivery));
        while rig.machine.poll().is_some() {}
    });
}

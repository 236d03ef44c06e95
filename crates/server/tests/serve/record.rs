//! What was recorded replays with the doors' own players, and tells nothing of who spoke and what was said.

use crate::client::{connect, digest, try_tls, until};
use crate::harness::{LISTEN, PASSWORD, SOON, Serve, prepared};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use md5::Digest as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

#[path = "../../../xmpp/tests/rig/mod.rs"]
mod rig;

#[path = "../../../sip/tests/player/mod.rs"]
#[allow(dead_code)]
mod player;

const DOMAIN: &str = "acme-works.test";
const UDP: &str = "\n[[sip.listen]]\naddress = \"127.0.0.1:0\"\ntransport = \"udp\"\n";

/// Nothing of this may be in a file.
const PRIVATE: [&str; 15] = [
    PASSWORD,
    "wrong one",
    "acme",
    "desdemona",
    "othello",
    "handkerchief",
    "moor of venice",
    "honest iago",
    "of iago",
    "cassio",
    "brabantio",
    "workbench",
    "sad at heart",
    "127.0.0.1",
    "garrison",
];

fn base64(text: impl AsRef<[u8]>) -> String {
    STANDARD.encode(text)
}

fn say(stream: &mut impl Write, text: &str) {
    stream.write_all(text.as_bytes()).expect("the server reads");
    stream.flush().expect("the server reads");
}

/// One try of SCRAM-SHA-256 (RFC 7677).
fn scram(stream: &mut (impl Read + Write), user: &str, password: &str) -> bool {
    let mac = |key: &[u8], text: &[u8]| {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).expect("any key");
        mac.update(text);
        mac.finalize().into_bytes().to_vec()
    };
    let first = format!("n={user},r=abcdefgh");
    say(
        stream,
        &format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>{}</auth>",
            base64(format!("n,,{first}"))
        ),
    );
    let challenge = until(stream, "</challenge>");
    let challenge =
        challenge.split("</challenge>").next().and_then(|c| c.rsplit('>').next()).expect("a challenge");
    let challenge = String::from_utf8(STANDARD.decode(challenge).expect("base64")).expect("text");
    let part = |n: usize| &challenge.split(',').nth(n).expect("r, s, i")[2..];
    let mut salted = [0; 32];
    let salt = STANDARD.decode(part(1)).expect("a salt");
    pbkdf2::pbkdf2_hmac::<sha2::Sha256>(
        password.as_bytes(),
        &salt,
        part(2).parse().expect("a number"),
        &mut salted,
    );
    let last = format!("c=biws,r={}", part(0));
    let key = mac(&salted, b"Client Key");
    let signature = mac(&sha2::Sha256::digest(&key), format!("{first},{challenge},{last}").as_bytes());
    let proof: Vec<u8> = key.iter().zip(signature).map(|(a, b)| a ^ b).collect();
    let last = base64(format!("{last},p={}", base64(proof)));
    say(stream, &format!("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{last}</response>"));
    let end = until(stream, "</");
    let name = if end.contains("<success") { "</success>" } else { "</failure>" };
    until(&mut end.as_bytes().chain(stream), name);
    name == "</success>"
}

/// A SIP agent: requests with its address and a running number.
struct Agent {
    here: SocketAddr,
    transport: &'static str,
    user: &'static str,
    count: u32,
}

impl Agent {
    fn request(&mut self, method: &str, target: &str, to: &str, more: &str, body: &str) -> String {
        self.count += 1;
        let Self { here, transport, user, count } = self;
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/{transport} {here};branch=z9hG4bK{transport}{count};rport\r\n\
             Max-Forwards: 70\r\nFrom: \"The Moor of Venice\" <sip:{user}@{DOMAIN}>;tag=f\r\n\
             To: <sip:{to}@{DOMAIN}>\r\nCall-ID: {transport}{method}@127.0.0.1\r\nCSeq: {count} {method}\r\n\
             Contact: <sip:{user}@{here};transport={transport}>;+sip.instance=\"<urn:uuid:garrison-{transport}>\"\r\n\
             User-Agent: {user}'s phone\r\n{more}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }
}

fn answer(wire: &mut TcpStream, request: &str) {
    let kept =
        |line: &&str| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|h| line.starts_with(h));
    let head: String = request.lines().filter(kept).map(|line| format!("{line}\r\n")).collect();
    say(wire, &format!("SIP/2.0 200 OK\r\n{head}Content-Length: 0\r\n\r\n"));
}

/// A conversation with everything in it that must not be told.
fn converse(server: &Serve) {
    let uri = format!("sip:{DOMAIN}");
    let mut wire = connect(server.at("sip-tcp"));
    let here = wire.local_addr().expect("connected");
    let mut phone = Agent { here, transport: "TCP", user: "othello", count: 0 };
    let mut proof = String::new();
    for (password, end) in [("", "401"), ("wrong one", "401"), (PASSWORD, "200")] {
        if !password.is_empty() {
            proof = digest(&proof, phone.user, password, &uri);
        }
        say(&mut wire, &phone.request("REGISTER", &uri, "othello", &proof, ""));
        proof = until(&mut wire, "\r\n\r\n");
        assert!(proof.starts_with(&format!("SIP/2.0 {end}")), "{proof}");
    }

    let mut desk = try_tls(server.at("xmpps-c2s"), &server.path("ca.pem")).expect("a certificate we trust");
    let header = format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
         to='{DOMAIN}' version='1.0'>"
    );
    say(&mut desk, &header);
    until(&mut desk, "</stream:features>");
    assert!(!scram(&mut desk, "desdemona", "wrong one"));
    assert!(scram(&mut desk, "desdemona", PASSWORD));
    say(&mut desk, &header);
    until(&mut desk, "</stream:features>");
    for (said, heard) in [
        (
            "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>workbench</resource></bind></iq>".to_owned(),
            "</iq>",
        ),
        ("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>".to_owned(), "id='r'"),
        (
            format!(
                "<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='othello@{DOMAIN}' name='Moor of Venice'>\
                 <group>garrison</group></item></query></iq>"
            ),
            "id='s'",
        ),
    ] {
        say(&mut desk, &said);
        until(&mut desk, heard);
    }
    say(&mut desk, "<presence><show>away</show><status>sad at heart</status></presence>");
    // In two pieces, in the middle of a letter.
    let message = format!(
        "<message to='othello@{DOMAIN}' id='m1' type='chat'><body>the hàndkerchief? handkerchief!</body></message>"
    );
    let cut = message.find('à').expect("it is there") + 1;
    desk.write_all(&message.as_bytes()[..cut]).expect("the server reads");
    desk.flush().expect("the server reads");
    desk.write_all(&message.as_bytes()[cut..]).expect("the server reads");
    desk.flush().expect("the server reads");
    let request = until(&mut wire, "handkerchief!");
    answer(&mut wire, &request);
    let target = format!("sip:desdemona@{DOMAIN}");
    say(
        &mut wire,
        &phone.request("MESSAGE", &target, "desdemona", "Content-Type: text/plain\r\n", "honest iago"),
    );
    let end = until(&mut wire, "\r\n\r\n");
    assert!(end.starts_with("SIP/2.0 200"), "{end}");
    until(&mut desk, "honest iago");
    let parts = "Content-Type: multipart/mixed; boundary=\"of iago\"\r\n";
    let body = "--of iago\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\naG9uZXN0IGNhc3Npbw==\r\n\
                --of iago\r\n\r\nhonest brabantio\r\n--of iago--\r\n";
    say(&mut wire, &phone.request("MESSAGE", &target, "desdemona", parts, body));
    let end = until(&mut wire, "\r\n\r\n");
    assert!(end.starts_with("SIP/2.0 200"), "{end}");
    until(&mut desk, "honest brabantio");
    say(
        &mut wire,
        &phone.request("SUBSCRIBE", &target, "desdemona", "Event: presence\r\nExpires: 600\r\n", ""),
    );
    let end = until(&mut wire, "NOTIFY ");
    assert!(end.contains("SIP/2.0 20"), "{end}");
    say(&mut desk, "</stream:stream>");
    until(&mut desk, "</stream:stream>");
    drop((desk, wire));

    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.connect(server.at("sip-udp")).expect("an address");
    socket.set_read_timeout(Some(SOON)).expect("a timeout");
    let here = socket.local_addr().expect("bound");
    let mut phone = Agent { here, transport: "UDP", user: "othello", count: 0 };
    let mut proof = String::new();
    for end in ["401", "200"] {
        socket.send(phone.request("REGISTER", &uri, "othello", &proof, "").as_bytes()).expect("sent");
        let mut buffer = [0; 4000];
        let n = socket.recv(&mut buffer).expect("an answer");
        let heard = String::from_utf8_lossy(&buffer[..n]).into_owned();
        assert!(heard.starts_with(&format!("SIP/2.0 {end}")), "{heard}");
        if end == "401" {
            proof = digest(&heard, phone.user, PASSWORD, &uri);
        }
    }
}

#[test]
fn what_was_recorded_replays_and_tells_no_names() {
    let dir = prepared("", &format!("{LISTEN}{UDP}"));
    let config = dir.path().join("rialto.toml");
    let text = std::fs::read_to_string(&config).expect("written before");
    std::fs::write(&config, text.replace("[\"example.com\"]", &format!("[\"{DOMAIN}\"]"))).expect("writable");
    let records = dir.path().join("records");
    let users = ["desdemona", "othello"].map(|user| format!("{user}@{DOMAIN}"));
    let mut server = Serve::start_in(dir, &[&users[0], &users[1]], |serve| {
        serve.arg("--record").arg(&records);
    });
    assert!(server.log().contains("RECORDING"), "{}", server.log());
    converse(&server);
    server.signal("TERM");
    assert!(server.ended().success(), "{}", server.log());
    assert!(server.log().contains("recording ended"), "{}", server.log());
    assert_eq!(mode(&records), 0o700);
    let mut played = Vec::new();
    for file in std::fs::read_dir(&records).expect("made").flatten() {
        let (path, name) = (file.path(), file.file_name().into_string().expect("text"));
        assert_eq!(mode(&path), 0o600);
        let text = std::fs::read_to_string(&path).expect("text");
        let lower = text.to_lowercase();
        for private in PRIVATE {
            assert!(!lower.contains(&private.to_lowercase()), "{private} in {name}:\n{text}");
        }
        assert!(!text.contains("live machine answered otherwise"), "{name}:\n{text}");
        assert!(!text.contains("recording ends here"), "{name}:\n{text}");
        if name.contains("xmpp") {
            testkit::play(&path, &mut rig::Connection::new());
            for line in ["<= verified #1 false", "=> submit", "=> ack-when-written"] {
                assert!(text.contains(line), "{line} not in {name}:\n{text}");
            }
        } else {
            player::play(path.to_str().expect("text"));
            assert!(text.contains("@digest(MD5 ") && text.contains("SIP/2.0 200 OK"), "{name}:\n{text}");
        }
        played.push(
            text.lines().find(|l| l.starts_with('%') || l.starts_with("machine")).unwrap_or("").to_owned(),
        );
    }
    played.sort();
    played.dedup();
    assert_eq!(played, ["% direct", "machine tcp", "machine udp"], "{}", server.log());
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

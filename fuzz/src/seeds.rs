//! Seeds: the transcripts and batteries that the tests have anyway, in the shape of each target.

use std::fs;
use std::path::{Path, PathBuf};

const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:server' \
    xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback' from='montague.example' \
    to='example.com' id='s1' version='1.0'>\n";

/// The seeds of a target.
///
/// # Panics
/// If a transcript cannot be read.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "xmpp_machine" => scripts("crates/xmpp/tests/transcripts"),
        "s2s_machine" => scripts("crates/xmpp/tests/s2s"),
        "sip_machine" => scripts("crates/sip/tests/transcripts"),
        "sip_trunk" => {
            let trunks = |text: &String| text.contains("machine trunk") || text.contains("\ndial ");
            texts("crates/sip/tests/transcripts").filter(trunks).map(|t| script(&t).into_bytes()).collect()
        }
        "xmpp_stream" => spoken("crates/xmpp/tests/transcripts", "<< ", "\n").map(choose).collect(),
        "sip_message" => messages().collect(),
        "sip_stream" => messages().map(choose).collect(),
        "digest" => own(&[
            "Digest username=\"romeo\", realm=\"example.net\", nonce=\"abc\", uri=\"sip:example.net\", \
             response=\"00000000000000000000000000000000\", qop=auth, nc=00000001, cnonce=\"c\", algorithm=SHA-256",
            "Digest username*=UTF-8''romeo, realm=\"a\\\"b\", nonce=x, uri=x, response=y",
        ]),
        "scram" => own(&[
            "\0n,,n=juliet,r=clientnonce\nc=biws,r=clientnonceservernonce,p=AAAA",
            "\x02p=tls-exporter,,n=ju=2Cli=3Det,r=x\nc=cD10bHMtZXhwb3J0ZXIsLA==,r=x,p=",
            "\0\0juliet\0secret",
        ]),
        "cpim" => own(&[
            "From: MR SANDERS <im:piglet@100akerwood.com>\r\nTo: Depressed Donkey <im:eeyore@100akerwood.com>\r\n\
             DateTime: 2000-12-13T13:40:00-08:00\r\nSubject: the weather will be fine today\r\n\
             Subject:;lang=fr beau temps prevu\r\nNS: MyFeatures <mid:MessageFeatures@id.foo.com>\r\n\
             Require: MyFeatures.VitalMessageOption\r\n\r\nContent-type: text/plain; charset=utf-8\r\n\
             Content-ID: <1234567890@foo.com>\r\n\r\nhello",
        ]),
        "multipart" => own(&[
            "multipart/mixed; boundary=b\n--b\r\n\r\none\r\n--b\r\nContent-Type: multipart/alternative;boundary=\"c d\"\r\n\r\n\
             --c d\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ntw=F6\r\n--c d\r\n\
             Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+\r\n--c d--\r\n--b--\r\n",
            "multipart/encrypted\n--\r\n\r\n----",
        ]),
        "pidf" => own(&[
            "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' \
             entity='pres:a@b'><tuple id='ID-x'><status><basic>open</basic></status><contact priority='0.8'>im:a@b\
             </contact><note xml:lang='en'>here</note><timestamp>2001-10-27T16:49:29Z</timestamp></tuple>\
             <r:person id='p'><r:activities><r:away/></r:activities></r:person></presence>",
            "<presence><tuple id=\"x\"><status/></tuple></presence>",
        ]),
        "reports" => own(&[
            "<isComposing xmlns='urn:ietf:params:xml:ns:im-iscomposing'><state>active</state></isComposing>",
            "<imdn xmlns='urn:ietf:params:xml:ns:imdn'><message-id>34jk324j</message-id><datetime>2008-04-04T12:16:49-05:00\
             </datetime><delivery-notification><status><delivered/></status></delivery-notification></imdn>",
        ]),
        "pubsub" => own(&[
            "<iq type='result' id='2' from='l.example' to='a@b/c'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='n'>\
             <item id='a&lt;'/><item id='b'><x xmlns='y'/></item></items><set xmlns='http://jabber.org/protocol/rsm'>\
             <first index='0'>a</first><last>b&amp;</last><count>9</count></set></pubsub></iq>",
            "<iq type='error' id='1'><error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
            "<message type='headline'><event xmlns='http://jabber.org/protocol/pubsub#event'><items node='n'><item id='a'/>\
             <retract id='b'/></items></event></message>",
            "<message><event xmlns='http://jabber.org/protocol/pubsub#event'><purge node='n'/></event></message>",
        ]),
        "policy_text" => own(&[
            "default = \"block\"\ntimezone = \"Europe/Zurich\"\n[detect.names]\nwords = [\"falcon\"]\ndisguised = true\n\
             [detect.tickets]\nregex = ['PRJ-[0-9]{4}']\n[[rule]]\nname = \"out\"\nfrom = [\"group:sales\", \"*@a.example\"]\n\
             to = [\"partner:b\", \"strangers\"]\nfeatures = [\"im\"]\ndirection = [\"out\"]\ncontent = [\"names\"]\nat_least = 2\n\
             if = 'size(text) > 3'\nthen = \"hold\"\ntext = \"no\"\n",
            "[[wall]]\nname = \"w\"\nbetween = [\"group:a\", \"group:b\"]\n",
        ]),
        "texts" => own(&[
            "the f a l c o n and fаlсоn, fa1con, Blue\u{a0}Bird, PRJ-1234; 4111 1111 1111 1111 or GB82 WEST 1234 5698 7654 32",
            "<message><body>fal<b>con</b> &#102;alcon</body><x title='SECRET plans'/></message>",
        ]),
        "evidence" => own(&[concat!(
            "{\"seq\":1,\"epoch\":1,\"kind\":3,\"at\":1700000000000,\"conversation\":0,\"counter\":0,\"conversation_prev\":\"",
            "0000000000000000000000000000000000000000000000000000000000000000\",\"prev\":\"",
            "0000000000000000000000000000000000000000000000000000000000000000\",\"link\":\"",
            "0000000000000000000000000000000000000000000000000000000000000000\",\"digest\":\"",
            "0000000000000000000000000000000000000000000000000000000000000000\",\"salt\":null,\"head\":\"e30=\",\"body\":null}",
        )]),
        "hygiene" => {
            let archives: [&[u8]; 4] = [
                b"PK\x03\x04\x14\x00\x00\x00\x08\x00\x00\x00!\x00\x09\x19\x97\x89\x07\x00\x00\x00,\x01\x00\x00\x01\x00\x00\x00aKL\x1c\x05\xc4\x02\x00PK\x01\x02\x14\x03\x14\x00\x00\x00\x08\x00\x00\x00!\x00\x09\x19\x97\x89\x07\x00\x00\x00,\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x01\x00\x00\x00\x00aPK\x05\x06\x00\x00\x00\x00\x01\x00\x01\x00/\x00\x00\x00&\x00\x00\x00\x00\x00",
                b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xed\xc11\x01\x00\x00\x00\xc2\xa0\xac\xeb_\xc2\x1a\x1e@\x01\x00\x00\xef\x06\xc8<\xdc^\xb8\x0b\x00\x00",
                b"BZh91AY&SY\xa7J\xe1\x1b\x00\x00\x02\x91\x00\x80  \x00\x00\x08 \x00 \xaamA\x98\xc5G\x8b\xb9\x22\x9c(HS\xa5p\x8d\x80",
                b"\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4F\x02\x00!\x01\x0c\x00\x00\x00\x8f\x98A\x9c\xe0\x01+\x00\x08]\x000\xef\xfb\xb7\xbf\xee\x00\x00\x00\xdbN\x9b\x05\x1b:\x96L\x00\x01$\xac\x02\x00\x00\x00\xe1)\xb6@\xb1\xc4g\xfb\x02\x00\x00\x00\x00\x04YZ",
            ];
            let said = own(&[
                "\0see http://evil.example/a, hxxps://www。ｅvil.example:443/%61?u=http://bad.example and paypa1.corp.examp1e",
                "\x02# hosts\n0.0.0.0 bad.example other.example\n||ads.example^$third-party\n@@||good.example^\nhttps://a.example/x?y\n[2001:db8::1]\n",
            ]);
            said.into_iter().chain(archives.map(|archive| [&[1][..], archive].concat())).collect()
        }
        "imports" => own(&[
            "\0<server-data xmlns='urn:xmpp:pie:0'><host jid='a.example'><user name='anna' password='x'><query xmlns='jabber:iq:roster'>\
             <item jid='b@a.example' subscription='both'><group>g</group></item></query><offline-messages><message xmlns='jabber:client' \
             from='b@a.example/x' to='anna@a.example'><body>a &amp; b</body><delay xmlns='urn:xmpp:delay' stamp='2020-01-01T00:00:00Z'/>\
             </message></offline-messages><archive xmlns='urn:xmpp:pie:0#mam'><result xmlns='urn:xmpp:mam:2' id='1'><forwarded \
             xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2020-01-01T00:00:00Z'/><message xmlns='jabber:client' \
             from='b@a.example/x' to='anna@a.example'><body>hi</body></message></forwarded></result></archive></user></host></server-data>",
            "\x01{\"at\":\"2020-01-01T00:00:00Z\",\"from\":\"a@x.example\",\"to\":\"b@x.example\",\"text\":\"hi\",\"id\":\"1\"}\n{}\n",
            "\x03item({ { \"hi \\195\\169\"; name = \"body\"; attr = {} }; attr = { from = \"a@x/r\"; to = \"b@y\"; id = \"i\" }; when = 17e8; \
             name = 'message' });\nitem({oops\n",
            "\x03return { [\"password\"] = \"secret\"; [false] = { version = 4 }; [\"b@x\"] = { subscription = \"both\"; groups = { [\"g\"] = true } } };\n",
        ]),
        "retention" => own(&[
            "[[rule]]\nname = \"short\"\nkeep = \"30 days\"\nkind = \"presence\"\n[[rule]]\nname = \"long\"\nkeep = \"forever\"\n",
            "[[rule]]\nname = \"x\"\nkeep = \"7 days\"\ngroup = \"sales\"\n",
        ]),
        "journal_row" => rows(),
        _ => Vec::new(),
    }
}

fn own(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// The first byte of a seed chooses something small.
fn choose(rest: Vec<u8>) -> Vec<u8> {
    [&[14][..], &rest].concat()
}

fn files(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a room of the workspace");
    let entries = fs::read_dir(root.join(folder)).unwrap_or_else(|e| panic!("{folder}: {e}"));
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "txt"));
    files.sort();
    files
}

fn texts(folder: &str) -> impl Iterator<Item = String> {
    files(folder)
        .into_iter()
        .map(|file| fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file:?}: {e}")))
}

/// What the peer says in transcripts of one line each.
fn spoken(folder: &str, mark: &'static str, between: &'static str) -> impl Iterator<Item = Vec<u8>> {
    texts(folder).map(move |text| {
        let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(mark)).collect();
        lines.join(between).into_bytes()
    })
}

/// SIP messages: those in transcripts, and the torture messages.
fn messages() -> impl Iterator<Item = Vec<u8>> {
    let blocks = texts("crates/sip/tests/transcripts").flat_map(|text| {
        let block = |part: &str| {
            let (first, rest) = part.split_once('\n')?;
            let (message, _) = rest.split_once("\n.\n")?;
            let _ = first;
            let message = message.replace('\n', "\r\n");
            Some((if message.contains("\r\n\r\n") { message } else { message + "\r\n\r\n" }).into_bytes())
        };
        text.split("\n<< ").skip(1).filter_map(block).collect::<Vec<_>>()
    });
    let torture = texts("interop/torture").flat_map(|text| {
        let case = |part: &str| {
            let (_, message) = part.split_once('\n')?;
            Some(message.replace('\n', "\r\n").into_bytes())
        };
        text.split("\n@@ ").skip(1).filter_map(case).collect::<Vec<_>>()
    });
    blocks.chain(torture)
}

/// Transcripts as scripts: see `machine`.
fn scripts(folder: &str) -> Vec<Vec<u8>> {
    texts(folder).map(|text| script(&text).into_bytes()).collect()
}

fn script(text: &str) -> String {
    let mut out = String::new();
    let mut kind = 0;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        // Over a connection the block's mark has no address behind it.
        if let Some(said) = line.strip_prefix("<< ").or((line == "<<").then_some("peer")) {
            // A SIP message follows in a block; an XMPP one stands on the line.
            if let "open" | "answer" = said {
                // The header of a stream between servers.
                out += HEADER;
            } else if said.starts_with("line ") || said.starts_with("called ") {
                // What comes over lines is among the world's own.
                let block: Vec<&str> = lines.by_ref().take_while(|line| *line != ".").collect();
                let first = block.first().copied().unwrap_or_default();
                out += match said.starts_with("called ") {
                    true => "!lA\n",
                    false if first.starts_with("SIP/2.0 1") => "!l:\n",
                    false if first.starts_with("SIP/2.0 2") => "!l>\n",
                    false => "!lB\n",
                };
            } else if said.starts_with('<') || said.trim().is_empty() {
                out += &format!("{said}\n");
            } else {
                for line in lines.by_ref() {
                    out += &format!("{line}\n");
                    if line == "." {
                        break;
                    }
                }
            }
        } else if (line == ">>" || line.starts_with(">> ")) && !line[2..].trim_start().starts_with('<') {
            for line in lines.by_ref() {
                if line == "." {
                    break;
                }
            }
        } else if let Some(words) = line.strip_prefix("<= ") {
            let line = match words.split(' ').next().unwrap_or_default() {
                "calling" => "!l8\n",
                "said" => "!l2\n",
                "ended" => "!lC\n",
                _ => "",
            };
            if !line.is_empty() {
                out += line;
                continue;
            }
            let letter = match words.split(' ').next().unwrap_or_default() {
                "kept" => 'k',
                "settled" => 'e',
                "deliver" | "carbon" | "carry" | "carry-late" => 'd',
                "secured" => 's',
                "drain" => 'x',
                "closed" => 'c',
                "push" | "removed" | "replaced" | "revoked" | "notice" => 'n',
                _ => 'a',
            };
            out += &format!("!{letter} \n");
        } else if line.starts_with('+') {
            out += "!tz\n";
        } else if let Some(chosen) = line.strip_prefix("machine ").or_else(|| line.strip_prefix("signed-in "))
        {
            kind = ["udp", "tcp", "tls"].iter().position(|k| *k == chosen).unwrap_or(0);
        } else if line == "% direct" || line.starts_with("dial ") {
            kind = 1;
        } else if let Some((who, how)) = line.strip_prefix("% ").and_then(|rest| rest.split_once(' ')) {
            let place = |list: [&str; 3], word: &str| list.iter().position(|w| *w == word).unwrap_or(0);
            let how = how.split(' ').next().unwrap_or_default();
            kind = 3 * place(["accepted", "opened", "confirm"], who)
                + place(["starttls", "direct", "plain"], how);
        }
    }
    format!("{}{out}", u8::try_from(kind).map_or('\0', char::from))
}

/// Rows as the journal keeps them.
fn rows() -> Vec<Vec<u8>> {
    use model::{Address, Endpoint, Envelope, EnvelopeId, Event, Message, Origin, Part, Timestamp};
    let address = |text| Address::parse(text).expect("an address");
    let envelope = Envelope {
        id: EnvelopeId(7),
        at: Timestamp(1_700_000_000_000),
        origin: Origin::server(),
        from: Endpoint::bare(address("romeo@example.net")),
        to: Endpoint::bare(address("juliet@example.com")),
        hops: 3,
        event: Event::Message(Message {
            id: "m1".into(),
            thread: Some("t".into()),
            parts: vec![Part::text("hello", None)],
            ..Message::default()
        }),
    };
    let (head, body) = (
        model::codec::encode_head(&envelope, &model::Judgement::default()),
        model::codec::encode_body(&envelope),
    );
    let cut = u8::try_from(head.len()).unwrap_or(u8::MAX);
    vec![[&[cut][..], &head, &body].concat()]
}

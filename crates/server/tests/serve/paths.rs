//! Every path by which something reaches somebody on this server, over the wire: what the rules refuse comes by none of them,
//! and what they mask comes masked by each.

use crate::client::{Phone, Xmpp, try_tls, until};
use crate::harness::{LISTEN, Serve};
use crate::policy::{good, set};

const RULES: &str = r#"
[detect.secret]
words = ["falcon"]
disguised = true
[detect.card]
numbers = ["payment-card"]
[[rule]]
name = "no-falcon"
content = ["secret"]
then = "block"
[[rule]]
name = "cards"
content = ["card"]
then = "mask"
"#;

fn login(serve: &Serve, user: &str) -> Xmpp {
    let tls = try_tls(serve.at("xmpps-c2s"), &serve.path("ca.pem")).expect("a certificate we trust");
    Xmpp::proved(tls, user, "example.com")
}

fn online(serve: &Serve, user: &str, device: &str) -> Xmpp {
    login(serve, user).bound(device)
}

fn write(client: &mut Xmpp, to: &str, inner: &str) {
    client.say(&format!("<message id='m' type='chat' to='{to}@example.com'>{inner}</message>"));
}

#[test]
fn all_devices_carbons_and_sip_forks() {
    let serve = Serve::start(&["romeo", "juliet"], LISTEN);
    set(&serve, RULES);
    let mut romeo = online(&serve, "romeo", "desk");
    let mut other = online(&serve, "romeo", "phone");
    other.say("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>");
    other.hear("id='c'");
    let mut juliet = online(&serve, "juliet", "desk");
    // Two phones of one person: each message to her forks.
    let mut phones = [(); 2].map(|()| Phone::registered(serve.at("sip-tcp"), "juliet"));
    let mut everybody = |text: &str| {
        let mut heard = vec![other.hear(text), juliet.hear(text)];
        for phone in &mut phones {
            let request = until(&mut phone.wire, text);
            phone.accept(&request);
            heard.push(request);
        }
        heard
    };
    write(&mut romeo, "juliet", "<body>pay 4111 1111 1111 1111 now</body>");
    for heard in everybody("pay ████ ████ ████ ████ now") {
        assert!(!heard.contains("4111"), "{heard}");
    }
    // As it is, in pieces, disguised, in an edit, a reaction, a subject, and the name of a file.
    let refused = [
        "<body>falcon</body>",
        "<body>f a l c o n</body>",
        "<body>the fal\u{200b}con</body>",
        "<body>fа1con</body>",
        "<body>fal con</body>",
        "<body>fal-c0n</body><replace id='m' xmlns='urn:xmpp:message-correct:0'/>",
        "<reactions id='m' xmlns='urn:xmpp:reactions:0'><reaction>falcon</reaction></reactions>",
        "<subject>Falcon</subject><body>hello</body>",
        "<body>x</body><x xmlns='jabber:x:oob'><url>https://x.example/falcon.pdf</url></x>",
    ];
    for inner in refused {
        write(&mut romeo, "juliet", inner);
        let no = romeo.hear("</message>");
        assert!(no.contains("policy-violation"), "{inner}: {no}");
    }
    // And to one device of hers alone.
    romeo.say("<message id='m' type='chat' to='juliet@example.com/desk'><body>falcon</body></message>");
    assert!(romeo.hear("</message>").contains("policy-violation"));
    write(&mut romeo, "juliet", "<body>good night</body>");
    for heard in everybody("good night") {
        let plain = heard.to_lowercase().replace([' ', '-', '\u{200b}'], "");
        assert!(!plain.contains("falcon") && !plain.contains("con<") && !plain.contains("hello"), "{heard}");
    }
}

#[test]
fn a_resumed_session_gets_what_the_rules_of_now_let_pass() {
    let serve = Serve::start(&["romeo", "juliet", "nurse"], LISTEN);
    set(&serve, RULES);
    let mut romeo = online(&serve, "romeo", "desk");
    let mut juliet = online(&serve, "juliet", "desk");
    juliet.say("<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
    let enabled = juliet.hear("/>");
    let id = enabled.split("id='").nth(1).and_then(|rest| rest.split('\'').next()).expect("an id").to_owned();
    // She is cut off, and the session waits, which nobody is told.
    drop(juliet);
    let open =
        format!("rialto_connections{{listener=\"xmpps-c2s\",address=\"{}\"}} 1", serve.at("xmpps-c2s"));
    serve.metric(&open);
    for text in ["meet me at noon", "pay 4111 1111 1111 1111", "good morrow"] {
        write(&mut romeo, "juliet", &format!("<body>{text}</body>"));
        write(&mut romeo, "nurse", &format!("<body>{text}</body>"));
    }
    write(&mut romeo, "juliet", "<body>falcon</body>");
    assert!(romeo.hear("</message>").contains("policy-violation"));
    set(&serve, &RULES.replace("\"falcon\"", "\"falcon\", \"noon\""));
    let mut juliet = login(&serve, "juliet");
    juliet.say(&format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='0'/>"));
    let heard = juliet.hear("good morrow");
    assert!(heard.contains("<resumed") && heard.contains("pay ████"), "{heard}");
    assert!(!heard.contains("noon") && !heard.contains("4111") && !heard.contains("falcon"), "{heard}");
    let no = romeo.hear("</message>");
    assert!(no.contains("policy-violation") && no.contains("juliet"), "its sender hears it: {no}");
    // From the mailbox of somebody who was away the same comes.
    let mut nurse = login(&serve, "nurse");
    nurse.say("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq><presence/>");
    let heard = nurse.hear("good morrow");
    assert!(heard.contains("pay ████") && !heard.contains("noon") && !heard.contains("4111"), "{heard}");
    assert!(romeo.hear("</message>").contains("nurse"));
    good(&serve, &["journal", "verify"]);
}

#[test]
fn no_part_of_a_sip_body_hides_from_the_rules() {
    let serve = Serve::start(&["romeo", "juliet"], LISTEN);
    set(&serve, RULES);
    let mut juliet = online(&serve, "juliet", "desk");
    let mut hers = Phone::registered(serve.at("sip-tcp"), "juliet");
    let mut romeo = Phone::registered(serve.at("sip-tcp"), "romeo");
    let mixed = "multipart/mixed;boundary=b";
    let good = "--b\r\n\r\ngood night\r\n--b\r\nContent-Type: text/html\r\n\r\n<i>adieu</i>\r\n--b--";
    let kind = format!("Content-Type: {mixed}\r\n");
    romeo.send("MESSAGE", "sip:juliet@example.com", "juliet", &kind, good);
    let heard = juliet.hear("good night");
    assert!(!heard.contains("--b"), "{heard}");
    let request = until(&mut hers.wire, "--b--");
    assert!(request.contains(good), "another phone gets it as it came: {request}");
    // This one cannot read such a body, and gets what is in it.
    hers.answer_with("415 Unsupported Media Type", &request);
    let request = until(&mut hers.wire, "\r\n\r\ngood night");
    assert!(request.contains("Content-Type: text/plain"), "{request}");
    hers.accept(&request);
    assert!(romeo.answer().starts_with("SIP/2.0 200"));
    for (kind, body, status) in [
        (mixed, "--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nf=61lcon\r\n--b--", "403"),
        ("multipart / mixed;boundary=b", "--b\r\n\r\nfalcon\r\n--b--", "403"),
        (mixed, "--b\r\nContent-Transfer-Encoding: base64\r\n\r\nZmFsY29u\r\n--b--", "403"),
        ("application/x-notes", "falcon \u{fffd} and more", "403"),
        (mixed, "--b\r\nContent-Disposition: attachment;filename=\"falcon.txt\"\r\n\r\nx\r\n--b--", "403"),
        (mixed, "--b\r\nContent-Type : x/y\r\n\r\nx\r\n--b--", "400"),
        (mixed, "falcon\r\n--b\r\n\r\nx\r\n--b--", "400"),
        ("application/x-notes", "falcon", "403"),
        ("message/rfc822", "Subject: falcon\r\n\r\nx", "415"),
    ] {
        let kind = format!("Content-Type: {kind}\r\n");
        romeo.send("MESSAGE", "sip:juliet@example.com", "juliet", &kind, body);
        let answer = romeo.answer();
        assert!(answer.starts_with(&format!("SIP/2.0 {status}")), "{kind}{body}: {answer}");
    }
}

//! Limits of rates on a running server: the loud hear no, or are read more slowly; the quiet notice nothing.

use crate::client::{Phone, Xmpp};
use crate::harness::{LISTEN, Serve};

fn online(serve: &Serve, user: &str) -> Xmpp {
    Xmpp::online(serve.at("xmpps-c2s"), &serve.path("ca.pem"), user)
}

fn write(client: &mut Xmpp, text: &str) {
    client.say(&format!("<message id='m' type='chat' to='juliet@example.com'><body>{text}</body></message>"));
}

#[test]
fn whoever_sends_too_much_hears_it_and_the_others_notice_nothing() {
    let limits =
        "[limits]\nbytes_per_second = 2000\nsubscriptions_per_minute = 1\ndevice_events_per_second = 20\n";
    let serve = Serve::start(&["romeo", "juliet", "nurse", "tybalt"], &format!("{LISTEN}{limits}"));
    let (mut romeo, mut juliet, mut nurse) =
        (online(&serve, "romeo"), online(&serve, "juliet"), online(&serve, "nurse"));
    // 8,000 bytes at once; the second does not fit.
    let long = "x".repeat(6_000);
    write(&mut romeo, &long);
    juliet.hear("</message>");
    write(&mut romeo, &long);
    let no = romeo.hear("</message>");
    assert!(no.contains("resource-constraint") && no.contains("too many bytes; wait "), "{no}");
    write(&mut nurse, &long);
    assert!(juliet.hear("</message>").contains("from='nurse@example.com"));
    let mut phone = Phone::registered(serve.at("sip-tcp"), "romeo");
    phone.send("MESSAGE", "sip:juliet@example.com", "juliet", "", &long);
    let no = phone.answer();
    assert!(no.starts_with("SIP/2.0 500") && no.contains("Retry-After"), "{no}");
    // Two requests at once, and no third.
    for who in ["romeo", "juliet", "tybalt"] {
        nurse.say(&format!("<presence id='{who}' type='subscribe' to='{who}@example.com'/>"));
    }
    let no = nurse.hear("resource-constraint");
    assert!(no.contains("too many requests to see presence"), "{no}");
    // Typing counts for the device alone.
    for _ in 0..120 {
        juliet.say(
            "<message type='chat' to='nurse@example.com'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
        );
    }
    juliet.fence();
    let metrics = serve.api("GET", "/metrics").1;
    for (limit, least) in [("account-bytes", 2), ("account-subscriptions", 1), ("device", 1)] {
        let name = format!("rialto_limited_total{{limit=\"{limit}\",direction=\"in\"}} ");
        let n = metrics.split(&name).nth(1).and_then(|rest| rest.lines().next()).expect("a number");
        assert!(n.parse::<u32>().expect("a number") >= least, "{name}{n}");
    }
    assert!(metrics.contains("rialto_limited_total{limit=\"domain\",direction=\"out\"} 0"), "{metrics}");
    // Another rate, at once.
    serve.configure("", LISTEN);
    let (said, good) = serve.reload();
    assert!(good && said.contains("limits"), "{said}");
    write(&mut romeo, &long);
    juliet.hear("</message>");
}

#[test]
fn a_connection_that_sends_too_fast_is_read_more_slowly() {
    let limits = "[limits]\nconnection_bytes_per_second = 100000\n";
    let serve = Serve::start(&["romeo", "juliet"], &format!("{LISTEN}{limits}"));
    let (mut romeo, mut juliet) = (online(&serve, "romeo"), online(&serve, "juliet"));
    let slowed = || {
        let metrics = serve.api("GET", "/metrics").1;
        let of = |line: &str| line.rsplit(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        metrics.lines().filter(|l| l.starts_with("rialto_reads_slowed_total{")).map(of).sum::<u64>()
    };
    assert_eq!(slowed(), 0);
    let white = " ".repeat(1_000_000);
    romeo.say(&white);
    // Whoever is quiet is answered at once, whoever is loud a little later.
    juliet.fence();
    romeo.fence();
    assert!(slowed() > 0);
}

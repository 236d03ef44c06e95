use super::*;
use model::Address;

fn one(body: &str) -> Tuple {
    let mut v = parse(body.as_bytes(), Timestamp(1)).unwrap();
    assert_eq!(v.len(), 1);
    v.remove(0)
}

#[test]
fn what_plain_clients_publish_is_read() {
    let t = one(
        "<?xml version='1.0' encoding='UTF-8'?>\n<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:im='urn:ietf:params:xml:ns:pidf:im' entity='sip:a@b'>\n\
        <tuple id='bs35r9f'>\n<status>\n<basic>open</basic>\n</status>\n<contact priority='0.5'>sip:a@b</contact>\n<note>Gone &amp; back</note>\n</tuple>\n</presence>",
    );
    assert_eq!(t.device.unwrap().as_str(), "bs35r9f");
    assert_eq!((t.basic, t.activity, t.priority), (Basic::Open, Activity::Available, Some(64)));
    assert_eq!(t.notes, vec![(None, "Gone & back".to_owned())]);
    assert_eq!(t.contact.as_deref(), Some("sip:a@b"));
}

#[test]
fn person_and_rpid_are_read_with_any_prefix() {
    let t = one(
        "<p:presence xmlns:p='urn:ietf:params:xml:ns:pidf' xmlns:d='urn:ietf:params:xml:ns:pidf:data-model' xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' entity='sip:a@b'>\
        <p:tuple id='x'><p:status><p:basic>open</p:basic></p:status></p:tuple>\
        <d:person id='p'><r:activities><r:unknown-thing/><r:on-the-phone/></r:activities><d:note xml:lang='en'>hm</d:note></d:person></p:presence>",
    );
    assert_eq!(t.activity, Activity::OnThePhone);
    assert_eq!(t.notes, vec![(Some("en".into()), "hm".to_owned())]);
}

#[test]
fn what_is_no_language_is_left_out() {
    let long = "x".repeat(9_000);
    for tag in ["a<b", &long, ""] {
        let t = one(&format!(
            "<presence><tuple id='x'><status><basic>open</basic></status><note xml:lang='{}'>hm</note></tuple></presence>",
            escaped(tag)
        ));
        assert_eq!(t.notes, vec![(None, "hm".to_owned())]);
    }
}

#[test]
fn show_wins_over_the_coarser_word() {
    let t = one(
        "<presence><tuple id='x'><status><basic>open</basic><show xmlns='jabber:client'>xa</show></status></tuple>\
        <person><activities><away/></activities></person></presence>",
    );
    assert_eq!(t.activity, Activity::ExtendedAway);
}

#[test]
fn every_activity_survives_the_round_trip_as_far_as_it_can() {
    for (activity, back) in [
        (Activity::Available, Activity::Available),
        (Activity::Chatty, Activity::Chatty),
        (Activity::Away, Activity::Away),
        (Activity::ExtendedAway, Activity::ExtendedAway),
        (Activity::Busy, Activity::Busy),
        (Activity::OnThePhone, Activity::Busy),
        (Activity::InMeeting, Activity::Busy),
    ] {
        let mut t = Tuple::plain(Some(Device::new("a/b_c ü").unwrap()), Basic::Open, Timestamp(0));
        t.activity = activity;
        t.priority = Some(127);
        t.notes = vec![(Some("de".into()), "<ü>".into())];
        let doc = PresenceDoc { presentity: Address::parse("a@b").unwrap(), tuples: vec![t.clone()] };
        let read = one(&render(&doc, "sip:a@b"));
        assert_eq!(read.activity, back);
        assert_eq!((&read.device, read.priority, &read.notes), (&t.device, Some(127), &t.notes));
    }
}

#[test]
fn the_best_tuple_stands_first_and_nothing_means_closed() {
    let mk = |name: &str, basic, p| {
        let mut t = Tuple::plain(Some(Device::new(name).unwrap()), basic, Timestamp(0));
        t.priority = Some(p);
        t
    };
    let mut doc = PresenceDoc {
        presentity: Address::parse("a@b").unwrap(),
        tuples: vec![mk("off", Basic::Closed, 100), mk("low", Basic::Open, -1), mk("high", Basic::Open, 5)],
    };
    let text = render(&doc, "sip:a@b");
    let at = |s: &str| text.find(s).unwrap();
    assert!(at("ID-high") < at("ID-low") && at("ID-low") < at("ID-off"));
    assert_eq!(
        text.matches("priority=").count(),
        1,
        "a negative priority is not mapped, a closed tuple has no contact"
    );
    doc.tuples.clear();
    assert_eq!(one(&render(&doc, "sip:a@b")).basic, Basic::Closed);
}

#[test]
fn rpid_table() {
    for (name, a) in [
        ("away", Activity::Away),
        ("vacation", Activity::ExtendedAway),
        ("busy", Activity::Busy),
        ("meeting", Activity::InMeeting),
        ("appointment", Activity::InMeeting),
        ("presentation", Activity::InMeeting),
        ("sleeping", Activity::ExtendedAway),
        ("permanent-absence", Activity::ExtendedAway),
    ] {
        assert_eq!(from_rpid(name), Some(a));
    }
    assert_eq!(from_rpid("looking-for-work"), None);
}

#[test]
fn no_document_no_tuples() {
    assert!(parse(b"<html/>", Timestamp(0)).is_none());
    assert!(parse(b"", Timestamp(0)).is_none());
    assert_eq!(parse(b"<presence/>", Timestamp(0)).unwrap().len(), 0);
}

#[test]
fn what_is_kept_of_a_document_can_be_written_and_read_again() {
    let note = format!("<note>{}</note>", ">".repeat(1024));
    let person = format!("<person>{}</person>", note.repeat(8));
    let contact = format!("<contact>{}</contact>", "'".repeat(700));
    let tuple = |n| format!("<tuple id='{n}{}'>{contact}</tuple>", "!".repeat(700));
    let tuples: String = (0..30).map(tuple).collect();
    let tuples = parse(format!("<presence>{person}{tuples}</presence>").as_bytes(), Timestamp(1)).unwrap();
    assert!(tuples.len() > 1 && !tuples[0].notes.is_empty(), "the first have all there is room for");
    let doc = PresenceDoc { presentity: Address::parse("a@b").unwrap(), tuples };
    let written = render(&doc, "pres:a@b");
    assert!(written.len() < 64 * 1024, "{}", written.len());
    assert_eq!(parse(written.as_bytes(), Timestamp(1)).unwrap().len(), doc.tuples.len());
}

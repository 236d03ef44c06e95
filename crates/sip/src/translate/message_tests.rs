use super::*;
use model::ReceiptKind;

fn incoming<'a>(mime: &str, body: &'a [u8]) -> Incoming<'a> {
    Incoming {
        mime: Some(mime.to_owned()),
        lang: Some("cs".to_owned()),
        subject: Some("Hi".to_owned()),
        call_id: "thread-1@host",
        body,
    }
}

fn cx(cpim: bool) -> Context<'static> {
    let (from, to) = ("sip:a@x", "sip:b@y");
    Context { cpim, apart: false, from, to, at: Timestamp(0), dialect: Dialect::Xmpp }
}

#[test]
fn rfc_7572_section_5_sip_to_neutral() {
    let t = from_sip(&incoming("text/plain; charset=utf-8", "Dobrý den".as_bytes())).unwrap();
    let Event::Message(m) = t.event else { panic!() };
    assert_eq!(m.text(), Some("Dobrý den")); // body
    assert_eq!(m.subject.as_deref(), Some("Hi")); // Subject
    assert_eq!(m.thread.as_deref(), Some("thread-1@host")); // Call-ID
    assert_eq!(m.lang.as_deref(), Some("cs")); // Content-Language
    assert_eq!((m.parts[0].mime.as_str(), m.lasting, m.id.as_str()), ("text/plain", true, ""));
    assert!(!t.cpim);
}

#[test]
fn rfc_7572_section_4_neutral_to_sip() {
    let m = Message {
        id: "x1".into(),
        thread: Some("e0ffe42b28561960c6b12b944a092794b9683a38".into()),
        subject: Some("Hi".into()),
        lang: Some("cs".into()),
        parts: vec![
            Part { mime: "application/xhtml+xml".into(), lang: None, body: Bytes::from_static(b"<p/>") },
            Part::text("Ahoj", None),
            Part::text("Hello", Some("en".into())),
        ],
        wants: Wants { delivered: true, displayed: false },
        lasting: true,
        original: None,
    };
    let out = to_sip(&Event::Message(m.clone()), &cx(false)).unwrap();
    assert_eq!((out.mime.as_str(), &out.body[..]), ("text/plain;charset=UTF-8", &b"Ahoj"[..]));
    assert_eq!(out.call_id.as_deref(), Some("e0ffe42b28561960c6b12b944a092794b9683a38"));
    assert_eq!(out.subject.as_deref(), Some("Hi"));
    let lost: Vec<_> = out.losses.iter().map(|l| l.what.as_str()).collect();
    assert_eq!(lost, ["html-body", "body-language", "receipt-request"]);

    let out = to_sip(&Event::Message(m), &cx(true)).unwrap();
    let c = Cpim::parse(&out.body).unwrap();
    assert_eq!(
        (out.mime.as_str(), c.id.as_deref(), c.wants.delivered, &c.body[..]),
        (CPIM, Some("x1"), true, &b"Ahoj"[..])
    );
}

#[test]
fn a_sip_body_passes_unchanged_between_sip_users() {
    let body = b"From: <sip:a@x>\r\nTo: <sip:b@y>\r\n\r\nContent-Type: text/plain\r\n\r\nhi";
    let t = from_sip(&incoming(CPIM, body)).unwrap();
    assert!(t.cpim);
    let out = to_sip(&t.event, &cx(true)).unwrap();
    assert_eq!((out.mime.as_str(), &out.body[..]), (CPIM, &body[..]));
    // A device that cannot open the envelope gets what is inside.
    let out = to_sip(&t.event, &cx(false)).unwrap();
    assert_eq!((out.mime.as_str(), &out.body[..]), ("text/plain;charset=UTF-8", &b"hi"[..]));
}

#[test]
fn other_content_is_kept_by_type() {
    let t = from_sip(&incoming("Text/HTML;charset=utf-8", b"<b>x</b>")).unwrap();
    let Event::Message(m) = &t.event else { panic!() };
    assert_eq!(m.parts[0].mime, "text/html");
    let out = to_sip(&t.event, &cx(false)).unwrap();
    assert_eq!(out.mime, "Text/HTML;charset=utf-8");
}

#[test]
fn latin_1_becomes_utf_8() {
    let t = from_sip(&incoming("text/plain;charset=ISO-8859-1", b"caf\xe9")).unwrap();
    let Event::Message(m) = t.event else { panic!() };
    assert_eq!(m.text(), Some("café"));
}

#[test]
fn an_envelope_speaks_for_its_sender() {
    let envelope = |from: &str, inner: &str| {
        let body = format!("From: {from}\r\nTo: <sip:b@y>\r\n\r\nContent-Type: {inner}\r\n\r\nhi");
        from_sip(&incoming(CPIM, body.as_bytes()))
    };
    let said = |from: &str| envelope(from, "text/plain").unwrap().said_by(&Address::new("a", "x").unwrap());
    for own in ["<sip:a@x>", "A B <im:A@X>", "\"A\" <sip:a@x;gr=1>", "sip:a@x"] {
        let Ok(Event::Message(m)) = said(own) else { panic!("{own}") };
        assert!(m.original.is_some(), "{own}");
    }
    for other in ["<sip:ceo@x>", "\"a@x\" <sip:ceo@x>", "<sip:a@y>"] {
        let no = said(other).unwrap_err();
        assert_eq!(no.reason, Reason::Forbidden, "{other}");
        assert!(no.text.is_some_and(|text| text.contains("From")));
    }
    // Nobody who can be told: the device gets an envelope of ours, or none.
    for nobody in [
        "<sip:anonymous@anonymous.invalid>",
        "<tel:+1>",
        "",
        "?",
        "a@x <sip:ceo@x>",
        "\"<sip:ceo@x>\" <sip:a@x>",
    ] {
        let event = said(nobody).unwrap();
        let out = to_sip(&event, &cx(true)).unwrap();
        assert_eq!((out.mime.as_str(), &out.body[..]), ("text/plain;charset=UTF-8", &b"hi"[..]), "{nobody}");
    }
    assert_eq!(envelope("<sip:a@x>", CPIM).unwrap_err().reason, Reason::BadRequest);
}

#[test]
fn text_is_read_in_its_character_set() {
    let read = |charset: &str, body: &[u8]| {
        let t = from_sip(&incoming(&format!("text/plain{charset}"), body));
        t.map(|t| match t.event {
            Event::Message(m) => m.text().unwrap().to_owned(),
            other => panic!("{other:?}"),
        })
    };
    for (charset, body, text) in [
        (";charset=windows-1252", &b"\x93hi\x94"[..], "“hi”"),
        (";charset=latin1", b"caf\xe9", "café"),
        (";charset=iso-8859-1", "é".as_bytes(), "Ã©"),
        (";charset=\"UTF-8\"", "é".as_bytes(), "é"),
        (";charset=us-ascii", "é".as_bytes(), "é"),
        (";charset=us-ascii", b"caf\xe9", "café"),
        ("", "é".as_bytes(), "é"),
        ("", b"caf\xe9", "caf\u{fffd}"),
        (";charset=utf-8;charset=UTF-8", b"hi", "hi"),
    ] {
        assert_eq!(read(charset, body).unwrap(), text, "{charset}");
    }
    for other in [";charset=utf-16", ";charset=utf-7", ";charset=utf-8;charset=utf-7"] {
        assert_eq!(read(other, b"hi").unwrap_err().reason, Reason::NotAcceptable, "{other}");
    }
    let body =
        b"From: <sip:a@x>\r\n\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\naGk=";
    let t = from_sip(&incoming(CPIM, body)).unwrap();
    let Event::Message(m) = t.event else { panic!() };
    assert_eq!((m.text(), &m.original), (Some("hi"), &None), "it goes on in our words");
}

#[test]
fn typing_and_receipts() {
    let t = from_sip(&incoming(iscomposing::MIME, &iscomposing::render(true))).unwrap();
    assert!(
        matches!(&t.event, Event::Composing(c) if c.active && c.thread.as_deref() == Some("thread-1@host"))
    );
    let out = to_sip(&t.event, &cx(false)).unwrap();
    assert_eq!(iscomposing::parse(&out.body), Some(true));

    let r = Event::Receipt(Receipt { of: "m1".into(), kind: ReceiptKind::Displayed, original: None });
    let out = to_sip(&r, &cx(true)).unwrap();
    assert_eq!(out.mime, CPIM);
    let back = from_sip(&incoming(CPIM, &out.body)).unwrap();
    assert!(matches!(back.event, Event::Receipt(r) if r.of == "m1" && r.kind == ReceiptKind::Displayed));
    let none = Event::Receipt(Receipt { of: "".into(), kind: ReceiptKind::Displayed, original: None });
    assert!(to_sip(&none, &cx(true)).is_err());
}

#[test]
fn nothing_is_no_message() {
    for (mime, body) in [("text/plain", ""), (CPIM, "x"), (iscomposing::MIME, "x"), (imdn::MIME, "<x/>")] {
        assert_eq!(
            from_sip(&incoming(mime, body.as_bytes())).unwrap_err().reason,
            Reason::BadRequest,
            "{mime}"
        );
    }
}

#[test]
fn threads_and_call_ids() {
    for (thread, ok) in [("a@b", true), ("", false), ("a b", false), ("a\r\nX: y", false), ("ü", false)] {
        assert_eq!(call_id_of(thread).is_some(), ok, "{thread}");
    }
}

#[test]
fn the_language_is_that_of_the_body_which_is_sent() {
    let said = |lang: Option<&str>, first: Option<&str>| {
        let parts = vec![Part::text("Hi", first.map(Into::into)), Part::text("Hallo", Some("de".into()))];
        let message = Message { parts, lang: lang.map(Into::into), ..Message::default() };
        to_sip(&Event::Message(message), &cx(false)).unwrap().lang
    };
    assert_eq!(said(None, None), None);
    assert_eq!(said(Some("en"), None).as_deref(), Some("en"));
    assert_eq!(said(Some("en"), Some("fr")).as_deref(), Some("fr"));
}

#[test]
fn a_body_of_several_parts_is_taken_apart_and_passes_as_it_came() {
    let mixed = "multipart/mixed;boundary=b";
    let body = "--b\r\n\r\none\r\n--b\r\nContent-Type: multipart/alternative;boundary=c\r\n\r\n\
                --c\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\ntwo\r\n--c\r\nContent-Type: text/html\r\nContent-Language: de\r\n\r\n<b>zwei</b>\r\n--c--\r\n\
                --b\r\nContent-Type: image/png\r\n\r\n\x01\r\n--b--";
    let Event::Message(m) = from_sip(&incoming(mixed, body.as_bytes())).unwrap().event else { panic!() };
    let said: Vec<_> =
        m.parts.iter().map(|p| (p.mime.as_str(), p.lang.as_deref().unwrap_or(""), &p.body[..])).collect();
    let wanted: [(_, _, &[u8]); 3] = [
        ("text/plain", "cs", "one\ntwo".as_bytes()),
        ("text/html", "de", b"<b>zwei</b>"),
        ("image/png", "cs", b"\x01"),
    ];
    assert_eq!(said, wanted);
    let event = Event::Message(m);
    let out = to_sip(&event, &cx(false)).unwrap();
    assert_eq!((out.mime.as_str(), &out.body[..], out.losses.len()), (mixed, body.as_bytes(), 0));
    // Who does not take it so may take one part.
    let out = to_sip(&event, &Context { apart: true, ..cx(false) }).unwrap();
    assert_eq!((out.mime.as_str(), &out.body[..]), ("text/plain;charset=UTF-8", "one\ntwo".as_bytes()));
    assert_eq!(out.losses.iter().map(|l| l.what.as_str()).collect::<Vec<_>>(), ["html-body", "body-part"]);
}

#[test]
fn what_was_encoded_goes_on_as_it_was_read() {
    let body = "--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
                tw=F6\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\nZmFsY29u\r\n--b--";
    let Event::Message(m) = from_sip(&incoming("multipart/mixed;boundary=b", body.as_bytes())).unwrap().event
    else {
        panic!()
    };
    assert_eq!((m.text(), &m.original), (Some("twö\nfalcon"), &None));
    assert_eq!(&to_sip(&Event::Message(m), &cx(false)).unwrap().body[..], "twö\nfalcon".as_bytes());
}

#[test]
fn what_nobody_could_look_into_is_refused() {
    let inside = "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nfalcon\r\n--b--";
    for (mime, body, reason) in [
        ("message/rfc822", "Subject: x\r\n\r\nfalcon", Reason::NotAcceptable),
        ("message/external-body", "x", Reason::NotAcceptable),
        ("multipart/mixed;boundary=b", inside, Reason::NotAcceptable),
        ("multipart / mixed;boundary=b", inside, Reason::NotAcceptable),
        ("message / rfc822", "Subject: x\r\n\r\nfalcon", Reason::NotAcceptable),
        (
            "multipart/mixed;boundary=b",
            "--b\r\nContent-Type: message/external-body;access-type=URL\r\n\r\n\r\n--b\r\n\r\nx\r\n--b--",
            Reason::NotAcceptable,
        ),
        ("multipart/mixed;boundary=b", "falcon", Reason::BadRequest),
        ("multipart/mixed;boundary=b", "--b\r\n\r\n\r\n--b--", Reason::BadRequest),
    ] {
        let no = from_sip(&incoming(mime, body.as_bytes())).unwrap_err();
        assert_eq!(no.reason, reason, "{mime} {body:?}");
    }
    // Encrypted for one person: nobody else could take it apart, and rules know it for what it is.
    let sealed = from_sip(&incoming("multipart/encrypted;boundary=b", b"--b")).unwrap();
    let Event::Message(m) = sealed.event else { panic!() };
    assert!(m.parts[0].mime.starts_with("multipart/encrypted"));
}

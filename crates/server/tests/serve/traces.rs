//! The way of one message, as a collector hears of it.

use crate::client::{Phone, Xmpp, until};
use crate::harness::{LISTEN, SOON, Serve};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// One request of the exporter: its spans.
fn take(mut stream: TcpStream) -> Vec<Span> {
    stream.set_read_timeout(Some(SOON)).unwrap();
    let head = until_head(&mut stream);
    assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("content-type: application/x-protobuf\r\n"), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    let request = ExportTraceServiceRequest::decode(&body[..]).expect("OTLP");
    let scopes = request.resource_spans.into_iter().flat_map(|r| r.scope_spans);
    scopes.flat_map(|scope| scope.spans).collect()
}

fn until_head(stream: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a head");
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("text")
}

#[test]
fn a_message_from_xmpp_to_sip_is_one_trace() {
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("[traces]\nendpoint = \"http://{}/v1/traces\"\n", collector.local_addr().unwrap());
    let server = Serve::start(&["juliet", "romeo"], &format!("{LISTEN}{endpoint}"));
    let mut desk = Xmpp::online(server.at("xmpps-c2s"), &server.path("ca.pem"), "juliet");
    let mut phone = Phone::registered(server.at("sip-tcp"), "romeo");
    desk.say("<message to='romeo@example.com' id='m1'><body>follow me 77</body></message>");
    let request = until(&mut phone.wire, "follow me 77");
    phone.accept(&request);
    desk.fence();
    // Until the trace that was delivered to the phone is whole.
    let mut traces: BTreeMap<Vec<u8>, Vec<Span>> = BTreeMap::new();
    let names = |spans: &[Span]| spans.iter().map(|s| s.name.clone()).collect::<BTreeSet<_>>();
    let wanted: BTreeSet<String> =
        ["receive", "pipeline", "stage", "journal", "route", "deliver", "ack"].map(str::to_owned).into();
    let trace = loop {
        for span in take(collector.accept().unwrap().0) {
            traces.entry(span.trace_id.clone()).or_default().push(span);
        }
        if let Some(whole) = traces.values().find(|spans| names(spans) == wanted) {
            break whole;
        }
    };
    let roots: Vec<&Span> = trace.iter().filter(|s| s.parent_span_id.is_empty()).collect();
    assert_eq!(roots.len(), 1);
    assert_eq!(roots[0].name, "receive");
    let detail = |span: &Span| span.attributes.first().map(|a| format!("{a:?}")).unwrap_or_default();
    for span in trace {
        assert!(span.parent_span_id.is_empty() || span.parent_span_id == roots[0].span_id, "{span:?}");
        assert!(
            span.start_time_unix_nano > 0 && span.end_time_unix_nano >= span.start_time_unix_nano,
            "{span:?}"
        );
        assert!(!format!("{span:?}").contains("follow me"), "{span:?}");
    }
    let stages: Vec<String> = trace.iter().filter(|s| s.name == "stage").map(detail).collect();
    for stage in ["identity", "limits", "throttle", "consent"] {
        assert!(stages.iter().any(|s| s.contains(stage)), "{stage}: {stages:?}");
    }
    let deliver: Vec<String> = trace.iter().filter(|s| s.name == "deliver").map(detail).collect();
    assert!(deliver.len() == 1 && deliver[0].contains("sip"), "{deliver:?}");
    // The trace is found by the number that the journal has.
    let tail = server.run(&["journal", "tail", "-n", "20"]);
    let number: String = roots[0].trace_id.iter().map(|b| format!("{b:02x}")).collect();
    let (_, rows) = server.api("GET", "/v1/journal");
    let known = rows.replace('-', "").contains(&number);
    assert!(known, "{number}: {rows}\n{}", String::from_utf8_lossy(&tail.stdout));
}

#[test]
fn nothing_is_followed_at_ratio_0_and_a_dead_collector_is_said_once() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (ratio, complains) in [("0.0", false), ("1.0", true)] {
        let traces = format!("[traces]\nendpoint = \"http://{nobody}\"\nratio = {ratio}\n");
        let mut server = Serve::start(&["juliet"], &format!("{LISTEN}{traces}"));
        let mut desk = Xmpp::online(server.at("xmpps-c2s"), &server.path("ca.pem"), "juliet");
        for _ in 0..3 {
            desk.say("<message to='juliet@example.com' id='m'><body>x</body></message>");
            desk.hear("</message>");
        }
        // The end sends what is left.
        server.signal("TERM");
        assert!(server.ended().success());
        let said = server.log().matches("the collector takes no traces").count();
        assert_eq!(said, usize::from(complains), "{}", server.log());
    }
}

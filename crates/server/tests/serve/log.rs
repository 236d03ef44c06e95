//! What is logged, and how, changes while the server runs.

use crate::client::connect;
use crate::harness::{LISTEN, Serve};
use std::io::{Read, Write};

/// Something for the log at level debug.
fn fail_a_handshake(server: &Serve) {
    let mut wrong = connect(server.at("xmpps-c2s"));
    wrong.write_all(b"this is not TLS at all").unwrap();
    wrong.read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn format_level_and_targets_change_by_reload() {
    let log = |more: &str| format!("{LISTEN}\n[log]\n{more}");
    let server = Serve::start(&[], &log("format = \"json\"\n"));
    fail_a_handshake(&server);
    server.configure("", &log("format = \"json\"\nlevel = \"warn\"\ntargets = { net = \"debug\" }\n"));
    let (said, good) = server.reload();
    assert!(good && said.contains("log.level: Info -> Warn") && said.contains("log.targets: "), "{said}");
    assert!(!server.log().contains("handshake"), "{}", server.log());
    fail_a_handshake(&server);
    server.logs("TLS handshake failed");
    let log_text = server.log();
    for line in log_text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("a JSON object a line");
        assert!(
            line["level"].is_string() && line["target"].is_string() && line["message"].is_string(),
            "{line}"
        );
    }
    server.configure("", &log("level = \"info\"\n"));
    assert!(server.reload().1);
    server.logs(" INFO rialto::live::operate: configuration and certificate were read again");
    for (more, complaint) in [
        ("level = \"loud\"\n", "rialto.toml:16:9: unknown variant `loud`"),
        ("targets = { \"net work\" = \"info\" }\n", "rialto.toml:16:13: this names no part of the code"),
    ] {
        server.configure("", &log(more));
        let (said, good) = server.reload();
        assert!(!good && said.contains(complaint), "{said}");
    }
}

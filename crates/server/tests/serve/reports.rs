//! `rialto report`, and reports that are made by themselves.

use crate::client::Xmpp;
use crate::harness::{LISTEN, Serve};

fn said(serve: &Serve, args: &[&str]) -> String {
    let done = serve.run(args);
    String::from_utf8([done.stdout, done.stderr].concat()).expect("text")
}

#[test]
fn a_report_tells_what_happened_and_aggregates_name_nobody() {
    let serve = Serve::start(
        &["romeo", "juliet"],
        &format!("{LISTEN}[reports]\nevery = [\"day\"]\nforms = [\"html\", \"pdf\"]\n"),
    );
    let online = |user| Xmpp::online(serve.at("xmpps-c2s"), &serve.path("ca.pem"), user);
    let (mut romeo, mut juliet) = (online("romeo"), online("juliet"));
    for n in 0..3 {
        romeo.say(&format!(
            "<message id='m{n}' type='chat' to='juliet@example.com'><body>hush {n}</body></message>"
        ));
        juliet.hear("</message>");
    }
    juliet.say("<message id='a' type='chat' to='romeo@example.com'><body>hush</body></message>");
    romeo.hear("</message>");
    // Its rows are written with the next commit, which may be after midnight: a month has both days.
    serve.until("four are delivered", |serve| {
        let text = said(serve, &["report", "this-month"]);
        text.lines()
            .any(|l| l.trim_start().starts_with("delivery") && l.split_whitespace().nth(1) == Some("4"))
    });
    let text = said(&serve, &["report"]);
    let lines: Vec<String> =
        text.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for what in ["Messages 4", "People who wrote 2", "romeo@example.com 4 3 1", "Nobody tried."] {
        assert!(lines.iter().any(|line| line.starts_with(what)), "{what:?} in {text}");
    }
    assert!(!text.contains("hush"), "{text}");

    let page = serve.path("report.html");
    let page = page.to_str().unwrap();
    assert!(said(&serve, &["report", "this-month", "-o", page]).starts_with("written: "));
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("romeo@example.com"));
    let named = said(&serve, &["report", "this-month", "--form", "json"]);
    let all = said(&serve, &["report", "this-month", "--form", "csv", "--aggregates"]);
    assert!(named.contains("juliet") && !all.contains("juliet"), "{all}");
    assert!(all.contains(",figures,1,Messages,value,4\r\n"), "{all}");
    let acts = said(&serve, &["journal", "tail", "--admin"]);
    assert!(acts.contains("report 20"), "{acts}");
    assert!(said(&serve, &["report", "2099-01"]).contains("2099-01 has not begun"));
    assert!(said(&serve, &["report", "soon"]).contains("write a day"));

    // Yesterday is over.
    let kept = serve.path("data/reports");
    serve.until("yesterday's report is there", |_| {
        let names = |end: &str| {
            let files = std::fs::read_dir(&kept).into_iter().flatten().flatten();
            files.filter(|f| f.file_name().to_string_lossy().ends_with(end)).count()
        };
        names(".html") == 1 && names(".pdf") == 1
    });
}

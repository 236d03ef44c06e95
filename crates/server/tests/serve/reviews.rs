//! People look through what was found; content opens to two where the operator wants that.

use crate::admins::{bad, good, waits};
use crate::harness::{LISTEN, Serve, prepared};
use crate::matters::written;

const TWO: &str = "
[control]
four_eyes = [\"review.content\", \"search.content\", \"search.context\"]

[record]
retention = \"5 days\"
";

#[test]
fn what_was_found_is_frozen_sampled_and_decided_row_by_row() {
    let dir = prepared("", &format!("{LISTEN}{TWO}"));
    let text = |n: u64| {
        let word = if n.is_multiple_of(2) { "budget" } else { "weather" };
        ("romeo@example.com", "juliet@example.com", 9, format!("the {word} of number{n}"))
    };
    written(dir.path(), (0..41).map(text));
    let serve = Serve::start_in(dir, &["romeo"], |_| {});
    let token = |name: &str, role: &str| {
        good(&serve, "", &["admin", "add", name, "--role", role]);
        good(&serve, "", &["admin", "token", name]).trim().to_owned()
    };
    let (carol, dan) = (token("carol", "compliance-reviewer"), token("dan", "administrator"));
    let ursula = token("ursula", "auditor");
    serve.until("the index has it all", |serve| {
        let out = serve.run(&["search", "number40"]).stdout;
        String::from_utf8_lossy(&out).contains("juliet@example.com")
    });
    let start =
        ["review", "start", "look", "--matter", "inquiry", "budget", "--sample", "50", "--seed", "eleven"];
    assert!(bad(&serve, &carol, &start).contains("there is no matter"));
    good(&serve, &carol, &["matter", "open", "inquiry", "--reason", "complaint"]);
    assert!(bad(&serve, &ursula, &start).contains("needs the role"));
    let begun = good(&serve, &carol, &start);
    assert!(begun.contains("0 of 11 row(s) reviewed"), "{begun}");
    assert!(bad(&serve, &carol, &start).contains("already"));

    // What was found is kept, the sample and the rest; what was not found goes.
    assert!(good(&serve, &carol, &["retention", "run"]).contains("content of 20 row(s) destroyed"));
    assert!(good(&serve, &carol, &["matter", "show", "inquiry"]).contains("hold 1"));

    // Content takes two: each opening is asked for, granted once, and on record.
    let next = ["review", "next", "look"];
    let request = waits(&serve, &carol, &next);
    assert!(bad(&serve, &carol, &["approve", "yes", &request]).contains("somebody else must decide"));
    good(&serve, &dan, &["approve", "yes", &request]);
    let first = good(&serve, &carol, &next);
    assert!(first.contains("the budget of number") && first.contains("nobody has decided"), "{first}");
    assert!(waits(&serve, &carol, &next) != request, "it was granted once");
    waits(&serve, &carol, &["search", "budget", "--content"]);
    waits(&serve, &carol, &["search", "--around", "1"]);
    assert!(
        !good(&serve, &carol, &["search", "budget"]).contains("number"),
        "no content without a second one"
    );

    let row = first.split_whitespace().next().expect("a row").to_owned();
    let marked = good(
        &serve,
        &carol,
        &[
            "review",
            "mark",
            "look",
            &row,
            "--tag",
            "hot",
            "--note",
            "=see, \"May\"",
            "--privileged",
            "--reviewed",
        ],
    );
    assert_eq!(marked, format!("{row}: reviewed, privileged, tag hot, note: =see, \"May\", by carol\n"));
    assert!(
        bad(&serve, &carol, &["review", "mark", "look", "2", "--reviewed"])
            .contains("row 2 is not among those")
    );
    let shown = good(&serve, &ursula, &["review", "show", "look"]);
    for piece in [
        "1 of 11 row(s) reviewed, 1 privileged",
        "a sample of 50 % of 21 row(s), seed \"eleven\"",
        "tag hot: 1",
        "reviewed by carol: 1",
        "looked for: words \"budget\"",
    ] {
        assert!(shown.contains(piece), "{piece:?} in {shown}");
    }
    assert_eq!(good(&serve, &ursula, &["review", "rows", "look", "--open"]).lines().count(), 10);
    assert_eq!(good(&serve, &ursula, &["review", "rows", "look", "--tag", "hot"]).lines().count(), 1);
    assert_eq!(good(&serve, &ursula, &["review", "privileged"]), format!("1 row(s) are privileged: {row}\n"));
    // A note may quote, so an auditor gets none.
    let hers = ["rows", "export"].map(|what| good(&serve, &ursula, &["review", what, "look"]));
    assert!(hers[1].contains(&format!("{row},yes,yes,\"hot\",\"\",\"carol\",")), "{hers:?}");
    assert!(!hers.concat().contains("=see"), "{hers:?}");
    let csv = good(&serve, &carol, &["review", "export", "look"]);
    assert!(csv.contains(&format!("{row},yes,yes,\"hot\",\"'=see, \"\"May\"\"\",\"carol\",")), "{csv}");
    assert_eq!(csv.lines().count(), 12);

    // The same seed chooses the same rows.
    let mut again = start;
    again[2] = "again";
    good(&serve, &carol, &again);
    let rows = |name: &str| -> Vec<String> {
        let all = good(&serve, &ursula, &["review", "rows", name]);
        all.lines().filter_map(|line| line.split(':').next().map(str::to_owned)).collect()
    };
    assert_eq!(rows("again"), rows("look"));

    // Released and destroyed: the note goes with the content.
    good(&serve, &carol, &["matter", "release", "inquiry"]);
    assert!(good(&serve, &carol, &["retention", "run"]).contains("content of 21 row(s) destroyed"));
    assert!(!good(&serve, &carol, &["review", "export", "look"]).contains("May"));
    let acts = good(&serve, "", &["journal", "tail", "--admin", "-n", "60"]);
    for piece in [
        "review.start look, matter inquiry: words \"budget\"; 21 row(s); sample of 50 %, seed \"eleven\" by carol",
        &format!("review.content look, row {row} by carol"),
        "approved by dan",
        &format!("review.mark look, row {row}: tag hot, a note, privileged, reviewed by carol"),
        "review.export look by ursula",
    ] {
        assert!(acts.contains(piece), "{piece:?} in {acts}");
    }
    assert!(good(&serve, "", &["journal", "verify"]).contains("intact"));
}

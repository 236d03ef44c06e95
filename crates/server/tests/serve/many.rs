//! Exports of many rows, by the command itself. `rialto-bench export` does the same with a million.

use rialto_bench::report::Report;
use rialto_bench::scenario::export::{Plan, measure};

/// Exports so many messages of a day or two, proves it, and takes a row away; says how much memory it took.
fn exported(messages: u64) -> u64 {
    let place = tempfile::tempdir().expect("a temporary directory");
    let plan = Plan {
        messages,
        days: 1,
        forms: "jsonl,csv,eml".into(),
        rialto: env!("CARGO_BIN_EXE_rialto").into(),
        dir: place.path().join("bench"),
    };
    let mut report = Report::default();
    measure(&plan, &mut report).unwrap_or_else(|why| panic!("{why}"));
    let number =
        |name: &str| report.get(name).and_then(|n| n.as_u64()).unwrap_or_else(|| panic!("no {name}"));
    assert!(number("missing_row") > messages / 3);
    number("export_peak_bytes")
}

#[test]
fn an_export_of_more_rows_takes_no_more_memory() {
    // Both fill several pages and several pieces of a day.
    let (some, more) = (exported(12_000), exported(48_000));
    assert!(more < some + (12 << 20), "{some} bytes for some rows, {more} for more of them");
}

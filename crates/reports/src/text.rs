use crate::report::{Cell, Report, Section};
use std::fmt::Write as _;

/// The report for a terminal.
pub fn text(report: &Report) -> String {
    let mut out = format!("{}, {}\n{}", report.title, report.house, report.stretch);
    if report.unfinished {
        out.push_str(", not over yet");
    }
    out.push_str("\n\n");
    for figure in &report.figures {
        let change = figure.change().map(|change| format!("  ({change})")).unwrap_or_default();
        let _ = writeln!(out, "{:<28}{:>12}{change}", figure.name, figure.value.shown());
    }
    for section in &report.sections {
        let _ = writeln!(out, "\n{}", section.title);
        match section.rows.is_empty() {
            true => out.push_str(&format!("  {}\n", section.empty)),
            false => table(section, &mut out),
        }
    }
    out
}

fn table(section: &Section, out: &mut String) {
    let shown: Vec<Vec<String>> =
        section.rows.iter().map(|row| row.iter().map(Cell::shown).collect()).collect();
    let wide = |at: usize| {
        let cells = shown.iter().map(|row| row[at].chars().count());
        cells.chain([section.columns[at].name.len()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..section.columns.len()).map(wide).collect();
    let is_number = |at: usize| section.rows.iter().all(|row| !matches!(row[at], Cell::Text(_)));
    let mut line = |cells: Vec<&str>| {
        for (at, cell) in cells.iter().enumerate() {
            let _ = match is_number(at) {
                true => write!(out, "  {cell:>width$}", width = widths[at]),
                false => write!(out, "  {cell:<width$}", width = widths[at]),
            };
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
    };
    line(section.columns.iter().map(|column| column.name).collect());
    shown.iter().for_each(|row| line(row.iter().map(String::as_str).collect()));
}

//! The report as one page that needs nothing else.

use crate::chart;
use crate::report::{Cell, Chart, Report, Section};
use markup::html::escaped;
use std::fmt::Write as _;

const STYLE: &str = include_str!("report.css");

/// The report as HTML: style and charts are in it, and nothing is fetched.
pub fn html(report: &Report) -> String {
    let mut out = String::with_capacity(64 << 10);
    let (title, house) = (escaped(&report.title), escaped(&report.house));
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title} \u{2013} {house}</title><style>{STYLE}</style></head><body><main><header><p class=\"house\">{house}</p><h1>{title}</h1><p class=\"stretch\">{}",
        escaped(&report.stretch)
    );
    if report.unfinished {
        out.push_str(" \u{b7} not over yet");
    }
    if report.aggregates {
        out.push_str(" \u{b7} without names of people");
    }
    out.push_str("</p></header><dl class=\"figures\">");
    for figure in &report.figures {
        let change = figure.change().map(|change| format!("<dd class=\"change\">{}</dd>", escaped(&change)));
        let _ = write!(
            out,
            "<div><dt>{}</dt><dd>{}</dd>{}</div>",
            escaped(&figure.name),
            figure.value.shown(),
            change.unwrap_or_default()
        );
    }
    out.push_str("</dl>");
    if report.figures.iter().any(|f| f.before.is_some()) {
        out.push_str("<p class=\"compare\">Below each figure: how it compares with the period before.</p>");
    }
    report.sections.iter().for_each(|section| write_section(section, &mut out));
    let _ = writeln!(
        out,
        "<footer>Made {} by Rialto from the heads of the journal\u{2019}s rows. All days and hours are UTC.</footer></main></body></html>",
        escaped(&report.made)
    );
    out
}

fn write_section(section: &Section, out: &mut String) {
    let _ = write!(
        out,
        "<section id=\"{}\"><h2>{}</h2><p class=\"about\">{}</p>",
        section.key,
        escaped(&section.title),
        escaped(&section.about)
    );
    if section.rows.is_empty() {
        let _ = write!(out, "<p class=\"empty\">{}</p></section>", section.empty);
        return;
    }
    if section.chart == Chart::Columns {
        out.push_str(&chart::columns(section));
        out.push_str("<details><summary>As a table</summary>");
        table(section, out);
        out.push_str("</details>");
    } else {
        table(section, out);
    }
    out.push_str("</section>");
}

fn table(section: &Section, out: &mut String) {
    let drawn = section.drawn().filter(|_| section.chart == Chart::Bars);
    let most = section.most();
    let is_number = |at: usize| section.rows.iter().all(|row| !matches!(row[at], Cell::Text(_)));
    out.push_str("<table><thead><tr>");
    for (at, column) in section.columns.iter().enumerate() {
        let class = if is_number(at) { " class=\"n\"" } else { "" };
        let _ = write!(out, "<th scope=\"col\"{class}>{}</th>", column.name);
        if drawn == Some(at) {
            out.push_str("<th aria-hidden=\"true\"></th>");
        }
    }
    out.push_str("</tr></thead><tbody>");
    for row in &section.rows {
        out.push_str("<tr>");
        for (at, cell) in row.iter().enumerate() {
            let class = if is_number(at) { " class=\"n\"" } else { "" };
            let _ = write!(out, "<td{class}>{}</td>", escaped(&cell.shown()));
            if drawn == Some(at) {
                let part = cell.number().unwrap_or_default() as f64 / most as f64 * 100.0;
                let _ = write!(
                    out,
                    "<td class=\"bar\" aria-hidden=\"true\"><i style=\"width:{part:.1}%\"></i></td>"
                );
            }
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table>");
}

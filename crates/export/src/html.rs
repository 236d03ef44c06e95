//! A conversation as a page that can be printed and handed over.

use crate::book::{Book, Conversation, called, in_words};
use crate::plain::part;
use crate::words::named;
use markup::html::{escaped, text};
use std::fmt::Write as _;

const STYLE: &str = "\
body{margin:0;background:#fff;color:#1b1b1b;font:15px/1.45 -apple-system,'Segoe UI','Helvetica Neue',Arial,'Noto Sans','Noto Color Emoji',sans-serif}\
main{max-width:60em;margin:0 auto;padding:2em 1.5em}\
h1{font-size:1.5em;font-weight:600;margin:0 0 .9em}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25em 1.2em;margin:0 0 2em;padding:1em 0;border-top:2px solid #1b1b1b;border-bottom:1px solid #bbb}\
dt{color:#555}dd{margin:0;overflow-wrap:anywhere}\
table{width:100%;border-collapse:collapse}\
th{text-align:left;font-weight:600;color:#555;font-size:.85em;border-bottom:1px solid #1b1b1b;padding:0 .8em .35em 0}\
td{vertical-align:top;padding:.55em .8em .55em 0;border-bottom:1px solid #e4e4e4}\
.n,.t{white-space:nowrap;color:#555;font-size:.85em;font-variant-numeric:tabular-nums;padding-top:.72em}\
.w{font-weight:600;width:24%;min-width:11em;overflow-wrap:anywhere}\
.k{display:inline-block;font-size:.8em;font-weight:600;color:#333;border:1px solid #999;border-radius:3px;padding:0 .4em;margin-right:.5em}\
.s{font-weight:600}.m{white-space:pre-wrap;overflow-wrap:anywhere}\
.r{color:#666;font-size:.83em;margin-top:.2em;overflow-wrap:anywhere}.g{color:#8a1c00;font-weight:600}\
.f{font-size:.9em;margin-top:.3em;padding-left:.7em;border-left:3px solid #bbb;overflow-wrap:anywhere}\
footer{margin-top:2em;color:#555;font-size:.83em;overflow-wrap:anywhere}\
@media print{main{max-width:none;padding:0}thead{display:table-header-group}tr{break-inside:avoid}}";

/// The page.
pub(crate) fn page(book: &Book, of: &Conversation) -> String {
    let mut out = String::with_capacity(of.entries.len() * 420 + 4_096);
    let (first, last) = of.span();
    let title = format!("Conversation of {} (UTC)", in_words(&of.day));
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style></head><body><main><h1>{title}</h1>\n<dl><dt>Between</dt><dd>"
    );
    let people: Vec<String> = of.people().into_iter().map(escaped).collect();
    let _ = writeln!(out, "{}</dd>", people.join("<br>"));
    if let (Some(begin), Some(end)) = (of.entries.first(), of.entries.last()) {
        let _ = writeln!(out, "<dt>Time</dt><dd>{} to {}, UTC</dd>", begin.clock(), end.clock());
    }
    let _ = writeln!(out, "<dt>Messages</dt><dd>{}{}</dd>", of.messages(), part(of));
    let _ = writeln!(
        out,
        "<dt>On record as</dt><dd>rows {first} to {last}, conversation {} of chain {}</dd></dl>",
        of.number, book.chain
    );
    out.push_str(
        "<table><thead><tr><th>Row</th><th>Time</th><th>From</th><th>What</th></tr></thead><tbody>\n",
    );
    for (entry, beside) in of.entries.iter().zip(of.remarks()) {
        if beside.folded {
            continue;
        }
        let _ = write!(
            out,
            "<tr><td class=\"n\">{}</td><td class=\"t\">{}</td><td class=\"w\">",
            entry.row,
            entry.clock()
        );
        text(&entry.from, &mut out);
        out.push_str("</td><td>");
        if let Some(called) = called(entry.kind) {
            let of = beside.of.map(|row| format!(" of row {row}")).unwrap_or_default();
            let _ = write!(out, "<span class=\"k\">{called}{of}</span>");
        }
        if let Some(subject) = &entry.subject {
            let _ = write!(out, "<div class=\"s\" dir=\"auto\">{}</div>", escaped(subject));
        }
        if !entry.reactions.is_empty() {
            text(&entry.reactions.join(" "), &mut out);
        }
        if let Some(text) = &entry.text {
            out.push_str("<div class=\"m\" dir=\"auto\">");
            out.push_str(&escaped(text));
            out.push_str("</div>");
        }
        for file in &entry.attachments {
            let _ = write!(out, "<div class=\"f\">File: {}</div>", escaped(&named(file)));
        }
        for remark in beside.remarks {
            let _ = write!(
                out,
                "<div class=\"r{}\">{}</div>",
                if remark.grave { " g" } else { "" },
                escaped(&remark.text)
            );
        }
        out.push_str("</td></tr>\n");
    }
    let _ = write!(
        out,
        "</tbody></table>\n<footer><p>{}</p><p>All times are UTC. Each row is one entry of the server's journal, where every entry is linked to the one before by its \
         SHA-256. Over the links of these {} rows, in order, the SHA-256 is {}.</p></footer></main></body></html>\n",
        escaped(&book.occasion),
        of.entries.len(),
        of.digest()
    );
    out
}

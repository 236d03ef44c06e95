//! The report on paper: A4, in a typeface that every reader of PDF has.

mod face;
mod sheet;

use crate::chart;
use crate::report::{Cell, Chart, Report, Section};
use sheet::{Ink, Sheets, WIDTH};

/// Points between the lines of a table.
const LINE: f32 = 15.0;
/// Size of what a table says.
const SMALL: f32 = 8.5;
/// Size of what stands above it.
const HEAD: f32 = 7.5;
/// Room that a bar may take, and where there are many columns.
const BAR: [f32; 2] = [90.0, 60.0];

/// The report as PDF 1.7. What its typeface cannot write (it has Western European letters) becomes `?`.
pub fn pdf(report: &Report) -> Vec<u8> {
    let mut sheets = Sheets::new(&format!("{} \u{b7} {}", report.house, report.title));
    sheets.text(0.0, 10.0, true, Ink::Fill, &report.house);
    sheets.down(24.0);
    sheets.text(0.0, 20.0, true, Ink::Text, &report.title);
    sheets.down(16.0);
    let mut under = report.stretch.clone();
    if report.unfinished {
        under.push_str(" \u{b7} not over yet");
    }
    if report.aggregates {
        under.push_str(" \u{b7} without names of people");
    }
    sheets.text(0.0, 9.0, false, Ink::Soft, &under);
    sheets.down(34.0);
    figures(report, &mut sheets);
    report.sections.iter().for_each(|section| write_section(section, &mut sheets));
    sheets.down(26.0);
    let made = format!(
        "Made {} by Rialto from the heads of the journal's rows. All days and hours are UTC.",
        report.made
    );
    sheets.text(0.0, 7.5, false, Ink::Soft, &made);
    sheets.finish(&report.title)
}

fn figures(report: &Report, sheets: &mut Sheets) {
    let wide = WIDTH / 4.0;
    for line in report.figures.chunks(4) {
        for (at, figure) in line.iter().enumerate() {
            let x = wide * at as f32;
            sheets.text(x, 8.0, false, Ink::Soft, &figure.name);
            sheets.text_at(x, -17.0, 15.0, true, Ink::Text, &figure.value.shown());
            if let Some(change) = figure.change() {
                sheets.text_at(x, -28.0, 7.5, false, Ink::Soft, &change);
            }
        }
        sheets.down(48.0);
    }
}

fn write_section(section: &Section, sheets: &mut Sheets) {
    let drawn = if section.chart == Chart::Columns { 150.0 } else { 0.0 };
    // A heading stands with the beginning of what it heads.
    sheets.need(64.0 + drawn + if section.rows.is_empty() { 0.0 } else { 2.0 * LINE });
    sheets.down(10.0);
    sheets.line(0.0, WIDTH, 10.0);
    sheets.down(12.0);
    sheets.text(0.0, 12.0, true, Ink::Text, &section.title);
    sheets.down(14.0);
    for line in face::wrapped(&section.about, 8.5, WIDTH) {
        sheets.text(0.0, 8.5, false, Ink::Soft, &line);
        sheets.down(11.5);
    }
    sheets.down(4.0);
    if section.rows.is_empty() {
        sheets.text(0.0, 9.0, false, Ink::Soft, section.empty);
        return sheets.down(LINE);
    }
    match section.chart {
        Chart::Columns => columns(section, sheets),
        Chart::None | Chart::Bars => table(section, sheets),
    }
}

fn columns(section: &Section, sheets: &mut Sheets) {
    let Some(drawn) = section.drawn() else { return };
    let (left, high) = (40.0, 110.0);
    let top = chart::round(section.most());
    let step = (WIDTH - left) / section.rows.len() as f32;
    sheets.down(high);
    for part in [0, top / 2, top] {
        let up = high * part as f32 / top as f32;
        sheets.line(left, WIDTH, up);
        sheets.right(left - 5.0, up - 2.5, 7.0, &Cell::Number(part).shown());
    }
    for (at, row) in section.rows.iter().enumerate() {
        let n = row[drawn].number().unwrap_or_default();
        let bar = (step * 0.72).min(34.0);
        let x = left + step * at as f32;
        sheets.block(x + (step - bar) / 2.0, 0.0, bar, high * n as f32 / top as f32);
        if at % chart::every(section.rows.len()) == 0 {
            let name = row[0].shown();
            sheets.middle(x + step / 2.0, -10.0, 7.0, chart::short(&name));
        }
    }
    sheets.down(26.0);
}

fn table(section: &Section, sheets: &mut Sheets) {
    let drawn = section.drawn().filter(|_| section.chart == Chart::Bars);
    let places = Places::of(section, drawn.is_some());
    places.heading(section, sheets);
    for row in &section.rows {
        if sheets.is_full(LINE) {
            sheets.turn();
            places.heading(section, sheets);
        }
        for (at, cell) in row.iter().enumerate() {
            places.put(at, sheets, (SMALL, Ink::Text), &cell.shown());
            if drawn == Some(at) {
                let part = cell.number().unwrap_or_default() as f32 / section.most() as f32;
                sheets.block(places.bar.0, -1.0, (places.bar.1 * part).max(0.5), 7.0);
            }
        }
        sheets.line(0.0, WIDTH, -4.5);
        sheets.down(LINE);
    }
}

/// Where the columns of a table stand.
struct Places {
    /// Left edge of texts, right edge of numbers, and how wide it is.
    columns: Vec<(bool, f32, f32)>,
    /// Where bars begin, and how long they may be.
    bar: (f32, f32),
}

impl Places {
    fn of(section: &Section, has_bar: bool) -> Self {
        let numbers: Vec<bool> = (0..section.columns.len())
            .map(|at| section.rows.iter().all(|row| !matches!(row[at], Cell::Text(_))))
            .collect();
        let drawn = section.drawn();
        let long = BAR[usize::from(numbers.len() > 5)];
        let room = WIDTH - if has_bar { long + 10.0 } else { 0.0 };
        let count = numbers.iter().filter(|n| **n).count() as f32;
        let narrow = (room * 0.7 / count.max(1.0)).min(78.0);
        let wide = (room - narrow * count) / (numbers.len() as f32 - count).max(1.0);
        let (mut x, mut bar, mut columns) = (0.0, (0.0, long), Vec::new());
        for (at, is_number) in numbers.into_iter().enumerate() {
            if is_number {
                x += narrow;
                columns.push((true, x, narrow - 6.0));
            } else {
                columns.push((false, x, wide - 6.0));
                x += wide;
            }
            if has_bar && drawn == Some(at) {
                bar.0 = x + 8.0;
                x += long + 10.0;
            }
        }
        Self { columns, bar }
    }

    fn put(&self, at: usize, sheets: &mut Sheets, (size, ink): (f32, Ink), text: &str) {
        let (is_number, x, wide) = self.columns[at];
        let text = face::cut(text, size, wide);
        let x = if is_number { x - face::width(&text, size) } else { x };
        sheets.text(x, size, false, ink, &text);
    }

    fn heading(&self, section: &Section, sheets: &mut Sheets) {
        for (at, column) in section.columns.iter().enumerate() {
            self.put(at, sheets, (HEAD, Ink::Soft), column.name);
        }
        sheets.line(0.0, WIDTH, -4.5);
        sheets.down(LINE);
    }
}

//! A course of time as columns, in SVG.

use crate::report::Section;
use markup::html::escaped;
use std::fmt::Write as _;

/// The drawing's size, in its own units.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 170.0;
/// Room for the scale at the left, and for names below.
const LEFT: f64 = 52.0;
const BELOW: f64 = 22.0;
/// So many names fit beside one another.
const NAMES: usize = 12;

/// A round number that is not less: 1, 2, 3, 4, 5, 6, 8 and so on.
pub(crate) fn round(most: u64) -> u64 {
    let mut unit = 1u64;
    loop {
        for step in [1, 2, 3, 4, 5, 6, 8] {
            let top = unit.saturating_mul(step);
            if top >= most {
                return top.max(2);
            }
        }
        unit = unit.saturating_mul(10);
    }
}

/// Every how manyth name is shown.
pub(crate) fn every(rows: usize) -> usize {
    rows.div_ceil(NAMES).max(1)
}

/// The name as it fits below a column: of a day, month and day.
pub(crate) fn short(name: &str) -> &str {
    if name.len() == 10 && name.is_ascii() { &name[5..] } else { name }
}

pub(crate) fn columns(section: &Section) -> String {
    let Some(drawn) = section.drawn() else { return String::new() };
    let top = round(section.most());
    let (wide, high) = (WIDTH - LEFT - 12.0, HEIGHT - BELOW - 8.0);
    let step = wide / section.rows.len().max(1) as f64;
    let y = |n: u64| 8.0 + high * (1.0 - n as f64 / top as f64);
    let mut out = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
        escaped(&section.title)
    );
    for part in [0, top / 2, top] {
        let at = y(part);
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            at + 3.5,
            crate::report::Cell::Number(part).shown()
        );
    }
    for (at, row) in section.rows.iter().enumerate() {
        let n = row[drawn].number().unwrap_or_default();
        let name = row[0].shown();
        let x = LEFT + step * at as f64;
        let bar = (step * 0.72).min(46.0);
        let _ = write!(
            out,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{bar:.1}\" height=\"{:.1}\" rx=\"1.5\"><title>{}: {}</title></rect>",
            x + (step - bar) / 2.0,
            y(n),
            (HEIGHT - BELOW - y(n)).max(0.0),
            escaped(&name),
            row[drawn].shown()
        );
        if at % every(section.rows.len()) == 0 {
            let _ = write!(
                out,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                x + step / 2.0,
                HEIGHT - 6.0,
                escaped(short(&name))
            );
        }
    }
    out.push_str("</svg>");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_round() {
        for (most, top) in [(0, 2), (1, 2), (3, 3), (7, 8), (9, 10), (11, 20), (499, 500), (501, 600)] {
            assert_eq!(round(most), top, "{most}");
        }
        assert_eq!((every(7), every(31), every(0)), (1, 3, 1));
        assert_eq!((short("2026-11-22"), short("2026-W47"), short("07")), ("11-22", "2026-W47", "07"));
    }
}

use crate::report::{Cell, Report};

/// The report as one table for spreadsheets (RFC 4180): section, row's number, column, value. Times are milliseconds.
pub fn csv(report: &Report) -> String {
    let mut out = String::from("period,section,row,name,column,value\r\n");
    let mut line = |fields: [&str; 6]| {
        let fields = fields.map(field);
        out.push_str(&fields.join(","));
        out.push_str("\r\n");
    };
    let value = |cell: &Cell| match cell {
        Cell::Text(text) => text.clone(),
        cell => cell.number().map(|n| n.to_string()).unwrap_or_default(),
    };
    for (at, figure) in report.figures.iter().enumerate() {
        let row = (at + 1).to_string();
        line([&report.period, "figures", &row, &figure.name, "value", &value(&figure.value)]);
        if let Some(before) = &figure.before {
            line([&report.period, "figures", &row, &figure.name, "before", &value(before)]);
        }
    }
    for section in &report.sections {
        for (at, cells) in section.rows.iter().enumerate() {
            let (row, name) = ((at + 1).to_string(), value(&cells[0]));
            for (column, cell) in section.columns.iter().zip(cells).skip(1) {
                line([&report.period, section.key, &row, &name, column.name, &value(cell)]);
            }
        }
    }
    out
}

/// A field, quoted where it must be. What a spreadsheet would take for a formula is a text.
fn field(text: &str) -> String {
    let text = match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    };
    match text.contains(['"', ',', '\r', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn fields_are_texts() {
        for (given, wanted) in
            [("a", "a"), ("a,b", "\"a,b\""), ("say \"x\"", "\"say \"\"x\"\"\""), ("=1+1", "'=1+1"), ("", "")]
        {
            assert_eq!(field(given), wanted);
        }
    }
}

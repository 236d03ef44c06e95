//! Every key, its default and its meaning, read off the types that read the file.

use super::file::File;
use schemars::generate::SchemaSettings;
use serde_json::Value;
use std::fmt::Write as _;

/// One key.
struct Row {
    /// The table it is in: empty, `limits`, or `xmpp.listen` with `many`.
    section: String,
    /// True for `[[section]]`.
    many: bool,
    key: String,
    /// As it is written in TOML; `None` where there is none.
    default: Option<String>,
    required: bool,
    meaning: String,
    /// For a choice: the words, each with what it says.
    choices: Vec<(String, String)>,
}

fn rows() -> Vec<Row> {
    let mut settings = SchemaSettings::default();
    settings.inline_subschemas = true;
    let schema = settings.into_generator().into_root_schema_for::<File>().to_value();
    let mut rows = Vec::new();
    collect(&schema, "", false, &mut rows);
    // What stands in no table comes first, as it must in a file.
    rows.sort_by_key(|row| !row.section.is_empty());
    rows
}

fn collect(schema: &Value, section: &str, many: bool, rows: &mut Vec<Row>) {
    let required = |key: &str| {
        schema["required"].as_array().is_some_and(|all| all.iter().any(|name| name.as_str() == Some(key)))
    };
    let Some(properties) = schema["properties"].as_object() else { return };
    let is_table =
        |inner: &Value| inner["properties"].is_object() || inner["items"]["properties"].is_object();
    // A table's own keys come first: in a file, whatever follows another table's name is that one's.
    let (tables, own): (Vec<_>, Vec<_>) = properties.iter().partition(|(_, p)| is_table(without_null(p)));
    for (key, property) in own.into_iter().chain(tables) {
        let inner = without_null(property);
        let path = if section.is_empty() { key.clone() } else { format!("{section}.{key}") };
        if inner["properties"].is_object() {
            collect(inner, &path, false, rows);
        } else if inner["items"]["properties"].is_object() {
            collect(&inner["items"], &path, true, rows);
        } else {
            rows.push(Row {
                section: section.to_owned(),
                many,
                key: key.clone(),
                default: property.get("default").filter(|d| !d.is_null()).and_then(as_toml),
                required: required(key),
                meaning: words(property, inner),
                choices: choices(inner),
            });
        }
    }
}

/// `Option<T>` is the schema of T or null.
fn without_null(schema: &Value) -> &Value {
    let any = schema["anyOf"].as_array().or(schema["oneOf"].as_array());
    any.filter(|any| any.iter().any(|s| s["type"] == "null"))
        .and_then(|any| any.iter().find(|s| s["type"] != "null"))
        .unwrap_or(schema)
}

fn as_toml(value: &Value) -> Option<String> {
    match value {
        Value::Object(fields) if fields.is_empty() => None,
        Value::Array(items) if items.is_empty() => None,
        value => toml::Value::try_from(value).ok().map(|value| value.to_string()),
    }
}

fn words(property: &Value, inner: &Value) -> String {
    let text = property["description"].as_str().or(inner["description"].as_str()).unwrap_or_default();
    text.replace('\n', " ")
}

fn choices(schema: &Value) -> Vec<(String, String)> {
    let one_of = schema["oneOf"].as_array().into_iter().flatten();
    let told = one_of.filter_map(|choice| {
        let what = choice["description"].as_str().unwrap_or_default().trim_end_matches('.');
        Some((choice["const"].as_str()?.to_owned(), what.to_owned()))
    });
    told.collect()
}

/// The table of the handbook.
pub fn markdown() -> String {
    let mut text = "| key | default | meaning |\n|---|---|---|\n".to_owned();
    for row in rows() {
        let key = match (row.section.as_str(), row.many) {
            ("", _) => format!("`{}`", row.key),
            (section, false) => format!("`[{section}] {}`", row.key),
            (section, true) => format!("`[[{section}]] {}`", row.key),
        };
        let default = match (&row.default, row.required) {
            (Some(default), _) => format!("`{default}`"),
            (None, true) => "required".to_owned(),
            (None, false) => "none".to_owned(),
        };
        let mut meaning = row.meaning.trim_end_matches('.').to_owned();
        if !row.choices.is_empty() {
            let choice = |(word, what): &(String, String)| format!("`{word}`: {what}");
            meaning += &format!(". {}", row.choices.iter().map(choice).collect::<Vec<_>>().join("; "));
        }
        let _ = writeln!(text, "| {key} | {default} | {meaning} |");
    }
    text
}

/// A file with every key: those with a default as comments that say it, the rest to be filled in.
pub fn sample() -> String {
    let mut text =
        "# Every key of Rialto's configuration. What is commented out has the value shown.\n".to_owned();
    let mut section = String::new();
    for row in rows() {
        if row.section != section {
            let _ = match row.many {
                true => writeln!(text, "\n# [[{}]]", row.section),
                false => writeln!(text, "\n[{}]", row.section),
            };
            section.clone_from(&row.section);
        }
        let _ = writeln!(text, "\n# {}", plain(&row.meaning));
        for (word, what) in &row.choices {
            let _ = writeln!(text, "#   \"{word}\": {what}");
        }
        let _ = match (&row.default, row.required && row.section.is_empty()) {
            (Some(default), _) => writeln!(text, "# {} = {default}", row.key),
            (None, true) => writeln!(text, "{} = [\"example.com\"]", row.key),
            (None, false) => writeln!(text, "# {} =", row.key),
        };
    }
    // A section of comments alone would switch something on by being there.
    ["tls", "acme"]
        .iter()
        .fold(text, |text, name| text.replace(&format!("\n[{name}]\n"), &format!("\n# [{name}]\n")))
}

/// Without links, which only a page can follow.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        match link.split_once("](").and_then(|(name, tail)| Some((name, tail.split_once(')')?.1))) {
            Some((name, tail)) => {
                out += before;
                out += name;
                rest = tail;
            }
            None => break,
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::path::Path;

    #[test]
    fn every_key_says_what_it_means() {
        for row in rows() {
            assert!(row.meaning.len() > 5, "{}.{} has no words", row.section, row.key);
        }
        assert!(rows().len() > 25);
    }

    #[test]
    fn the_sample_is_a_configuration_that_changes_nothing() {
        let sample = Config::parse(Path::new("r.toml"), &sample()).unwrap_or_else(|m| panic!("{m}"));
        let small = Config::parse(Path::new("r.toml"), "domains = [\"example.com\"]").unwrap();
        let shown =
            |config: &Config| format!("{:?}", Config { source: small.source.clone(), ..config.clone() });
        assert_eq!(shown(&sample), shown(&small));
    }

    /// `UPDATE_DOCS=1` writes the table into the handbook.
    #[test]
    fn the_handbook_has_this_table() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/configuration.md");
        let text = std::fs::read_to_string(&page).unwrap();
        let (before, rest) = text.split_once("<!-- keys -->\n").expect("a place for the keys");
        let (_, after) = rest.split_once("<!-- end of keys -->").expect("its end");
        let wanted = format!("{before}<!-- keys -->\n{}<!-- end of keys -->{after}", markdown());
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&page, &wanted).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&page).unwrap(), wanted, "UPDATE_DOCS=1 mends it");
    }
}

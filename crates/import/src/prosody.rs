//! Prosody's internal storage: `HOST/archive/USER.list`, each a list of archived stanzas (mod_mam). Names are percent-encoded.

use crate::element::{Element, Node};
use crate::lua::{Value, items};
use crate::{Bad, Said, list, text};
use std::path::Path;

pub(crate) fn read(
    dir: &Path,
    hear: &mut dyn FnMut(Result<Said, Bad>) -> Result<(), Bad>,
) -> Result<(), Bad> {
    let mut hosts = 0;
    for host in list(dir)? {
        let archive = host.join("archive");
        if !archive.is_dir() {
            continue;
        }
        hosts += 1;
        for file in list(&archive)?.iter().filter(|file| file.extension().is_some_and(|e| e == "list")) {
            let text = match text(file) {
                Ok(text) => text,
                Err(bad) => {
                    hear(Err(bad))?;
                    continue;
                }
            };
            for (line, item) in items(&text) {
                let place = format!("{}:{line}", file.display());
                let said = item.and_then(|item| said(&item, &place)).map_err(|why| Bad::new(&place, why));
                hear(said)?;
            }
        }
    }
    match hosts {
        0 => Err(Bad::new(
            dir.display(),
            "no HOST/archive is here: name Prosody's data_path, such as /var/lib/prosody",
        )),
        _ => Ok(()),
    }
}

fn said(item: &Value, place: &str) -> Result<Said, String> {
    let Some(Value::Number(when)) = item.get("when") else { return Err("it has no time".into()) };
    let mut stanza = element(item)?;
    // What the archive added.
    stanza.attrs.retain(|(name, _)| !matches!(name.as_str(), "stamp" | "stamp_legacy" | "xmlns"));
    if stanza.name != "message" {
        return Err(format!("<{}/> is no message", stanza.name));
    }
    if !(0.0..=9e12).contains(when) {
        return Err("its time is none".into());
    }
    Said::new((when * 1_000.0).round() as u64, &stanza, place)
}

/// A stanza as `util.stanza.preserialize` leaves it.
fn element(value: &Value) -> Result<Element, String> {
    let name = value.get("name").and_then(Value::text).ok_or("an element without a name")?;
    let mut element = Element::new(&name, "");
    if let Some(Value::Table(attrs)) = value.get("attr") {
        for (key, value) in attrs {
            let (Some(key), Some(value)) = (key.text(), value.text()) else { continue };
            match key.as_str() {
                "xmlns" => element.ns = value,
                // Attributes of other namespaces are written with a mark between namespace and name.
                key if key.contains('\u{1}') => {}
                key => element.attrs.push((key.to_owned(), value)),
            }
        }
    }
    for item in value.items() {
        element.nodes.push(match item {
            Value::Text(_) => Node::Text(item.text().unwrap_or_default()),
            other => Node::Element(self::element(other)?),
        });
    }
    element.attrs.sort();
    Ok(element)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_read_and_what_is_broken_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().join("example%2ecom/archive");
        std::fs::create_dir_all(&archive).unwrap();
        let item = "item({\n\t{\n\t\t\"hi <&>\";\n\t\t[\"name\"] = \"body\";\n\t\t[\"attr\"] = {};\n\t};\n\t[\"attr\"] = {\n\t\t[\"from\"] = \"a@x/r\";\n\t\t[\"to\"] = \"b@y\";\n\t\t[\"id\"] = \"i1\";\n\t\t[\"stamp\"] = \"2023\";\n\t};\n\t[\"when\"] = 1700000000.5;\n\t[\"name\"] = \"message\";\n});\n";
        std::fs::write(archive.join("a.list"), format!("{item}item({{oops\n{item}")).unwrap();
        let mut all = Vec::new();
        read(dir.path(), &mut |said| {
            all.push(said);
            Ok(())
        })
        .unwrap();
        let said = all[0].as_ref().unwrap();
        assert_eq!((said.at, said.from.as_str(), said.to.as_str()), (1_700_000_000_500, "a@x/r", "b@y"));
        assert_eq!(
            said.stanza,
            "<message xmlns='jabber:client' from='a@x/r' id='i1' to='b@y'><body>hi &lt;&amp;&gt;</body></message>"
        );
        let bad = all[1].as_ref().unwrap_err().to_string();
        assert!(bad.contains("a.list:16") && all[2].is_ok(), "{bad}");
        assert!(read(&archive, &mut |_| Ok(())).unwrap_err().why.contains("data_path"));
    }
}

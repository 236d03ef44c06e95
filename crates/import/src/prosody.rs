//! Prosody's internal storage: `HOST/accounts/USER.dat`, `HOST/roster/USER.dat`, and lists of stanzas in
//! `HOST/archive/USER.list` (mod_mam) and `HOST/offline/USER.list`. Names are percent-encoded.

use crate::account::{Account, Contact, Scram};
use crate::element::{Element, Node, is_name};
use crate::lua::{Value, document, items};
use crate::{Bad, Found, Hear, Said, hear_said, list, plain_name, text};
use std::path::{Path, PathBuf};

/// Stores that nobody misses: counters and notes that Prosody keeps for itself.
const OWN: [&str; 10] = [
    "account_details",
    "account_roles",
    "archive_prefs",
    "cron",
    "invite_token",
    "lastlog",
    "lastlog2",
    "smacks_h",
    "tombstone",
    "tokens",
];

pub(crate) fn read(dir: &Path, hear: &mut Hear<'_>) -> Result<(), Bad> {
    let mut hosts = 0;
    for host in list(dir)? {
        let of = |store: &str| Some(host.join(store)).filter(|dir| dir.is_dir());
        let (accounts, archives) = (of("accounts"), [of("archive"), of("offline")]);
        if accounts.is_none() && archives.iter().all(Option::is_none) {
            continue;
        }
        hosts += 1;
        for file in files(accounts.as_deref(), "dat")? {
            let found = account(&host, &file).map_err(|why| Bad::new(file.display(), why));
            hear(found.map(|account| Found::Account(Box::new(account))))?;
        }
        for archive in archives.iter().flatten() {
            for file in files(Some(archive), "list")? {
                stanzas(&file, hear)?;
            }
        }
    }
    match hosts {
        0 => Err(Bad::new(
            dir.display(),
            "no HOST/accounts or HOST/archive is here: name Prosody's data_path, such as /var/lib/prosody",
        )),
        _ => Ok(()),
    }
}

fn files(dir: Option<&Path>, end: &str) -> Result<Vec<PathBuf>, Bad> {
    let mut all = dir.map(list).transpose()?.unwrap_or_default();
    all.retain(|file| file.extension().is_some_and(|e| e == end));
    Ok(all)
}

fn stanzas(file: &Path, hear: &mut Hear<'_>) -> Result<(), Bad> {
    let text = match text(file) {
        Ok(text) => text,
        Err(bad) => return hear(Err(bad)),
    };
    for (line, item) in items(&text) {
        let place = format!("{}:{line}", file.display());
        hear_said(hear, item.and_then(|item| said(&item, &place)), &place)?;
    }
    Ok(())
}

fn name(path: &Path) -> Result<String, String> {
    let stem = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let stem = stem.strip_suffix(".dat").unwrap_or(stem);
    plain_name(stem).ok_or_else(|| format!("{stem:?} is no name"))
}

fn account(host: &Path, file: &Path) -> Result<Account, String> {
    let load = |file: &Path| -> Result<Value, String> { document(&text(file).map_err(|bad| bad.why)?) };
    let address = format!("{}@{}", name(file)?, name(host)?);
    let kept = load(file)?;
    if kept.get("disabled") == Some(&Value::Truth(true)) {
        return Err(format!("{address} is disabled there, and is not taken over"));
    }
    let mut account = Account {
        address,
        password: kept.get("password").and_then(Value::text),
        scram: keys(&kept)?.into_iter().collect(),
        place: file.display().to_string(),
        ..Account::default()
    };
    let beside = file.file_name().map(PathBuf::from).unwrap_or_default();
    let roster = host.join("roster").join(&beside);
    if roster.is_file() {
        contacts(&load(&roster).map_err(|why| format!("{}: {why}", roster.display()))?, &mut account);
    }
    let blocked = host.join("blocklist").join(&beside);
    if blocked.is_file() {
        let kept = load(&blocked).map_err(|why| format!("{}: {why}", blocked.display()))?;
        account.blocked = names(&kept);
    }
    for store in list(host).map_err(|bad| bad.to_string())? {
        let what = name(&store)?;
        let here = [store.join(&beside), store.join(beside.with_extension("list"))]
            .iter()
            .any(|file| file.is_file());
        if here
            && !["accounts", "roster", "archive", "offline", "blocklist"].contains(&what.as_str())
            && !OWN.contains(&what.as_str())
        {
            account.left.push(match what.as_str() {
                "vcard" | "vcard_muc" => "vCard".into(),
                "private" => "private storage".into(),
                "privacy" => "privacy lists".into(),
                pep if pep.starts_with("pep") => "personal eventing".into(),
                other => other.to_owned(),
            });
        }
    }
    account.left.dedup();
    Ok(account)
}

/// What mod_auth_internal_hashed keeps: hexadecimal keys, and a salt as it is.
fn keys(kept: &Value) -> Result<Option<Scram>, String> {
    let Some(stored) = kept.get("stored_key") else { return Ok(None) };
    let bytes = |value: Option<&Value>| {
        let text = value.and_then(Value::text).unwrap_or_default();
        let digit = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(digit).collect();
        bytes.ok_or("its keys are no hexadecimal digits")
    };
    let (stored_key, server_key) = (bytes(Some(stored))?, bytes(kept.get("server_key"))?);
    let (Some(Value::Text(salt)), Some(Value::Number(iterations))) =
        (kept.get("salt"), kept.get("iteration_count"))
    else {
        return Err("its keys have no salt or no count of iterations".into());
    };
    let mechanism = if stored_key.len() == 32 { "SCRAM-SHA-256" } else { "SCRAM-SHA-1" };
    Ok(Some(Scram {
        mechanism: mechanism.into(),
        iterations: *iterations as u32,
        salt: salt.clone(),
        stored_key,
        server_key,
    }))
}

fn contacts(roster: &Value, account: &mut Account) {
    for (key, value) in roster.pairs() {
        let text = |name: &str| value.get(name).and_then(Value::text).filter(|text| !text.is_empty());
        match key {
            Value::Text(_) => {
                let who = key.text().unwrap_or_default();
                // Before 0.10 requests were kept under this name.
                if who == "pending" {
                    account.asked.extend(asked(value));
                    continue;
                }
                account.contacts.push(Contact {
                    name: text("name"),
                    groups: value.get("groups").map(names).unwrap_or_default(),
                    asks: text("ask").as_deref() == Some("subscribe"),
                    approved: value.get("approved") == Some(&Value::Truth(true)),
                    ..Contact::new(&who, &text("subscription").unwrap_or_default())
                });
            }
            _ => account.asked.extend(value.get("pending").map(asked).unwrap_or_default()),
        }
    }
}

fn names(table: &Value) -> Vec<String> {
    table.pairs().iter().filter_map(|(key, _)| key.text()).collect()
}

fn asked(table: &Value) -> Vec<(String, Option<String>)> {
    names(table).into_iter().map(|who| (who, None)).collect()
}

fn said(item: &Value, place: &str) -> Result<Option<Said>, String> {
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
                key if !is_name(key.strip_prefix("xml:").unwrap_or(key)) => {}
                key => element.attrs.push((key.to_owned(), value)),
            }
        }
    }
    if !element.is_sound() {
        let (name, ns) = (&element.name, &element.ns);
        return Err(format!("{name:?} is no name of an element, or {ns:?} no namespace"));
    }
    for item in value.items() {
        element.nodes.push(match item {
            Value::Text(_) => Node::Text(item.text().unwrap_or_default()),
            other => Node::Element(self::element(other)?),
        });
    }
    element.attrs.sort();
    element.attrs.dedup_by(|(later, _), (name, _)| later == name);
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
        let all = crate::tests::all(|hear| read(dir.path(), hear));
        let said = crate::tests::said(&all[0]);
        assert_eq!((said.at, said.from.as_str(), said.to.as_str()), (1_700_000_000_500, "a@x/r", "b@y"));
        assert_eq!(
            said.stanza,
            "<message xmlns='jabber:client' from='a@x/r' id='i1' to='b@y'><body>hi &lt;&amp;&gt;</body></message>"
        );
        let bad = all[1].as_ref().unwrap_err().to_string();
        assert!(bad.contains("a.list:16") && all[2].is_ok(), "{bad}");
        let odd = item.replace("\"body\"", "\"body><x\"").replace("[\"id\"]", "[\"i d\"]");
        std::fs::write(archive.join("a.list"), odd).unwrap();
        let bad = crate::tests::all(|hear| read(dir.path(), hear)).remove(0).unwrap_err();
        assert!(bad.why.contains("\"body><x\" is no name"), "{bad}");
        assert!(read(&archive, &mut |_| Ok(())).unwrap_err().why.contains("data_path"));
    }

    #[test]
    fn accounts_are_read_with_their_contacts_and_keys() {
        let dir = tempfile::tempdir().unwrap();
        let host = dir.path().join("montague%2eexample");
        let write = |name: &str, text: &str| {
            let file = host.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        write("accounts/romeo.dat", "return { [\"password\"] = \"secret\" };\n");
        let keys = format!(
            "return {{ [\"iteration_count\"] = 10000; [\"salt\"] = \"s\\049\"; [\"stored_key\"] = \"{0}\"; [\"server_key\"] = \"{0}\"; }};",
            "0f".repeat(20)
        );
        write("accounts/ben%2evolio.dat", &keys);
        write("accounts/tybalt.dat", "return { disabled = true }");
        write("accounts/bad.dat", "return os.exit()");
        write(
            "roster/romeo.dat",
            "return { [false] = { pending = { [\"paris@x\"] = true }; version = 4 }; [\"juliet@capulet.example\"] = { groups = { [\"Love\"] = true }; \
             name = \"J\"; subscription = \"both\" }; [\"rosaline@x\"] = { ask = \"subscribe\"; groups = {}; subscription = \"none\"; approved = true } };",
        );
        write("vcard/romeo.dat", "return {}");
        write("pep/romeo.dat", "return {}");
        write("blocklist/romeo.dat", "return { [false] = {}; [\"tybalt@x\"] = true; };");
        write("lastlog/romeo.dat", "return {}");
        let found = crate::tests::all(|hear| read(dir.path(), hear));
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(
            found[0].as_ref().unwrap_err().to_string().contains("bad.dat: line 1: expected a value"),
            "{found:?}"
        );
        let benvolio = crate::tests::account(&found[1]);
        assert_eq!(benvolio.address, "ben.volio@montague.example");
        assert_eq!(benvolio.scram[0].mechanism, "SCRAM-SHA-1");
        assert_eq!(
            (benvolio.scram[0].stored_key.as_slice(), benvolio.scram[0].salt.as_slice()),
            (&[15; 20][..], &b"s1"[..])
        );
        let romeo = crate::tests::account(&found[2]);
        assert_eq!(
            (romeo.password.as_deref(), romeo.left.as_slice()),
            (Some("secret"), &["personal eventing".to_owned(), "vCard".to_owned()][..])
        );
        let juliet = Contact {
            name: Some("J".into()),
            groups: vec!["Love".into()],
            ..Contact::new("juliet@capulet.example", "both")
        };
        let rosaline = Contact { asks: true, approved: true, ..Contact::new("rosaline@x", "none") };
        assert_eq!(romeo.contacts, [juliet, rosaline]);
        assert_eq!(romeo.asked, [("paris@x".to_owned(), None)]);
        assert_eq!(romeo.blocked, ["tybalt@x"]);
        assert!(found[3].as_ref().unwrap_err().why.contains("tybalt@montague.example is disabled there"));
    }
}

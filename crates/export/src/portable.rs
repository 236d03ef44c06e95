//! The portable format for servers (XEP-0227): for each account a whole document with its keys, its contacts, what waits for it and
//! what was said (XEP-0313), so that another server takes up people one by one, or all.

use crate::account::{Account, Contact};
use crate::days::{Day, days, each, lines};
use crate::disk::{self, ExportError, Growing, Grown, at};
use crate::line::Line;
use model::codec::decode;
use model::{Address, Endpoint, Event, Message, Timestamp};
use quick_xml::Reader;
use quick_xml::events::Event as Piece;
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use store::RowKind;

/// How an address is written in XMPP.
pub type Jid = dyn Fn(&Endpoint) -> String;

/// Where documents go.
pub(crate) const DIR: &str = "xep0227";
/// Files that are open at a time.
const OPEN: usize = 48;
/// What waits, and what was said.
const PARTS: [(&str, &str, &str); 2] = [
    ("waiting", "<offline-messages>\n", "</offline-messages>\n"),
    ("said", "<archive xmlns='urn:xmpp:pie:0#mam'>\n", "</archive>\n"),
];

/// The name of an account's document.
fn name(account: &str) -> String {
    // A user's name can have no slash; whatever else it has, the file is in this directory.
    format!("{}.xml", account.replace(['/', '\0'], "_"))
}

/// Pieces of documents, until they are whole.
struct Pieces {
    dir: PathBuf,
    open: HashMap<(usize, usize), BufWriter<File>>,
}

impl Pieces {
    fn path(&self, account: usize, part: usize) -> PathBuf {
        self.dir.join(format!("{account}.{}", PARTS[part].0))
    }

    fn put(&mut self, account: usize, part: usize, text: &str) -> Result<(), ExportError> {
        let path = self.path(account, part);
        if self.open.len() >= OPEN && !self.open.contains_key(&(account, part)) {
            self.close()?;
        }
        let file = match self.open.entry((account, part)) {
            std::collections::hash_map::Entry::Occupied(open) => open.into_mut(),
            std::collections::hash_map::Entry::Vacant(none) => {
                let file = OpenOptions::new().create(true).append(true).open(&path).map_err(at(&path))?;
                none.insert(BufWriter::new(file))
            }
        };
        file.write_all(text.as_bytes()).map_err(at(&path))
    }

    fn close(&mut self) -> Result<(), ExportError> {
        for (_, mut file) in self.open.drain() {
            file.flush().map_err(at(&self.dir))?;
        }
        Ok(())
    }
}

/// The same of what is written as an address.
fn spelt(address: &str, jid: &Jid) -> String {
    let end = |address| Endpoint { address, device: None };
    Address::parse(address).map_or_else(|_| address.to_owned(), |address| jid(&end(address)))
}

/// Makes the documents of all accounts in the file `accounts`, in `export`, of rows sorted in `sorted`. Begins anew each time. `made` is
/// told of each, and `heard` of how many rows are done.
pub(crate) fn write(
    export: &Path,
    accounts: &Path,
    (rows, sorted): (&File, &Path),
    jid: &Jid,
    mut made: impl FnMut(String, Grown) -> Result<(), ExportError>,
    mut heard: impl FnMut(u64),
) -> Result<(), ExportError> {
    let (mut known, mut waiting) = (HashMap::new(), HashSet::new());
    for (number, account) in lines::<Account>(accounts)?.enumerate() {
        let account = account?;
        waiting.extend(account.waiting.iter().map(|row| (number, *row)));
        known.insert(account.address, number);
    }
    let dir = accounts.with_extension("pieces");
    if dir.exists() {
        std::fs::remove_dir_all(&dir).map_err(at(&dir))?;
    }
    disk::make_dir(&dir)?;
    let mut pieces = Pieces { dir, open: HashMap::new() };
    let mut done = 0;
    for name in days(sorted)? {
        let mut day = Day::open(sorted, &name)?;
        loop {
            let piece = day.piece()?;
            if piece.is_empty() {
                break;
            }
            done += piece.len() as u64;
            each(rows, piece, |line, _| put(line, (&known, &waiting), jid, &mut pieces))?;
            heard(done);
        }
    }
    pieces.close()?;
    disk::make_dir(&export.join(DIR))?;
    for (number, account) in lines::<Account>(accounts)?.enumerate() {
        let account = account?;
        let path = format!("{DIR}/{}", name(&spelt(&account.address, jid)));
        let file = export.join(&path);
        let part = file.with_extension("part");
        let mut document = Growing::open(part.clone(), &Grown::default())?;
        document.write(head(&account, jid).as_bytes())?;
        for (at_part, (_, begin, end)) in PARTS.iter().enumerate() {
            let from = pieces.path(number, at_part);
            if !from.exists() {
                continue;
            }
            document.write(begin.as_bytes())?;
            copy(&from, &mut document)?;
            document.write(end.as_bytes())?;
        }
        document.write(b"</user></host></server-data>\n")?;
        let grown = document.settle()?;
        std::fs::rename(&part, &file).map_err(at(&file))?;
        made(path, grown)?;
    }
    std::fs::remove_dir_all(&pieces.dir).map_err(at(&pieces.dir))
}

fn copy(from: &Path, to: &mut Growing) -> Result<(), ExportError> {
    let (mut file, mut piece) = (File::open(from).map_err(at(from))?, vec![0; 1 << 17]);
    loop {
        match file.read(&mut piece).map_err(at(from))? {
            0 => return Ok(()),
            len => to.write(&piece[..len])?,
        }
    }
}

/// A message that got through, for each account that has it.
fn put(
    line: &Line<'_>,
    (known, waiting): (&HashMap<String, usize>, &HashSet<(usize, u64)>),
    jid: &Jid,
    pieces: &mut Pieces,
) -> Result<(), ExportError> {
    if line.row_kind()? != RowKind::Envelope {
        return Ok(());
    }
    let kept =
        decode(&line.head()?, line.body()?.as_deref()).map_err(|e| crate::LineError::row(line.seq, e))?;
    let Event::Message(message) = &kept.envelope.event else { return Ok(()) };
    if kept.erased || kept.judged.refused.is_some() || kept.judged.held.is_some() {
        return Ok(());
    }
    let (from, to) = (&kept.envelope.from, &kept.envelope.to);
    let both = [known.get(from.address.as_str()), known.get(to.address.as_str())];
    let mut people: Vec<usize> = both.into_iter().flatten().copied().collect();
    people.dedup();
    if people.is_empty() {
        return Ok(());
    }
    let (stamp, id) = (Timestamp(kept.envelope.at.0).to_string(), kept.envelope.id.to_string());
    let delay = format!("<delay xmlns='urn:xmpp:delay' stamp='{stamp}'/>");
    let stanza = |within: &str| stanza(message, &jid(from), &jid(to), within);
    let archived = format!(
        "<result xmlns='urn:xmpp:mam:2' id='{id}'><forwarded xmlns='urn:xmpp:forward:0'>{delay}{}</forwarded></result>\n",
        stanza("")
    );
    for account in people {
        pieces.put(account, 1, &archived)?;
        if waiting.contains(&(account, line.seq)) {
            pieces.put(account, 0, &(stanza(&delay) + "\n"))?;
        }
    }
    Ok(())
}

/// The stanza as its sender's client wrote it, from and to whom it went; where there is none, one of the message's parts. `within`
/// comes last in it.
fn stanza(message: &Message, from: &str, to: &str, within: &str) -> String {
    let mut out = String::from("<message xmlns='jabber:client'");
    for (name, value) in [("from", from), ("to", to)] {
        attribute(name, value, &mut out);
    }
    let original = message.original.as_ref().and_then(|original| std::str::from_utf8(&original.bytes).ok());
    if let Some((attributes, content)) = original.and_then(opened) {
        out.push_str(&attributes);
        out.push('>');
        out.push_str(content);
    } else {
        attribute("id", &message.id, &mut out);
        out.push_str(" type='chat'>");
        let (thread, text) = (message.thread.as_deref(), message.text());
        for (name, value) in [("subject", message.subject.as_deref()), ("thread", thread), ("body", text)] {
            if let Some(value) = value {
                let _ = write!(out, "<{name}>");
                markup::xml::text(value, &mut out);
                let _ = write!(out, "</{name}>");
            }
        }
    }
    out.push_str(within);
    out.push_str("</message>");
    out
}

/// A stanza's attributes, save for those that are written anew, and what is in it.
fn opened(stanza: &str) -> Option<(String, &str)> {
    let mut reader = Reader::from_str(stanza);
    let (start, empty) = match reader.read_event().ok()? {
        Piece::Start(start) => (start, false),
        Piece::Empty(start) => (start, true),
        _ => return None,
    };
    if start.local_name().as_ref() != "message" {
        return None;
    }
    let mut attributes = String::new();
    for attribute in start.attributes() {
        let attribute = attribute.ok()?;
        let key: &str = attribute.key.as_ref();
        if ["xmlns", "from", "to"].contains(&key) {
            continue;
        }
        let value = quick_xml::escape::unescape(&attribute.value).ok()?;
        self::attribute(key, &value, &mut attributes);
    }
    let begin = usize::try_from(reader.buffer_position()).ok()?;
    let content = if empty { "" } else { stanza.get(begin..stanza.rfind("</")?)? };
    Some((attributes, content))
}

/// All of the document before its messages.
fn head(account: &Account, jid: &Jid) -> String {
    let address = spelt(&account.address, jid);
    let (user, host) = address.split_once('@').unwrap_or((&address, ""));
    let mut out =
        String::from("<?xml version='1.0' encoding='UTF-8'?>\n<server-data xmlns='urn:xmpp:pie:0'><host");
    attribute("jid", host, &mut out);
    out.push_str("><user");
    attribute("name", user, &mut out);
    out.push_str(">\n");
    for keys in &account.scram {
        out.push_str("<scram-credentials xmlns='urn:xmpp:pie:0#scram'");
        attribute("mechanism", &keys.mechanism, &mut out);
        let _ = writeln!(
            out,
            "><iter-count>{}</iter-count><salt>{}</salt><server-key>{}</server-key><stored-key>{}</stored-key></scram-credentials>",
            keys.iterations, keys.salt, keys.server_key, keys.stored_key
        );
    }
    for (algorithm, ha1) in &account.digest {
        out.push_str("<digest-credentials xmlns='urn:rialto:pie:digest:0'");
        attribute("algorithm", algorithm, &mut out);
        let _ = writeln!(out, ">{ha1}</digest-credentials>");
    }
    out.push_str("<query xmlns='jabber:iq:roster'>\n");
    account.contacts.iter().for_each(|contact| item(contact, jid, &mut out));
    out.push_str("</query>\n");
    if !account.blocked.is_empty() {
        // The format knows no other list of those (XEP-0016).
        out.push_str("<query xmlns='jabber:iq:privacy'><default name='blocked'/><list name='blocked'>");
        for (order, who) in account.blocked.iter().enumerate() {
            out.push_str("<item type='jid' action='deny'");
            attribute("order", &(order + 1).to_string(), &mut out);
            attribute("value", &spelt(who, jid), &mut out);
            out.push_str("/>");
        }
        out.push_str("</list></query>\n");
    }
    for (who, words) in &account.asked {
        out.push_str("<presence xmlns='jabber:client' type='subscribe'");
        attribute("from", &spelt(who, jid), &mut out);
        attribute("to", &address, &mut out);
        out.push_str("><status>");
        markup::xml::text(words.as_deref().unwrap_or_default(), &mut out);
        out.push_str("</status></presence>\n");
    }
    out
}

fn item(contact: &Contact, jid: &Jid, out: &mut String) {
    out.push_str("<item");
    attribute("jid", &spelt(&contact.who, jid), out);
    attribute("subscription", contact.subscription(), out);
    for (name, value) in [
        ("name", contact.name.as_deref()),
        ("ask", contact.asks.then_some("subscribe")),
        ("approved", contact.approved.then_some("true")),
    ] {
        if let Some(value) = value {
            attribute(name, value, out);
        }
    }
    out.push('>');
    for group in &contact.groups {
        out.push_str("<group>");
        markup::xml::text(group, out);
        out.push_str("</group>");
    }
    out.push_str("</item>\n");
}

fn attribute(name: &str, value: &str, out: &mut String) {
    let _ = write!(out, " {name}='");
    markup::xml::attribute(value, out);
    out.push('\'');
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Dialect, Original, Part};

    #[test]
    fn a_stanza_is_as_its_client_wrote_it() {
        let mut message = Message { id: "m".into(), subject: Some("s".into()), ..Message::default() };
        message.parts.push(Part::text(b"a <b> & 'c'".to_vec(), None));
        assert_eq!(
            stanza(&message, "a@x/r", "b@y", "<d/>"),
            "<message xmlns='jabber:client' from='a@x/r' to='b@y' id='m' type='chat'><subject>s</subject><body>a &lt;b&gt; &amp; 'c'</body><d/></message>"
        );
        let original = |xml: &str| {
            let bytes = xml.to_owned().into();
            Message { original: Some(Original { dialect: Dialect::Xmpp, bytes }), ..Message::default() }
        };
        let xml = "<message xmlns='jabber:client' from='old' id=\"i'1\" xmlns:p='urn:p'><p:x/><body>hi</body></message>";
        assert_eq!(
            stanza(&original(xml), "a@x", "b@y", ""),
            "<message xmlns='jabber:client' from='a@x' to='b@y' id='i&apos;1' xmlns:p='urn:p'><p:x/><body>hi</body></message>"
        );
        assert_eq!(
            stanza(&original("<message id='e'/>"), "a", "b", ""),
            "<message xmlns='jabber:client' from='a' to='b' id='e'></message>"
        );
    }
}

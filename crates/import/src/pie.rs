//! The portable format for servers (XEP-0227): accounts with their contact lists, archived messages, and those that waited for
//! somebody. Read as a stream: memory holds one account without its messages, and one message.

use crate::account::{Account, Contact, Scram, blocked};
use crate::bounded::{Bounded, LONGEST};
use crate::element::{CLIENT, Element, Node, is_name};
use crate::{Bad, Found, Hear, Said, hear_said, list, plain_path};
use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Elements within one another, at most.
const DEEPEST: usize = 64;
/// Files within one another, at most.
const FILES: usize = 8;
/// Delayed delivery (XEP-0203): when it was said.
const DELAY: &str = "urn:xmpp:delay";
const ROSTER: &str = "jabber:iq:roster";
const UNNAMED: &str = "an element in it has a name or a namespace that is none";
const INCLUDE: &str = "http://www.w3.org/2001/XInclude";
/// What a Rialto adds: keys of which the format knows nothing.
const DIGEST: &str = "urn:rialto:pie:digest:0";

/// Reads a file, or all files of a directory.
pub(crate) fn read(path: &Path, hear: &mut Hear<'_>) -> Result<(), Bad> {
    let mut walk =
        Walk { hear, rooms: Vec::new(), host: String::new(), user: None, open: Vec::new(), any: false };
    if path.is_dir() {
        for file in list(path)?.iter().filter(|file| file.extension().is_some_and(|end| end == "xml")) {
            walk.file(file)?;
        }
    } else {
        walk.file(path)?;
    }
    match walk.any {
        true => Ok(()),
        false => Err(Bad::new(path.display(), "this is no <server-data/> of XEP-0227")),
    }
}

type Reader<R> = NsReader<Bounded<R>>;

/// In which element the reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    Data,
    Host,
    User,
    /// `<offline-messages/>`
    Waiting,
    Archive,
}

struct Walk<'a, 'b> {
    hear: &'a mut Hear<'b>,
    rooms: Vec<Room>,
    host: String,
    user: Option<Account>,
    /// The files that are being read, each within the one before.
    open: Vec<PathBuf>,
    /// The format was found.
    any: bool,
}

/// One thing that stands in a file.
enum Step {
    /// An element begins, and whether it ends at once.
    Begun(Element, bool),
    Ended,
    Over,
}

impl Walk<'_, '_> {
    fn file(&mut self, path: &Path) -> Result<(), Bad> {
        let file = File::open(path).map_err(|e| Bad::new(path.display(), e))?;
        let mut reader = NsReader::from_reader(Bounded::new(BufReader::new(file)));
        self.open.push(path.to_owned());
        let outside = self.rooms.len();
        loop {
            let step = step(&mut reader);
            let place = format!("{}:{}", path.display(), reader.get_mut().began);
            match step.map_err(|why| Bad::new(&place, why))? {
                Step::Begun(element, empty) => {
                    self.begun(&mut reader, element, empty, place)?;
                    if self.rooms.is_empty() {
                        break;
                    }
                }
                Step::Ended => self.ended()?,
                Step::Over if self.rooms.len() > outside => {
                    return Err(Bad::new(&place, "the file ends within it"));
                }
                Step::Over => break,
            }
            if self.rooms.len() <= outside && outside > 0 {
                break;
            }
        }
        self.open.pop();
        Ok(())
    }

    fn begun(
        &mut self,
        reader: &mut Reader<BufReader<File>>,
        element: Element,
        empty: bool,
        place: String,
    ) -> Result<(), Bad> {
        use Room::{Archive, Data, Host, User, Waiting};
        let user = self.user.as_ref().map(|user| user.address.clone()).unwrap_or_default();
        let place = if user.is_empty() { place } else { format!("{place} ({user})") };
        let inner = match (self.rooms.last(), element.name.as_str()) {
            (Some(_), "include") if element.ns == INCLUDE => {
                if !empty {
                    let _ = whole(reader, element.clone()).map_err(|why| Bad::new(&place, why))?;
                }
                return self.include(&element, &place);
            }
            (None, "server-data") => Data,
            (Some(Data), "host") => {
                self.host = element.attr("jid").unwrap_or_default().to_owned();
                Host
            }
            (Some(Host), "user") => {
                let address = format!("{}@{}", element.attr("name").unwrap_or_default(), self.host);
                let password = element.attr("password").filter(|text| !text.is_empty()).map(str::to_owned);
                self.user = Some(Account { address, password, place, ..Account::default() });
                User
            }
            (Some(User), "offline-messages") => Waiting,
            (Some(User), "archive") => Archive,
            // This is no server's data, and is not read on.
            (None, _) => return Ok(()),
            _ => {
                let whole = match empty {
                    true => Ok(element),
                    false => whole(reader, element).map_err(|why| Bad::new(&place, why))?,
                };
                return self.element(whole, place);
            }
        };
        self.any |= inner == Data;
        self.rooms.push(inner);
        if empty { self.ended() } else { Ok(()) }
    }

    fn ended(&mut self) -> Result<(), Bad> {
        match (self.rooms.pop(), self.user.take()) {
            (Some(Room::User), Some(user)) => (self.hear)(Ok(Found::Account(Box::new(user)))),
            (_, user) => {
                self.user = user;
                Ok(())
            }
        }
    }

    /// A whole element, somewhere within.
    fn element(&mut self, whole: Result<Element, String>, place: String) -> Result<(), Bad> {
        let bad = |why: String| Bad::new(&place, why);
        let element = match whole {
            Ok(element) => element,
            Err(why) => return (self.hear)(Err(bad(why))),
        };
        match (self.rooms.last(), element.name.as_str()) {
            (Some(Room::Waiting | Room::Archive), "message" | "result") => {
                hear_said(self.hear, said(&element, &place), &place)
            }
            (Some(Room::User), _) => match self.user.as_mut().map(|user| part(user, &element)) {
                Some(Err(why)) => (self.hear)(Err(bad(why))),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn include(&mut self, element: &Element, place: &str) -> Result<(), Bad> {
        let within = self.open.last().and_then(|file| file.parent()).unwrap_or(Path::new(""));
        let file = element.attr("href").and_then(plain_path).map(|href| within.join(href));
        let why = match file {
            Some(file) if self.open.len() < FILES && !self.open.contains(&file) && file.is_file() => {
                return self.file(&file);
            }
            Some(file) if !file.is_file() => format!("it includes {}, which is not there", file.display()),
            Some(_) => "files include one another without end".to_owned(),
            None => "it includes what is not beside it: only relative names within its directory are read"
                .to_owned(),
        };
        (self.hear)(Err(Bad::new(place, why)))
    }
}

/// Part of what is kept of an account.
fn part(user: &mut Account, element: &Element) -> Result<(), String> {
    match (element.name.as_str(), element.ns.as_str()) {
        ("scram-credentials", _) => {
            let keys = Scram::of(element).map_err(|why| format!("its keys cannot be read: {why}"))?;
            user.scram.push(keys);
        }
        ("digest-credentials", DIGEST) => {
            user.digest.push((element.attr("algorithm").unwrap_or_default().to_owned(), element.text()));
        }
        ("query", ROSTER) => user.contacts.extend(element.children().filter_map(Contact::of)),
        ("presence", _) if element.attr("type") == Some("subscribe") => {
            let from = element.attr("from").ok_or("a request without `from`")?;
            let words = element.child("status").map(Element::text).filter(|text| !text.is_empty());
            user.asked.push((from.to_owned(), words));
        }
        ("query", "jabber:iq:privacy") => {
            let (who, all) = blocked(element);
            user.blocked.extend(who);
            if !all {
                user.left.push("privacy lists".into());
            }
        }
        // Empty ones are written, too.
        _ if element.children().next().is_none() => {}
        ("query", "jabber:iq:private") => user.left.push("private storage".into()),
        ("pubsub", _) => user.left.push("personal eventing".into()),
        (name, _) => user.left.push(name.to_owned()),
    }
    Ok(())
}

fn step<R: BufRead>(reader: &mut Reader<R>) -> Result<Step, String> {
    let mut buffer = Vec::new();
    loop {
        reader.get_mut().begin();
        buffer.clear();
        let (ns, event) = reader.read_resolved_event_into(&mut buffer).map_err(|e| e.to_string())?;
        return Ok(match event {
            Event::Start(start) => Step::Begun(element(&start, &ns), false),
            Event::Empty(start) => Step::Begun(element(&start, &ns), true),
            Event::End(_) => Step::Ended,
            Event::Eof => Step::Over,
            Event::DocType(_) => return Err("a document type is not read".into()),
            _ => continue,
        });
    }
}

fn element(start: &BytesStart<'_>, ns: &ResolveResult<'_>) -> Element {
    let ns = match ns {
        ResolveResult::Bound(ns) => ns.into_inner(),
        _ => "",
    };
    let mut element = Element::new(start.local_name().as_ref(), ns);
    for attribute in start.attributes().flatten() {
        let key: &str = attribute.key.as_ref();
        if key == "xmlns" || (!is_name(key) && key != "xml:lang") {
            continue;
        }
        let value = quick_xml::escape::unescape(&attribute.value).map(|v| v.into_owned()).unwrap_or_default();
        element.attrs.push((key.to_owned(), value));
    }
    element
}

/// A text that is one element.
pub(crate) fn one(text: &str) -> Result<Element, String> {
    let mut reader = NsReader::from_reader(Bounded::new(text.as_bytes()));
    match step(&mut reader)? {
        Step::Begun(element, true) => Ok(element),
        Step::Begun(outer, false) => whole(&mut reader, outer)?,
        _ => Err("this is no element".into()),
    }
}

/// The whole of an element that has begun; or why it is not taken, once its end is reached.
fn whole<R: BufRead>(reader: &mut Reader<R>, outer: Element) -> Result<Result<Element, String>, String> {
    let (mut open, mut depth, mut bad) = (vec![outer], 1, None);
    let begun = reader.buffer_position();
    let mut buffer = Vec::new();
    loop {
        reader.get_mut().begin();
        buffer.clear();
        let (ns, event) = reader.read_resolved_event_into(&mut buffer).map_err(|e| e.to_string())?;
        let text = match event {
            Event::Start(start) => {
                depth += 1;
                open.push(element(&start, &ns));
                None
            }
            Event::Empty(start) => {
                let inner = element(&start, &ns);
                if !inner.is_sound() {
                    bad = Some(UNNAMED.to_owned());
                }
                Some(Node::Element(inner))
            }
            Event::End(_) => {
                depth -= 1;
                match (depth, bad.take(), open.pop()) {
                    (0, Some(bad), _) => return Ok(Err(bad)),
                    (0, None, Some(whole)) => return Ok(Ok(whole)),
                    (_, before, inner) => {
                        bad = before;
                        inner.map(Node::Element)
                    }
                }
            }
            Event::Text(text) => Some(Node::Text(text.xml10_content().into_owned())),
            Event::CData(text) => Some(Node::Text(text.into_inner().into_owned())),
            Event::GeneralRef(name) => {
                let named =
                    quick_xml::escape::unescape(&format!("&{};", name.into_inner())).map(|t| t.into_owned());
                Some(Node::Text(named.unwrap_or_default()))
            }
            Event::Eof => return Err("the file ends within it".into()),
            _ => None,
        };
        if let (Some(node), Some(outer)) = (text, open.last_mut()) {
            outer.nodes.push(node);
        }
        if open.last().is_some_and(|open| !open.is_sound()) {
            bad = Some(UNNAMED.to_owned());
        } else if depth > DEEPEST {
            bad = Some("elements too deep within one another".to_owned());
        } else if reader.buffer_position() - begun > LONGEST {
            bad = Some("it is longer than 4 MB".to_owned());
        }
        if bad.is_some() {
            open.clear();
        }
    }
}

/// An archived message in its wrapping, or one that waited, with its delay.
fn said(outer: &Element, place: &str) -> Result<Option<Said>, String> {
    let forwarded = outer.child("forwarded");
    let stanza = match forwarded {
        Some(forwarded) => forwarded.child("message").ok_or("nothing is forwarded")?,
        None if outer.name == "message" => outer,
        None => return Err("this holds no message".into()),
    };
    let around = forwarded.unwrap_or(stanza);
    let delay =
        around.children().chain(stanza.children()).find(|child| child.name == "delay" && child.ns == DELAY);
    let stamp = delay.and_then(|delay| delay.attr("stamp")).ok_or("it has no time")?;
    let at = crate::jsonl::time(stamp).ok_or_else(|| format!("{stamp:?} is no time"))?;
    let mut stanza = stanza.clone();
    stanza.ns = CLIENT.to_owned();
    Said::new(at, &stanza, place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{account, all, said};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    const BEGIN: &str = "<server-data xmlns='urn:xmpp:pie:0'><host jid='capulet.example'>";
    const END: &str = "</host></server-data>";

    fn read_text(text: &str) -> Vec<Result<Found, Bad>> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("host.xml");
        std::fs::write(&file, text).unwrap();
        all(|hear| read(&file, hear))
    }

    #[test]
    fn archives_and_what_waited_are_read() {
        let found = read_text(&format!(
            "{BEGIN}\n<user name='juliet' password='p'>\
             <offline-messages><message xmlns='jabber:client' from='romeo@montague.example/o' to='juliet@capulet.example'><body>a &amp; b &lt;3</body>\
             <delay xmlns='urn:xmpp:delay' stamp='2023-11-14T22:13:20Z'/></message>\n<message xmlns='jabber:client' from='x@y' to='z@y'/></offline-messages>\
             <archive xmlns='urn:xmpp:pie:0#mam'><result xmlns='urn:xmpp:mam:2' id='7'><forwarded xmlns='urn:xmpp:forward:0'>\
             <delay xmlns='urn:xmpp:delay' stamp='2023-11-14T23:13:20.250+01:00'/><message xmlns='jabber:client' from='juliet@capulet.example' \
             to='romeo@montague.example' id='m'><body>c</body><x xmlns='u:v' k=\"'\"/></message></forwarded></result></archive></user>{END}"
        ));
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(said(&found[0]).stanza.contains("<body>a &amp; b &lt;3</body>"), "{found:?}");
        let bad = found[1].as_ref().unwrap_err().to_string();
        assert!(bad.contains("host.xml:3 (juliet@capulet.example): it has no time"), "{bad}");
        let last = said(&found[2]);
        assert_eq!(last.at, 1_700_000_000_250);
        assert!(last.stanza.ends_with("<body>c</body><x xmlns='u:v' k='&apos;'/></message>"), "{last:?}");
        assert_eq!(account(&found[3]).password.as_deref(), Some("p"));
    }

    #[test]
    fn accounts_are_read_with_their_contacts_and_keys() {
        let key = |bytes: &str| STANDARD.encode(bytes);
        let scram = |mechanism: &str, salt: &str, key: &str| {
            format!(
                "<scram-credentials xmlns='urn:xmpp:pie:0#scram' mechanism='{mechanism}'><iter-count>4096</iter-count><salt>{salt}</salt>\
                 <server-key>{key}</server-key><stored-key>{key}</stored-key></scram-credentials>"
            )
        };
        let twenty = "t".repeat(20);
        let (once, twice) = (scram("SCRAM-SHA-1", &key("salt"), &key(&twenty)), {
            scram("SCRAM-SHA-1", &key(&key("salt")), &key(&key(&twenty)))
        });
        let found = read_text(&format!(
            "{BEGIN}<user name='juliet'>{once}{twice}<query xmlns='jabber:iq:roster'><item jid='romeo@montague.example' name='R' \
             subscription='both'><group>Lovers</group></item><item jid='paris@x' ask='subscribe' subscription='none'/>\
             <item jid='gone@x' subscription='remove'/></query><presence xmlns='jabber:client' from='tybalt@x' type='subscribe'>\
             <status>hear me</status></presence><vCard xmlns='vcard-temp'><FN>J</FN></vCard><query xmlns='jabber:iq:private'/>\
             <query xmlns='jabber:iq:privacy'><default name='d'/><list name='d'><item type='jid' value='t@x' action='deny' order='1'/></list></query></user>\
             <user name='nurse'><query xmlns='jabber:iq:privacy'><default name='d'/><list name='o'><item type='jid' value='t@x' action='deny'/></list>\
             <list name='d'><item type='jid' value='u@x' action='deny'><presence-out/></item><item action='allow'/></list></query>{}</user>{END}",
            scram("SCRAM-SHA-1", "!", "")
        ));
        let juliet = account(&found[0]);
        assert_eq!(juliet.address, "juliet@capulet.example");
        for keys in &juliet.scram {
            assert_eq!((keys.iterations, keys.salt.as_slice()), (4_096, &b"salt"[..]));
            assert_eq!(keys.stored_key, twenty.as_bytes());
        }
        let romeo = Contact {
            name: Some("R".into()),
            groups: vec!["Lovers".into()],
            ..Contact::new("romeo@montague.example", "both")
        };
        let paris = Contact { asks: true, ..Contact::new("paris@x", "none") };
        assert_eq!(juliet.contacts, [romeo, paris]);
        assert_eq!(juliet.asked, [("tybalt@x".to_owned(), Some("hear me".to_owned()))]);
        assert_eq!(
            (juliet.left.as_slice(), juliet.blocked.as_slice()),
            (&["vCard".to_owned()][..], &["t@x".to_owned()][..])
        );
        assert!(found[1].as_ref().unwrap_err().why.contains("<salt/> is no base64"), "{found:?}");
        let nurse = account(&found[2]);
        assert_eq!(nurse.address, "nurse@capulet.example");
        assert_eq!((nurse.left.as_slice(), nurse.blocked.len()), (&["privacy lists".to_owned()][..], 0));
        assert!(!format!("{found:?}").contains("tttt"), "no keys are shown");
    }

    #[test]
    fn files_include_files_beside_them_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let xi = "xmlns:xi='http://www.w3.org/2001/XInclude'";
        write(
            "main.xml",
            &format!(
                "<server-data xmlns='urn:xmpp:pie:0' {xi}>\n<xi:include href='host%20one.xml'/><xi:include href='../x'/><xi:include href='gone'/></server-data>"
            ),
        );
        write(
            "host one.xml",
            &format!(
                "<host xmlns='urn:xmpp:pie:0' jid='x' {xi}><xi:include href='main.xml'/><user name='u'/></host>"
            ),
        );
        let found = all(|hear| read(dir.path(), hear));
        let words: Vec<String> =
            found.iter().map(|one| one.as_ref().map_or_else(Bad::to_string, |_| "found".into())).collect();
        assert_eq!(words.len(), 4, "{words:?}");
        assert!(words[0].contains("without end") && words[1] == "found", "{words:?}");
        assert!(words[2].contains("main.xml:2") && words[2].contains("beside it"), "{words:?}");
        assert!(words[3].contains("which is not there"), "{words:?}");
        assert_eq!(account(&found[1]).address, "u@x");
    }

    #[test]
    fn what_is_too_long_is_left_out_and_the_next_is_read() {
        let message = |body: &str| {
            format!(
                "<message from='a@x' to='b@y'><body>{body}</body><delay xmlns='urn:xmpp:delay' stamp='2023-11-14T22:13:20Z'/></message>"
            )
        };
        let deep = "<b>".repeat(100) + &"</b>".repeat(100);
        let long = format!("<i/>{}", "x".repeat(1_000)).repeat(5_000);
        let text = |within: &str| {
            format!("{BEGIN}<user name='u'><offline-messages>{within}</offline-messages></user>{END}")
        };
        let found = read_text(&text(&format!("{}{}{}", message(&deep), message(&long), message("short"))));
        assert_eq!(found.len(), 4, "{}", found.len());
        assert!(found[0].as_ref().unwrap_err().why.contains("too deep"));
        assert!(found[1].as_ref().unwrap_err().why.contains("longer than 4 MB"));
        assert_eq!(said(&found[2]).parts.text.as_deref(), Some("short"));
        // One piece without end is not read to its end.
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("one.xml");
        std::fs::write(&file, text(&message(&"x".repeat(9 << 20)))).unwrap();
        let end = read(&file, &mut |_| Ok(()));
        assert!(end.unwrap_err().why.contains("a single piece"));
    }
}

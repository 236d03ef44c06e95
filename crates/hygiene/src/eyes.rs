//! Everything together: who is asked about an envelope.

use crate::archive::{ArchiveLimits, Source, bomb};
use crate::clamd::{Clamd, ClamdSettings, Scanner, ScannerView};
use crate::elements::named;
use crate::files::{Unreadable, files, has_files};
use crate::links::{Link, links};
use crate::lists::{ListSettings, ListView, Lists};
use crate::names::Names;
use crate::yara::{Yara, YaraSettings, YaraView};
use model::{Address, Envelope, Event, Original};
use parking_lot::{Mutex, RwLock};
use ports::{Finding, Hygiene, Inspector, Linked, Links, Looked, Remedy};
use std::collections::HashSet;
use std::fs::File;
use std::io::{Cursor, Read, SeekFrom};
use std::sync::{Arc, OnceLock};

/// What looks like something else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lookalike {
    /// What is to become of it; none: nobody looks.
    pub remedy: Option<Remedy>,
    /// Names of people whose word counts.
    pub executives: Vec<String>,
    /// Addresses and domains that are what they seem.
    pub except: Vec<String>,
}

/// What the configuration says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Our domains.
    pub domains: Vec<String>,
    /// Lists of links.
    pub lists: Vec<ListSettings>,
    /// Names.
    pub lookalike: Lookalike,
    /// How much archives may be; none: nobody looks.
    pub archives: Option<ArchiveLimits>,
    /// Who looks into files.
    pub clamd: Option<ClamdSettings>,
    /// Rules of YARA's, for files and texts.
    pub yara: Option<YaraSettings>,
}

/// Whom others could be taken for, besides our domains.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Acquaintances {
    /// Partners' domains; those with `*.` mean what is below them.
    pub partners: Vec<String>,
    /// Accounts of ours.
    pub people: Vec<Address>,
}

/// The rule for which messages wait until the files that they link to have been looked into.
pub const WAITS: &str = "hygiene:file-waits";

/// The namespace of names that people give themselves (XEP-0172).
const NICK: &str = "http://jabber.org/protocol/nick";

type Teller = Box<dyn Fn(&Address, &str) + Send + Sync>;

/// How many pairs of people we remember having warned.
const WARNED: usize = 10_000;

/// Looks for everything that is configured.
#[derive(Default)]
pub struct Eyes {
    settings: RwLock<Arc<Settings>>,
    lists: Lists,
    scanner: RwLock<Option<Arc<dyn Scanner>>>,
    yara: RwLock<Option<Arc<Yara>>>,
    names: RwLock<Arc<Names>>,
    known: Mutex<Acquaintances>,
    uploads: OnceLock<Arc<dyn Links>>,
    teller: OnceLock<Teller>,
    warned: Mutex<HashSet<(Address, Address, String)>>,
}

impl Eyes {
    /// These settings from now on. Reads lists: long.
    pub fn set(&self, settings: Settings) {
        self.lists.set(&settings.lists);
        if settings.clamd != self.settings.read().clamd {
            let scanner = settings.clamd.clone().map(|clamd| Arc::new(Clamd::new(clamd)) as Arc<dyn Scanner>);
            *self.scanner.write() = scanner;
        }
        if settings.yara != self.settings.read().yara {
            let before = self.yara.read().clone();
            let yara = settings.yara.clone().map(|yara| Arc::new(Yara::new(yara, before.as_deref())));
            *self.yara.write() = yara;
        }
        *self.settings.write() = Arc::new(settings);
        self.rename();
    }

    /// These people and partners from now on.
    pub fn meet(&self, known: Acquaintances) {
        {
            let mut before = self.known.lock();
            if *before == known {
                return;
            }
            *before = known;
        }
        self.rename();
    }

    /// Are names looked at, so that somebody must say whom there is?
    pub fn wants_names(&self) -> bool {
        self.settings.read().lookalike.remedy.is_some()
    }

    /// Reads lists and rules again whose files have changed. Long.
    pub fn refresh(&self) {
        let settings = self.settings.read().clone();
        self.lists.set(&settings.lists);
        let yara = self.yara.read().clone();
        if let Some(yara) = yara {
            yara.refresh();
        }
    }

    /// Who tells people what was found.
    pub fn tell_by(&self, teller: impl Fn(&Address, &str) + Send + Sync + 'static) {
        let _ = self.teller.set(Box::new(teller));
    }

    /// Who knows the files that links of ours lead to.
    pub fn know_files_by(&self, uploads: Arc<dyn Links>) {
        let _ = self.uploads.set(uploads);
    }

    /// Links to what somebody has uploaded here.
    fn uploads_of(&self, envelope: &Envelope, found: &mut Vec<Finding>) {
        let Some(uploads) = self.uploads.get() else { return };
        for linked in policy::texts(&envelope.event).iter().flat_map(|text| uploads.linked(text)) {
            let (rule, remedy, text) = match linked {
                Linked::Good => continue,
                Linked::Waits => {
                    (WAITS, Remedy::Hold, "a file that it links to has not been looked into yet".to_owned())
                }
                Linked::Bad(why) => {
                    ("hygiene:file", Remedy::Block, format!("a file that it links to does not pass: {why}"))
                }
            };
            add(found, Finding { rule: rule.into(), remedy, text });
        }
    }

    /// The lists as they are now.
    pub fn lists(&self) -> Vec<ListView> {
        self.lists.view()
    }

    /// How the scanner is; none where none is configured.
    pub fn scanner(&self) -> Option<ScannerView> {
        self.scanner.read().as_ref().map(|scanner| scanner.view())
    }

    /// How the YARA rules are; none where there are none.
    pub fn yara(&self) -> Option<YaraView> {
        self.yara.read().as_ref().map(|yara| yara.view())
    }

    fn looks_into_files(&self) -> bool {
        self.scanner.read().is_some() || self.yara.read().is_some() || self.settings.read().archives.is_some()
    }

    /// The rules, where texts of messages are looked into.
    fn yara_of(&self, envelope: &Envelope) -> Option<Arc<Yara>> {
        let yara = self.yara.read();
        let yara = yara.as_ref().filter(|yara| yara.settings.texts)?;
        matches!(envelope.event, Event::Message(_)).then(|| yara.clone())
    }

    /// What YARA rules say of the texts. Blocks.
    fn texts_of(&self, envelope: &Envelope, found: &mut Vec<Finding>) {
        let Some(yara) = self.yara_of(envelope) else { return };
        let texts = policy::texts(&envelope.event).join("\n");
        let (rule, remedy, text) = match yara.scan(&mut texts.as_bytes()) {
            Ok(None) => return,
            Ok(Some(name)) => ("yara", Remedy::Block, format!("it is what the YARA rule {name} describes")),
            Err(_) => {
                let remedy = if yara.settings.fail_open { Remedy::Note } else { Remedy::Hold };
                ("unscanned", remedy, "it could not be looked into now; a person will".into())
            }
        };
        add(found, Finding { rule: format!("hygiene:{rule}"), remedy, text });
    }

    /// What is in the files. Blocks.
    fn files_of(&self, envelope: &Envelope, settings: &Settings, found: &mut Vec<Finding>) {
        if !self.looks_into_files() {
            return;
        }
        for file in files(envelope) {
            let looked = match file {
                Ok(file) => self.look_into(&mut Cursor::new(&file[..]), settings),
                Err(Unreadable) => self.unreadable(settings),
            };
            let (rule, remedy, text) = match looked {
                Looked::Clean | Looked::Nobody => continue,
                Looked::Malware(name) => {
                    ("malware", Remedy::Block, format!("a file in it is malware ({name})"))
                }
                Looked::Bomb(why) => ("archive", Remedy::Block, format!("a file in it does not pass: {why}")),
                Looked::Failed { passes, .. } => {
                    let remedy = if passes { Remedy::Note } else { Remedy::Hold };
                    ("unscanned", remedy, "a file in it could not be looked into now; a person will".into())
                }
            };
            add(found, Finding { rule: format!("hygiene:{rule}"), remedy, text });
        }
    }

    /// What is said to be a file and cannot be read as one, for those who would have looked into it.
    fn unreadable(&self, settings: &Settings) -> Looked {
        let clamd = settings.clamd.as_ref().map(|clamd| clamd.fail_open);
        let yara = self.yara.read().as_ref().map(|yara| yara.settings.fail_open);
        match (clamd, yara) {
            // Limits of archives alone: what nobody can read unpacks for nobody.
            (None, None) => Looked::Nobody,
            (clamd, yara) => {
                let passes = clamd.unwrap_or(true) && yara.unwrap_or(true);
                Looked::Failed { why: "it cannot be read as a file".to_owned(), passes }
            }
        }
    }

    /// Archives first: what unpacks without end is nothing to give to anybody.
    fn look_into(&self, file: &mut dyn Source, settings: &Settings) -> Looked {
        let fail_open = settings.clamd.as_ref().is_some_and(|clamd| clamd.fail_open);
        let unread = |error: std::io::Error| Looked::Failed { why: error.to_string(), passes: false };
        match settings.archives.map(|limits| bomb(file, limits)).transpose() {
            Ok(Some(Some(why))) => return Looked::Bomb(why),
            Ok(_) => {}
            Err(error) => return unread(error),
        }
        let (scanner, yara) = (self.scanner.read().clone(), self.yara.read().clone());
        let by_rules = yara.map(|yara| {
            let said = rewound(file).and_then(|mut file| yara.scan(&mut file));
            looked(said.map(|found| found.map(|rule| format!("YARA rule {rule}"))), yara.settings.fail_open)
        });
        if let Some(Looked::Malware(rule)) = by_rules {
            return Looked::Malware(rule);
        }
        let by_clamd = scanner
            .map(|scanner| looked(rewound(file).and_then(|mut file| scanner.scan(&mut file)), fail_open));
        match (by_rules.unwrap_or(Looked::Nobody), by_clamd.unwrap_or(Looked::Nobody)) {
            (found, Looked::Nobody) | (Looked::Nobody, found) => found,
            (_, found @ Looked::Malware(_)) => found,
            // What one could not look into is not clean because the other could, nor passes because the other lets it.
            (failed @ Looked::Failed { passes: false, .. }, _) => failed,
            (failed @ Looked::Failed { .. }, Looked::Clean) => failed,
            (_, end) => end,
        }
    }

    fn rename(&self) {
        let settings = self.settings.read().clone();
        if settings.lookalike.remedy.is_none() {
            *self.names.write() = Arc::default();
            return;
        }
        let known = self.known.lock();
        let partners = known.partners.iter().map(|d| d.strip_prefix("*.").unwrap_or(d).to_owned());
        let names = Names::new(
            settings.domains.iter().cloned().chain(partners),
            known.people.iter().filter_map(Address::user),
            &settings.lookalike.executives,
        );
        *self.names.write() = Arc::new(names);
    }

    fn names_of_sender(&self, envelope: &Envelope, settings: &Settings, found: &mut Vec<Finding>) {
        let Some(remedy) = settings.lookalike.remedy else { return };
        let who = &envelope.from.address;
        let seen = matches!(
            envelope.event,
            Event::Message(_) | Event::Subscribe(_) | Event::Call(_) | Event::Opaque(_)
        );
        let excepted = |word: &String| word == who.as_str() || word == who.domain();
        if !seen
            || settings.domains.iter().any(|domain| domain == who.domain())
            || settings.lookalike.except.iter().any(excepted)
        {
            return;
        }
        let names = self.names.read().clone();
        let domain = names.host(who.domain()).map(|why| format!("the sender's domain has {why}"));
        let user = || {
            who.user()
                .and_then(|user| names.person(user))
                .map(|why| format!("the sender's address has {why}"))
        };
        let nick = || {
            let mut nicks = nicks(envelope).into_iter();
            nicks.find_map(|nick| names.executive(&nick)).map(|why| format!("the sender goes by {why}"))
        };
        if let Some(text) = domain.or_else(user).or_else(nick) {
            found.push(Finding { rule: "hygiene:lookalike".into(), remedy, text });
        }
    }

    fn links_of(&self, envelope: &Envelope, settings: &Settings, found: &mut Vec<Finding>) {
        let lookalike = settings.lookalike.remedy;
        if self.lists.is_empty() && lookalike.is_none() {
            return;
        }
        let names = lookalike.map(|remedy| (remedy, self.names.read().clone()));
        let mut seen: HashSet<Link> = HashSet::new();
        for link in policy::texts(&envelope.event).iter().flat_map(|text| links(text)) {
            if seen.contains(&link) {
                continue;
            }
            if !self.lists.allow(&link) {
                for (list, remedy) in self.lists.name(&link) {
                    let text = format!("a link in it is on the list {list:?} of this server");
                    add(found, Finding { rule: format!("hygiene:list.{list}"), remedy, text });
                }
                let host = shown_host(&link);
                if let Some((remedy, names)) = &names
                    && !settings.lookalike.except.iter().any(|word| **word == *host)
                    && let Some(why) = names.host(&link.host)
                {
                    let text = format!("a link in it leads to {why}");
                    add(found, Finding { rule: "hygiene:lookalike".into(), remedy: *remedy, text });
                }
            }
            seen.insert(link);
        }
    }
}

fn looked(said: Result<Option<String>, String>, passes: bool) -> Looked {
    match said {
        Ok(None) => Looked::Clean,
        Ok(Some(name)) => Looked::Malware(name),
        Err(why) => Looked::Failed { why, passes },
    }
}

/// From its beginning.
fn rewound(file: &mut dyn Source) -> Result<Plain<'_>, String> {
    file.seek(SeekFrom::Start(0)).map_err(|error| error.to_string())?;
    Ok(Plain(file))
}

/// A file that is only read.
struct Plain<'a>(&'a mut dyn Source);

impl Read for Plain<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

fn shown_host(link: &Link) -> String {
    crate::links::shown(&link.host).into_owned()
}

/// Once is enough for each rule.
fn add(found: &mut Vec<Finding>, finding: Finding) {
    if !found.iter().any(|before| before.rule == finding.rule) {
        found.push(finding);
    }
}

/// What somebody calls themselves (XEP-0172).
fn nicks(envelope: &Envelope) -> Vec<String> {
    let original: Option<&Original> = match &envelope.event {
        Event::Message(message) => message.original.as_ref(),
        Event::Subscribe(subscribe) => subscribe.original.as_ref(),
        _ => None,
    };
    let all = original.map(|original| named(&original.bytes, "nick", NICK)).unwrap_or_default();
    all.into_iter().map(|nick| nick.text).collect()
}

impl Hygiene for Eyes {
    fn must_wait(&self, envelope: &Envelope) -> bool {
        self.yara_of(envelope).is_some() || (has_files(envelope) && self.looks_into_files())
    }

    fn look(&self, envelope: &Envelope) -> Vec<Finding> {
        let mut found = self.look_again(envelope);
        // What does not pass anyway need not be looked into.
        if !found.iter().any(|finding| finding.remedy == Remedy::Block) {
            let settings = self.settings.read().clone();
            self.files_of(envelope, &settings, &mut found);
            self.texts_of(envelope, &mut found);
        }
        found
    }

    fn look_again(&self, envelope: &Envelope) -> Vec<Finding> {
        let settings = self.settings.read().clone();
        let mut found = Vec::new();
        self.names_of_sender(envelope, &settings, &mut found);
        self.links_of(envelope, &settings, &mut found);
        self.uploads_of(envelope, &mut found);
        found
    }

    fn warn(&self, envelope: &Envelope, text: &str) {
        let Some(teller) = self.teller.get() else { return };
        let (from, to) = (&envelope.from.address, &envelope.to.address);
        {
            let mut warned = self.warned.lock();
            if warned.len() >= WARNED {
                warned.clear();
            }
            // Whoever was told so of somebody need not hear it with each message.
            if !warned.insert((from.clone(), to.clone(), text.to_owned())) {
                return;
            }
        }
        let ours = |who: &Address| self.settings.read().domains.iter().any(|domain| domain == who.domain());
        if ours(to) {
            teller(to, &format!("Beware of what {from} sends you: {text}."));
        } else if ours(from) {
            teller(from, &format!("Your message to {to} has passed, but {text}."));
        }
    }
}

impl Inspector for Eyes {
    fn inspect(&self, file: &mut File) -> Looked {
        let settings = self.settings.read().clone();
        self.look_into(file, &settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Dialect, EnvelopeId, MAX_HOPS, Message, Origin, Part, Timestamp};

    fn envelope(from: &str, text: &str) -> Envelope {
        let message = Message { parts: vec![Part::text(text.to_owned(), None)], ..Message::default() };
        Envelope {
            id: EnvelopeId::default(),
            at: Timestamp(0),
            origin: Origin::server(),
            from: Address::parse(from).expect("an address").into(),
            to: Address::parse("romeo@example.com").expect("an address").into(),
            hops: MAX_HOPS,
            event: Event::Message(message),
        }
    }

    #[test]
    fn senders_from_elsewhere_who_look_like_ours() {
        let eyes = Eyes::default();
        eyes.set(Settings {
            domains: vec!["example.com".into()],
            lookalike: Lookalike {
                remedy: Some(Remedy::Hold),
                executives: vec!["Anna Smith".into()],
                except: vec!["anna.smith@home.example".into(), "exannple.com".into()],
            },
            ..Settings::default()
        });
        eyes.meet(Acquaintances {
            partners: vec!["partner.org".into(), "*.corner.net".into()],
            people: vec![Address::parse("juliet@example.com").expect("an address")],
        });
        for (from, wanted) in [
            ("juliet@example.com", None),
            ("juliet@other.org", None),
            ("juliet@partner.org", None),
            ("anna.smith@home.example", None),
            ("anna.smith@example.com", None),
            ("tybalt@exannple.com", None),
            ("juliet@exarnple.com", Some("looks like example.com")),
            ("x@pаrtner.org", Some("looks like partner.org")), // Cyrillic а
            ("x@a.c0rner.net", Some("looks like corner.net")),
            ("ju1iet@other.org", Some("looks like one of ours")),
            ("anna.smith@other.org", Some("the name of Anna Smith")),
            ("smithanna@partner.org", Some("the name of Anna Smith")),
        ] {
            let found = eyes.look(&envelope(from, "hello"));
            let text = found.first().map(|f| f.text.as_str());
            assert_eq!(found.len(), usize::from(wanted.is_some()), "{from}: {text:?}");
            assert!(wanted.is_none_or(|wanted| text.is_some_and(|t| t.contains(wanted))), "{from}: {text:?}");
            assert!(found.iter().all(|f| f.rule == "hygiene:lookalike" && f.remedy == Remedy::Hold));
        }
        let nick = |inside: &str| {
            let mut envelope = envelope("x@other.org", "hello");
            let bytes =
                format!("<message><nick xmlns='http://jabber.org/protocol/nick'>{inside}</nick></message>");
            if let Event::Message(message) = &mut envelope.event {
                message.original = Some(Original { dialect: Dialect::Xmpp, bytes: bytes.into() });
            }
            eyes.look(&envelope).len()
        };
        assert_eq!(nick("Tybalt"), 0);
        for named in ["Anna Smith", "<![CDATA[Anna Smith]]>", "&#65;nna Smith", "x</nick><nick>Anna Smith"] {
            assert_eq!(nick(named), 1, "{named}");
        }
        // What partners' people link to is theirs.
        assert!(eyes.look(&envelope("x@partner.org", "http://www.partner.org/a")).is_empty());
        assert_eq!(eyes.look(&envelope("juliet@example.com", "http://www.partner.0rg.partner.org")), []);
        assert_eq!(eyes.look(&envelope("juliet@example.com", "http://www.partnеr.org")).len(), 1); // Cyrillic е
    }

    #[test]
    fn what_is_said_to_be_a_file_and_is_none_is_like_one_that_nobody_could_look_into() {
        let bits = "<message><data xmlns='urn:xmpp:bob'>no Base64!</data></message>";
        let mut envelope = envelope("x@other.org", "hello");
        if let Event::Message(message) = &mut envelope.event {
            message.original = Some(Original { dialect: Dialect::Xmpp, bytes: bits.into() });
        }
        let looked = |scanned: bool, fail_open: bool| {
            let eyes = Eyes::default();
            let clamd = ClamdSettings {
                at: crate::ClamdAt::Unix("/nowhere".into()),
                patience: std::time::Duration::from_secs(1),
                at_once: 1,
                fail_open,
            };
            let archives = Some(ArchiveLimits::default());
            eyes.set(Settings { clamd: scanned.then_some(clamd), archives, ..Settings::default() });
            eyes.look(&envelope).first().map(|found| (found.rule.clone(), found.remedy))
        };
        assert_eq!(looked(true, false), Some(("hygiene:unscanned".into(), Remedy::Hold)));
        assert_eq!(looked(true, true), Some(("hygiene:unscanned".into(), Remedy::Note)));
        assert_eq!(looked(false, false), None);
    }
}

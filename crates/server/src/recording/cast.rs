//! Names for people, domains, devices and machines: the same one for the same one, and nothing of the old ones in it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

const PEOPLE: [&str; 10] = [
    "juliet",
    "romeo",
    "mercutio",
    "benvolio",
    "tybalt",
    "rosaline",
    "paris",
    "escalus",
    "laurence",
    "balthasar",
];
const DEVICES: [&str; 6] = ["balcony", "orchard", "chamber", "garden", "tomb", "square"];

/// Words of the standards, which tell nothing of anybody who is called so.
const STANDARD: [&str; 24] = [
    "chat",
    "normal",
    "headline",
    "groupchat",
    "get",
    "set",
    "result",
    "error",
    "subscribe",
    "subscribed",
    "unsubscribe",
    "unsubscribed",
    "unavailable",
    "probe",
    "presence",
    "message",
    "register",
    "publish",
    "notify",
    "options",
    "true",
    "false",
    "udp",
    "tcp",
];

/// Who plays whom.
pub(super) struct Cast {
    /// Names that will come up: they must not be told before that, either.
    coming: Vec<String>,
    domains: BTreeMap<String, String>,
    ours: Vec<&'static str>,
    foreign: usize,
    users: BTreeMap<String, String>,
    devices: BTreeMap<String, String>,
    instances: BTreeMap<String, String>,
    hosts: BTreeMap<IpAddr, String>,
    ports: BTreeMap<u16, u16>,
    ids: BTreeMap<String, String>,
}

impl Cast {
    /// `served` are the live domains, `ours` what the player's machine serves.
    pub(super) fn new(served: &[String], ours: [&'static str; 2]) -> Self {
        let mut cast = Self {
            coming: Vec::new(),
            domains: BTreeMap::new(),
            ours: ours.into(),
            foreign: 0,
            users: BTreeMap::new(),
            devices: BTreeMap::new(),
            instances: BTreeMap::new(),
            hosts: BTreeMap::new(),
            ports: BTreeMap::new(),
            ids: BTreeMap::new(),
        };
        for domain in served {
            let name = match cast.ours.is_empty() {
                true => cast.elsewhere(),
                false => cast.ours.remove(0).to_owned(),
            };
            cast.domains.insert(domain.to_lowercase(), name);
        }
        cast.ours.clear();
        cast
    }

    /// Every live name so far, for a cast that tells the same once more.
    pub(super) fn names(&self) -> Vec<String> {
        let hosts = self.hosts.keys().map(IpAddr::to_string);
        let names = self.users.keys().chain(self.domains.keys()).chain(self.devices.keys()).cloned();
        hosts.chain(names).chain(self.coming.iter().cloned()).filter(|name| name.len() > 2).collect()
    }

    /// A cast that keeps quiet about these, too.
    pub(super) fn knowing(self, coming: Vec<String>) -> Self {
        Self { coming, ..self }
    }

    fn elsewhere(&mut self) -> String {
        self.foreign += 1;
        format!("elsewhere{}.example", self.foreign)
    }

    pub(super) fn domain(&mut self, live: &str) -> String {
        let live = live.to_lowercase();
        if let Some(name) = self.domains.get(&live) {
            return name.clone();
        }
        let name = self.elsewhere();
        self.domains.insert(live, name.clone());
        name
    }

    /// A user of any domain: whose name is the same plays the same.
    pub(super) fn user(&mut self, live: &str) -> String {
        name(&mut self.users, live, &PEOPLE, "guest")
    }

    pub(super) fn device(&mut self, live: &str) -> String {
        name(&mut self.devices, live, &DEVICES, "place")
    }

    /// The value of `+sip.instance`, without quotes.
    pub(super) fn instance(&mut self, live: &str) -> String {
        let number = self.instances.len() + 1;
        let name = self
            .instances
            .entry(live.to_owned())
            .or_insert_with(|| format!("<urn:uuid:00000000-0000-4000-8000-{number:012}>"));
        let name = name.clone();
        // The door names the device by it.
        for (live, name) in [(live, name.as_str())].map(|(a, b)| (bare_instance(a), bare_instance(b))) {
            self.devices.insert(live.to_lowercase(), name.to_owned());
        }
        name
    }

    /// `user@domain/device`, any part of which may be missing.
    pub(super) fn jid(&mut self, live: &str) -> String {
        let (bare, device) = match live.split_once('/') {
            Some((bare, device)) => (bare, Some(self.device(device))),
            None => (live, None),
        };
        let mut name = match bare.rsplit_once('@') {
            Some((user, domain)) => format!("{}@{}", self.user(user), self.domain(domain)),
            None if bare.is_empty() => String::new(),
            None => self.domain(bare),
        };
        if let Some(device) = device {
            name.push('/');
            name.push_str(&device);
        }
        name
    }

    pub(super) fn endpoint(&mut self, live: &model::Endpoint) -> String {
        self.jid(&live.to_string())
    }

    /// The peer's address, as the player's machine has it.
    pub(super) fn meet(&mut self, live: SocketAddr, name: SocketAddr) {
        self.hosts.entry(live.ip().to_canonical()).or_insert_with(|| name.ip().to_string());
        self.ports.entry(live.port()).or_insert(name.port());
    }

    pub(super) fn ip(&mut self, live: IpAddr) -> String {
        let number = self.hosts.len() + 1;
        // 192.0.2.0/24 is for examples; who meets more peers than it has, goes on in 10.0.0.0/8.
        let name = || match number {
            0..255 => format!("192.0.2.{number}"),
            _ => format!("10.0.{}.{}", number / 250, number % 250),
        };
        self.hosts.entry(live.to_canonical()).or_insert_with(name).clone()
    }

    pub(super) fn port(&self, live: &str) -> String {
        let port = live.parse::<u16>().unwrap_or(0);
        self.ports.get(&port).copied().unwrap_or(port).to_string()
    }

    pub(super) fn peer(&mut self, live: SocketAddr) -> String {
        format!("{}:{}", self.ip(live.ip()), self.port(&live.port().to_string()))
    }

    /// `host` or `host:port`.
    pub(super) fn host(&mut self, live: &str) -> String {
        let (host, port) = match live.rsplit_once(':') {
            Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
                (host, Some(port))
            }
            _ => (live, None),
        };
        let name = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(ip) => self.ip(ip),
            Err(_) => self.domain(host),
        };
        port.map_or(name.clone(), |port| format!("{name}:{}", self.port(port)))
    }

    /// Something that only has to be the same wherever it stands again. What our machine invented is what the
    /// player's machine invents in its place.
    pub(super) fn id(&mut self, live: &str) -> String {
        if let Some(known) = self.ids.get(live) {
            return known.clone();
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:+/=*!~".contains(&b);
        let name = match live.bytes().all(plain) && !self.tells(live) {
            true => live.to_owned(),
            false => format!("id{}", self.ids.len() + 1),
        };
        self.ids.insert(live.to_owned(), name.clone());
        name
    }

    /// What the live machine invented, and the player's in its place.
    pub(super) fn same(&mut self, live: &str, ours: &str) {
        self.ids.entry(live.to_owned()).or_insert_with(|| ours.to_owned());
    }

    pub(super) fn known_id(&self, live: &str) -> Option<&str> {
        self.ids.get(live).map(String::as_str)
    }

    /// A word of the protocol, unless it tells who somebody is.
    pub(super) fn word(&self, live: &str) -> String {
        if self.tells(live) { masked(live) } else { live.replace(['{', '}'], "x") }
    }

    /// Does a text hold one of the names that must not be told?
    fn tells(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        !STANDARD.contains(&text.as_str()) && self.names().iter().any(|name| holds(&text, name))
    }
}

fn name(known: &mut BTreeMap<String, String>, live: &str, names: &[&str], more: &str) -> String {
    let number = known.len();
    let fresh = || names.get(number).map_or_else(|| format!("{more}{number}"), |n| (*n).to_owned());
    known.entry(live.to_lowercase()).or_insert_with(fresh).clone()
}

/// Does a name stand in a text, not just inside a longer word?
fn holds(text: &str, name: &str) -> bool {
    let whole = |at: usize| {
        let before = text[..at].chars().next_back();
        let after = text[at + name.len()..].chars().next();
        ![before, after].into_iter().flatten().any(char::is_alphabetic)
    };
    text.match_indices(name).any(|(at, _)| whole(at))
}

fn bare_instance(instance: &str) -> &str {
    let inner = instance.trim_start_matches('<').trim_end_matches('>');
    inner.strip_prefix("urn:uuid:").unwrap_or(inner)
}

/// As long in bytes, and nothing of it left but white space.
pub(super) fn masked(text: &str) -> String {
    let mask = |c: char| match c.len_utf8() {
        _ if c.is_ascii_whitespace() => c,
        1 => 'x',
        2 => 'é',
        3 => '語',
        _ => '😀',
    };
    text.chars().map(mask).collect()
}

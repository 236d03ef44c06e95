//! What a transcript means to a whole house.
//!
//! ```text
//! % account romeo@example.net secret
//! % session juliet juliet@example.com/balcony wherefore     an XMPP connection of that name, logged in and bound
//! % registered romeo romeo@example.net/phone secret         a SIP connection (TCP) of that name, registered
//! % sip again                                               a SIP connection that has said nothing yet
//! % crash romeo                                             the machine is gone without a word
//! juliet<< ...   romeo>> ...                                bytes, by the connection's name
//! ```

use crate::side::Side;
use base64::Engine as _;
use connector::{Connector, Flow, Input, Listener, Peer, TlsFacts, TlsMode, Transport};
use hub::pipeline::Pipeline;
use hub::stages::Identity;
use hub::{Hub, Parts};
use model::{Address, Now, Secret, Tick};
use ports::AccountAdmin as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::{Clock, Names, Stage, Step};

#[path = "../../../sip/tests/player/text.rs"]
#[allow(dead_code)]
pub mod text;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to look for what nobody expects.
const GLANCE: Duration = Duration::from_millis(10);

const DOMAINS: [&str; 2] = ["example.com", "example.net"];

const OPEN: &str = "<?xml version='1.0'?><stream:stream to='{domain}' version='1.0' xml:lang='en' \
    xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

pub struct House {
    hub: Arc<Hub>,
    store: Arc<store::MemoryStore>,
    accounts: identity::LocalAccounts,
    xmpp: xmpp::Door,
    sip: sip::Sip,
    sides: Vec<Side>,
    opened: u8,
    runtime: tokio::runtime::Runtime,
}

/// A hub on what the last one left.
fn open(store: &Arc<store::MemoryStore>) -> Arc<Hub> {
    let hub = Hub::open(Parts {
        domains: DOMAINS.map(|d| Address::parse(d).expect(d)).into(),
        pipeline: Pipeline::new(vec![Box::new(Identity)]),
        journal: store.clone(),
        accounts: store.clone(),
        rosters: store.clone(),
        authorizations: store.clone(),
        leases: store.clone(),
        credentials: Arc::new(identity::LocalAccounts::new(store.clone())),
        partners: Arc::new(hub::Secluded),
        bus: Arc::new(bus::LocalBus::default()),
        rules: Arc::new(hub::Rules::new(hub::RuleSet::default())),
        blocking: None,
        unrecorded: None,
        presence: false,
        tracer: None,
        lanes: 1,
    })
    .expect("a store in memory");
    hub.restore_sessions(300).expect("a store in memory");
    hub
}

impl House {
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .expect("a runtime starts");
        let _inside = runtime.enter();
        let store = Arc::new(store::MemoryStore::new());
        let hub = open(&store);
        let addr = "127.0.0.1:5222".parse().expect("an address");
        let c2s = Listener {
            name: "xmpps-c2s".into(),
            addr,
            transport: Transport::Tcp,
            tls: TlsMode::Direct,
            servers: false,
        };
        let config = xmpp::Config::new(&DOMAINS, vec![c2s], [9; 32], identity::ITERATIONS).expect("domains");
        let sip = sip::Config::new(DOMAINS).listen(addr, Transport::Tcp, false);
        drop(_inside);
        Self {
            hub,
            accounts: identity::LocalAccounts::new(store.clone()),
            store,
            xmpp: xmpp::Door::new(config),
            sip: sip::Sip::new(sip),
            sides: Vec::new(),
            opened: 0,
            runtime,
        }
    }

    fn open(&mut self, now: Now, name: &str, is_sip: bool) {
        self.opened += 1;
        let remote = format!("192.0.2.{}:40000", self.opened).parse().expect("an address");
        let peer = Peer { remote, local: "203.0.113.5:5060".parse().expect("an address") };
        let door: &dyn Connector = if is_sip { &self.sip } else { &self.xmpp };
        let machine = door.accept(0, peer, [self.opened; 32]);
        let mut side = Side::new(name, is_sip, machine, self.hub.join(door.dialect()));
        side.give(now, Input::Opened(Flow::ACCEPTED));
        if !is_sip {
            side.give(now, Input::Secured(Flow::ACCEPTED, TlsFacts::default()));
        }
        self.sides.push(side);
    }

    fn side(&mut self, name: &str) -> &mut Side {
        self.sides.iter_mut().find(|side| side.name == name).unwrap_or_else(|| panic!("no connection {name}"))
    }

    /// Waits until a side has said this, and forgets what it said up to there.
    pub fn until(&mut self, now: Now, name: &str, mark: &str) -> String {
        let mut heard = Vec::new();
        while let Some(output) = self.output(now, name) {
            if output.contains(mark) {
                return output;
            }
            heard.push(output);
        }
        panic!("{name} never said {mark}, but {heard:?}")
    }

    /// Text from the client on a connection.
    pub fn bytes(&mut self, now: Now, name: &str, text: &str) {
        self.side(name).bytes(now, text.as_bytes());
    }

    /// The server stops in order and starts again; what it said to the last is with its clients.
    pub fn restart(&mut self, now: Now) {
        for side in &mut self.sides {
            side.give(now, Input::Drain(None));
        }
        let end = Instant::now() + PATIENCE;
        while self.sides.iter().any(|side| !side.is_closed()) {
            self.sides.iter_mut().for_each(|side| side.hear(now));
            assert!(Instant::now() < end, "a machine does not end");
        }
        self.sides.clear();
        self.hub.keep_sessions();
        let _inside = self.runtime.enter();
        self.hub = open(&self.store);
    }

    /// The connection is gone, and what was under way on it.
    pub fn cut(&mut self, now: Now, name: &str) {
        self.side(name).give(now, Input::Closed(Flow::ACCEPTED));
        self.sides.retain(|side| side.name != *name);
    }

    fn session(&mut self, now: Now, name: &str, jid: &str, password: &str) {
        let (address, resource) = jid.split_once('/').expect("a full address");
        self.authenticated(now, name, address, password);
        for (said, answer) in [
            (
                format!(
                    "<iq id='b' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
                     <resource>{resource}</resource></bind></iq>"
                ),
                "type='result'",
            ),
            ("<iq id='r' type='get'><query xmlns='jabber:iq:roster'/></iq>".to_owned(), "id='r'"),
        ] {
            self.side(name).bytes(now, said.as_bytes());
            self.until(now, name, answer);
        }
    }

    /// A connection whose client has logged in and not bound anything.
    pub fn authenticated(&mut self, now: Now, name: &str, address: &str, password: &str) {
        let (user, domain) = address.split_once('@').expect("an address");
        let plain = base64::engine::general_purpose::STANDARD.encode(format!("\0{user}\0{password}"));
        let open = OPEN.replace("{domain}", domain);
        self.open(now, name, false);
        for (said, answer) in [
            (open.clone(), "</stream:features>"),
            (
                format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>"),
                "<success",
            ),
            (open, "</stream:features>"),
        ] {
            self.side(name).bytes(now, said.as_bytes());
            self.until(now, name, answer);
        }
    }

    fn registered(&mut self, now: Now, name: &str, aor: &str, password: &str, names: &mut Names) {
        let (address, instance) = aor.split_once('/').expect("a full address");
        let (user, domain) = address.split_once('@').expect("an address");
        self.open(now, name, true);
        let register = |branch: &str, auth: &str| {
            format!(
                "REGISTER sip:{domain} SIP/2.0\nVia: SIP/2.0/TCP 192.0.2.1:5061;branch=z9hG4bK{name}{branch}\n\
                 Max-Forwards: 70\nFrom: <sip:{address}>;tag=a\nTo: <sip:{address}>\nCall-ID: reg-{name}\n\
                 CSeq: {} REGISTER\nContact: <sip:{user}@192.0.2.1:5061;transport=tcp>;\
                 +sip.instance=\"<urn:uuid:{instance}>\"\n{auth}Expires: 7200\nContent-Length: 0",
                branch.len()
            )
        };
        let send = |house: &mut Self, text: String, names: &Names| {
            house.side(name).bytes(now, &text::render(&text.lines().collect::<Vec<_>>(), names));
        };
        send(self, register("x", ""), names);
        let challenge = self.until(now, name, "401");
        let quoted = |what: &str| challenge.split(what).nth(1).and_then(|t| t.split('"').nth(1)).expect(what);
        names.set("realm", quoted("realm="));
        names.set("nonce", quoted("nonce="));
        let auth = format!("Authorization: @digest(SHA-256 {user} {password} REGISTER sip:{domain} 1)\n");
        send(self, register("xx", &auth), names);
        self.until(now, name, "200 OK");
    }

    /// Lets every side hear the hub, until this one has something to say or the time is over.
    fn wait(&mut self, now: Now, who: &str, patience: Duration) -> Option<String> {
        let end = Instant::now() + patience;
        loop {
            self.sides.iter_mut().for_each(|side| side.hear(now));
            let said = self.side(who).out.pop_front();
            if said.is_some() || Instant::now() > end {
                return said;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Stage for House {
    fn is_block(&self, who: &str) -> bool {
        self.sides.iter().any(|side| side.name == who && side.sip)
    }

    fn input(&mut self, clock: &mut Clock, step: &Step<'_>, names: &mut Names) {
        let now = clock.now();
        let words: Vec<&str> = step.rest.split(' ').collect();
        match (step.mark, words.as_slice()) {
            ("%", ["account", account, password]) => {
                let account = Address::parse(account).expect("an address");
                assert_eq!(self.accounts.create(&account, &Secret::new(*password)), Ok(true));
            }
            ("%", ["session", name, jid, password]) => self.session(now, name, jid, password),
            ("%", ["registered", name, aor, password]) => self.registered(now, name, aor, password, names),
            ("%", ["sip", name]) => self.open(now, name, true),
            ("%", ["crash", name]) => self.sides.retain(|side| side.name != *name),
            ("<<", _) if self.is_block(step.who) => {
                let bytes = text::render(&step.block, names);
                self.side(step.who).bytes(now, &bytes);
            }
            ("<<", _) => {
                let text = names.fill(step.rest);
                self.side(step.who).bytes(now, text.as_bytes());
            }
            _ => panic!("unknown step {} {}", step.mark, step.rest),
        }
    }

    fn output(&mut self, now: Now, who: &str) -> Option<String> {
        self.wait(now, who, PATIENCE)
    }

    fn surplus(&mut self, now: Now, who: &str) -> Option<String> {
        self.wait(now, who, GLANCE)
    }

    fn sides(&self) -> Vec<String> {
        self.sides.iter().map(|side| side.name.clone()).collect()
    }

    fn deadline(&self) -> Option<Tick> {
        self.sides.iter().filter_map(Side::deadline).min()
    }

    fn tick(&mut self, now: Now) {
        for side in self.sides.iter_mut().filter(|side| side.deadline().is_some_and(|due| due <= now.tick)) {
            side.give(now, Input::Tick);
        }
    }
}

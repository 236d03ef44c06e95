//! A name server of the test's own: what it is told it answers, and for everything else there is nothing.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use hickory_server::Server;
use hickory_server::dnssec::NxProofKind;
use hickory_server::net::runtime::Time;
use hickory_server::proto::dnssec::crypto::Ed25519SigningKey;
use hickory_server::proto::dnssec::rdata::DNSKEY;
use hickory_server::proto::dnssec::{DnssecSigner, PublicKey as _, SigningKey as _};
use hickory_server::proto::op::{Header, HeaderCounts, ResponseCode};
use hickory_server::proto::rr::rdata::{A, NAPTR, NS, SOA, SRV, TLSA};
use hickory_server::proto::rr::{LowerName, Name, Record, RrKey};
pub use hickory_server::proto::rr::{RData, RecordType};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{
    AxfrPolicy, Catalog, DnssecZoneHandler as _, MessageResponseBuilder, ZoneHandler as _, ZoneType,
};
use tokio::net::{TcpListener, UdpSocket};
use tokio::runtime::Runtime;

/// Nobody is to remember an answer: a test changes its mind.
const TTL: u32 = 0;

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// With what there is.
    Well,
    /// Never.
    Silent,
    /// That it cannot tell (SERVFAIL).
    Failing,
}

/// A running name server, of the whole tree of names. It ends with this value.
pub struct Dns {
    addr: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    root: Arc<InMemoryZoneHandler>,
    moods: Arc<Mutex<BTreeMap<String, Mood>>>,
    signs: Option<String>,
    zones: BTreeMap<String, Arc<InMemoryZoneHandler>>,
    runtime: Runtime,
    _server: Server<Listening>,
}

impl Dns {
    /// Start one on a free port of the loopback interface, UDP and TCP.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(false, &[])
    }

    /// The same with signed names, but for those in these zones.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start_signed(unsigned: &[&str]) -> Self {
        Self::start_with(true, unsigned)
    }

    fn start_with(signed: bool, unsigned: &[&str]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime for the name server");
        let mut root = zone(&Name::root(), signed.then_some(NxProofKind::Nsec));
        let signs = signed.then(|| sign(&mut root));
        let mut zones = BTreeMap::new();
        for text in unsigned {
            let apex = self::name(text);
            let mut below = zone(&apex, None);
            let servers = Record::from_rdata(apex.clone(), TTL, RData::NS(NS(self::name("localhost"))));
            root.upsert_mut(servers.clone(), 1);
            below.upsert_mut(servers, 1);
            zones.insert((*text).to_owned(), Arc::new(below));
        }
        let root = Arc::new(root);
        let (mut catalog, mut above) = (Catalog::new(), Catalog::new());
        catalog.upsert(Name::root().into(), vec![root.clone()]);
        above.upsert(Name::root().into(), vec![root.clone()]);
        for zone in zones.values() {
            catalog.upsert(zone.origin().clone(), vec![zone.clone()]);
        }
        let apexes = zones.values().map(|zone| zone.origin().clone()).collect();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let moods = Arc::<Mutex<BTreeMap<String, Mood>>>::default();
        let listening = Listening { catalog, above, apexes, moods: moods.clone(), asked: asked.clone() };
        let (addr, server) = runtime.block_on(async {
            let mut server = Server::new(listening);
            let (udp, tcp) = sockets().await;
            let addr = udp.local_addr().expect("it is bound");
            server.register_socket(udp);
            server.register_listener(tcp, Duration::from_secs(10), 128);
            (addr, server)
        });
        let dns = Self { addr, asked, root, moods, signs, zones, runtime, _server: server };
        dns.sign_again();
        dns
    }

    /// The key that its names are signed with, as a file of trust anchors has it.
    ///
    /// # Panics
    /// If they are not signed.
    #[must_use]
    pub fn anchor(&self) -> &str {
        self.signs.as_deref().expect("the names are signed")
    }

    fn sign_again(&self) {
        if self.signs.is_some() {
            self.runtime.block_on(self.root.secure_zone()).expect("the zone can be signed");
        }
    }

    /// Where it answers.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The names that anybody has asked for, in lower case, each with a dot at its end.
    ///
    /// # Panics
    /// If an answer broke off.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no answer panics").clone()
    }

    /// How it answers for this domain and what is below it, from now on.
    ///
    /// # Panics
    /// If an answer broke off.
    pub fn be(&self, domain: &str, mood: Mood) {
        self.moods.lock().expect("no answer panics").insert(format!("{domain}."), mood);
    }

    /// This host is on the loopback interface.
    pub fn host(&self, name: &str) {
        self.host_at(name, Ipv4Addr::LOCALHOST);
    }

    /// This host is at this address.
    pub fn host_at(&self, name: &str, addr: Ipv4Addr) {
        self.add(name, RData::A(A(addr)));
    }

    /// This service, such as `_xmpp-server._tcp.example.com`, is at this port of the loopback interface: at `localhost`,
    /// because some ask the system for addresses; where names are signed, at one that is.
    pub fn service(&self, name: &str, port: u16) {
        self.host(self.hub());
        self.add(name, RData::SRV(SRV::new(10, 10, port, self::name(self.hub()))));
    }

    /// A NAPTR record that leads to SRV records: its order and service, and their name.
    pub fn naptr(&self, domain: &str, (order, service): (u16, &str), srv: &str) {
        let none = Box::<[u8]>::default;
        let (flags, services) = (b"s"[..].into(), service.as_bytes().into());
        self.add(domain, RData::NAPTR(NAPTR::new(order, 10, flags, services, none(), name(srv))));
    }

    /// The host where all services are.
    fn hub(&self) -> &'static str {
        if self.signs.is_some() { "host.example" } else { "localhost" }
    }

    /// The name under which the TLSA records of the server at this port are.
    #[must_use]
    pub fn tlsa_name(&self, port: u16) -> String {
        format!("_{port}._tcp.{}", self.hub())
    }

    /// Any record.
    ///
    /// # Panics
    /// If the name is none.
    pub fn add(&self, name: &str, data: RData) {
        let record = Record::from_rdata(self::name(name), TTL, data);
        let inside = |zone: &&Arc<InMemoryZoneHandler>| zone.origin().zone_of(&(&record.name).into());
        let zone = self.zones.values().find(inside).unwrap_or(&self.root);
        self.runtime.block_on(zone.upsert(record.clone(), 1));
        self.sign_again();
    }

    /// What the server at this port shows.
    pub fn tlsa(&self, port: u16, usage: u8, certificate: &Path) {
        self.add(&self.tlsa_name(port), RData::TLSA(tlsa(usage, certificate)));
    }

    /// Forget the records of one kind of a name.
    pub fn remove(&self, name: &str, kind: RecordType) {
        let key = RrKey::new(self::name(name).into(), kind);
        self.runtime.block_on(async { self.root.records_mut().await.remove(&key) });
        self.sign_again();
    }

    /// Puts other records under the signature of those that there are.
    ///
    /// # Panics
    /// If there are none.
    pub fn forge(&self, name: &str, data: RData) {
        let key = RrKey::new(self::name(name).into(), data.record_type());
        self.runtime.block_on(async {
            let mut records = self.root.records_mut().await;
            let set = Arc::make_mut(records.get_mut(&key).expect("there are records to forge"));
            let signatures = set.rrsigs().to_vec();
            set.set_records(vec![Record::from_rdata(self::name(name), TTL, data)]);
            set.set_rrsigs(signatures);
        });
    }
}

/// A record with the SHA-256 of a certificate, the first of a PEM file (RFC 6698).
///
/// # Panics
/// If that cannot be read.
#[must_use]
pub fn tlsa(usage: u8, certificate: &Path) -> TLSA {
    TLSA::new(usage.into(), 0.into(), 1.into(), crate::authority::sha256(certificate))
}

fn zone(apex: &Name, denial: Option<NxProofKind>) -> InMemoryZoneHandler {
    let mut zone = InMemoryZoneHandler::empty(apex.clone(), ZoneType::Primary, AxfrPolicy::Deny, denial);
    let soa = SOA::new(apex.clone(), apex.clone(), 1, 60, 60, 60, TTL);
    zone.upsert_mut(Record::from_rdata(apex.clone(), TTL, RData::SOA(soa)), 1);
    zone
}

/// Gives a zone a key; gives that as a DNSKEY record.
fn sign(zone: &mut InMemoryZoneHandler) -> String {
    let key = Ed25519SigningKey::generate_pkcs8().and_then(|der| Ed25519SigningKey::from_pkcs8(&der));
    let key = key.expect("a key");
    let public = key.to_public_key().expect("a key has a public half");
    let text = base64::engine::general_purpose::STANDARD.encode(public.public_bytes());
    let day = Duration::from_secs(86_400);
    let signer = DnssecSigner::new(DNSKEY::from_key(&public), Box::new(key), Name::root(), day);
    zone.add_zone_signing_key_mut(signer).expect("the zone takes a key");
    // RFC 8080: algorithm 15 is Ed25519.
    format!(". 86400 IN DNSKEY 257 3 15 {text}\n")
}

/// The names, and who asked for which.
struct Listening {
    catalog: Catalog,
    /// Without the zones below, for what is said about them above.
    above: Catalog,
    apexes: Vec<LowerName>,
    moods: Arc<Mutex<BTreeMap<String, Mood>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl RequestHandler for Listening {
    // As the macro that made the trait would write it.
    fn handle_request<'s, 'r, 'f, R, T>(
        &'s self,
        request: &'r Request,
        response_handle: R,
    ) -> Pin<Box<dyn Future<Output = ResponseInfo> + Send + 'f>>
    where
        's: 'f,
        'r: 'f,
        R: ResponseHandler + 'f,
        T: Time + 'f,
        Self: 'f,
    {
        if let (Ok(info), Ok(mut asked)) = (request.request_info(), self.asked.lock()) {
            let name = info.query.name().to_string();
            let mood = self.moods.lock().map_or(Mood::Well, |moods| {
                moods.iter().find(|(domain, _)| name.ends_with(*domain)).map_or(Mood::Well, |(_, mood)| *mood)
            });
            asked.push(name);
            if mood != Mood::Well {
                return Box::pin(decline(request, response_handle, mood));
            }
            if info.query.query_type() == RecordType::DS && self.apexes.contains(info.query.name()) {
                return self.above.handle_request::<R, T>(request, response_handle);
            }
        }
        self.catalog.handle_request::<R, T>(request, response_handle)
    }
}

/// What is no answer. Gives what is to be noted of it.
async fn decline<R: ResponseHandler>(request: &Request, mut handle: R, mood: Mood) -> ResponseInfo {
    let answer = MessageResponseBuilder::from_message_request(request);
    let answer = answer.error_msg(&request.metadata, ResponseCode::ServFail);
    let header = Header { metadata: *answer.metadata(), counts: HeaderCounts::default() };
    if mood == Mood::Failing {
        let _ = handle.send_response(answer).await;
    }
    header.into()
}

/// The same port for both transports.
async fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let addr = udp.local_addr().expect("it is bound");
        if let Ok(tcp) = TcpListener::bind(addr).await {
            return (udp, tcp);
        }
    }
    panic!("no port is free for UDP and TCP alike");
}

fn name(text: &str) -> Name {
    let mut name = Name::from_utf8(text).unwrap_or_else(|fault| panic!("{text} is no name: {fault}"));
    name.set_fqdn(true);
    name
}

//! A name server of the test's own: what it is told it answers, and for everything else there is nothing.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_server::Server;
use hickory_server::proto::rr::rdata::{A, SOA, SRV};
use hickory_server::proto::rr::{Name, Record, RrKey};
pub use hickory_server::proto::rr::{RData, RecordType};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneType};
use tokio::net::{TcpListener, UdpSocket};
use tokio::runtime::Runtime;

/// Nobody is to remember an answer: a test changes its mind.
const TTL: u32 = 0;

/// A running name server, of the whole tree of names. It ends with this value.
pub struct Dns {
    addr: SocketAddr,
    root: Arc<InMemoryZoneHandler>,
    runtime: Runtime,
    _server: Server<Catalog>,
}

impl Dns {
    /// Start one on a free port of the loopback interface, UDP and TCP.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime for the name server");
        let mut root = InMemoryZoneHandler::empty(Name::root(), ZoneType::Primary, AxfrPolicy::Deny, None);
        let soa = SOA::new(Name::root(), Name::root(), 1, 60, 60, 60, TTL);
        root.upsert_mut(Record::from_rdata(Name::root(), TTL, RData::SOA(soa)), 1);
        let root = Arc::new(root);
        let mut catalog = Catalog::new();
        catalog.upsert(Name::root().into(), vec![root.clone()]);
        let (addr, server) = runtime.block_on(async {
            let mut server = Server::new(catalog);
            let (udp, tcp) = sockets().await;
            let addr = udp.local_addr().expect("it is bound");
            server.register_socket(udp);
            server.register_listener(tcp, Duration::from_secs(10), 128);
            (addr, server)
        });
        Self { addr, root, runtime, _server: server }
    }

    /// Where it answers.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// This host is on the loopback interface.
    pub fn host(&self, name: &str) {
        self.add(name, RData::A(A(Ipv4Addr::LOCALHOST)));
    }

    /// This service, such as `_xmpp-server._tcp.example.com`, is at this port of the loopback interface: at `localhost`,
    /// because some ask the system for addresses.
    pub fn service(&self, name: &str, port: u16) {
        self.host("localhost");
        self.add(name, RData::SRV(SRV::new(10, 10, port, self::name("localhost"))));
    }

    /// Any record.
    ///
    /// # Panics
    /// If the name is none.
    pub fn add(&self, name: &str, data: RData) {
        let record = Record::from_rdata(self::name(name), TTL, data);
        self.runtime.block_on(self.root.upsert(record, 1));
    }

    /// Forget the records of one kind of a name.
    pub fn remove(&self, name: &str, kind: RecordType) {
        let key = RrKey::new(self::name(name).into(), kind);
        self.runtime.block_on(async { self.root.records_mut().await.remove(&key) });
    }
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

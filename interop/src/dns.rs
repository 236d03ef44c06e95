//! A name server of the test's own: what it is told it answers, and for everything else there is nothing.

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::proto::rr::rdata::{A, SOA, SRV};
use hickory_server::proto::rr::{Name, Record, RrKey};
pub use hickory_server::proto::rr::{RData, RecordType};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneType};
use tokio::net::{TcpListener, UdpSocket};
use tokio::runtime::Runtime;

/// Nobody is to remember an answer: a test changes its mind.
const TTL: u32 = 0;

/// A running name server, of the whole tree of names. It ends with this value.
pub struct Dns {
    addr: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    root: Arc<InMemoryZoneHandler>,
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
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let listening = Listening { catalog, asked: asked.clone() };
        let (addr, server) = runtime.block_on(async {
            let mut server = Server::new(listening);
            let (udp, tcp) = sockets().await;
            let addr = udp.local_addr().expect("it is bound");
            server.register_socket(udp);
            server.register_listener(tcp, Duration::from_secs(10), 128);
            (addr, server)
        });
        Self { addr, asked, root, runtime, _server: server }
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

/// The names, and who asked for which.
struct Listening {
    catalog: Catalog,
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
            asked.push(info.query.name().to_string());
        }
        self.catalog.handle_request::<R, T>(request, response_handle)
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

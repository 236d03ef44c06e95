//! The command line.

use std::net::SocketAddr;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::sasl::Mechanism;

/// Load generator for XMPP and SIP servers.
#[derive(Parser)]
#[command(name = "rialto-bench", version, about)]
pub struct Cli {
    /// What to measure.
    #[command(subcommand)]
    pub scenario: Scenario,
    /// Options common to all.
    #[command(flatten)]
    pub opts: Opts,
}

/// What can be measured.
#[derive(Subcommand, Clone)]
pub enum Scenario {
    /// XMPP chat messages between pairs of users, both ways, to bare addresses.
    C2s,
    /// XMPP chat messages between users of a partner, which this program plays, and ours, over one TLS stream.
    S2s {
        /// Where the server listens for servers.
        #[arg(long, default_value = "127.0.0.1:5269")]
        s2s: SocketAddr,
        /// The partner's domain.
        #[arg(long, default_value = "partner.example")]
        partner: String,
        /// The partner's certificate (PEM), by an authority that the server trusts.
        #[arg(long)]
        certificate: String,
        /// Its key (PEM).
        #[arg(long)]
        key: String,
        /// Which way the messages go.
        #[arg(long, value_enum, default_value_t = Way::In)]
        direction: Way,
    },
    /// SIP MESSAGE between users of a partner, which this program plays, and XMPP users of ours, over mutually authenticated TLS.
    Trunk {
        /// Where the server listens for SIP servers.
        #[arg(long, default_value = "127.0.0.1:5061")]
        trunk: SocketAddr,
        /// The partner's domain.
        #[arg(long, default_value = "partner.example")]
        partner: String,
        /// The partner's certificate (PEM), by an authority that the server trusts.
        #[arg(long)]
        certificate: String,
        /// Its key (PEM).
        #[arg(long)]
        key: String,
        /// How many connections.
        #[arg(long, default_value_t = 8)]
        connections: u32,
        /// Which way the messages go.
        #[arg(long, value_enum, default_value_t = Way::In)]
        direction: Way,
    },
    /// SIP MESSAGE between pairs of registered users, both ways.
    Sip,
    /// XMPP users paired with SIP users through one server.
    Gateway {
        /// Which way the messages go.
        #[arg(long, value_enum, default_value_t = Direction::Both)]
        direction: Direction,
        /// How XMPP users address a SIP user.
        #[arg(long, default_value = "{user}@{domain}")]
        sip_as_jid: String,
        /// How SIP users address an XMPP user.
        #[arg(long, default_value = "sip:{user}@{domain}")]
        jid_as_uri: String,
    },
    /// One publication at a time per presentity, all watchers watch all presentities.
    Presence {
        /// Which protocol.
        #[arg(long, value_enum, default_value_t = Protocol::Sip)]
        protocol: Protocol,
        /// How many publish.
        #[arg(long, default_value_t = 20)]
        presentities: u32,
        /// How many watch each.
        #[arg(long, default_value_t = 10)]
        watchers: u32,
    },
    /// Memory of idle sessions: XMPP logged in, or SIP registered over TCP or TLS.
    Idle {
        /// Which protocol.
        #[arg(long, value_enum, default_value_t = Protocol::Xmpp)]
        protocol: Protocol,
        /// Seconds to wait after the last login.
        #[arg(long, default_value_t = 5)]
        settle: u64,
    },
    /// XMPP logins at full speed: connect, TLS, SASL, bind, disconnect.
    Login,
    /// Decisions of a policy with 10,000 rules for 100,000 users in 1,000 groups, and looking into texts; no server.
    Policy,
    /// Building the record's index, and searching in it; no server.
    Search {
        /// Rows of the journal.
        #[arg(long, default_value_t = 1_000_000)]
        rows: u64,
        /// Where the index is made, and removed afterwards.
        #[arg(long, default_value = "rialto-bench-index")]
        dir: std::path::PathBuf,
    },
    /// Writing a journal, closing it with checkpoints, and verifying it; no server.
    Verify {
        /// Rows of the journal.
        #[arg(long, default_value_t = 1_000_000)]
        rows: u64,
        /// Where the journal is made, and removed afterwards.
        #[arg(long, default_value = "rialto-bench-journal")]
        dir: std::path::PathBuf,
    },
    /// `rialto export` from a running server with a journal made up for it, proved by `verify.py`; then with one row less.
    Export {
        /// Messages of the journal.
        #[arg(long, default_value_t = 1_000_000)]
        messages: u64,
        /// Days over which they are spread.
        #[arg(long, default_value_t = 10)]
        days: u64,
        /// The readable forms to make: jsonl, csv, eml, xml; none.
        #[arg(long, default_value = "jsonl")]
        format: String,
        /// The server's program.
        #[arg(long, default_value = "rialto")]
        rialto: std::path::PathBuf,
        /// Where journal and export are made, and removed afterwards.
        #[arg(long, default_value = "rialto-bench-export")]
        dir: std::path::PathBuf,
    },
    /// Writes an accounts file (user and password, a line each) for --users accounts to the standard output.
    Accounts,
}

/// Ways through a gateway.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From XMPP to SIP.
    ToSip,
    /// From SIP to XMPP.
    ToXmpp,
    /// Both at the same time.
    Both,
}

/// Ways between two companies.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// From the partner to us.
    In,
    /// From us to the partner.
    Out,
    /// Both at the same time.
    Both,
}

/// A protocol under test.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// XMPP.
    Xmpp,
    /// SIP.
    Sip,
}

/// How XMPP connections are secured.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum XmppTls {
    /// Not at all.
    None,
    /// STARTTLS.
    Starttls,
    /// TLS from the first byte.
    Direct,
}

/// What SIP runs over.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// UDP, with retransmissions.
    Udp,
    /// TCP.
    Tcp,
    /// TLS.
    Tls,
}

/// A choice's name as the command line has it.
pub fn name(choice: &impl ValueEnum) -> String {
    choice.to_possible_value().map_or_else(String::new, |v| v.get_name().to_owned())
}

/// Which SASL mechanism to use.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sasl {
    /// The strongest on offer.
    Auto,
    /// PLAIN.
    Plain,
    /// SCRAM-SHA-1.
    #[value(name = "scram-sha-1")]
    ScramSha1,
    /// SCRAM-SHA-256.
    #[value(name = "scram-sha-256")]
    ScramSha256,
}

impl Sasl {
    /// The mechanism, unless it is left to the offer.
    pub fn mechanism(self) -> Option<Mechanism> {
        match self {
            Self::Auto => None,
            Self::Plain => Some(Mechanism::Plain),
            Self::ScramSha1 => Some(Mechanism::ScramSha1),
            Self::ScramSha256 => Some(Mechanism::ScramSha256),
        }
    }
}

/// Options common to all scenarios.
#[derive(Args, Clone)]
pub struct Opts {
    /// XMPP server.
    #[arg(long, global = true, default_value = "127.0.0.1:5222")]
    pub xmpp: SocketAddr,
    /// How XMPP connections are secured.
    #[arg(long, global = true, value_enum, default_value_t = XmppTls::Starttls)]
    pub xmpp_tls: XmppTls,
    /// SIP server.
    #[arg(long, global = true, default_value = "127.0.0.1:5060")]
    pub sip: SocketAddr,
    /// What SIP runs over.
    #[arg(long, global = true, value_enum, default_value_t = Transport::Udp)]
    pub sip_transport: Transport,
    /// The server's domain.
    #[arg(long, global = true, default_value = "localhost")]
    pub domain: String,
    /// Domain of the SIP users, if another.
    #[arg(long, global = true)]
    pub sip_domain: Option<String>,
    /// User names; {} is the number.
    #[arg(long, global = true, default_value = "u{}")]
    pub user_pattern: String,
    /// Passwords; {} is the number.
    #[arg(long, global = true, default_value = "p{}")]
    pub password_pattern: String,
    /// Number of the first user.
    #[arg(long, global = true, default_value_t = 0)]
    pub first: u32,
    /// Take users from this file instead: a name and a password on each line.
    #[arg(long, global = true)]
    pub accounts: Option<String>,
    /// SASL mechanism.
    #[arg(long, global = true, value_enum, default_value_t = Sasl::Auto)]
    pub mechanism: Sasl,
    /// Accept any certificate.
    #[arg(long, global = true)]
    pub insecure: bool,
    /// Certificates to trust (PEM).
    #[arg(long, global = true)]
    pub ca: Option<String>,
    /// Name to ask for and expect in the certificate, if not the domain.
    #[arg(long, global = true)]
    pub tls_name: Option<String>,
    /// A server process whose CPU time and memory to report, its descendants included. Repeatable.
    #[arg(long, global = true)]
    pub server_pid: Vec<u32>,
    /// Run the generator on this core only.
    #[arg(long, global = true)]
    pub pin: Option<usize>,
    /// Generator threads; pairs (or users) are divided among them.
    #[arg(long, global = true, default_value_t = 1)]
    pub threads: u32,
    /// Pairs of users. Default 50; gateway 20.
    #[arg(long, global = true)]
    pub pairs: Option<u32>,
    /// Users of the idle, login and accounts scenarios. Default 20000 for idle, else 100.
    #[arg(long, global = true)]
    pub users: Option<u32>,
    /// Unconfirmed messages of a user. Default: c2s 10, sip 4, gateway 5.
    #[arg(long, global = true)]
    pub window: Option<u32>,
    /// Open loop: send this many messages (or expect this many presence deliveries) a second in all, whatever comes
    /// back; latency counts from when a message was due.
    #[arg(long, global = true)]
    pub rate: Option<f64>,
    /// Bytes of a whole XMPP message stanza.
    #[arg(long, global = true, default_value_t = 400)]
    pub size: usize,
    /// Bytes of a SIP MESSAGE's text.
    #[arg(long, global = true, default_value_t = 100)]
    pub text: usize,
    /// Share this many SIP connections among all users instead of one each.
    #[arg(long, global = true)]
    pub trunks: Option<u32>,
    /// Register with an instance id and reg-id, as RFC 5626 has it.
    #[arg(long, global = true)]
    pub outbound: bool,
    /// Seconds before counting starts.
    #[arg(long, global = true, default_value_t = 2.0)]
    pub warmup: f64,
    /// Seconds to count.
    #[arg(long, global = true, default_value_t = 10.0)]
    pub seconds: f64,
    /// Logins in progress at the same time.
    #[arg(long, global = true, default_value_t = 16)]
    pub login_parallel: usize,
    /// Logins started a second, at most; 0 for no limit.
    #[arg(long, global = true, default_value_t = 500.0)]
    pub login_rate: f64,
    /// Connect from this many loopback addresses (127.0.0.1, .2, ...). Default: one for each 15000 users.
    #[arg(long, global = true)]
    pub sources: Option<u32>,
    /// One JSON object instead of a table.
    #[arg(long, global = true)]
    pub json: bool,
}

impl Opts {
    /// The domain of the SIP users.
    pub fn sip_domain(&self) -> &str {
        self.sip_domain.as_deref().unwrap_or(&self.domain)
    }
}

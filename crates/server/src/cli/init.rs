use crate::failure::Failure;
use crate::setup::{Ports, Setup, prepare};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::path::PathBuf;
use std::process::ExitCode;

/// `rialto init`
#[derive(Debug, clap::Args)]
pub struct Init {
    /// The directory to make.
    #[arg(long)]
    data: PathBuf,
    /// A domain to host; may be given several times.
    #[arg(long = "domain", required = true)]
    domains: Vec<String>,
    /// An address to listen on; may be given several times. Without it: all of them, IPv4 and IPv6.
    #[arg(long)]
    listen: Vec<IpAddr>,
    /// Four ports in a row from here, instead of the registered ones: XMPP, XMPP over TLS, SIP, SIP over TLS.
    #[arg(long)]
    base_port: Option<u16>,
}

impl Init {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        for domain in &self.domains {
            let address = model::Address::parse(domain).ok().filter(|a| a.user().is_none());
            address.ok_or_else(|| Failure::new(format!("{domain:?} is no domain name")))?;
        }
        if self.base_port.is_some_and(|p| p > u16::MAX - 3) {
            return Err(Failure::new("--base-port leaves no room for four ports"));
        }
        let ports = self.base_port.map_or(Ports::STANDARD, Ports::from_base);
        let domains: Vec<String> = self.domains.iter().map(|d| d.to_lowercase()).collect();
        let listen = if self.listen.is_empty() { everywhere() } else { self.listen };
        let config = prepare(&Setup { dir: self.data.clone(), domains: domains.clone(), listen, ports })?;
        println!("wrote {}", config.display());
        println!(
            "wrote {} (give it to clients that should trust this server)",
            self.data.join("ca.pem").display()
        );
        println!("next:  rialto serve --config {}", config.display());
        println!("       rialto user add you@{} --config {}", domains[0], config.display());
        Ok(ExitCode::SUCCESS)
    }
}

/// Every address of this machine. A name like `localhost` may mean the IPv6 address first, and some clients try no other;
/// a machine without IPv6 could not open such a listener.
fn everywhere() -> Vec<IpAddr> {
    let mut all = vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED)];
    if UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok() {
        all.push(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    }
    all
}

//! A look at somebody's servers from outside, step by step, for those who want to know where it goes wrong.

use crate::resolve::Resolver;
use crate::tls::{Side, Tls, handshake};
use connector::{Search, TlsFacts, TlsMode};
use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// How long a server may take for one step.
const PATIENCE: Duration = Duration::from_secs(5);
/// More than any first answer needs.
const LONGEST: usize = 64 * 1024;

/// One place where a server should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// Where.
    pub addr: SocketAddr,
    /// How it is secured.
    pub tls: TlsMode,
}

/// What DNS says of a domain's servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// Each SRV name that was asked for, and how many records there were, or in words why that is not known.
    pub asked: Vec<(String, Result<usize, String>)>,
    /// Where the servers are, in the order in which to try them, or in words why that is not known.
    pub spots: Result<Vec<Spot>, String>,
}

impl Resolver {
    /// Asks for everything, and says what came of it.
    pub async fn survey(&self, domain: &str, search: &Search) -> Survey {
        let mut asked = Vec::new();
        for service in search.services.iter().flat_map(|group| group.iter()) {
            let name = format!("{}.{domain}", service.name);
            let found = self.count(&format!("{name}."), domain).await;
            asked.push((name, found));
        }
        let found = self.find(domain, search).await.map_err(|why| why.to_string());
        let spots = found.map(|all| all.into_iter().map(|t| Spot { addr: t.addr, tls: t.tls }).collect());
        Survey { asked, spots }
    }

    /// Where a host is.
    ///
    /// # Errors
    /// In words.
    pub async fn spots(&self, host: &str, port: u16, tls: TlsMode) -> Result<Vec<Spot>, String> {
        let found = self.host(host, port, tls).await.map_err(|why| why.to_string())?;
        Ok(found.into_iter().map(|t| Spot { addr: t.addr, tls: t.tls }).collect())
    }
}

enum Stream {
    Plain(TcpStream),
    Secured(Box<TlsStream<TcpStream>>),
}

/// A connection whose bytes whoever visits reads and writes.
pub struct Visit(Stream);

async fn soon<T>(what: impl Future<Output = std::io::Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(PATIENCE, what).await {
        Ok(done) => done.map_err(|e| e.to_string()),
        Err(_) => Err(format!("no answer within {} seconds", PATIENCE.as_secs())),
    }
}

/// Nothing more, where the other side ended the connection without a word of TLS or of TCP.
async fn or_end(read: impl Future<Output = std::io::Result<usize>>) -> std::io::Result<usize> {
    match read.await {
        Err(error)
            if matches!(error.kind(), UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe) =>
        {
            Ok(0)
        }
        read => read,
    }
}

impl Visit {
    /// Connects.
    ///
    /// # Errors
    /// In words; likewise below.
    pub async fn begin(addr: SocketAddr) -> Result<Self, String> {
        let stream = soon(TcpStream::connect(addr)).await?;
        let _ = stream.set_nodelay(true);
        Ok(Self(Stream::Plain(stream)))
    }

    /// Begins TLS, showing our certificate for a domain of ours if we have one. Whatever the other side shows is taken.
    ///
    /// # Errors
    /// In words.
    pub async fn secure(
        self,
        ours: Option<(&Tls, &str)>,
        name: &str,
        alpn: Option<&'static str>,
    ) -> Result<(Self, TlsFacts), String> {
        let Stream::Plain(plain) = self.0 else { return Err("it is secured already".into()) };
        let tls = match ours {
            Some((ours, domain)) => ours.calling(domain),
            None => Tls::anonymous(),
        };
        let tls = tls.map_err(|e| e.to_string())?;
        let side = Side::Client { tls, name: name.to_owned(), alpn };
        let shaking = async { handshake(plain, &side, None).await.map_err(|(error, _)| error) };
        let (stream, facts) = soon(shaking).await?;
        Ok((Self(Stream::Secured(Box::new(stream))), facts))
    }

    /// Says something.
    ///
    /// # Errors
    /// In words.
    pub async fn say(&mut self, bytes: &[u8]) -> Result<(), String> {
        match &mut self.0 {
            Stream::Plain(stream) => soon(stream.write_all(bytes)).await,
            Stream::Secured(stream) => soon(stream.write_all(bytes)).await,
        }
    }

    /// Listens until what was heard is enough, which also may be that the other side ended.
    ///
    /// # Errors
    /// In words, where it is not enough in time.
    pub async fn hear(&mut self, enough: impl Fn(&str) -> bool) -> Result<String, String> {
        let mut heard = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&heard);
            if enough(&text) || heard.len() > LONGEST {
                return Ok(text.into_owned());
            }
            let mut piece = [0u8; 4096];
            let read = match &mut self.0 {
                Stream::Plain(stream) => soon(or_end(stream.read(&mut piece))).await?,
                Stream::Secured(stream) => soon(or_end(stream.read(&mut piece))).await?,
            };
            if read == 0 {
                let what = if heard.is_empty() { "nothing" } else { "only a part of an answer" };
                return Err(format!("the other side ended the connection after {what}"));
            }
            heard.extend_from_slice(&piece[..read]);
        }
    }
}

//! clamd, by its INSTREAM command (clamd(8)), over TCP or a Unix socket.

use crate::turns::Turns;
use parking_lot::Mutex;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// So much is sent at a time.
const CHUNK: usize = 64 * 1024;

/// No answer of clamd's is longer.
const ANSWER: u64 = 4096;

/// Where clamd is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClamdAt {
    /// Address and port.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl FromStr for ClamdAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with('/') {
            return Ok(Self::Unix(text.into()));
        }
        let why =
            "write clamd's address, like \"127.0.0.1:3310\", or its socket, like \"/run/clamav/clamd.ctl\"";
        text.parse().map(Self::Tcp).map_err(|_| why.to_owned())
    }
}

impl fmt::Display for ClamdAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => write!(f, "{addr}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A scanner, as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClamdSettings {
    /// Where it is.
    pub at: ClamdAt,
    /// How long each step of asking it may take: until it is our turn, connecting, sending, its answer.
    pub patience: Duration,
    /// How many files it is given at a time.
    pub at_once: usize,
    /// True: what could not be scanned passes, and the record says so. False: it is held.
    pub fail_open: bool,
}

/// How a scanner is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannerView {
    /// Where it is.
    pub at: String,
    /// Files it has looked at.
    pub scanned: u64,
    /// Files in which it found something.
    pub found: u64,
    /// Files that it could not look at.
    pub failed: u64,
    /// Bytes that it was given.
    pub bytes: u64,
    /// Microseconds that it was asked, waiting for our turn included.
    pub micros: u64,
    /// Why not, if it was so the last time.
    pub trouble: Option<String>,
}

/// Looks into files.
pub(crate) trait Scanner: Send + Sync {
    /// What was found, by its name. Blocks.
    ///
    /// # Errors
    /// In words, why it could not be looked into.
    fn scan(&self, file: &mut dyn Read) -> Result<Option<String>, String>;

    /// How it is.
    fn view(&self) -> ScannerView;
}

/// The real one.
pub(crate) struct Clamd {
    settings: ClamdSettings,
    turns: Turns,
    counts: [AtomicU64; 3],
    bytes: AtomicU64,
    micros: AtomicU64,
    trouble: Mutex<Option<String>>,
}

trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

/// Is it there, and does it answer? Blocks.
///
/// # Errors
/// In words, why not.
pub fn ping(at: &ClamdAt, patience: Duration) -> Result<(), String> {
    let words = |e: io::Error| e.to_string();
    let mut wire = open(at, patience).map_err(words)?;
    wire.write_all(b"zPING\0").map_err(words)?;
    let answer = heard(&mut wire).map_err(words)?;
    if answer == "PONG" { Ok(()) } else { Err(format!("it says {answer:?}")) }
}

fn open(at: &ClamdAt, patience: Duration) -> io::Result<Box<dyn Wire>> {
    Ok(match at {
        ClamdAt::Tcp(addr) => {
            let wire = TcpStream::connect_timeout(addr, patience)?;
            wire.set_read_timeout(Some(patience))?;
            wire.set_write_timeout(Some(patience))?;
            Box::new(wire)
        }
        ClamdAt::Unix(path) => {
            let wire = UnixStream::connect(path)?;
            wire.set_read_timeout(Some(patience))?;
            wire.set_write_timeout(Some(patience))?;
            Box::new(wire)
        }
    })
}

fn heard(wire: &mut Box<dyn Wire>) -> io::Result<String> {
    let mut answer = Vec::new();
    wire.take(ANSWER).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).trim_end_matches('\0').to_owned())
}

impl Clamd {
    pub fn new(settings: ClamdSettings) -> Self {
        Self {
            turns: Turns::new(settings.at_once),
            settings,
            counts: Default::default(),
            bytes: AtomicU64::new(0),
            micros: AtomicU64::new(0),
            trouble: Mutex::default(),
        }
    }

    fn ask(&self, file: &mut dyn Read) -> io::Result<String> {
        let mut wire = open(&self.settings.at, self.settings.patience)?;
        wire.write_all(b"zINSTREAM\0")?;
        let mut chunk = vec![0; CHUNK];
        loop {
            let n = file.read(&mut chunk)?;
            // An empty chunk is the end.
            let sent = wire.write_all(&(n as u32).to_be_bytes()).and_then(|()| wire.write_all(&chunk[..n]));
            self.bytes.fetch_add(n as u64, Relaxed);
            match sent {
                Ok(()) if n == 0 => return heard(&mut wire),
                Ok(()) => {}
                // It hangs up on what is too large for it, and has said so before.
                Err(error) => {
                    return heard(&mut wire).ok().filter(|said| !said.is_empty()).ok_or(error);
                }
            }
        }
    }
}

/// `stream: OK`, `stream: NAME FOUND`, or anything else.
fn verdict(answer: &str) -> Result<Option<String>, String> {
    let said = answer.strip_prefix("stream: ").unwrap_or(answer);
    match said.strip_suffix(" FOUND") {
        Some(name) => Ok(Some(name.to_owned())),
        None if said == "OK" => Ok(None),
        None if said.is_empty() => Err("it hung up".to_owned()),
        None => Err(format!("it says {said:?}")),
    }
}

impl Scanner for Clamd {
    fn scan(&self, file: &mut dyn Read) -> Result<Option<String>, String> {
        let begun = Instant::now();
        // No burst of files is more than clamd can bear.
        let end = match self.turns.take(self.settings.patience) {
            Some(_turn) => self.ask(file).map_err(|e| e.to_string()).and_then(|answer| verdict(&answer)),
            None => Err("it is too busy".to_owned()),
        };
        self.micros.fetch_add(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX), Relaxed);
        let count = match &end {
            Ok(None) => 0,
            Ok(Some(_)) => 1,
            Err(_) => 2,
        };
        self.counts[count].fetch_add(1, Relaxed);
        let trouble = end.as_ref().err().cloned();
        let before = std::mem::replace(&mut *self.trouble.lock(), trouble.clone());
        // Said when it begins and when it ends.
        match (&before, &trouble) {
            (None, Some(why)) => tracing::error!(at = %self.settings.at, why, "clamd cannot be asked"),
            (Some(_), None) => tracing::info!(at = %self.settings.at, "clamd answers again"),
            _ => {}
        }
        end
    }

    fn view(&self) -> ScannerView {
        let [clean, found, failed] = [0, 1, 2].map(|i: usize| self.counts[i].load(Relaxed));
        let trouble = self.trouble.lock().clone();
        ScannerView {
            at: self.settings.at.to_string(),
            scanned: clean + found,
            found,
            failed,
            bytes: self.bytes.load(Relaxed),
            micros: self.micros.load(Relaxed),
            trouble,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_understood() {
        assert_eq!(verdict("stream: OK"), Ok(None));
        assert_eq!(verdict("stream: Eicar-Test FOUND"), Ok(Some("Eicar-Test".into())));
        assert!(verdict("INSTREAM size limit exceeded. ERROR").is_err() && verdict("").is_err());
        assert!("nowhere".parse::<ClamdAt>().is_err() && "[::1]:3310".parse::<ClamdAt>().is_ok());
    }
}

//! Lists of certificates that their authorities have taken back (RFC 5280 section 5), read from files that others keep up
//! to date.

use parking_lot::Mutex;
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use webpki::{CertRevocationList, OwnedCertRevocationList};
use x509_parser::prelude::{CertificateRevocationList, FromDer};

/// No list is longer.
const LONGEST: u64 = 16 << 20;

/// A file of lists.
#[derive(Debug)]
pub(crate) struct File {
    path: PathBuf,
    kept: Mutex<Option<(Stamp, Arc<Lists>)>>,
}

/// When a file has changed, one of these has.
type Stamp = (Option<SystemTime>, u64);

/// What a file holds.
#[derive(Debug)]
pub(crate) struct Lists {
    pub lists: Vec<CertRevocationList<'static>>,
    /// The end of each one's time, as the clock tells it, and in words.
    until: Vec<(i64, String)>,
}

impl File {
    pub fn new(path: &str) -> Self {
        Self { path: path.into(), kept: Mutex::default() }
    }

    /// What it holds now. Blocks.
    ///
    /// # Errors
    /// In words, where it cannot be read: then nobody knows who is on it.
    pub fn read(&self) -> Result<Arc<Lists>, String> {
        let wrong =
            |why: String| format!("the revocation list {} cannot be read: {why}", self.path.display());
        let about = std::fs::metadata(&self.path).map_err(|e| wrong(e.to_string()))?;
        let stamp = (about.modified().ok(), about.len());
        let mut kept = self.kept.lock();
        if let Some((before, lists)) = &*kept
            && *before == stamp
        {
            return Ok(lists.clone());
        }
        let lists = Arc::new(read(&self.path, about.len()).map_err(wrong)?);
        *kept = Some((stamp, lists.clone()));
        if let Some(remark) = self.overdue(&lists, crate::clock::wall().unix_ms() / 1000) {
            tracing::warn!("{remark}");
        }
        Ok(lists)
    }

    /// In words, if a newer one should be there by now.
    pub fn overdue(&self, lists: &Lists, now: u64) -> Option<String> {
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let (_, until) = lists.until.iter().find(|(until, _)| *until < now)?;
        Some(format!("the revocation list {} is out of date since {until}", self.path.display()))
    }
}

fn read(path: &Path, length: u64) -> Result<Lists, String> {
    if length > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
    let mut lists = Lists { lists: Vec::new(), until: Vec::new() };
    let mut add = |der: &[u8]| -> Result<(), String> {
        let list = OwnedCertRevocationList::from_der(der).map_err(|e| e.to_string())?;
        let (_, parsed) = CertificateRevocationList::from_der(der).map_err(|e| e.to_string())?;
        lists.lists.push(list.into());
        lists.until.extend(parsed.next_update().map(|at| (at.timestamp(), at.to_string())));
        Ok(())
    };
    // Authorities publish them in either form.
    if bytes.first() == Some(&0x30) {
        add(&bytes)?;
    } else {
        for list in CertificateRevocationListDer::pem_slice_iter(&bytes) {
            add(&list.map_err(|e| e.to_string())?)?;
        }
    }
    if lists.lists.is_empty() { Err("it holds no list, neither PEM nor DER".into()) } else { Ok(lists) }
}

/// Is it a file that can be used, by a path that means the same wherever the server is started?
pub(crate) fn check(path: &str) -> Result<(), String> {
    if !Path::new(path).is_absolute() {
        return Err(format!("write the whole path of the revocation list {path:?}"));
    }
    File::new(path).read().map(drop)
}

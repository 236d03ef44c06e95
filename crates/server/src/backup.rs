//! Making a backup: the store as it is at one moment, the configuration, on request the keys, and a manifest that
//! says what it should be.

use crate::certificates::shelf;
use crate::config::Config;
use crate::failure::Failure;
use record::{ChainId, Report};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use store::SqliteReader;

/// The manifest's name within a backup.
pub const MANIFEST: &str = "manifest.json";
/// The store's name within a backup.
pub const STORE: &str = "rialto.db";
/// The configuration's name within a backup.
pub const CONFIG: &str = "rialto.toml";

/// The name, within a backup with keys, of the key that checkpoints are signed with.
const SIGNING_KEY: &str = "data/checkpoint.key";

/// Where the contents of uploaded files are, within a backup and within `data`.
pub const BLOBS: &str = "blobs";

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The program that made it.
    pub version: String,
    /// When, RFC 3339.
    pub made: String,
    /// The chain, as node/epoch.
    pub chain: String,
    /// The last row.
    pub head: u64,
    /// Its link, hex; zeros for none.
    pub link: String,
    /// Conversations in it.
    pub conversations: u64,
    /// Accounts in it.
    pub accounts: u64,
    /// SHA-256 of each file, hex, by its path within the backup.
    pub files: BTreeMap<String, String>,
}

/// Hears how far something is.
pub trait Listener {
    /// So much of so much of this is done.
    fn hear(&mut self, what: &str, done: u64, total: u64);
}

/// Makes a backup in a directory that does not exist yet; a failure takes it away again.
///
/// # Errors
/// [`Failure`] when something cannot be read or written, or the copy does not verify.
pub fn make(
    config: &Config,
    config_file: &Path,
    to: &Path,
    with_keys: bool,
    listener: &mut dyn Listener,
) -> Result<Manifest, Failure> {
    let wrong = |e: std::io::Error| Failure::new(format!("cannot make {}: {e}", to.display()));
    fs::DirBuilder::new().mode(0o700).create(to).map_err(wrong)?;
    let made = fill(config, config_file, to, with_keys, listener);
    if made.is_err() {
        let _ = fs::remove_dir_all(to);
    }
    made
}

fn fill(
    config: &Config,
    config_file: &Path,
    to: &Path,
    with_keys: bool,
    listener: &mut dyn Listener,
) -> Result<Manifest, Failure> {
    let made = crate::clock::now().to_string();
    let store = to.join(STORE);
    let reader = SqliteReader::open(&config.store())
        .map_err(|t| Failure::new(format!("{}: {t}", config.store().display())))?;
    reader.copy_to(&store, |done, total| listener.hear("copying", done, total))?;
    let mut names = vec![STORE.to_owned(), CONFIG.to_owned()];
    copy(config_file, &to.join(CONFIG))?;
    if with_keys {
        for (name, file) in keys(config) {
            let copied = to.join(&name);
            if let Some(dir) = copied.parent() {
                fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
            }
            copy(&file, &copied)?;
            names.push(name);
        }
        names.extend(kept_certificates(config, to)?);
    }
    // After the store, which then names none that has not come yet.
    names.extend(contents(config, to, listener)?);
    let (chain, report) = prove(&store, listener)?;
    let (head, link) = report.last.map_or((0, [0; 32]), |(seq, link)| (seq.0, link));
    let mut files = BTreeMap::new();
    for name in names {
        let sum = checksum(&to.join(&name))?;
        files.insert(name, sum);
    }
    let manifest = Manifest {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        made,
        chain: chain.to_string(),
        head,
        link: hex(&link),
        conversations: report.conversations,
        accounts: SqliteReader::open(&store)?.accounts()?,
        files,
    };
    let text = serde_json::to_vec_pretty(&manifest).map_err(|e| Failure::new(e.to_string()))?;
    write(&to.join(MANIFEST), &mut &text[..])?;
    sync_directory(to)?;
    Ok(manifest)
}

/// Certificates and keys that the configuration names, those of our own authority, and what checkpoints are signed with, so that
/// those of before and after a restore are by one key: names within a backup, and where they are now.
fn keys(config: &Config) -> BTreeMap<String, PathBuf> {
    let mut all = BTreeMap::new();
    let named = |file: &Path, otherwise: String| match file.strip_prefix(config.base()) {
        // Where the configuration of the restored server looks for it.
        Ok(below) if below.components().all(|c| matches!(c, Component::Normal(_))) => {
            below.to_str().map_or(otherwise, str::to_owned)
        }
        _ => otherwise,
    };
    if let Some((certificate, key)) = &config.tls {
        all.insert("tls/cert.pem".to_owned(), certificate.clone());
        all.insert("tls/key.pem".to_owned(), key.clone());
    }
    for files in &config.tls_domains {
        let domain = files.domain.as_deref().unwrap_or_default();
        for (file, end) in [(&files.certificate, "pem"), (&files.key, "key")] {
            let otherwise = format!("tls/{domain}.{end}");
            let name = named(file, otherwise.clone());
            all.insert(if all.contains_key(&name) { otherwise } else { name }, file.clone());
        }
    }
    let own = [("ca.pem", config.base()), ("tls/ca-key.pem", config.base())];
    let own = own.map(|(name, dir)| (name.to_owned(), dir.join(name)));
    let revoked = ("data/ca.crl".to_owned(), config.data.join("ca.crl"));
    let signing = (SIGNING_KEY.to_owned(), config.signing_key());
    all.extend(own.into_iter().chain([revoked, signing]).filter(|(_, file)| file.exists()));
    all
}

/// The contents of uploaded files. What is destroyed meanwhile was destroyed by rule, and is left out.
fn contents(config: &Config, to: &Path, listener: &mut dyn Listener) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    for shelf in fs::read_dir(config.data.join(BLOBS)).into_iter().flatten() {
        let shelf = shelf?;
        let name = shelf.file_name().to_string_lossy().into_owned();
        // What is not complete has another name.
        if name.len() != 2 {
            continue;
        }
        for blob in fs::read_dir(shelf.path())? {
            found.push(format!("{BLOBS}/{name}/{}", blob?.file_name().to_string_lossy()));
        }
    }
    let (mut names, total) = (Vec::new(), found.len() as u64);
    for (at, name) in found.into_iter().enumerate() {
        let file = to.join(&name);
        if let Some(shelf) = file.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(shelf)?;
        }
        match copy(&config.data.join(&name), &file) {
            Ok(()) => names.push(name),
            Err(_) if !config.data.join(&name).exists() => {}
            Err(failure) => return Err(failure),
        }
        listener.hear("copying files", at as u64 + 1, total);
    }
    Ok(names)
}

/// The certificates that the server keeps by itself, with their keys and its account with the authority.
fn kept_certificates(config: &Config, to: &Path) -> Result<Vec<String>, Failure> {
    const SHELF: &str = "data/certificates";
    let Ok(files) = fs::read_dir(shelf::dir(config)) else { return Ok(Vec::new()) };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(to.join(SHELF))?;
    let mut names = Vec::new();
    for file in files {
        let file = file?;
        let Ok(name) = file.file_name().into_string() else { continue };
        // One of them may be there already, by the configuration.
        let is_new = !to.join(SHELF).join(&name).exists();
        if file.file_type()?.is_file() && !name.ends_with(".part") && is_new {
            names.push(format!("{SHELF}/{name}"));
            copy(&file.path(), &to.join(SHELF).join(name))?;
        }
    }
    Ok(names)
}

/// Verifies the chain of a store that nobody writes.
pub fn prove(store: &Path, listener: &mut dyn Listener) -> Result<(ChainId, Report), Failure> {
    let reader = SqliteReader::open(store)?;
    let name = reader.value(store::CHAIN_SETTING)?.unwrap_or_default();
    let chain = ChainId::from_bytes(&name)
        .ok_or_else(|| Failure::new(format!("{}: the journal has no chain", store.display())))?;
    let head = reader.head()?.0;
    let report = record::verify(&reader, chain, |seq| listener.hear("verifying", seq.0, head))?;
    if let Some(finding) = &report.finding {
        return Err(Failure::new(format!("{}: NOT INTACT: {finding}", store.display())));
    }
    Ok((chain, report))
}

/// Copies a file; only its owner can read the copy. It is on the disk afterwards.
pub fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    let mut file = fs::File::open(from).map_err(|e| Failure::new(format!("{}: {e}", from.display())))?;
    write(to, &mut file)
}

fn write(to: &Path, from: &mut dyn Read) -> Result<(), Failure> {
    let wrong = |e: std::io::Error| Failure::new(format!("{}: {e}", to.display()));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(wrong)?;
    std::io::copy(from, &mut file).and_then(|_| file.flush()).and_then(|()| file.sync_all()).map_err(wrong)
}

/// Makes names in a directory last.
pub fn sync_directory(dir: &Path) -> Result<(), Failure> {
    let dir = if dir.as_os_str().is_empty() { PathBuf::from(".") } else { dir.to_owned() };
    Ok(fs::File::open(dir)?.sync_all()?)
}

/// SHA-256 of a file, hex.
pub fn checksum(path: &Path) -> Result<String, Failure> {
    let wrong = |e: std::io::Error| Failure::new(format!("{}: {e}", path.display()));
    let mut file = fs::File::open(path).map_err(wrong)?;
    let (mut digest, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer).map_err(wrong)? {
            0 => break,
            n => digest.update(&buffer[..n]),
        }
    }
    Ok(hex(&digest.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

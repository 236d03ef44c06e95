//! The certificates that this server keeps by itself, below its data: `certificates/DOMAIN.pem` and `DOMAIN.key`.

use crate::config::Config;
use crate::failure::Failure;
use net::KeyFiles;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where they are.
pub fn dir(config: &Config) -> PathBuf {
    config.data.join("certificates")
}

/// Where a domain's are, whether they exist or not.
pub fn files(config: &Config, domain: &str) -> KeyFiles {
    let named = |end: &str| dir(config).join(format!("{domain}.{end}"));
    KeyFiles { domain: Some(domain.to_owned()), certificate: named("pem"), key: named("key") }
}

/// Where a key waits whose certificate was asked for and has not come.
pub fn next_key(config: &Config, domain: &str) -> PathBuf {
    dir(config).join(format!("{domain}.next.key"))
}

/// Where key and chain are that came together, until both are in their places.
fn fresh(config: &Config, domain: &str) -> KeyFiles {
    files(config, &format!("{domain}.fresh"))
}

/// Puts a key and its chain in place: both, or neither.
///
/// # Errors
/// [`Failure`] naming the file.
pub fn put_pair(config: &Config, domain: &str, key: &[u8], chain: &[u8]) -> Result<(), Failure> {
    let fresh = fresh(config, domain);
    // Once the chain is there the pair is whole.
    put(&fresh.key, key)?;
    put(&fresh.certificate, chain)?;
    settle(config, domain)
}

/// Goes on with a pair that was whole, and not in its place when the server ended.
///
/// # Errors
/// [`Failure`] naming the file.
pub fn settle(config: &Config, domain: &str) -> Result<(), Failure> {
    let (fresh, files) = (fresh(config, domain), files(config, domain));
    if !fresh.certificate.exists() {
        return Ok(());
    }
    let dir = dir(config);
    let moved = (|| {
        for (from, to) in [(&fresh.key, &files.key), (&fresh.certificate, &files.certificate)] {
            match fs::rename(from, to) {
                // It was there already, or somebody else did it just now.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                done => done?,
            }
            lasting(&dir)?;
        }
        Ok(())
    })();
    moved.map_err(|e: std::io::Error| Failure::new(format!("cannot write in {}: {e}", dir.display())))
}

/// Makes the names in a directory last.
fn lasting(dir: &Path) -> std::io::Result<()> {
    fs::File::open(dir)?.sync_all()
}

/// What is shown until the first certificate comes. Made by [`make_stand_in`].
pub fn stand_in(config: &Config) -> KeyFiles {
    KeyFiles { domain: None, ..files(config, "stand-in") }
}

/// Makes a certificate by nobody, so that listeners can open before the first one was issued.
///
/// # Errors
/// [`Failure`] when it cannot be written.
pub fn make_stand_in(config: &Config) -> Result<(), Failure> {
    let files = stand_in(config);
    if files.certificate.exists() {
        return Ok(());
    }
    let key = rcgen::KeyPair::generate()?;
    let names: Vec<String> = config.domains.iter().map(|d| partner::ascii(d.domain())).collect();
    let certificate = rcgen::CertificateParams::new(names)?.self_signed(&key)?;
    put(&files.key, key.serialize_pem().as_bytes())?;
    put(&files.certificate, certificate.pem().as_bytes())
}

/// Writes a file that only we can read, whole or not at all.
///
/// # Errors
/// [`Failure`] naming the file.
pub fn put(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |e: std::io::Error| Failure::new(format!("cannot write {}: {e}", path.display()));
    if let Some(dir) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    }
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let written = (|| {
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)?;
        path.parent().map_or(Ok(()), lasting)
    })();
    written.map_err(failed)
}

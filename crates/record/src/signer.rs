//! The key that the record is signed with (Ed25519, RFC 8032).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A key in a file that its owner alone can read: PKCS #8 in PEM, as other programs read it too.
pub struct Signer {
    pair: Ed25519KeyPair,
    made: bool,
}

impl Signer {
    /// Reads the key from a file; makes both where there is no such file.
    ///
    /// # Errors
    /// When the file cannot be read or written, or holds something else.
    pub fn open(file: &Path) -> io::Result<Self> {
        let (der, made) = match fs::read(file) {
            Ok(text) => {
                let der = PrivatePkcs8KeyDer::from_pem_slice(&text);
                let der = der.map_err(|_| wrong("this is no private key in PEM (PKCS #8)"))?;
                (der.secret_pkcs8_der().to_vec(), false)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => (make(file)?, true),
            Err(e) => return Err(e),
        };
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der);
        Ok(Self { pair: pair.map_err(|_| wrong("this is no key for Ed25519"))?, made })
    }

    /// Was the key made just now?
    pub fn is_new(&self) -> bool {
        self.made
    }

    /// The public key.
    pub fn key(&self) -> [u8; 32] {
        let mut key = [0; 32];
        key.copy_from_slice(self.pair.public_key().as_ref());
        key
    }

    /// Signs. What is signed begins with eight letters that say what it is (FORMAT.md), so that no signature is good for
    /// something else.
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.pair.sign(bytes).as_ref());
        signature
    }
}

/// Did the owner of this public key sign these bytes?
pub fn is_signed(key: &[u8; 32], bytes: &[u8], signature: &[u8; 64]) -> bool {
    UnparsedPublicKey::new(&ED25519, key).verify(bytes, signature).is_ok()
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Under its name only when it is on the disk.
fn make(file: &Path) -> io::Result<Vec<u8>> {
    let der = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new());
    let der = der.map_err(|_| io::Error::other("no randomness"))?.as_ref().to_vec();
    let part = file.with_extension("part");
    match fs::remove_file(&part) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &der);
    write!(to, "-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n")?;
    to.sync_all()?;
    fs::rename(&part, file)?;
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir)?.sync_all()?;
    Ok(der)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_and_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("checkpoint.key");
        let first = Signer::open(&file).unwrap();
        let again = Signer::open(&file).unwrap();
        assert!(first.is_new() && !again.is_new());
        assert_eq!(first.key(), again.key());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let signature = first.sign(b"something");
        assert!(is_signed(&again.key(), b"something", &signature));
        assert!(!is_signed(&again.key(), b"another", &signature));
        fs::write(&file, "nonsense").unwrap();
        assert_eq!(Signer::open(&file).err().unwrap().kind(), io::ErrorKind::InvalidData);
        assert_eq!(fs::read(&file).unwrap(), b"nonsense");
    }

    /// A key and a signature of RFC 8032 section 7.1 (test 2), in the form that `openssl genpkey` writes.
    #[test]
    fn a_key_that_another_program_made() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("checkpoint.key");
        let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n-----END PRIVATE KEY-----\n";
        fs::write(&file, pem).unwrap();
        let signer = Signer::open(&file).unwrap();
        let hex = crate::hex::hex;
        assert_eq!(hex(&signer.key()), "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
        assert!(hex(&signer.sign(b"\x72")).starts_with("92a009a9f0d4cab8720e820b5f642540"));
    }
}

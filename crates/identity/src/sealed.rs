use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use model::{Address, Secret};
use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use zeroize::Zeroizing;

/// First byte of a sealed password; another way of sealing gets another one.
const VERSION: u8 = 1;
const NONCE: usize = 12;

/// Seals the passwords accounts have at other networks, for protocols that must say them there. The key is a file
/// apart from the store, so that neither a copy of the store nor a backup of it gives the passwords away.
pub struct SealingKey(RandomizedNonceKey);

/// Why a password cannot be sealed or opened. Never holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SealError {
    /// The key file: why it cannot be used.
    Key(String),
    /// The box was made with another key, for another account or network, or was changed.
    Box,
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(why) => write!(f, "the sealing key: {why}"),
            Self::Box => {
                f.write_str("the sealed password does not open with this key for this account and network")
            }
        }
    }
}

impl std::error::Error for SealError {}

impl SealingKey {
    /// Reads the key file, or makes one, readable by its owner alone.
    ///
    /// # Errors
    /// [`SealError::Key`] when it cannot be read or made, is no key, or others may read it.
    pub fn open(path: &Path) -> Result<Self, SealError> {
        match std::fs::File::open(path) {
            Ok(file) => Self::read(file),
            Err(e) if e.kind() == ErrorKind::NotFound => Self::make(path),
            Err(e) => Err(SealError::Key(e.to_string())),
        }
    }

    fn read(mut file: std::fs::File) -> Result<Self, SealError> {
        let io = |e: std::io::Error| SealError::Key(e.to_string());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            if file.metadata().map_err(io)?.permissions().mode() & 0o077 != 0 {
                return Err(SealError::Key("others may read or write the file (chmod 600 it)".into()));
            }
        }
        let mut key = Zeroizing::new([0; 33]);
        let mut length = 0;
        while length < key.len() {
            match file.read(&mut key[length..]).map_err(io)? {
                0 => break,
                n => length += n,
            }
        }
        if length != 32 {
            return Err(SealError::Key("the file does not hold 32 bytes".into()));
        }
        Self::new(&key[..32])
    }

    fn make(path: &Path) -> Result<Self, SealError> {
        let io = |e: std::io::Error| SealError::Key(e.to_string());
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut key[..]).map_err(|e| SealError::Key(format!("no randomness: {e}")))?;
        let mut open = std::fs::OpenOptions::new();
        open.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
        let mut file = open.open(path).map_err(io)?;
        file.write_all(&key[..]).and_then(|()| file.sync_all()).map_err(io)?;
        Self::new(&key[..])
    }

    fn new(key: &[u8]) -> Result<Self, SealError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, key);
        key.map(Self).map_err(|_| SealError::Key("not a key for AES-256".into()))
    }

    /// Seals a password for one account at one network: version, nonce, ciphertext with tag (AES-256-GCM).
    ///
    /// # Errors
    /// [`SealError::Key`] when there is no randomness.
    pub fn seal(&self, account: &Address, network: &str, password: &Secret) -> Result<Vec<u8>, SealError> {
        let mut text = password.reveal().as_bytes().to_vec();
        // The tag is appended in place, over the clear text: nothing of it stays behind.
        text.reserve_exact(16);
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(bound(account, network)), &mut text)
            .map_err(|_| SealError::Key("sealing failed".into()))?;
        let mut sealed = Vec::with_capacity(1 + NONCE + text.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(nonce.as_ref());
        sealed.extend_from_slice(&text);
        Ok(sealed)
    }

    /// Opens what [`SealingKey::seal`] made for the same account and network.
    ///
    /// # Errors
    /// [`SealError::Box`] for anything else.
    pub fn open_password(
        &self,
        account: &Address,
        network: &str,
        sealed: &[u8],
    ) -> Result<Secret, SealError> {
        let Some((&VERSION, rest)) = sealed.split_first() else { return Err(SealError::Box) };
        let (nonce, text) = rest.split_at_checked(NONCE).ok_or(SealError::Box)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Box)?;
        let mut text = Zeroizing::new(text.to_vec());
        let clear = self
            .0
            .open_in_place(nonce, Aad::from(bound(account, network)), &mut text[..])
            .map_err(|_| SealError::Box)?;
        std::str::from_utf8(clear).map(Secret::new).map_err(|_| SealError::Box)
    }
}

/// Binds a box to its place, so that it cannot be moved to another account. An address holds no NUL.
fn bound(account: &Address, network: &str) -> Vec<u8> {
    [account.as_str().as_bytes(), b"\0", network.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_in_its_place_with_its_key_only() {
        let dir = tempfile::tempdir().unwrap();
        let key = SealingKey::open(&dir.path().join("key")).unwrap();
        let (romeo, juliet) = (Address::parse("romeo@x").unwrap(), Address::parse("juliet@x").unwrap());
        let password = Secret::new("pencil");
        let sealed = key.seal(&romeo, "aim", &password).unwrap();
        assert_ne!(sealed, key.seal(&romeo, "aim", &password).unwrap());
        assert!(!sealed.windows(6).any(|w| w == b"pencil"));
        // The same file is the same key.
        let again = SealingKey::open(&dir.path().join("key")).unwrap();
        assert_eq!(again.open_password(&romeo, "aim", &sealed), Ok(password));
        assert_eq!(key.open_password(&juliet, "aim", &sealed), Err(SealError::Box));
        assert_eq!(key.open_password(&romeo, "icq", &sealed), Err(SealError::Box));
        let other = SealingKey::open(&dir.path().join("other")).unwrap();
        assert_eq!(other.open_password(&romeo, "aim", &sealed), Err(SealError::Box));
        for at in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[at] ^= 1;
            assert_eq!(key.open_password(&romeo, "aim", &bad), Err(SealError::Box));
            assert_eq!(key.open_password(&romeo, "aim", &sealed[..at]), Err(SealError::Box));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_key_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        SealingKey::open(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(SealingKey::open(&path), Err(SealError::Key(_))));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, b"short").unwrap();
        assert!(matches!(SealingKey::open(&path), Err(SealError::Key(_))));
    }
}

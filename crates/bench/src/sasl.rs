//! SASL client: PLAIN and SCRAM (RFC 5802, RFC 7677), without channel binding.

use std::{cell::RefCell, collections::HashMap};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::Result;

/// A mechanism this client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// RFC 5802.
    ScramSha1,
    /// RFC 7677.
    ScramSha256,
}

impl Mechanism {
    /// Strongest first.
    pub const ALL: [Self; 3] = [Self::ScramSha256, Self::ScramSha1, Self::Plain];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::ScramSha256 => "SCRAM-SHA-256",
        }
    }
}

/// The PLAIN message.
pub fn plain(user: &str, password: &str) -> Vec<u8> {
    format!("\0{user}\0{password}").into_bytes()
}

/// What a salted password is made from: mechanism, password, salt, rounds.
type Salting = (Mechanism, String, Vec<u8>, u32);

thread_local! {
    /// Salted passwords, as RFC 5802 allows a client to keep them: later logins cost the generator next to nothing.
    static SALTED: RefCell<HashMap<Salting, Vec<u8>>> = RefCell::default();
}

/// One SCRAM exchange.
pub struct Scram {
    mechanism: Mechanism,
    password: String,
    nonce: String,
    first_bare: String,
    server_signature: Vec<u8>,
}

impl Scram {
    /// Starts an exchange with a nonce of the caller's.
    pub fn new(mechanism: Mechanism, user: &str, password: &str, nonce: &str) -> Self {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        Self {
            mechanism,
            password: password.into(),
            nonce: nonce.into(),
            first_bare: format!("n={user},r={nonce}"),
            server_signature: Vec::new(),
        }
    }

    /// The client's first message.
    pub fn first(&self) -> String {
        format!("n,,{}", self.first_bare)
    }

    /// The client's final message, in answer to the server's first.
    pub fn answer(&mut self, server_first: &str) -> Result<String> {
        let field = |key: &str| server_first.split(',').find_map(|f| f.strip_prefix(key));
        let nonce = field("r=").filter(|r| r.starts_with(&self.nonce)).ok_or("SCRAM: not our nonce")?;
        let salt = BASE64.decode(field("s=").ok_or("SCRAM: no salt")?)?;
        let rounds: u32 = field("i=").ok_or("SCRAM: no iteration count")?.parse()?;
        let salted = self.salted(&salt, rounds)?;
        let without_proof = format!("c=biws,r={nonce}");
        let auth = format!("{},{server_first},{without_proof}", self.first_bare);
        let client_key = self.hmac(&salted, b"Client Key");
        let signature = self.hmac(&self.hash(&client_key), auth.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        self.server_signature = self.hmac(&self.hmac(&salted, b"Server Key"), auth.as_bytes());
        Ok(format!("{without_proof},p={}", BASE64.encode(proof)))
    }

    /// Whether the server's final message proves that it knows the password too.
    pub fn verify(&self, server_final: &str) -> bool {
        server_final
            .split(',')
            .find_map(|f| f.strip_prefix("v="))
            .and_then(|v| BASE64.decode(v).ok())
            .is_some_and(|v| !v.is_empty() && v == self.server_signature)
    }

    fn salted(&self, salt: &[u8], rounds: u32) -> Result<Vec<u8>> {
        let key = (self.mechanism, self.password.clone(), salt.to_vec(), rounds);
        if let Some(known) = SALTED.with_borrow(|c| c.get(&key).cloned()) {
            return Ok(known);
        }
        let made = match self.mechanism {
            Mechanism::ScramSha1 => {
                pbkdf2::pbkdf2_hmac_array::<Sha1, 20>(self.password.as_bytes(), salt, rounds).to_vec()
            }
            Mechanism::ScramSha256 => {
                pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(self.password.as_bytes(), salt, rounds).to_vec()
            }
            Mechanism::Plain => return Err("PLAIN has no salt".into()),
        };
        SALTED.with_borrow_mut(|c| c.insert(key, made.clone()));
        Ok(made)
    }

    fn hash(&self, data: &[u8]) -> Vec<u8> {
        if self.mechanism == Mechanism::ScramSha1 {
            Sha1::digest(data).to_vec()
        } else {
            Sha256::digest(data).to_vec()
        }
    }

    fn hmac(&self, key: &[u8], data: &[u8]) -> Vec<u8> {
        fn with<M: Mac + KeyInit>(key: &[u8], data: &[u8]) -> Vec<u8> {
            let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
            mac.update(data);
            mac.finalize().into_bytes().to_vec()
        }
        if self.mechanism == Mechanism::ScramSha1 {
            with::<Hmac<Sha1>>(key, data)
        } else {
            with::<Hmac<Sha256>>(key, data)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc5802_section_5() {
        let mut s = Scram::new(Mechanism::ScramSha1, "user", "pencil", "fyko+d2lbbFgONRv9qkxdawL");
        assert_eq!(s.first(), "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL");
        let answer =
            s.answer("r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096").unwrap();
        assert_eq!(
            answer,
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="
        );
        assert!(s.verify("v=rmF9pqV8S7suAoZWja4dJRkFsKQ="));
        assert!(!s.verify("v=AAAA") && !s.verify("e=other-error"));
    }

    #[test]
    fn rfc7677_section_3() {
        let mut s = Scram::new(Mechanism::ScramSha256, "user", "pencil", "rOprNGfwEbeRWgbNEkqO");
        let answer = s
            .answer("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
            .unwrap();
        assert_eq!(
            answer,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert!(s.verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
    }

    #[test]
    fn refuses_a_foreign_nonce_and_escapes_names() {
        let mut s = Scram::new(Mechanism::ScramSha1, "a,b=c", "x", "mine");
        assert_eq!(s.first(), "n,,n=a=2Cb=3Dc,r=mine");
        assert!(s.answer("r=theirs,s=QSXCR+Q6sek8bf92,i=4096").is_err());
        assert_eq!(plain("u", "p"), b"\0u\0p");
    }
}

//! The server's side of SCRAM: RFC 5802, with SHA-256 as in RFC 7677 and the bindings of RFC 9266 and RFC 5929.
//!
//! [`ClientFirst::parse`] says whose key is needed; [`Scram::challenge`] goes on with the key, or with a
//! [`Decoy`] for a name nobody has, so that the two cannot be told apart by what is sent; [`Scram::finish`]
//! checks the proof.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use model::{Credential, Scheme};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Binding, Failure, Offer};

/// What SCRAM names must not hold, and what bounds them.
const MAX_NAME: usize = 1023;
const MAX_NONCE: usize = 512;

/// The first message of a client (RFC 5802 section 5.1, `client-first-message`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFirst {
    /// Who to act as, if it said so.
    pub authzid: Option<String>,
    /// Who it is.
    pub user: String,
    gs2: String,
    bare: String,
    nonce: String,
    binding: Option<Binding>,
}

impl ClientFirst {
    /// Reads the message and checks the channel binding flag against what this stream offered.
    pub fn parse(message: &[u8], plus: bool, offer: &Offer) -> Result<ClientFirst, Failure> {
        let text = std::str::from_utf8(message).map_err(|_| Failure::MalformedRequest)?;
        let (flag, rest) = text.split_once(',').ok_or(Failure::MalformedRequest)?;
        let (authzid, bare) = rest.split_once(',').ok_or(Failure::MalformedRequest)?;
        let binding = match flag {
            "n" if !plus => None,
            // The client could bind but thinks we cannot. If we offered it, somebody removed the offer on the way.
            "y" if !plus && !offer.binds() => None,
            "n" | "y" => return Err(Failure::NotAuthorized),
            _ => {
                let name = flag.strip_prefix("p=").ok_or(Failure::MalformedRequest)?;
                if !plus {
                    return Err(Failure::MalformedRequest);
                }
                Some(offer.binding(name).cloned().ok_or(Failure::NotAuthorized)?)
            }
        };
        let authzid = match authzid {
            "" => None,
            _ => Some(name(authzid.strip_prefix("a=").ok_or(Failure::MalformedRequest)?)?),
        };
        let mut fields = bare.split(',');
        // An `m=` in front is a mandatory extension, and we know none.
        let user = fields.next().and_then(|f| f.strip_prefix("n=")).ok_or(Failure::MalformedRequest)?;
        let nonce = fields.next().and_then(|f| f.strip_prefix("r=")).ok_or(Failure::MalformedRequest)?;
        if !printable(nonce) || nonce.len() > MAX_NONCE || !fields.all(extension) {
            return Err(Failure::MalformedRequest);
        }
        Ok(ClientFirst {
            authzid,
            user: name(user)?,
            gs2: text[..text.len() - bare.len()].into(),
            bare: bare.into(),
            nonce: nonce.into(),
            binding,
        })
    }
}

/// A `saslname`: `,` and `=` are escaped as `=2C` and `=3D`.
fn name(text: &str) -> Result<String, Failure> {
    let mut parts = text.split('=');
    let mut out = String::from(parts.next().unwrap_or(""));
    for part in parts {
        let (c, rest) = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err(Failure::MalformedRequest),
        };
        out.push(c);
        out.push_str(rest);
    }
    let fits = !out.is_empty() && out.len() <= MAX_NAME && !out.chars().any(char::is_control);
    if fits { Ok(out) } else { Err(Failure::MalformedRequest) }
}

fn printable(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| matches!(b, 0x21..=0x2b | 0x2d..=0x7e))
}

fn extension(field: &str) -> bool {
    let mut bytes = field.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic())
        && bytes.next() == Some(b'=')
        && bytes.next().is_some()
}

/// The stored key of an account, or what stands for one.
#[derive(Clone)]
pub struct ServerKey {
    salt: Bytes,
    iterations: u32,
    stored: Bytes,
    server: Bytes,
    genuine: bool,
}

impl fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerKey(..)")
    }
}

/// Makes keys for names nobody has: the same salt for the same name each time, and a proof that never fits.
#[derive(Clone)]
pub struct Decoy {
    /// Known to nobody outside; stays the same over restarts.
    pub secret: [u8; 32],
    /// The iteration count of real accounts.
    pub iterations: u32,
}

impl fmt::Debug for Decoy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoy").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// Bytes of salt that real accounts have.
const SALT: usize = 16;

impl Decoy {
    fn key(&self, scheme: Scheme, account: &str) -> ServerKey {
        let salt = mac::<Hmac<Sha256>>(&self.secret, &[b"salt", &[scheme as u8], account.as_bytes()]);
        let stored = mac::<Hmac<Sha256>>(&self.secret, &[b"key", &[scheme as u8], account.as_bytes()]);
        let len = digest_len(scheme);
        ServerKey {
            salt: Bytes::copy_from_slice(&salt[..SALT]),
            iterations: self.iterations,
            stored: Bytes::copy_from_slice(&stored[..len]),
            server: Bytes::copy_from_slice(&stored[..len]),
            genuine: false,
        }
    }

    /// The key of an account, or a decoy where there is none that fits.
    pub fn or(&self, credential: Option<Credential>, scheme: Scheme, account: &str) -> ServerKey {
        match credential {
            Some(Credential::Scram { salt, iterations, stored_key, server_key })
                if stored_key.len() == digest_len(scheme) && server_key.len() == digest_len(scheme) =>
            {
                ServerKey { salt, iterations, stored: stored_key, server: server_key, genuine: true }
            }
            _ => self.key(scheme, account),
        }
    }
}

fn digest_len(scheme: Scheme) -> usize {
    if scheme == Scheme::ScramSha256 { 32 } else { 20 }
}

/// An exchange that has sent its challenge and waits for the proof.
#[derive(Debug)]
pub struct Scram {
    scheme: Scheme,
    first: ClientFirst,
    key: ServerKey,
    nonce: String,
    server_first: String,
}

impl Scram {
    /// Goes on with the key; `nonce` is our part of the nonce, fresh and printable.
    pub fn challenge(scheme: Scheme, first: ClientFirst, key: ServerKey, nonce: &str) -> Scram {
        let nonce = format!("{}{}", first.nonce, nonce);
        let server_first = format!("r={},s={},i={}", nonce, STANDARD.encode(&key.salt), key.iterations);
        Scram { scheme, first, key, nonce, server_first }
    }

    /// The `server-first-message`.
    pub fn server_first(&self) -> &str {
        &self.server_first
    }

    /// Checks the `client-final-message`; gives the `server-final-message`.
    pub fn finish(&self, message: &[u8]) -> Result<String, Failure> {
        let text = std::str::from_utf8(message).map_err(|_| Failure::MalformedRequest)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(Failure::MalformedRequest)?;
        let proof = STANDARD.decode(proof).map_err(|_| Failure::MalformedRequest)?;
        let mut fields = without_proof.split(',');
        let binding = fields.next().and_then(|f| f.strip_prefix("c=")).ok_or(Failure::MalformedRequest)?;
        let nonce = fields.next().and_then(|f| f.strip_prefix("r=")).ok_or(Failure::MalformedRequest)?;
        if !fields.all(extension) {
            return Err(Failure::MalformedRequest);
        }
        let binding = STANDARD.decode(binding).map_err(|_| Failure::MalformedRequest)?;
        let mut wanted = Vec::from(self.first.gs2.as_bytes());
        if let Some(bound) = &self.first.binding {
            wanted.extend_from_slice(&bound.data);
        }
        let auth =
            [self.first.bare.as_bytes(), b",", self.server_first.as_bytes(), b",", without_proof.as_bytes()];
        let fits = match self.scheme {
            Scheme::ScramSha256 => proves::<Hmac<Sha256>, Sha256>(&self.key.stored, &auth, &proof),
            _ => proves::<Hmac<Sha1>, Sha1>(&self.key.stored, &auth, &proof),
        };
        let bound = bool::from(wanted.ct_eq(&binding));
        let fresh = bool::from(nonce.as_bytes().ct_eq(self.nonce.as_bytes()));
        if !(fits & bound & fresh & self.key.genuine) {
            return Err(Failure::NotAuthorized);
        }
        let signature = match self.scheme {
            Scheme::ScramSha256 => mac::<Hmac<Sha256>>(&self.key.server, &auth),
            _ => mac::<Hmac<Sha1>>(&self.key.server, &auth),
        };
        Ok(format!("v={}", STANDARD.encode(signature)))
    }
}

/// RFC 5802 section 3: ClientKey = ClientProof XOR ClientSignature, and H(ClientKey) must be StoredKey.
fn proves<M: Mac + KeyInit, H: Digest>(stored: &[u8], auth: &[&[u8]], proof: &[u8]) -> bool {
    let mut key = mac::<M>(stored, auth);
    if key.len() != proof.len() {
        return false;
    }
    for (k, p) in key.iter_mut().zip(proof) {
        *k ^= p;
    }
    bool::from(H::digest(&key).as_slice().ct_eq(stored))
}

fn mac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    // HMAC takes keys of any length; the error cannot occur, and an empty tag would match nothing.
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return Vec::new() };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(scheme: Scheme, password: &[u8], salt: &[u8], iterations: u32) -> Credential {
        fn of<M: Mac + KeyInit, H: Digest>(salted: &[u8]) -> (Bytes, Bytes) {
            let client = mac::<M>(salted, &[b"Client Key"]);
            (H::digest(client).to_vec().into(), mac::<M>(salted, &[b"Server Key"]).into())
        }
        let (stored_key, server_key) = if scheme == Scheme::ScramSha256 {
            let mut salted = [0; 32];
            pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut salted);
            of::<Hmac<Sha256>, Sha256>(&salted)
        } else {
            let mut salted = [0; 20];
            pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, iterations, &mut salted);
            of::<Hmac<Sha1>, Sha1>(&salted)
        };
        Credential::Scram { salt: Bytes::copy_from_slice(salt), iterations, stored_key, server_key }
    }

    fn decoy() -> Decoy {
        Decoy { secret: [1; 32], iterations: 4096 }
    }

    /// RFC 5802 section 5 and RFC 7677 section 3, word for word.
    #[test]
    fn the_examples_of_the_rfcs() {
        let rows = [
            (
                Scheme::ScramSha1,
                "QSXCR+Q6sek8bf92",
                "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
                "3rfcNHYJY1ZVvWVs7j",
                "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
                "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
                "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
            ),
            (
                Scheme::ScramSha256,
                "W22ZaJ0SNY7soEsUEjb6gQ==",
                "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
                "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
                "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
                "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
            ),
        ];
        for (scheme, salt, first, nonce, challenge, last, end) in rows {
            let salt = STANDARD.decode(salt).unwrap();
            let parsed = ClientFirst::parse(first.as_bytes(), false, &Offer::default()).unwrap();
            assert_eq!(parsed.user, "user");
            let real = decoy().or(Some(key(scheme, b"pencil", &salt, 4096)), scheme, "user");
            let scram = Scram::challenge(scheme, parsed.clone(), real, nonce);
            assert_eq!(scram.server_first(), challenge);
            assert_eq!(scram.finish(last.as_bytes()).as_deref(), Ok(end));
            let wrong = decoy().or(Some(key(scheme, b"pencils", &salt, 4096)), scheme, "user");
            let scram = Scram::challenge(scheme, parsed.clone(), wrong, nonce);
            assert_eq!(scram.finish(last.as_bytes()), Err(Failure::NotAuthorized));
            let nobody = Scram::challenge(scheme, parsed, decoy().or(None, scheme, "nobody"), nonce);
            assert_eq!(nobody.finish(last.as_bytes()), Err(Failure::NotAuthorized));
        }
    }

    #[test]
    fn unknown_names_look_the_same_each_time() {
        let salt = |name| decoy().or(None, Scheme::ScramSha1, name).salt;
        assert_eq!(salt("a"), salt("a"));
        assert_ne!(salt("a"), salt("b"));
        assert_eq!(salt("a").len(), 16);
    }

    #[test]
    fn channel_binding_flags() {
        let bound = Offer {
            secure: true,
            bindings: vec![Binding { name: "tls-exporter", data: Bytes::from_static(b"xyz") }],
        };
        let free = Offer { secure: true, bindings: vec![] };
        let rows: &[(&str, bool, &Offer, Result<(), Failure>)] = &[
            ("n,,n=u,r=a", false, &bound, Ok(())),
            ("y,,n=u,r=a", false, &bound, Err(Failure::NotAuthorized)),
            ("y,,n=u,r=a", false, &free, Ok(())),
            ("p=tls-exporter,,n=u,r=a", true, &bound, Ok(())),
            ("p=tls-unique,,n=u,r=a", true, &bound, Err(Failure::NotAuthorized)),
            ("p=tls-exporter,,n=u,r=a", false, &bound, Err(Failure::MalformedRequest)),
            ("n,,n=u,r=a", true, &bound, Err(Failure::NotAuthorized)),
            ("y,,n=u,r=a", true, &bound, Err(Failure::NotAuthorized)),
        ];
        for (text, plus, offer, wanted) in rows {
            let got = ClientFirst::parse(text.as_bytes(), *plus, offer).map(|_| ());
            assert_eq!(got, *wanted, "{text} {plus}");
        }
    }

    #[test]
    fn garbage_is_malformed_and_never_panics() {
        for bad in [
            "",
            "n",
            "n,,",
            "n,,n",
            "n,,n=u",
            "n,a,n=u,r=a",
            "n,,n=u,r=",
            "n,,n=,r=a",
            "n,,n=a=2,r=a",
            "n,,m=x,n=u,r=a",
            "x,,n=u,r=a",
            "n,,n=u,r=a b",
            "n,,n=u,r=a,",
            "n,,n=u,r=a,b",
            "p,,n=u,r=a",
            "n,a=,n=u,r=a",
        ] {
            let got = ClientFirst::parse(bad.as_bytes(), false, &Offer::default());
            assert_eq!(got, Err(Failure::MalformedRequest), "{bad}");
        }
        let first = ClientFirst::parse(b"n,a=b,n=u=2Cv=3D,r=a,x=y", false, &Offer::default()).unwrap();
        assert_eq!((first.user.as_str(), first.authzid.as_deref()), ("u,v=", Some("b")));
        let scram =
            Scram::challenge(Scheme::ScramSha1, first, decoy().or(None, Scheme::ScramSha1, "u"), "zz");
        for bad in [
            "",
            "c",
            "c=biws,",
            "c=biws,r=a",
            "c=!,r=azz,p=AA==",
            "c=biws,r=azz,p=!",
            "p=AA==",
            ",p=",
            "c=biws,p=AA==",
        ] {
            assert_eq!(scram.finish(bad.as_bytes()), Err(Failure::MalformedRequest), "{bad}");
        }
        assert_eq!(scram.finish(b"c=biws,r=azz,p=AA=="), Err(Failure::NotAuthorized));
    }
}

//! How the scripted clients prove who they are: SCRAM-SHA-256 (RFC 5802, RFC 7677) and digest with SHA-256 (RFC 7616,
//! RFC 8760), the client's side of both.

use crate::failure::Failure;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Letters and digits nobody can guess.
pub fn random(len: usize) -> Result<String, Failure> {
    // 32 characters, none of which is easily taken for another; so every byte gives one without bias.
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = vec![0u8; len];
    getrandom::fill(&mut bytes).map_err(|e| Failure::new(format!("no randomness: {e}")))?;
    Ok(bytes.iter().map(|b| char::from(ALPHABET[usize::from(b % 32)])).collect())
}

fn mac(key: &[u8], data: &[u8]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(data);
    mac.finalize().into_bytes().into()
}

/// One SCRAM-SHA-256 exchange without channel binding.
pub struct Scram {
    bare: String,
    nonce: String,
    password: String,
    server: String,
}

impl Scram {
    /// Begins. User names with `,` or `=` are not needed here.
    pub fn new(user: &str, password: &str, nonce: &str) -> Self {
        Self {
            bare: format!("n={user},r={nonce}"),
            nonce: nonce.to_owned(),
            password: password.to_owned(),
            server: String::new(),
        }
    }

    /// The first message, in base64.
    pub fn first(&self) -> String {
        STANDARD.encode(format!("n,,{}", self.bare))
    }

    /// The answer to the server's challenge, both in base64.
    pub fn answer(&mut self, challenge: &str) -> Result<String, Failure> {
        let odd = || Failure::new("the SCRAM challenge makes no sense");
        let challenge =
            String::from_utf8(STANDARD.decode(challenge).map_err(|_| odd())?).map_err(|_| odd())?;
        let field = |key: &str| challenge.split(',').find_map(|f| f.strip_prefix(key)).ok_or_else(odd);
        let nonce = field("r=")?;
        if !nonce.starts_with(&self.nonce) {
            return Err(Failure::new("the SCRAM challenge answers somebody else"));
        }
        let salt = STANDARD.decode(field("s=")?).map_err(|_| odd())?;
        let rounds = field("i=")?.parse().map_err(|_| odd())?;
        let salted = pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(self.password.as_bytes(), &salt, rounds);
        let last = format!("c=biws,r={nonce}");
        let all = format!("{},{challenge},{last}", self.bare);
        let key = mac(&salted, b"Client Key");
        let signature = mac(&Sha256::digest(key), all.as_bytes());
        let proof: Vec<u8> = key.iter().zip(signature).map(|(k, s)| k ^ s).collect();
        self.server = format!("v={}", STANDARD.encode(mac(&mac(&salted, b"Server Key"), all.as_bytes())));
        Ok(STANDARD.encode(format!("{last},p={}", STANDARD.encode(proof))))
    }

    /// Does the server's last word prove that it knows the password too?
    pub fn accepts(&self, success: &str) -> bool {
        STANDARD.decode(success.trim()).is_ok_and(|v| v == self.server.as_bytes())
    }
}

/// What a digest answer is for.
pub struct Digested<'a> {
    /// The value of the challenge's header.
    pub challenge: &'a str,
    /// User name.
    pub user: &'a str,
    /// Password.
    pub password: &'a str,
    /// Method of the request.
    pub method: &'a str,
    /// Its URI.
    pub uri: &'a str,
    /// Ours.
    pub cnonce: &'a str,
}

impl Digested<'_> {
    /// The value of the answering header, for the first request under this nonce.
    pub fn header(&self) -> Result<String, Failure> {
        let field = |name: &str| {
            let at = self.challenge.find(&format!("{name}=\""))? + name.len() + 2;
            self.challenge[at..].split('"').next()
        };
        let missing = || Failure::new(format!("the digest challenge makes no sense: {}", self.challenge));
        let (realm, nonce) = (field("realm").ok_or_else(missing)?, field("nonce").ok_or_else(missing)?);
        let hex = |text: String| Sha256::digest(text).iter().map(|b| format!("{b:02x}")).collect::<String>();
        let (user, uri, cnonce) = (self.user, self.uri, self.cnonce);
        let ha1 = hex(format!("{user}:{realm}:{}", self.password));
        let ha2 = hex(format!("{}:{uri}", self.method));
        let response = hex(format!("{ha1}:{nonce}:00000001:{cnonce}:auth:{ha2}"));
        Ok(format!(
            "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", \
             algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\"{cnonce}\""
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677 section 3.
    #[test]
    fn scram_as_in_the_rfc() {
        let mut scram = Scram::new("user", "pencil", "rOprNGfwEbeRWgbNEkqO");
        let challenge =
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let answer = scram.answer(&STANDARD.encode(challenge)).unwrap();
        let proof = String::from_utf8(STANDARD.decode(answer).unwrap()).unwrap();
        assert!(proof.ends_with("p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), "{proof}");
        assert!(scram.accepts(&STANDARD.encode("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")));
        assert!(!scram.accepts("dj0="));
    }

    /// RFC 7616 section 3.9.1.
    #[test]
    fn digest_as_in_the_rfc() {
        let header = Digested {
            challenge: "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=SHA-256, \
                        nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\"",
            user: "Mufasa",
            password: "Circle of Life",
            method: "GET",
            uri: "/dir/index.html",
            cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        };
        let header = header.header().unwrap();
        assert!(
            header.contains("753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
            "{header}"
        );
    }
}

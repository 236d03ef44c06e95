//! Digest access authentication for SIP (RFC 3261, RFC 7616, RFC 8760): the client's side.

use md5::Md5;
use sha2::{Digest as _, Sha256};

/// A challenge that this client can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Option<String>,
    sha256: bool,
    session: bool,
    qop: bool,
}

impl Challenge {
    /// Reads the value of WWW-Authenticate or Proxy-Authenticate; `None` if it asks for something else than MD5 or
    /// SHA-256 with `auth` or no protection quality.
    pub fn parse(value: &str) -> Option<Self> {
        let rest = value.trim();
        let rest = rest.get(..6).filter(|s| s.eq_ignore_ascii_case("digest")).map(|_| &rest[6..])?;
        let algorithm = param(rest, "algorithm");
        let name = algorithm.as_deref().unwrap_or("MD5").to_ascii_uppercase();
        let qop = param(rest, "qop");
        if let Some(q) = &qop
            && !q.split(',').any(|q| q.trim().eq_ignore_ascii_case("auth"))
        {
            return None;
        }
        let session = name.ends_with("-SESS");
        let sha256 = match name.trim_end_matches("-SESS") {
            "MD5" => false,
            "SHA-256" => true,
            _ => return None,
        };
        Some(Self {
            realm: param(rest, "realm")?,
            nonce: param(rest, "nonce")?,
            opaque: param(rest, "opaque"),
            algorithm,
            sha256,
            session,
            qop: qop.is_some(),
        })
    }

    /// The strongest of several.
    pub fn best<'a>(values: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        values.into_iter().filter_map(Self::parse).max_by_key(|c| c.sha256)
    }

    fn hash(&self, text: &str) -> String {
        fn show(bytes: &[u8]) -> String {
            bytes.iter().fold(String::with_capacity(64), |mut s, b| {
                s.push(char::from(b"0123456789abcdef"[usize::from(b >> 4)]));
                s.push(char::from(b"0123456789abcdef"[usize::from(b & 15)]));
                s
            })
        }
        if self.sha256 { show(&Sha256::digest(text.as_bytes())) } else { show(&Md5::digest(text.as_bytes())) }
    }
}

/// A user's answer to a challenge, good for many requests.
#[derive(Debug, Clone)]
pub struct Answer {
    challenge: Challenge,
    user: String,
    ha1: String,
    cnonce: String,
    count: u32,
}

impl Answer {
    /// Prepares to answer `challenge`.
    pub fn new(challenge: Challenge, user: &str, password: &str, cnonce: &str) -> Self {
        let mut ha1 = challenge.hash(&format!("{user}:{}:{password}", challenge.realm));
        if challenge.session {
            ha1 = challenge.hash(&format!("{ha1}:{}:{cnonce}", challenge.nonce));
        }
        Self { challenge, user: user.into(), ha1, cnonce: cnonce.into(), count: 0 }
    }

    /// Whether this answers that challenge's nonce.
    pub fn is_for(&self, challenge: &Challenge) -> bool {
        self.challenge.nonce == challenge.nonce && self.challenge.sha256 == challenge.sha256
    }

    /// The header's value for the next request.
    pub fn header(&mut self, method: &str, uri: &str) -> String {
        self.count += 1;
        let c = &self.challenge;
        let ha2 = c.hash(&format!("{method}:{uri}"));
        let nc = format!("{:08x}", self.count);
        let middle = if c.qop { format!("{}:{nc}:{}:auth", c.nonce, self.cnonce) } else { c.nonce.clone() };
        let response = c.hash(&format!("{}:{middle}:{ha2}", self.ha1));
        let mut out = format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{uri}\", response=\"{response}\"",
            self.user, c.realm, c.nonce
        );
        if let Some(algorithm) = &c.algorithm {
            out += &format!(", algorithm={algorithm}");
        }
        if c.qop {
            out += &format!(", qop=auth, nc={nc}, cnonce=\"{}\"", self.cnonce);
        }
        if let Some(opaque) = &c.opaque {
            out += &format!(", opaque=\"{opaque}\"");
        }
        out
    }
}

/// The value of one parameter of a comma-separated list, quoted or not.
fn param(list: &str, name: &str) -> Option<String> {
    let mut rest = list;
    loop {
        let (key, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (value, next) = if let Some(quoted) = after.strip_prefix('"') {
            let end = quoted.find('"')?;
            (&quoted[..end], &quoted[end + 1..])
        } else {
            let end = after.find(',').unwrap_or(after.len());
            (after[..end].trim(), &after[end..])
        };
        if key.trim_matches([' ', ',', '\t']).eq_ignore_ascii_case(name) {
            return Some(value.to_owned());
        }
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHALLENGE: &str = "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=ALG, \
        nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";

    fn response(algorithm: &str) -> String {
        let c = Challenge::parse(&CHALLENGE.replace("ALG", algorithm)).unwrap();
        let mut a =
            Answer::new(c, "Mufasa", "Circle of Life", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ");
        param(a.header("GET", "/dir/index.html").strip_prefix("Digest ").unwrap(), "response").unwrap()
    }

    #[test]
    fn rfc7616_section_3_9_1() {
        assert_eq!(response("MD5"), "8ca523f5e9506fed4657c9700eebdbec");
        assert_eq!(response("SHA-256"), "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
    }

    #[test]
    fn rfc2617_section_3_5_and_no_qop() {
        let text = "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
                    nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
        let mut a = Answer::new(Challenge::parse(text).unwrap(), "Mufasa", "Circle Of Life", "0a4f113b");
        let header = a.header("GET", "/dir/index.html");
        assert!(header.contains("response=\"6629fae49393a05397450978507c4ef1\""), "{header}");
        assert!(header.contains("nc=00000001") && !header.contains("algorithm"));
        assert!(a.header("GET", "/").contains("nc=00000002"));

        let old = Challenge::parse("Digest realm=\"r\",nonce=\"n\"").unwrap();
        let header = Answer::new(old, "u", "p", "c").header("REGISTER", "sip:r");
        assert!(!header.contains("cnonce") && !header.contains("qop"), "{header}");
    }

    #[test]
    fn picks_the_strongest_it_knows() {
        let offers = [
            "Digest realm=\"r\", nonce=\"a\", algorithm=MD5",
            "Digest realm=\"r\", nonce=\"b\", algorithm=SHA-256, qop=\"auth\"",
            "Digest realm=\"r\", nonce=\"c\", algorithm=SHA-512-256",
            "Basic realm=\"r\"",
        ];
        assert_eq!(Challenge::best(offers).unwrap().nonce, "b");
        assert!(Challenge::parse("Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\"").is_none());
    }
}

use crate::password::Prepared;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use model::{Address, Credential, Scheme};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// PBKDF2 iterations for new passwords (RFC 7677 asks for at least 4,096).
pub const ITERATIONS: u32 = 10_000;

/// Every key of [`Scheme::ALL`] for an account. One salt serves both SCRAM schemes: they are different hash functions.
pub fn derive(account: &Address, password: &Prepared, salt: [u8; 16]) -> Vec<(Scheme, Credential)> {
    Scheme::ALL
        .into_iter()
        .map(|scheme| {
            let key = match scheme {
                Scheme::ScramSha1 | Scheme::ScramSha256 => scram(scheme, password, &salt, ITERATIONS),
                Scheme::DigestMd5 | Scheme::DigestSha256 => {
                    ha1(scheme, account.user().unwrap_or_default(), account.domain(), password)
                }
            };
            (scheme, key)
        })
        .collect()
}

/// SCRAM keys (RFC 5802 section 3): SHA-1 for [`Scheme::ScramSha1`], else SHA-256.
pub fn scram(scheme: Scheme, password: &Prepared, salt: &[u8], iterations: u32) -> Credential {
    let (stored_key, server_key) = match scheme {
        Scheme::ScramSha1 => {
            let mut salted = Zeroizing::new([0u8; 20]);
            pbkdf2::pbkdf2_hmac::<Sha1>(password.as_bytes(), salt, iterations, &mut salted[..]);
            let client_key = mac::<Hmac<Sha1>>(&salted[..], b"Client Key");
            (Sha1::digest(&client_key[..]).to_vec(), mac::<Hmac<Sha1>>(&salted[..], b"Server Key"))
        }
        _ => {
            let mut salted = Zeroizing::new([0u8; 32]);
            pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, iterations, &mut salted[..]);
            let client_key = mac::<Hmac<Sha256>>(&salted[..], b"Client Key");
            (Sha256::digest(&client_key[..]).to_vec(), mac::<Hmac<Sha256>>(&salted[..], b"Server Key"))
        }
    };
    Credential::Scram {
        salt: Bytes::copy_from_slice(salt),
        iterations,
        stored_key: Bytes::from(stored_key),
        server_key: Bytes::copy_from_slice(&server_key),
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], text: &[u8]) -> Zeroizing<Vec<u8>> {
    // HMAC takes keys of any length (RFC 2104), so there is nothing that could fail.
    let Ok(mac) = <M as KeyInit>::new_from_slice(key) else { return Zeroizing::default() };
    Zeroizing::new(mac.chain_update(text).finalize().into_bytes().to_vec())
}

/// HA1 (RFC 7616 section 3.4.2): MD5 for [`Scheme::DigestMd5`], else SHA-256.
pub fn ha1(scheme: Scheme, user: &str, realm: &str, password: &Prepared) -> Credential {
    let mut text =
        Zeroizing::new(Vec::with_capacity(user.len() + realm.len() + password.as_bytes().len() + 2));
    text.extend_from_slice(user.as_bytes());
    text.push(b':');
    text.extend_from_slice(realm.as_bytes());
    text.push(b':');
    text.extend_from_slice(password.as_bytes());
    Credential::Ha1(match scheme {
        Scheme::DigestMd5 => hex(&Md5::digest(&text[..])),
        _ => hex(&Sha256::digest(&text[..])),
    })
}

fn hex(bytes: &[u8]) -> Bytes {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::password::prepare;
    use base64::prelude::{BASE64_STANDARD as BASE64, Engine};

    /// Checks a whole exchange: the client's proof opens the stored key, the server's signature follows.
    fn exchange<H: Digest, M: Mac + KeyInit>(
        scheme: Scheme,
        (salt, auth, proof, signature): (&str, &str, &str, &str),
    ) {
        let salt = BASE64.decode(salt).unwrap();
        let Credential::Scram { stored_key, server_key, .. } =
            scram(scheme, &prepare("pencil").unwrap(), &salt, 4096)
        else {
            panic!("not SCRAM")
        };
        let client_signature = mac::<M>(&stored_key, auth.as_bytes());
        let proof = BASE64.decode(proof).unwrap();
        let client_key: Vec<u8> = proof.iter().zip(client_signature.iter()).map(|(a, b)| a ^ b).collect();
        assert_eq!(H::digest(&client_key)[..], stored_key[..]);
        assert_eq!(BASE64.encode(&mac::<M>(&server_key, auth.as_bytes())[..]), signature);
    }

    #[test]
    fn rfc_5802_section_5() {
        exchange::<Sha1, Hmac<Sha1>>(
            Scheme::ScramSha1,
            (
                "QSXCR+Q6sek8bf92",
                "n=user,r=fyko+d2lbbFgONRv9qkxdawL,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,\
                 s=QSXCR+Q6sek8bf92,i=4096,c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j",
                "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
                "rmF9pqV8S7suAoZWja4dJRkFsKQ=",
            ),
        );
    }

    #[test]
    fn rfc_7677_section_3() {
        exchange::<Sha256, Hmac<Sha256>>(
            Scheme::ScramSha256,
            (
                "W22ZaJ0SNY7soEsUEjb6gQ==",
                "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                 s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
                "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
            ),
        );
    }

    /// RFC 7616 section 3.9.1, both algorithms, up to the response the RFC prints.
    #[test]
    fn rfc_7616_section_3_9_1() {
        let password = prepare("Circle of Life").unwrap();
        let key = |scheme| match ha1(scheme, "Mufasa", "http-auth@example.org", &password) {
            Credential::Ha1(hex) => String::from_utf8(hex.to_vec()).unwrap(),
            Credential::Scram { .. } => panic!("not HA1"),
        };
        let rest = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v:00000001:\
                    f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ:auth";
        let text = |hex: Bytes| String::from_utf8(hex.to_vec()).unwrap();
        let md5 = |s: &str| text(hex(&Md5::digest(s)));
        let sha = |s: &str| text(hex(&Sha256::digest(s)));
        let a2 = "GET:/dir/index.html";
        let response = md5(&format!("{}:{rest}:{}", key(Scheme::DigestMd5), md5(a2)));
        assert_eq!(response, "8ca523f5e9506fed4657c9700eebdbec");
        let response = sha(&format!("{}:{rest}:{}", key(Scheme::DigestSha256), sha(a2)));
        assert_eq!(response, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
    }
}

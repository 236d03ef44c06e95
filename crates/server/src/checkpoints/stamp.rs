//! Time stamps (RFC 3161): somebody who is trusted says that a digest was there at a time.

use x509_parser::asn1_rs::{Any, FromDer};

/// TimeStampReq (section 2.4.1) up to the digest: version 1, SHA-256.
const BEFORE_DIGEST: &[u8] =
    b"\x30\x43\x02\x01\x01\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";
/// Between the digest and eight bytes of nonce.
const BEFORE_NONCE: &[u8] = b"\x02\x08";
/// The token shall hold the authority's certificate.
const CERTIFICATE: &[u8] = b"\x01\x01\xff";
/// AlgorithmIdentifier of SHA-256, with and without its NULL.
const SHA_256: [&[u8]; 2] = [
    b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00",
    b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01",
];
/// id-signedData (RFC 5652 section 5.1) and id-ct-TSTInfo.
const SIGNED_DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
const TST_INFO: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x04";

/// A question that nobody has asked before.
pub struct Question {
    digest: [u8; 32],
    nonce: [u8; 8],
}

impl Question {
    /// For a digest, with eight random bytes.
    pub fn new(digest: [u8; 32], random: u64) -> Self {
        // Positive, and always of the same length.
        let nonce = (random & 0x3fff_ffff_ffff_ffff | 0x4000_0000_0000_0000).to_be_bytes();
        Self { digest, nonce }
    }

    /// What is posted, as `application/timestamp-query`.
    pub fn to_der(&self) -> Vec<u8> {
        [BEFORE_DIGEST, &self.digest, BEFORE_NONCE, &self.nonce, CERTIFICATE].concat()
    }

    /// The token of an answer that says yes to this question and no other. Who signed it is for whoever relies on it to look at.
    ///
    /// # Errors
    /// In words, what is wrong with the answer.
    pub fn token(&self, answer: &[u8]) -> Result<Vec<u8>, String> {
        let unreadable = || "its answer is no TimeStampResp (RFC 3161)".to_owned();
        let mut parts = Parts(whole(answer, 0x30).ok_or_else(unreadable)?);
        let mut status = Parts(parts.next(0x30).ok_or_else(unreadable)?);
        match status.next(0x02).ok_or_else(unreadable)? {
            // Granted, also with modifications (section 2.4.2).
            [0 | 1] => {}
            other => {
                let words =
                    status.next(0x30).map(|all| String::from_utf8_lossy(all).replace(char::is_control, " "));
                let words = words.map(|words| format!(": {}", words.trim())).unwrap_or_default();
                return Err(format!("it refused, status {}{words}", other.last().unwrap_or(&0)));
            }
        }
        let token = parts.0;
        self.check(whole(token, 0x30).ok_or("it says yes, and its answer has no token")?)?;
        Ok(token.to_vec())
    }

    /// Is what was signed an answer to this question?
    fn check(&self, token: &[u8]) -> Result<(), String> {
        let info = info(token).ok_or("its token is no time stamp that can be read")?;
        let mut info = Parts(info);
        let read = |part: Option<&[u8]>| part.map(<[u8]>::to_vec).ok_or("its time stamp cannot be read");
        read(info.next(0x02))?;
        read(info.next(0x06))?;
        let imprint = read(info.next(0x30))?;
        let mut imprint = Parts(&imprint);
        let algorithm = read(imprint.next(0x30))?;
        if !SHA_256.contains(&&algorithm[..]) || imprint.next(0x04) != Some(&self.digest[..]) {
            return Err("its time stamp is of something else".into());
        }
        // Serial number and time; then accuracy and ordering, which may be absent, and the nonce.
        read(info.next(0x02))?;
        read(info.next(0x18))?;
        let _accuracy = info.next(0x30);
        let _ordering = info.next(0x01);
        if info.next(0x02) != Some(&self.nonce[..]) {
            return Err("its time stamp answers another question: the nonce is not ours".into());
        }
        Ok(())
    }
}

/// TSTInfo of a token: what was signed.
fn info(token: &[u8]) -> Option<&[u8]> {
    let mut content = Parts(token);
    let _ = content.next(0x06).filter(|oid| *oid == SIGNED_DATA)?;
    let signed = whole(content.next(0xa0)?, 0x30)?;
    let mut signed = Parts(signed);
    signed.next(0x02)?;
    signed.next(0x31)?;
    let mut wrapped = Parts(signed.next(0x30)?);
    let _ = wrapped.next(0x06).filter(|oid| *oid == TST_INFO)?;
    whole(whole(wrapped.next(0xa0)?, 0x04)?, 0x30)
}

/// The content of a value that is all there is.
fn whole(der: &[u8], tag: u8) -> Option<&[u8]> {
    let mut parts = Parts(der);
    let content = parts.next(tag)?;
    parts.0.is_empty().then_some(content)
}

/// Values one after another.
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    /// The content of the next one if it has this tag; else it stays.
    fn next(&mut self, tag: u8) -> Option<&'a [u8]> {
        let _ = self.0.first().filter(|first| **first == tag)?;
        let (rest, value) = Any::from_der(self.0).ok()?;
        self.0 = rest;
        Some(value.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_of_its_length_whatever_the_nonce() {
        for random in [0, 1, u64::MAX] {
            let der = Question::new([7; 32], random).to_der();
            assert_eq!(whole(&der, 0x30).map(<[u8]>::len), Some(0x43), "{random}");
            assert_eq!(Any::from_der(&der).unwrap().0, b"");
        }
    }

    #[test]
    fn answers_that_are_none() {
        let question = Question::new([7; 32], 1);
        let refused = b"\x30\x05\x30\x03\x02\x01\x02";
        assert_eq!(question.token(refused), Err("it refused, status 2".into()));
        for wrong in
            [&b""[..], b"nonsense", b"\x30\x05\x30\x03\x02\x01\x00", b"\x30\x80", b"\x30\x84\xff\xff\xff\xff"]
        {
            assert!(question.token(wrong).is_err(), "{wrong:?}");
        }
    }
}

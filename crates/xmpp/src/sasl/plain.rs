//! PLAIN, RFC 4616.

use model::Secret;

use super::Failure;

/// What a PLAIN message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain {
    /// Who to act as; empty: oneself.
    pub authzid: String,
    /// Who one is.
    pub user: String,
    /// The password.
    pub password: Secret,
}

impl Plain {
    /// Reads the one message of the mechanism.
    pub fn parse(message: &[u8]) -> Result<Plain, Failure> {
        let text = std::str::from_utf8(message).map_err(|_| Failure::MalformedRequest)?;
        let mut parts = text.split('\0');
        let (Some(authzid), Some(user), Some(password), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Failure::MalformedRequest);
        };
        if user.is_empty() || password.is_empty() {
            return Err(Failure::MalformedRequest);
        }
        Ok(Plain { authzid: authzid.into(), user: user.into(), password: Secret::new(password) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_messages() {
        let plain = Plain::parse(b"\0romeo\0s3cret").unwrap();
        assert_eq!(
            (plain.authzid.as_str(), plain.user.as_str(), plain.password.reveal()),
            ("", "romeo", "s3cret")
        );
        for bad in [&b""[..], b"\0", b"a\0b", b"\0a\0", b"\0\0p", b"\0a\0b\0c", b"\0\xff\0p"] {
            assert_eq!(Plain::parse(bad), Err(Failure::MalformedRequest), "{bad:?}");
        }
    }
}

//! Bytes as hexadecimal text, as JSON documents of the record have them.

use serde::{Deserialize, Deserializer, Serializer};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Lower case, two digits for each byte.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

/// Exactly so many bytes; `None` if the text is something else.
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.as_bytes();
    if text.len() != 2 * N {
        return None;
    }
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

fn read<'de, D: Deserializer<'de>, const N: usize>(text: &str) -> Result<[u8; N], D::Error> {
    unhex(text).ok_or_else(|| serde::de::Error::custom(format!("expected {N} bytes in hexadecimal digits")))
}

/// For fields of a fixed length.
pub(crate) mod fixed {
    use super::*;

    pub fn serialize<S: Serializer, const N: usize>(bytes: &[u8; N], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>, const N: usize>(from: D) -> Result<[u8; N], D::Error> {
        read::<D, N>(&String::deserialize(from)?)
    }
}

/// For those that may be null.
pub(crate) mod maybe {
    use super::*;

    pub fn serialize<S: Serializer, const N: usize>(
        bytes: &Option<[u8; N]>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => to.serialize_some(&hex(bytes)),
            None => to.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        from: D,
    ) -> Result<Option<[u8; N]>, D::Error> {
        Option::<String>::deserialize(from)?.map(|text| read::<D, N>(&text)).transpose()
    }
}

/// For lists of digests that may be absent.
pub(crate) mod list {
    use super::*;
    use serde::ser::SerializeSeq;

    pub fn serialize<S: Serializer>(all: &Option<Vec<[u8; 32]>>, to: S) -> Result<S::Ok, S::Error> {
        let Some(all) = all else { return to.serialize_none() };
        let mut list = to.serialize_seq(Some(all.len()))?;
        for one in all {
            list.serialize_element(&hex(one))?;
        }
        list.end()
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<[u8; 32]>>, D::Error> {
        let Some(all) = Option::<Vec<String>>::deserialize(from)? else { return Ok(None) };
        all.iter().map(|text| read::<D, 32>(text)).collect::<Result<_, _>>().map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        assert_eq!(hex(&[0, 1, 0xab, 0xff]), "0001abff");
        assert_eq!(unhex("0001abFF"), Some([0, 1, 0xab, 0xff]));
        for wrong in ["0001abf", "0001abfg", "0001abff00", "+001abff", ""] {
            assert_eq!(unhex::<4>(wrong), None, "{wrong}");
        }
    }
}

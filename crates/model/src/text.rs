use std::borrow::Cow;

/// Bytes as text; what is no UTF-8 becomes U+FFFD. Every message passes here: for bytes that are in order this takes a
/// fraction of what [`String::from_utf8_lossy`] does.
pub fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

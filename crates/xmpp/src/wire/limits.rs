//! How much of the server's time and memory one element may take.

/// What one element may cost (RFC 6120 sections 4.9.3.14 and 13.12). Breaking one is `policy-violation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one first-level element, or of the stream header.
    pub bytes: usize,
    /// Nesting, the first-level element counted as 1.
    pub depth: usize,
    /// Attributes of one element, declarations not counted.
    pub attributes: usize,
    /// Namespace declarations of one element.
    pub namespaces: usize,
    /// Direct children of a first-level element.
    pub children: usize,
    /// Bytes of one name.
    pub name: usize,
}

impl Limits {
    /// For a peer that nobody knows yet.
    pub const BEFORE_AUTH: Limits =
        Limits { bytes: 10_000, depth: 32, attributes: 32, namespaces: 16, children: 256, name: 256 };
    /// For an authenticated client.
    pub const C2S: Limits = Limits { bytes: 262_144, depth: 64, ..Limits::BEFORE_AUTH };
}

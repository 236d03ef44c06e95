use crate::Original;
use bytes::Bytes;
use compact_str::CompactString;
use std::fmt;

/// A language tag (BCP 47): `xml:lang` in XMPP, `Content-Language` in SIP.
pub type Lang = CompactString;

/// What the sender wants to hear back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wants {
    /// Tell me when it reached a device (XEP-0184; IMDN positive-delivery, RFC 5438).
    pub delivered: bool,
    /// Tell me when somebody saw it (XEP-0333; IMDN display).
    pub displayed: bool,
}

/// One body of a message.
#[derive(Clone, PartialEq, Eq)]
pub struct Part {
    /// MIME type with parameters, such as `text/plain;charset=utf-8`.
    pub mime: CompactString,
    /// Its language.
    pub lang: Option<Lang>,
    /// Its content; `text/*` is UTF-8.
    pub body: Bytes,
}

impl Part {
    /// A plain text part.
    pub fn text(body: impl Into<Bytes>, lang: Option<Lang>) -> Self {
        Self { mime: CompactString::const_new("text/plain"), lang, body: body.into() }
    }

    /// True for `text/plain` with or without parameters.
    pub fn is_plain_text(&self) -> bool {
        let base = self.mime.split(';').next().unwrap_or("").trim();
        base.eq_ignore_ascii_case("text/plain")
    }
}

impl fmt::Debug for Part {
    // Bodies never reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Part({}, {} bytes)", self.mime, self.body.len())
    }
}

/// An instant message (RFC 3860): XMPP `<message/>`, SIP MESSAGE.
#[derive(Clone, PartialEq, Default)]
pub struct Message {
    /// The sender's own name for it: the stanza `id`, the CPIM or IMDN Message-ID, else empty.
    pub id: CompactString,
    /// The conversation's name: XMPP `<thread/>`, SIP Call-ID (RFC 7572 section 4).
    pub thread: Option<CompactString>,
    /// Subject.
    pub subject: Option<String>,
    /// Language of subject, and of parts that name none.
    pub lang: Option<Lang>,
    /// The bodies, best first.
    pub parts: Vec<Part>,
    /// What the sender wants to hear back.
    pub wants: Wants,
    /// True where the message is worth keeping for somebody who is away (an XMPP headline is not).
    pub lasting: bool,
    /// The sender's rendering.
    pub original: Option<Original>,
}

impl Message {
    /// The first plain text body.
    pub fn text(&self) -> Option<&str> {
        self.parts.iter().find(|p| p.is_plain_text()).and_then(|p| std::str::from_utf8(&p.body).ok())
    }
}

impl fmt::Debug for Message {
    // Subjects and bodies never reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("id", &self.id)
            .field("thread", &self.thread)
            .field("parts", &self.parts)
            .field("original", &self.original)
            .finish_non_exhaustive()
    }
}

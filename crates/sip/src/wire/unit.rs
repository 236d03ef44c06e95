//! The typed units: a request or a response whose five necessary headers have been read.

use bytes::Bytes;
use sipx_sip as sx;

use super::params::{Params, split_list};
use super::reply::ReplyHead;
use super::{Fault, quote};

/// A URI of the schemes this door talks about (RFC 3261 19.1; `im:` and `pres:` of RFC 3859 and 3860).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SipUri {
    /// In lower case.
    pub scheme: String,
    /// The user part without its parameters (`;phone-context=...`), which do not name another person; percent-decoded to
    /// UTF-8.
    pub user: Option<String>,
    /// The host in lower case, IPv6 with its brackets.
    pub host: String,
    /// The port, if it is written.
    pub port: Option<u16>,
    /// URI parameters, values percent-decoded.
    pub params: Vec<(String, Option<String>)>,
    /// The text as it came.
    pub text: String,
}

impl SipUri {
    /// Reads a URI. `None` for what has no user-at-host form or is malformed.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > 2048 {
            return None;
        }
        let (scheme, rest) = text.split_once(':')?;
        let scheme = scheme.to_ascii_lowercase();
        match scheme.as_str() {
            "sip" | "sips" => {
                let uri = sx::Uri::parse(Bytes::copy_from_slice(text.as_bytes())).ok()?;
                let user = match uri.user() {
                    Some(user) => Some(user_of(user)?),
                    None => None,
                };
                let mut host = String::from_utf8(uri.host()?.to_bytes().to_vec()).ok()?.to_ascii_lowercase();
                if host.contains(':') && !host.starts_with('[') {
                    host = format!("[{host}]");
                }
                let mut params = Vec::new();
                for p in uri.params().into_iter().flatten() {
                    let name = String::from_utf8_lossy(p.name()).to_ascii_lowercase();
                    let value = match p.value() {
                        Some(v) => Some(percent_decode(v)?),
                        None => None,
                    };
                    params.push((name, value));
                }
                Some(Self { scheme, user, host, port: uri.port(), params, text: text.to_owned() })
            }
            // The parser treats these as opaque, but to a gateway they name a person like any other.
            "im" | "pres" => {
                let address = rest.split(['?', ';']).next()?;
                let (user, host) = address.rsplit_once('@')?;
                if host.is_empty()
                    || !host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.[]:".contains(&b))
                {
                    return None;
                }
                Some(Self {
                    scheme,
                    user: Some(percent_decode(user.as_bytes())?),
                    host: host.to_ascii_lowercase(),
                    port: None,
                    params: Vec::new(),
                    text: text.to_owned(),
                })
            }
            _ => None,
        }
    }

    /// One URI parameter; a flag has the empty value.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_deref().unwrap_or(""))
    }
}

/// What is escaped is part of the name (RFC 3261 19.1.2), so the parameters are cut off before anything is decoded.
fn user_of(raw: &[u8]) -> Option<String> {
    percent_decode(raw.split(|&b| b == b';').next()?)
}

fn percent_decode(raw: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(raw.len());
    let mut i = 0;
    while let Some(&b) = raw.get(i) {
        if b == b'%' {
            let hex = std::str::from_utf8(raw.get(i + 1..i + 3)?).ok()?;
            out.push(u8::from_str_radix(hex, 16).ok()?);
            i += 3;
        } else {
            out.push(b);
            i += 1;
        }
    }
    String::from_utf8(out).ok()
}

/// A `From`, `To` or `Contact` value: a name, a URI, header parameters (RFC 3261 20.10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameAddr {
    /// The display name, unquoted.
    pub display: Option<String>,
    /// The URI as text; read it with [`SipUri::parse`].
    pub uri: String,
    /// Header parameters, not those of the URI.
    pub params: Vec<(String, Option<String>)>,
}

impl NameAddr {
    /// Reads one name-addr or addr-spec.
    pub fn parse(value: &str) -> Option<Self> {
        // Without angle brackets nobody could tell whose the question mark is (RFC 3261 20).
        if value.contains('?') && !value.contains('<') {
            return None;
        }
        Self::read(sx::Address::parse(value.as_bytes(), "address").ok()?)
    }

    fn read(address: sx::Address) -> Option<Self> {
        let text = |v: Vec<u8>| String::from_utf8_lossy(&v).into_owned();
        Some(Self {
            display: address.display_name.map(text).filter(|d| !d.is_empty()),
            uri: String::from_utf8(address.uri.to_bytes().to_vec()).ok()?,
            params: address.params.into_iter().map(|p| (text(p.name), p.value.map(text))).collect(),
        })
    }

    /// The `tag` parameter (RFC 3261 19.3).
    pub fn tag(&self) -> Option<&str> {
        self.param("tag")
    }

    /// One header parameter; a flag has the empty value.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_deref().unwrap_or(""))
    }

    /// Writes the address without its parameters.
    pub fn render(&self) -> String {
        match &self.display {
            Some(d) => format!("{} <{}>", quote(d), self.uri),
            None => format!("<{}>", self.uri),
        }
    }
}

/// One value of a `Contact` header (RFC 3261 10.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contact {
    /// `*`: every binding.
    All,
    /// One address.
    One(NameAddr),
}

/// What the machine works on.
#[derive(Debug)]
pub enum Unit {
    /// A request with readable Via, From, To, Call-ID and CSeq.
    Request(Box<Request>),
    /// A response, the same.
    Response(Box<Response>),
}

/// A checked request.
pub struct Request {
    inner: sx::Request,
    /// Source of the answer's head; it owns its bytes and may outlive the request.
    pub reply: ReplyHead,
    /// From, with its tag.
    pub from: NameAddr,
    /// To, with a tag when inside a dialog.
    pub to: NameAddr,
    /// Call-ID as text.
    pub call_id: String,
    /// CSeq number.
    pub cseq: u32,
}

/// A checked response.
pub struct Response {
    inner: sx::Response,
    /// Status code.
    pub status: u16,
    /// The branch of the top Via: the key of our client transaction.
    pub branch: String,
    /// To, whose tag completes a dialog.
    pub to: NameAddr,
    /// The method in CSeq.
    pub method: String,
}

// Bodies and credentials stay out of every log line.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method())
            .field("cseq", &self.cseq)
            .finish_non_exhaustive()
    }
}
impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Response").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Unit {
    /// Checks what the parser framed (RFC 3261 8.1.1, 8.2.2 and RFC 4475 3.3): a fault carries the answer to send.
    pub(super) fn check(message: sx::Message) -> Result<Self, Fault> {
        let found = sx::validate(&message).into_iter().find(|f| !f.is_repairable());
        match message {
            sx::Message::Request(r) => {
                let reply = ReplyHead::from_headers(
                    r.headers
                        .iter()
                        .filter(|h| is_copied(h.name()))
                        .map(|h| (h.name().canonical(), h.value())),
                );
                // An ACK is never answered (RFC 3261 17.2.1).
                let answer = |what, status, reply: Option<ReplyHead>| {
                    Fault::soft(what, status, reply.filter(|_| r.method != sx::Method::Ack))
                };
                if let Some(f) = found {
                    return Err(answer("unacceptable request", f.status(), reply));
                }
                let bad = |reply| answer("unreadable address", 400, reply);
                let (Some(from), Some(to)) = (address(&r.headers, "From"), address(&r.headers, "To")) else {
                    return Err(bad(reply));
                };
                let (Some(Ok(cseq)), Some(call_id)) =
                    (r.headers.typed::<sx::CSeq>(), text(&r.headers, "Call-ID"))
                else {
                    return Err(bad(reply));
                };
                let Some(reply) = reply.as_ref().filter(|r| !r.damaged).cloned() else {
                    return Err(bad(reply));
                };
                Ok(Self::Request(Box::new(Request {
                    reply,
                    from,
                    to,
                    call_id,
                    cseq: cseq.sequence,
                    inner: r,
                })))
            }
            sx::Message::Response(r) => {
                if found.is_some() {
                    return Err(Fault::silent("unacceptable response"));
                }
                let via = r.headers.typed::<sx::Via>().and_then(Result::ok);
                let branch =
                    via.as_ref().and_then(|v| v.branch()).map(|b| String::from_utf8_lossy(b).into_owned());
                let cseq = r.headers.typed::<sx::CSeq>().and_then(Result::ok);
                match (branch, cseq, address(&r.headers, "To")) {
                    (Some(branch), Some(cseq), Some(to)) => Ok(Self::Response(Box::new(Response {
                        status: r.status.code(),
                        branch,
                        to,
                        method: String::from_utf8_lossy(cseq.method.as_bytes()).into_owned(),
                        inner: r,
                    }))),
                    _ => Err(Fault::silent("unreadable response")),
                }
            }
        }
    }
}

/// What a response copies from its request.
fn is_copied(name: &sx::HeaderName) -> bool {
    use sx::HeaderName::{CSeq, CallId, From, To, Via};
    matches!(name, Via | From | To | CallId | CSeq)
}

/// The parser's name for a header. Those that every message is asked for are spared its search.
fn name_of(name: &'static str) -> sx::HeaderName {
    use sx::HeaderName as N;
    match name {
        "Via" => N::Via,
        "From" => N::From,
        "To" => N::To,
        "Call-ID" => N::CallId,
        "CSeq" => N::CSeq,
        "Contact" => N::Contact,
        "Content-Type" => N::ContentType,
        "Content-Language" => N::ContentLanguage,
        "Content-Encoding" => N::ContentEncoding,
        "Max-Forwards" => N::MaxForwards,
        "Expires" => N::Expires,
        "Event" => N::Event,
        "Subject" => N::Subject,
        "Require" => N::Require,
        "Date" => N::Date,
        _ => N::parse(&Bytes::from_static(name.as_bytes())),
    }
}

fn text(headers: &sx::Headers, name: &'static str) -> Option<String> {
    headers.value(&name_of(name)).map(|v| String::from_utf8_lossy(&v).into_owned())
}

fn address(headers: &sx::Headers, name: &'static str) -> Option<NameAddr> {
    NameAddr::parse(&text(headers, name)?)
}

impl Request {
    /// The method name. Methods are tokens, so they are ASCII; they are case-sensitive.
    pub fn method(&self) -> &str {
        std::str::from_utf8(self.inner.method.as_bytes()).unwrap_or("")
    }

    /// The Request-URI as text.
    pub fn target(&self) -> String {
        String::from_utf8_lossy(&self.inner.uri.to_bytes()).into_owned()
    }

    /// The first field of a name, unfolded.
    pub fn header(&self, name: &'static str) -> Option<String> {
        text(&self.inner.headers, name)
    }

    /// Every field of a name, one entry per line.
    pub fn headers(&self, name: &'static str) -> Vec<String> {
        let name = name_of(name);
        self.inner.headers.get_all(&name).map(|h| String::from_utf8_lossy(&h.value()).into_owned()).collect()
    }

    /// Every member of a comma-separated header, over all its lines.
    pub fn list(&self, name: &'static str) -> Vec<String> {
        self.headers(name)
            .iter()
            .flat_map(|v| split_list(v).into_iter().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }

    /// A header of the form `token;params`.
    pub fn params(&self, name: &'static str) -> Option<Params> {
        self.header(name).map(|v| Params::semicolons(&v))
    }

    /// A number of seconds; a value past `u32` counts as `u32::MAX` (RFC 3261 20.19).
    pub fn seconds(&self, name: &'static str) -> Option<u32> {
        number(&self.header(name)?)
    }

    /// All contacts, or `None` when one of them cannot be read (RFC 3261 10.3).
    pub fn contacts(&self) -> Option<Vec<Contact>> {
        let mut out = Vec::new();
        for value in self.list("Contact") {
            if value == "*" {
                out.push(Contact::All);
            } else {
                out.push(Contact::One(NameAddr::parse(&value)?));
            }
        }
        Some(out)
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        self.inner.body()
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = &sx::Header> {
        self.inner.headers.iter()
    }
}

/// Digits only; saturates rather than wraps.
pub(crate) fn number(value: &str) -> Option<u32> {
    let value = value.trim();
    if value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(value.parse::<u64>().map_or(u32::MAX, |n| u32::try_from(n).unwrap_or(u32::MAX)))
}

impl Response {
    /// The first field of a name, unfolded.
    pub fn header(&self, name: &'static str) -> Option<String> {
        text(&self.inner.headers, name)
    }

    /// Every member of a comma-separated header, over all its lines.
    pub fn list(&self, name: &'static str) -> Vec<String> {
        let name = name_of(name);
        let lines = self.inner.headers.get_all(&name);
        let lines: Vec<String> = lines.map(|h| String::from_utf8_lossy(&h.value()).into_owned()).collect();
        lines.iter().flat_map(|line| split_list(line)).map(str::to_owned).collect()
    }

    /// Every field of a name, one entry per line.
    pub fn lines(&self, name: &'static str) -> Vec<String> {
        let name = name_of(name);
        self.inner.headers.get_all(&name).map(|h| String::from_utf8_lossy(&h.value()).into_owned()).collect()
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        self.inner.body()
    }

    /// The response as it came.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.inner.write_to(&mut out);
        out
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = &sx::Header> {
        self.inner.headers.iter()
    }

    /// The reason phrase.
    pub fn reason(&self) -> String {
        String::from_utf8_lossy(&self.inner.reason).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_read_with_their_escapes() {
        let u = SipUri::parse("sip:f%C3%BC+1@Example.COM:5070;transport=tcp;gr=a%20b;lr").unwrap();
        assert_eq!((u.user.as_deref(), u.host.as_str(), u.port), (Some("fü+1"), "example.com", Some(5070)));
        assert_eq!((u.param("gr"), u.param("lr"), u.param("x")), (Some("a b"), Some(""), None));
        let im = SipUri::parse("im:romeo%40home@example.net?x=1").unwrap();
        assert_eq!((im.user.as_deref(), im.host.as_str()), (Some("romeo@home"), "example.net"));
        for bad in ["tel:+1", "sip:", "sip:a b@c", "im:nohost", "pres:a@", "sip:%ff@example.com", ""] {
            assert!(SipUri::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn addresses_keep_tag_and_name() {
        let a = NameAddr::parse("\"Bell, \\\"A\\\"\" <sip:bell@example.com;x=1>;tag=9;q=0.5").unwrap();
        assert_eq!(a.display.as_deref(), Some("Bell, \"A\""));
        assert_eq!((a.tag(), a.param("q")), (Some("9"), Some("0.5")));
        assert_eq!(a.render(), "\"Bell, \\\"A\\\"\" <sip:bell@example.com;x=1>");
    }

    #[test]
    fn numbers_never_wrap() {
        assert_eq!(number("0060"), Some(60));
        assert_eq!(number("99999999999999999999999"), Some(u32::MAX));
        assert_eq!((number("-1"), number(""), number("1.5")), (None, None, None));
    }
}

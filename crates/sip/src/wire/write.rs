//! Writing messages. Every value passes one gate, so no input can begin a header of its own.

use std::fmt::Display;

/// Makes a value safe to stand on one header line: control characters (so CR and LF too) become spaces.
///
/// This is the only way text reaches a head, so header injection ends here (RFC 3261 25.1 allows no CTL in
/// TEXT-UTF8).
pub fn clean(value: &str) -> std::borrow::Cow<'_, str> {
    if value.bytes().any(|b| b < 0x20 || b == 0x7f) {
        value.chars().map(|c| if c.is_ascii_control() { ' ' } else { c }).collect::<String>().into()
    } else {
        value.into()
    }
}

/// A quoted string with its escapes (RFC 3261 25.1).
pub fn quote(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in clean(value).chars() {
        if c == '"' || c == '\\' {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// Builds one message, head first, then the body.
#[derive(Debug, Clone)]
pub struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// Starts a request (RFC 3261 7.1). Spaces in the target are escaped: they would end the Request-URI.
    pub fn request(method: &str, target: &str) -> Self {
        let target = clean(target).replace(' ', "%20");
        Self { out: format!("{} {target} SIP/2.0\r\n", clean(method)).into_bytes() }
    }

    /// Starts a response (RFC 3261 7.2).
    pub fn response(status: u16, reason: &str) -> Self {
        Self { out: format!("SIP/2.0 {status} {}\r\n", clean(reason)).into_bytes() }
    }

    /// Adds one header field.
    pub fn header(&mut self, name: &'static str, value: impl Display) -> &mut Self {
        let value = value.to_string();
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b": ");
        self.out.extend_from_slice(clean(&value).as_bytes());
        self.out.extend_from_slice(b"\r\n");
        self
    }

    /// Adds header lines that this module wrote and cleaned before.
    pub(super) fn block(&mut self, lines: &[u8]) -> &mut Self {
        self.out.extend_from_slice(lines);
        self
    }

    /// Ends the message. `Content-Length` is always written: a stream needs it (RFC 3261 18.3).
    pub fn finish(mut self, body: &[u8]) -> Vec<u8> {
        self.header("Content-Length", body.len());
        self.out.extend_from_slice(b"\r\n");
        self.out.extend_from_slice(body);
        self.out
    }
}

/// The usual words for a status code (RFC 3261 21 and the RFCs that added to it).
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        200 => "OK",
        202 => "Accepted",
        204 => "No Notification",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        412 => "Conditional Request Failed",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        421 => "Extension Required",
        423 => "Interval Too Brief",
        439 => "First Hop Lacks Outbound Support",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        485 => "Ambiguous",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        489 => "Bad Event",
        491 => "Request Pending",
        493 => "Undecipherable",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        _ => "Answer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_can_start_a_line() {
        let mut w = Writer::request("MESSAGE", "sip:a@b\r\nEvil: 1");
        w.header("Subject", "x\r\nEvil: 2").header("X", quote("y\nEvil: \"3\""));
        let text = String::from_utf8(w.finish(b"body")).unwrap();
        assert_eq!(
            text,
            "MESSAGE sip:a@b%20%20Evil:%201 SIP/2.0\r\nSubject: x  Evil: 2\r\nX: \"y Evil: \\\"3\\\"\"\r\n\
             Content-Length: 4\r\n\r\nbody"
        );
    }
}

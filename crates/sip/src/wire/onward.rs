//! Requests and responses on their way through us: everything stays as it was but for what a proxy must change
//! (RFC 3261 16.6, 16.7).

use sipx_sip as sx;

use super::reply::ReplyHead;
use super::write::{Writer, clean};
use super::{Request, Response};

/// What changes of a request that goes on (RFC 3261 16.6).
#[derive(Debug, Default)]
pub struct Onward<'a> {
    /// The Request-URI, if not as it came.
    pub target: Option<&'a str>,
    /// Our Via.
    pub via: Option<&'a str>,
    /// Our Record-Route.
    pub record: Option<&'a str>,
    /// What is left of Route, if not all.
    pub routes: Option<&'a [String]>,
    /// Max-Forwards, if not as it came.
    pub hops: Option<u8>,
    /// Fields that go no further.
    pub without: &'a [&'static str],
    /// Proofs for these realms are for us alone.
    pub realms: &'a [String],
}

impl Request {
    /// The request as it goes on.
    pub fn onward(&self, change: &Onward<'_>) -> Vec<u8> {
        let target = self.target();
        let mut w = Writer::request(self.method(), change.target.unwrap_or(&target));
        if let Some(via) = change.via {
            w.header("Via", via);
        }
        if let Some(record) = change.record {
            w.header("Record-Route", record);
        }
        for route in change.routes.unwrap_or_default() {
            w.header("Route", route);
        }
        if let Some(hops) = change.hops {
            w.header("Max-Forwards", hops);
        }
        copy(&mut w, self.fields(), |name, value| {
            let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
            let ours = |value: &str| {
                let realm = crate::digest::Credentials::parse(value).map(|c| c.realm);
                realm.is_some_and(|realm| change.realms.iter().any(|r| r.eq_ignore_ascii_case(&realm)))
            };
            !(is("Content-Length")
                || (is("Route") && change.routes.is_some())
                || (is("Max-Forwards") && change.hops.is_some())
                || change.without.iter().any(|other| is(other))
                || ((is("Proxy-Authorization") || is("Authorization")) && ours(value)))
        });
        w.finish(self.body())
    }

    /// The ACK of a refusal, or the CANCEL, of this request as it went on (RFC 3261 9.1, 17.1.1.3).
    pub fn follow(&self, method: &str, to: &str) -> Vec<u8> {
        let mut w = Writer::request(method, &self.target());
        if let Some(via) = self
            .header("Via")
            .as_deref()
            .and_then(|via| super::split_list(via).first().map(|via| (*via).to_owned()))
        {
            w.header("Via", via);
        }
        for route in self.list("Route") {
            w.header("Route", route);
        }
        w.header("Max-Forwards", model::MAX_HOPS)
            .header("From", self.header("From").unwrap_or_default())
            .header("To", to)
            .header("Call-ID", &self.call_id)
            .header("CSeq", format!("{} {method}", self.cseq));
        w.finish(b"")
    }
}

impl ReplyHead {
    /// A response from further on, as an answer to this request: what names the request is ours, not theirs.
    pub fn relayed(&self, response: &Response, status: u16, more: &[(&'static str, String)]) -> Vec<u8> {
        let reason = match status == response.status {
            true => response.reason(),
            false => super::reason_phrase(status).to_owned(),
        };
        let mut w = self.relay_head(status, &reason, &response.header("To").unwrap_or_default());
        copy(&mut w, response.fields(), |name, _| {
            let named = ["Via", "From", "To", "Call-ID", "CSeq", "Content-Length"];
            !named.iter().any(|other| name.eq_ignore_ascii_case(other.as_bytes()))
        });
        for (name, value) in more {
            w.header(name, value);
        }
        w.finish(response.body())
    }
}

/// Copies those fields that are to stay.
fn copy<'a>(
    w: &mut Writer,
    fields: impl Iterator<Item = &'a sx::Header>,
    stays: impl Fn(&[u8], &str) -> bool,
) {
    for field in fields {
        let value = field.value();
        let value = String::from_utf8_lossy(&value);
        let name = field.name().canonical();
        if stays(name, &value) {
            let line = [&String::from_utf8_lossy(name), ": ", &*clean(&value), "\r\n"].concat();
            w.block(line.as_bytes());
        }
    }
}

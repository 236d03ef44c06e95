//! What a SIP server answers to OPTIONS (RFC 3261 section 11), found as RFC 3263 says.

use super::{Forged, Ground, Report, reach, secure};
use connector::{Search, Service, TlsMode};
use model::Address;
use partner::{Partner, Protocol};
use std::fmt::Write as _;

/// RFC 3263 section 4; what others call federation.
const SEARCH: Search = Search {
    naptr: &[Service { name: "SIPS+D2T", tls: TlsMode::Direct }],
    services: &[
        &[Service { name: "_sips._tcp", tls: TlsMode::Direct }],
        &[Service { name: "_sipfederationtls._tcp", tls: TlsMode::Direct }],
    ],
    fallback: (5061, TlsMode::Direct),
    alpn: None,
};

pub(super) async fn look(ground: &Ground, partner: Option<&Partner>, domain: &Address) -> Report {
    let mut report = Report::new(Protocol::Sip);
    let Some((visit, spot)) = reach(ground, partner, domain, &SEARCH, &mut report).await else {
        return report;
    };
    let visit = match spot.tls {
        TlsMode::None => Some(visit),
        _ => secure(ground, domain, visit, SEARCH.alpn, &mut report).await,
    };
    let Some(mut visit) = visit else { return report };
    let request = request("OPTIONS", ground.local.as_str(), domain.as_str(), spot.tls, "");
    let heard = match visit.say(request.as_bytes()).await {
        Ok(()) => visit.hear(|text| final_answer(text).is_some()).await,
        Err(why) => Err(why),
    };
    match heard {
        Ok(heard) => answered(final_answer(&heard).unwrap_or_default(), &mut report),
        Err(why) => {
            let remedy = "something else than a SIP server may listen there, or it wants a certificate that it trusts: ask \
                          them to look into their log";
            report.bad("offer", format!("no answer to OPTIONS: {why}"), remedy);
        }
    }
    report
}

/// A request of ours outside of a dialog.
fn request(method: &str, from: &str, to: &str, tls: TlsMode, body: &str) -> String {
    let mut seed = [0u8; 8];
    let _ = getrandom::fill(&mut seed);
    let unique = seed.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let transport = if tls == TlsMode::None { "TCP" } else { "TLS" };
    let host = from.rsplit('@').next().unwrap_or(from);
    let kind = if body.is_empty() { "" } else { "Content-Type: text/plain\r\n" };
    format!(
        "{method} sip:{to} SIP/2.0\r\nVia: SIP/2.0/{transport} {host};branch=z9hG4bK{unique};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:{from}>;tag={unique}\r\nTo: <sip:{to}>\r\nCall-ID: {unique}@{host}\r\n\
         CSeq: 1 {method}\r\nContact: <sip:{host};transport={}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
        transport.to_lowercase(),
        body.len()
    )
}

/// Speaks in the name of a domain that is not ours.
///
/// # Errors
/// In words, why nobody can tell what becomes of that.
pub(super) async fn forged(
    ground: &Ground,
    partner: Option<&Partner>,
    domain: &Address,
    somebody: &Address,
) -> Result<Forged, String> {
    let mut unseen = Report::new(Protocol::Sip);
    let gone = || "their server could not be reached".to_owned();
    let (visit, spot) = reach(ground, partner, domain, &SEARCH, &mut unseen).await.ok_or_else(gone)?;
    let visit = match spot.tls {
        TlsMode::None => Some(visit),
        _ => secure(ground, domain, visit, SEARCH.alpn, &mut unseen).await,
    };
    let mut visit = visit.ok_or_else(gone)?;
    let (from, to) = (format!("x@{somebody}"), format!("{}@{domain}", partner::RESPONDER));
    visit.say(request("MESSAGE", &from, &to, spot.tls, "forged").as_bytes()).await?;
    match visit.hear(|text| final_answer(text).is_some()).await {
        Ok(heard) => {
            let status = final_answer(&heard).and_then(|head| head.lines().next()).unwrap_or_default();
            let status = status.strip_prefix("SIP/2.0 ").unwrap_or(status);
            match status.starts_with('2') {
                true => Ok(Forged::Taken(format!("their server takes us for {somebody}: {status}"))),
                false => Ok(Forged::Refused(status.to_owned())),
            }
        }
        Err(why) if why.contains("ended the connection") => Ok(Forged::Refused(why)),
        Err(_) => Err("it was neither refused nor answered, and perhaps taken".into()),
    }
}

/// The head of the first answer that is not provisional.
fn final_answer(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some((head, more)) = rest.split_once("\r\n\r\n") {
        let head = head.trim_start();
        if !head.starts_with("SIP/2.0 1") {
            return Some(head);
        }
        rest = more;
    }
    None
}

fn answered(head: &str, report: &mut Report) {
    let status = head.lines().next().unwrap_or_default();
    let Some(status) = status.strip_prefix("SIP/2.0 ") else {
        return report.bad("offer", "what answers does not speak SIP", "is this the right port?");
    };
    let header = |name: &str| {
        let is =
            |line: &&str| line.split_once(':').is_some_and(|(key, _)| key.trim().eq_ignore_ascii_case(name));
        head.lines().find(is).and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
    };
    let mut found = format!("OPTIONS was answered with {status}");
    if let Some(software) = header("Server").or_else(|| header("User-Agent")) {
        let _ = write!(found, " by {software}");
    }
    let Some(allowed) = header("Allow") else {
        // Whoever keeps quiet about it may still do it.
        return match status.as_bytes().first() {
            Some(b'2' | b'3' | b'4') => report.good("offer", found),
            _ => report.note("offer", found, "their server answers, but is not well"),
        };
    };
    let methods: Vec<&str> = allowed.split(',').map(str::trim).collect();
    let missing: Vec<&str> = ["MESSAGE", "SUBSCRIBE"].into_iter().filter(|m| !methods.contains(m)).collect();
    match missing.is_empty() {
        true => report.good("offer", format!("{found}; it allows MESSAGE and SUBSCRIBE")),
        false => report.note(
            "offer",
            format!("{found}; it does not allow {}", missing.join(" and ")),
            "what is missing will be refused: messages need MESSAGE, presence SUBSCRIBE",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use web::Verdict;

    #[test]
    fn answers_are_read() {
        assert_eq!(
            final_answer("SIP/2.0 100 Trying\r\n\r\nSIP/2.0 200 OK\r\nA: b\r\n\r\n"),
            Some("SIP/2.0 200 OK\r\nA: b")
        );
        assert_eq!(final_answer("SIP/2.0 100 Trying\r\n\r\nSIP/2.0 200 OK\r\n"), None);
        for (head, verdict, words) in [
            ("SIP/2.0 200 OK\r\nAllow: MESSAGE, SUBSCRIBE", Verdict::Good, "allows MESSAGE"),
            (
                "SIP/2.0 200 OK\r\nallow: INVITE, MESSAGE\r\nServer: x",
                Verdict::Note,
                "by x; it does not allow SUBSCRIBE",
            ),
            ("SIP/2.0 403 Forbidden", Verdict::Good, "403 Forbidden"),
            ("SIP/2.0 503 Later", Verdict::Note, "503 Later"),
            ("HTTP/1.1 400 Bad", Verdict::Bad, "does not speak SIP"),
        ] {
            let mut report = Report::new(Protocol::Sip);
            answered(head, &mut report);
            assert_eq!(report.checks[0].verdict, verdict, "{head}");
            assert!(report.checks[0].found.contains(words), "{}", report.checks[0].found);
        }
    }
}

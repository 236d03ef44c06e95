//! What an XMPP server says before it knows who asks (RFC 6120 sections 4 to 6, XEP-0178, XEP-0220).

use super::{Forged, Ground, Report, reach, secure};
use base64::Engine as _;
use connector::{Search, Service, TlsMode};
use markup::xml::escaped;
use model::Address;
use net::Visit;
use partner::{Partner, Protocol};

/// RFC 6120 section 3.2.1, XEP-0368.
const SEARCH: Search = Search {
    naptr: &[],
    services: &[&[
        Service { name: "_xmpps-server._tcp", tls: TlsMode::Direct },
        Service { name: "_xmpp-server._tcp", tls: TlsMode::Upgrade },
    ]],
    fallback: (5269, TlsMode::Upgrade),
    alpn: Some("xmpp-server"),
};

pub(super) async fn look(ground: &Ground, partner: Option<&Partner>, domain: &Address) -> Report {
    let mut report = Report::new(Protocol::Xmpp);
    let Some((visit, spot)) = reach(ground, partner, domain, &SEARCH, &mut report).await else {
        return report;
    };
    let secured = match spot.tls {
        TlsMode::Direct => secure(ground, domain, visit, SEARCH.alpn, &mut report).await,
        TlsMode::None => Some(visit),
        TlsMode::Upgrade => match starttls(ground, domain, visit, &mut report).await {
            Some(visit) => secure(ground, domain, visit, None, &mut report).await,
            None => None,
        },
    };
    if let Some(visit) = secured {
        offer(ground, domain, visit, &mut report).await;
    }
    report
}

/// Opens a stream; gives the features, or why there are none.
async fn open(from: &Address, domain: &Address, visit: &mut Visit) -> Result<String, String> {
    let header = format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
         xmlns:db='jabber:server:dialback' from='{}' to='{}' version='1.0' xml:lang='en'>",
        escaped(from.as_str()),
        escaped(domain.as_str())
    );
    visit.say(header.as_bytes()).await?;
    let ends = ["</stream:features>", "<stream:features/>", "</stream:error>", "</stream:stream>"];
    let heard = visit.hear(|text| ends.iter().any(|end| text.contains(end))).await?;
    match heard.find("<stream:error") {
        None => Ok(heard),
        Some(at) => Err(error(&heard[at..], domain)),
    }
}

/// A stream error in plain words.
fn error(text: &str, domain: &Address) -> String {
    let known = [
        ("host-unknown", format!("it does not serve {domain}")),
        ("host-gone", format!("it serves {domain} no longer")),
        ("policy-violation", "its rules refuse us".to_owned()),
        ("not-authorized", "it does not take us for who we are".to_owned()),
        ("remote-connection-failed", "it cannot connect back to us".to_owned()),
    ];
    let name = text.split("<").nth(2).and_then(|tag| tag.split([' ', '/', '>']).next()).unwrap_or("error");
    let words = known.iter().find(|(condition, _)| *condition == name).map(|(_, words)| words.as_str());
    format!("the server ended the stream: {name}{}", words.map(|w| format!(" ({w})")).unwrap_or_default())
}

const NO_STREAM: &str = "something else than an XMPP server may listen there, or it lets only servers it knows speak: \
                         ask them to look into their log";

async fn starttls(ground: &Ground, domain: &Address, mut visit: Visit, report: &mut Report) -> Option<Visit> {
    let features = match open(&ground.local, domain, &mut visit).await {
        Ok(features) => features,
        Err(why) => {
            report.bad("stream", why, NO_STREAM);
            return None;
        }
    };
    if !features.contains("urn:ietf:params:xml:ns:xmpp-tls") {
        let remedy = "they must switch on TLS for connections between servers; if they do, somebody in between strips it";
        report.bad("starttls", "STARTTLS is not offered", remedy);
        return None;
    }
    let asked = visit.say(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await;
    let heard = match asked {
        Ok(()) => visit.hear(|text| text.contains("<proceed") || text.contains("<failure")).await,
        Err(why) => Err(why),
    };
    match heard {
        Ok(heard) if heard.contains("<proceed") => {
            report.good("starttls", "offered, and begun");
            Some(visit)
        }
        Ok(_) => {
            report.bad("starttls", "offered, and then refused", "their server's certificate may be missing");
            None
        }
        Err(why) => {
            report.bad("starttls", why, NO_STREAM);
            None
        }
    }
}

/// What is offered now, and whether our certificate is taken.
async fn offer(ground: &Ground, domain: &Address, mut visit: Visit, report: &mut Report) {
    let features = match open(&ground.local, domain, &mut visit).await {
        Ok(features) => features,
        Err(why) => return report.bad("stream", why, NO_STREAM),
    };
    let has = |word: &str| features.contains(word);
    let (external, dialback) = (has(">EXTERNAL<"), has("urn:xmpp:features:dialback"));
    let extras = [
        ("EXTERNAL", external),
        ("dialback", dialback),
        ("bidi", has("urn:xmpp:features:bidi") || has("urn:xmpp:bidi")),
        ("stream management", has("urn:xmpp:sm:3")),
    ];
    let offered: Vec<&str> = extras.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
    report
        .good("offer", if offered.is_empty() { "nothing in particular".into() } else { offered.join(", ") });
    if !external {
        let remedy = "they do not trust our certificate, or do not do it: send them our authority's certificate; without \
                      it they must call back (dialback), for which their server must find ours in DNS";
        return report.note("login", "our certificate is not accepted for a login (no EXTERNAL)", remedy);
    }
    let said =
        visit.say(b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>").await;
    let heard = match said {
        Ok(()) => {
            visit
                .hear(|text| {
                    ["<success", "</failure", "<challenge", "</stream:error"].iter().any(|w| text.contains(w))
                })
                .await
        }
        Err(why) => Err(why),
    };
    match heard {
        Ok(heard) if heard.contains("<success") => report.good("login", "our certificate was accepted"),
        Ok(heard) => {
            let name = ["not-authorized", "invalid-authzid", "temporary-auth-failure", "host-unknown"];
            let name = name.iter().find(|name| heard.contains(*name)).unwrap_or(&"refused");
            let remedy = "our certificate must name our domain and come from an authority they trust";
            report.note("login", format!("our certificate was not accepted: {name}"), remedy);
        }
        Err(why) => report.note("login", format!("no answer to our login: {why}"), NO_STREAM),
    }
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
    let mut unseen = Report::new(Protocol::Xmpp);
    let gone = || "their server could not be reached".to_owned();
    let (visit, spot) = reach(ground, partner, domain, &SEARCH, &mut unseen).await.ok_or_else(gone)?;
    let visit = match spot.tls {
        TlsMode::Direct => secure(ground, domain, visit, SEARCH.alpn, &mut unseen).await,
        TlsMode::None => Some(visit),
        TlsMode::Upgrade => match starttls(ground, domain, visit, &mut unseen).await {
            Some(visit) => secure(ground, domain, visit, None, &mut unseen).await,
            None => None,
        },
    };
    let mut visit = visit.ok_or_else(gone)?;
    let features = match open(somebody, domain, &mut visit).await {
        Ok(features) => features,
        Err(why) => return Ok(Forged::Refused(why)),
    };
    let words = if features.contains(">EXTERNAL<") {
        let name = base64::engine::general_purpose::STANDARD.encode(somebody.as_str());
        format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>{name}</auth>")
    } else {
        format!(
            "<message from='x@{0}' to='{1}@{2}' type='chat'><body>forged</body></message>",
            escaped(somebody.as_str()),
            partner::RESPONDER,
            escaped(domain.as_str())
        )
    };
    let ends = ["<success", "</failure", "</stream:error", "</stream:stream"];
    visit.say(words.as_bytes()).await?;
    match visit.hear(|text| ends.iter().any(|end| text.contains(end))).await {
        Ok(heard) if heard.contains("<success") => {
            Ok(Forged::Taken(format!("their server takes us for {somebody}")))
        }
        Ok(heard) if heard.contains("<failure") => {
            Ok(Forged::Refused("our certificate is not taken for another domain's".into()))
        }
        Ok(heard) => {
            let at = heard.find("<stream:error");
            Ok(Forged::Refused(
                at.map_or_else(|| "the stream ended".into(), |at| error(&heard[at..], domain)),
            ))
        }
        Err(why) if why.contains("ended the connection") => Ok(Forged::Refused(why)),
        Err(_) => Err("it was neither refused nor answered, and perhaps taken".into()),
    }
}

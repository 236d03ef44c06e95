//! The configuration: one TOML file, typed. Unknown keys and wrong values are reported with file, line and a remedy.

mod anchors;
mod control;
mod file;
mod hygiene;
mod limits;
mod listeners;
mod mail;
mod mistake;
mod outbreak;
mod overrides;
mod place;
mod record;
pub mod reference;
mod reports;
mod spim;
mod upload;

pub use anchors::http_place;
pub use control::ControlPart;
pub use file::{
    AcmeChallenge, AcmePart, ConsentPart, FederationMode, FederationPart, Protocol, Serves, SipListen,
    SipTransport, Strangers, Watchers, XmppListen, XmppTls,
};
pub use hygiene::HygienePart;
pub use limits::Limits;
pub use mistake::Mistake;
pub use outbreak::OutbreakPart;
pub use place::Source;
pub use record::{FailOpen, RecordPart};
pub use reports::ReportsPart;
pub use spim::SpimPart;
pub use upload::UploadPart;

use crate::log::{Settings, is_target};
use file::File;
use model::Address;
use overrides::Overrides;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;

/// An HTTP address that something is posted to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Host and port.
    pub authority: String,
    /// Path, with its slash.
    pub path: String,
}

impl Endpoint {
    /// Reads `http://host:port/path`.
    fn parse(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("http://")?;
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/v1/traces"),
        };
        let ported = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let plain = path.bytes().all(|b| b.is_ascii_graphic());
        (is_host(authority) && ported && plain)
            .then(|| Self { authority: authority.to_owned(), path: path.to_owned() })
    }
}

/// A checked configuration. Paths are absolute or relative to the working directory.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from.
    pub source: Source,
    /// The hosted domains; at least one.
    pub domains: Vec<Address>,
    /// Where the store and the control socket live.
    pub data: PathBuf,
    /// Certificate chain and key, PEM.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Others for single domains.
    pub tls_domains: Vec<net::KeyFiles>,
    /// How certificates come by themselves.
    pub acme: Option<AcmePart>,
    /// XMPP listeners.
    pub xmpp: Vec<XmppListen>,
    /// Refuse XMPP logins before TLS.
    pub xmpp_require_tls: bool,
    /// Seconds an XMPP session without connection waits to be resumed; 0: not at all.
    pub xmpp_resume_secs: u32,
    /// SIP listeners.
    pub sip: Vec<SipListen>,
    /// Offer MD5 digest beside SHA-256.
    pub sip_md5: bool,
    /// The name or address SIP peers are told, where it is not the listener's own.
    pub sip_public_host: Option<String>,
    /// Other companies. Files are still relative to [`Config::base`].
    pub federation: FederationPart,
    /// What is unclean. Files are still relative to [`Config::base`].
    pub hygiene: HygienePart,
    /// How long what is held waits for a decision, in days.
    pub quarantine_days: Option<u32>,
    /// Who reaches the control socket, and what two are needed for.
    pub administration: ControlPart,
    /// What people may upload.
    pub upload: UploadPart,
    mail: mail::MailPart,
    journaling: mail::JournalingPart,
    /// Limits.
    pub limits: Limits,
    /// Consent rules.
    pub consent: ConsentPart,
    /// What is asked of strangers.
    pub spim: SpimPart,
    /// What counts as an outbreak.
    pub outbreak: OutbreakPart,
    /// How long the end may take at most.
    pub drain: Duration,
    /// What the record keeps.
    pub record: RecordPart,
    /// For one act of an administrator's: nobody is served or called, and nothing is done by the clock.
    pub alone: bool,
    /// May the journal end before rows that others know of? Only for whoever looks into that.
    pub may_be_cut: bool,
    /// Usage reports that are made by themselves.
    pub reports: ReportsPart,
    /// Where XMPP clients are sent at the end, `host:port`.
    pub go_to: Option<String>,
    /// Where metrics are told, besides the control socket.
    pub metrics: Option<SocketAddr>,
    /// Where traces go, and of how great a part of all envelopes, 0 to 1.
    pub traces: Option<(Endpoint, f64)>,
    /// What is logged.
    pub log: Settings,
    /// Worker threads; 0 means one per core.
    pub workers: usize,
}

impl Config {
    /// Reads and checks a configuration file, with what the environment sets (`RIALTO__SECTION__KEY`).
    ///
    /// # Errors
    /// [`Mistake`] with file, line, column and remedy.
    pub fn load(path: &Path) -> Result<Self, Mistake> {
        let bytes = std::fs::read(path).map_err(|e| Mistake::unreadable(path, &e))?;
        let text = String::from_utf8(bytes).map_err(|e| Mistake::no_text(path, &e))?;
        Self::with(path, &text, &Overrides::among(std::env::vars_os()))
    }

    fn with(path: &Path, text: &str, overrides: &Overrides) -> Result<Self, Mistake> {
        let Some(effective) = overrides.applied_to(text).filter(|_| !overrides.is_empty()) else {
            return Self::parse(path, text);
        };
        Self::parse(path, &effective).map_err(|mistake| match Self::parse(path, text) {
            // It is the file's own; its lines are those of the file.
            Err(own) if own.is_same(&mistake) => own,
            _ => mistake.because_of(overrides),
        })
    }

    fn parse(path: &Path, text: &str) -> Result<Self, Mistake> {
        let file: File = toml::from_str(text).map_err(|e| Mistake::syntax(path, text, &e))?;
        let base = path.parent().unwrap_or(Path::new("."));
        let mut domains = Vec::new();
        for domain in &file.domains {
            let wrong = |why: &str| Mistake::at(path, text, domain.span(), why);
            // As addresses have it, whichever way it is written (RFC 7622 section 3.2).
            let name = xmpp::jid::domain(domain.get_ref()).ok();
            let address = name.and_then(|name| Address::new("", &name).ok());
            let address = address
                .ok_or_else(|| wrong("this is no domain name; write something like \"example.com\""))?;
            if domains.contains(&address) {
                return Err(wrong("this domain is named already: take it out here"));
            }
            domains.push(address);
        }
        if domains.is_empty() {
            return Err(Mistake::at(
                path,
                text,
                0..0,
                "`domains` is empty: name at least the domain of your addresses",
            ));
        }
        let mut tls_domains = Vec::new();
        let tls = match file.tls {
            None => None,
            Some(tls) => {
                let others = tls.domain.iter().flat_map(|d| [&d.certificate, &d.key]);
                for part in [&tls.certificate, &tls.key].into_iter().chain(others) {
                    let full = base.join(part.get_ref());
                    if let Err(error) = std::fs::File::open(&full) {
                        let why = format!("{}: {error}; `rialto init` makes a certificate", full.display());
                        return Err(Mistake::at(path, text, part.span(), why));
                    }
                }
                tls_domains.extend(tls.domain.iter().map(|d| net::KeyFiles {
                    domain: Some(xmpp::jid::domain(&d.name).unwrap_or_else(|_| d.name.to_lowercase())),
                    certificate: base.join(d.certificate.get_ref()),
                    key: base.join(d.key.get_ref()),
                }));
                Some((base.join(tls.certificate.get_ref()), base.join(tls.key.get_ref())))
            }
        };
        let secured = file.xmpp.listen.iter().find(|l| l.tls != XmppTls::None).map(|l| l.address.span());
        let secured = secured.or(file
            .sip
            .listen
            .iter()
            .find(|l| l.transport == SipTransport::Tls)
            .map(|l| l.address.span()));
        let data = base.join(&file.data);
        let kept = domains.iter().any(|d| data.join("certificates").join(format!("{d}.pem")).exists());
        if let Some(acme) = &file.acme {
            let wrong = |span, why: &str| Err(Mistake::at(path, text, span, why));
            if !acme.agree_to_terms {
                let at = text.find("agree_to_terms").unwrap_or(0);
                return wrong(
                    at..at,
                    "read the authority's terms, and say `agree_to_terms = true` if you agree",
                );
            }
            match (acme.challenge, &acme.dns_hook) {
                (AcmeChallenge::Dns01, None) => {
                    let at = text.find("dns-01").unwrap_or(0);
                    return wrong(at..at, "`dns-01` needs `dns_hook`: the command that publishes a record");
                }
                (_, Some(hook)) if !base.join(hook.get_ref()).exists() => {
                    return wrong(hook.span(), "there is no such command");
                }
                _ => {}
            }
            if let Some(authority) = &acme.authority
                && let Err(error) = std::fs::File::open(base.join(authority.get_ref()))
            {
                return wrong(authority.span(), &format!("{error}; name a PEM file"));
            }
        }
        if let (Some(span), None, None, false) = (secured, &tls, &file.acme, kept) {
            return Err(Mistake::at(
                path,
                text,
                span,
                "this listener wants TLS, but there is no [tls] section, no [acme] section and no installed certificate",
            ));
        }
        listeners::check(&file.xmpp, &file.sip, path, text)?;
        if let Some(url) = &file.federation.url
            && !url.get_ref().strip_prefix("https://").is_some_and(|rest| {
                let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
                is_host(host) && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_/".contains(&b))
            })
        {
            let why = "write where others reach `listen`, like \"https://im.example.com:8443\"";
            return Err(Mistake::at(path, text, url.span(), why));
        }
        if let (Some(url), None) = (&file.federation.url, &file.federation.listen) {
            return Err(Mistake::at(
                path,
                text,
                url.span(),
                "`url` says how others reach `listen`: name that too",
            ));
        }
        for word in file.federation.who.iter().chain(&file.federation.except) {
            if let Err(why) = partner::is_who(word.get_ref()) {
                return Err(Mistake::at(path, text, word.span(), &why));
            }
        }
        for authority in &file.federation.authorities {
            if let Err(error) = std::fs::File::open(base.join(authority.get_ref())) {
                let why = format!("{error}; name a PEM file with the authority's certificate");
                return Err(Mistake::at(path, text, authority.span(), &why));
            }
        }
        hygiene::checked(&file.hygiene, path, text, base)?;
        file.outbreak.check(path, text)?;
        file.control.check(path, text)?;
        if let Some(days) = file.quarantine.days.as_ref().filter(|days| !(1..=3_650).contains(days.get_ref()))
        {
            let why = "`days` is a number from 1 to 3650; leave the key out to keep what is held for ever";
            return Err(Mistake::at(path, text, days.span(), why));
        }
        spim::checked(&file.spim, path, text, base)?;
        file.upload.check(path, text, tls.is_some() || file.acme.is_some() || kept)?;
        mail::check(&file.mail, &file.journaling, path, text, base)?;
        file.record.check(path, text, base)?;
        file.reports.check(path, text, file.mail.server.is_some())?;
        if let Some(go_to) = &file.drain.go_to
            && !is_host(go_to.get_ref())
        {
            let why =
                "write a host with or without a port: \"xmpp2.example.com:5222\", \"[2001:db8::1]:5222\"";
            return Err(Mistake::at(path, text, go_to.span(), why));
        }
        if let Some(target) = file.log.targets.keys().find(|t| !is_target(t.get_ref())) {
            let why = "this names no part of the code; write `hub`, `net`, `store`...";
            return Err(Mistake::at(path, text, target.span(), why));
        }
        let ratio = &file.traces.ratio;
        if !(0.0..=1.0).contains(ratio.get_ref()) {
            return Err(Mistake::at(path, text, ratio.span(), "`ratio` is a part of all: 0 to 1"));
        }
        let mut traces = None;
        if let Some(url) = &file.traces.endpoint {
            let Some(endpoint) = Endpoint::parse(url.get_ref()) else {
                let why = "write the collector's OTLP address, like \"http://127.0.0.1:4318/v1/traces\"";
                return Err(Mistake::at(path, text, url.span(), why));
            };
            traces = Some((endpoint, *ratio.get_ref()));
        }
        let targets = file.log.targets.into_iter().map(|(name, level)| (name.into_inner(), level)).collect();
        Ok(Self {
            source: Source { path: path.to_owned(), text: text.to_owned() },
            domains,
            data,
            tls,
            tls_domains,
            acme: file.acme,
            xmpp: file.xmpp.listen,
            xmpp_require_tls: file.xmpp.require_tls,
            xmpp_resume_secs: file.xmpp.resume_seconds,
            sip: file.sip.listen,
            sip_md5: file.sip.md5,
            sip_public_host: file.sip.public_host,
            federation: file.federation,
            hygiene: file.hygiene,
            quarantine_days: file.quarantine.days.map(Spanned::into_inner),
            administration: file.control,
            upload: file.upload,
            mail: file.mail,
            journaling: file.journaling,
            limits: file.limits,
            consent: file.consent,
            outbreak: file.outbreak,
            spim: file.spim,
            record: file.record,
            alone: false,
            may_be_cut: false,
            reports: file.reports,
            drain: Duration::from_secs(file.drain.seconds.into()),
            traces,
            log: Settings { format: file.log.format, level: file.log.level, targets },
            metrics: file.metrics.listen.map(Spanned::into_inner),
            go_to: file.drain.go_to.map(Spanned::into_inner),
            workers: file.workers,
        })
    }

    /// What paths in the file are relative to.
    pub fn base(&self) -> &Path {
        self.source.path.parent().unwrap_or(Path::new("."))
    }

    /// The control socket.
    pub fn control(&self) -> PathBuf {
        match &self.administration.socket {
            Some(socket) => self.base().join(socket.get_ref()),
            None => self.data.join("control.sock"),
        }
    }

    /// The store's file.
    pub fn store(&self) -> PathBuf {
        self.data.join("rialto.db")
    }

    /// The key that checkpoints are signed with.
    pub fn signing_key(&self) -> PathBuf {
        self.data.join("checkpoint.key")
    }

    /// The directory of the record's index.
    pub fn index(&self) -> PathBuf {
        self.data.join("search")
    }
}

/// A host name or address, an IPv6 one in brackets, with or without a port (RFC 6120 section 4.9.3.19).
fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let v6 = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let named = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b));
    v6.map_or(named, |v6| v6.parse::<std::net::Ipv6Addr>().is_ok())
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(text: &str) -> String {
        Config::parse(Path::new("rialto.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn mistakes_name_the_line_and_a_remedy() {
        let m = mistake("domains = [\"example.com\"]\ndata = \"d\"\n[xmpp]\nrequire_tsl = true\n");
        assert!(m.starts_with("rialto.toml:4:1: "), "{m}");
        assert!(m.contains("did you mean `require_tls`?"), "{m}");
        let m = mistake("domains = [\"a@b\"]\n");
        assert!(m.starts_with("rialto.toml:1:12: this is no domain name"), "{m}");
        let m = mistake("domains = [\"a.example\", \"A.example\"]\n");
        assert!(m.starts_with("rialto.toml:1:25: this domain is named already"), "{m}");
        for key in ["connections", "connections_per_source", "burst", "message_bytes"] {
            let m = mistake(&format!("domains = [\"a\"]\n[limits]\n{key} = 0\n"));
            assert!(m.starts_with("rialto.toml:3:") && m.contains("a number from 1"), "{m}");
        }
        let m = mistake("domains = [\"a\"]\n[limits]\nburst = -5\n");
        assert!(m.contains("expected a whole number from 0 to 4294967295"), "{m}");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.toml");
        std::fs::write(&path, b"domains = [\"a\"]\n# \xff\n").unwrap();
        let m = Config::load(&path).unwrap_err().to_string();
        assert!(m.contains("r.toml:2:3: this is no UTF-8"), "{m}");
        let m = mistake("domains = []\n");
        assert!(m.contains("at least the domain"), "{m}");
        let m = mistake("domains = [\"a\"]\n[[xmpp.listen]]\naddress = \"127.0.0.1:99999\"\n");
        assert!(m.starts_with("rialto.toml:3:11: "), "{m}");
        let m =
            mistake("domains = [\"a\"]\n[[sip.listen]]\naddress = \"127.0.0.1:5061\"\ntransport = \"tls\"\n");
        assert!(m.contains("no [tls] section"), "{m}");
    }

    #[test]
    fn a_domain_is_the_same_in_both_spellings() {
        for spelling in ["bücher.example", "BÜCHER.example", "xn--bcher-kva.example"] {
            let text = format!("domains = [{spelling:?}]\n");
            let config = Config::parse(Path::new("r.toml"), &text).unwrap();
            assert_eq!(config.domains[0].domain(), "bücher.example");
        }
    }

    #[test]
    fn the_environment_has_the_last_word_and_its_own_mistakes() {
        let text = "domains = [\"a\"]\n[limits]\nburst = 7\n";
        let with = |name: &str, value: &str| {
            let overrides =
                Overrides::among([(name.into(), value.into()), ("HOME".into(), "/".into())].into_iter());
            Config::with(Path::new("r.toml"), text, &overrides)
        };
        assert_eq!(with("RIALTO__LIMITS__BURST", "9").unwrap().limits.burst, 9);
        assert_eq!(with("RIALTO__DATA", "elsewhere").unwrap().data, Path::new("elsewhere"));
        assert_eq!(
            with("RIALTO__CONSENT__MESSAGES", "contacts").unwrap().consent.messages,
            Strangers::Contacts
        );
        assert_eq!(with("RIALTO__DOMAINS", "[\"b\", \"c\"]").unwrap().domains.len(), 2);
        let wrong = |name: &str, value: &str| with(name, value).unwrap_err().to_string();
        let m = wrong("RIALTO__LIMITS__BRUST", "9");
        assert!(
            m.starts_with("environment (RIALTO__LIMITS__BRUST): ") && m.contains("did you mean `burst`?"),
            "{m}"
        );
        assert!(
            wrong("RIALTO__LIMITS__BURST", "many").contains("expected a whole number"),
            "a word is no number"
        );
        assert!(wrong("RIALTO__DATA__X", "1").starts_with("environment (RIALTO__DATA__X): "));
    }

    #[test]
    fn a_small_file_is_enough() {
        let c = Config::parse(Path::new("/x/rialto.toml"), "domains = [\"Example.COM\"]").unwrap();
        assert_eq!(c.domains[0].as_str(), "example.com");
        assert_eq!(c.data, Path::new("/x/data"));
    }

    #[test]
    fn a_collector_is_named_whole() {
        for (url, good) in [
            ("http://127.0.0.1:4318/v1/traces", true),
            ("http://[::1]:4318", true),
            ("https://127.0.0.1:4318", false),
            ("http://127.0.0.1/v1/traces", false),
            ("127.0.0.1:4318", false),
        ] {
            assert_eq!(Endpoint::parse(url).is_some(), good, "{url}");
        }
        let m = mistake("domains = [\"a\"]\n[traces]\nendpoint = \"http://h:1\"\nratio = 2.0\n");
        assert!(m.starts_with("rialto.toml:4:9: `ratio`"), "{m}");
    }

    #[test]
    fn a_host_to_go_to() {
        for (text, good) in [
            ("example.com", true),
            ("example.com:5222", true),
            ("[2001:db8::1]", true),
            ("[2001:db8::1]:5222", true),
            ("2001:db8::1", false),
            ("example.com:", false),
            ("a b", false),
            ("", false),
        ] {
            assert_eq!(is_host(text), good, "{text}");
        }
        let m = mistake("domains = [\"a\"]\n[record]\nretention = \"a year\"\n");
        assert!(m.starts_with("rialto.toml:3:13: write \"forever\" or \"N days\""), "{m}");
        let m = mistake("domains = [\"a\"]\n[[record.fail_open]]\nfeatures = [\"im\", \"calls\"]\n");
        assert!(m.starts_with("rialto.toml:3:12: only what is recorded"), "{m}");
        let m = mistake("domains = [\"a\"]\n[drain]\ngo_to = \"<x>\"\n");
        assert!(m.starts_with("rialto.toml:3:9: write a host"), "{m}");
    }

    #[test]
    fn answers_need_a_listener_and_its_name() {
        for (text, complaint) in [
            ("listen = \"127.0.0.1:0\"\nurl = \"http://h\"\n", "r.toml:4:7: write where others"),
            ("listen = \"127.0.0.1:0\"\nurl = \"https://h/a#b\"\n", "r.toml:4:7: write where others"),
            ("url = \"https://h:1/a\"\n", "r.toml:3:7: `url` says how others"),
            ("who = [\"a b\"]\n", "r.toml:3:8: \"a b\" is no name"),
        ] {
            let text = format!("domains = [\"a\"]\n[federation]\n{text}");
            let m = Config::parse(Path::new("r.toml"), &text).unwrap_err().to_string();
            assert!(m.starts_with(complaint), "{m}");
        }
    }

    #[test]
    fn keys_are_found_in_the_file() {
        let text = "workers = 2\ndomains = [\"a\"]\n\n[sip]\nmd5 = true\n";
        let c = Config::parse(Path::new("r.toml"), text).unwrap();
        let places = ["workers", "sip.md5", "limits.burst", "sip.public_host"].map(|key| c.source.place(key));
        assert_eq!(places, ["r.toml:1", "r.toml:5", "r.toml", "r.toml"]);
    }
}

//! `[record.anchors]`: where signed checkpoints are kept besides here.

use super::Mistake;
use hyper::Uri;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;
use toml::Spanned;

/// Where signed checkpoints of the journal are kept besides here; see [The record](record.md#proving-it).
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AnchorsPart {
    /// A directory elsewhere, such as a share that changes nothing once it is written; a file there grows by a line for each.
    #[schemars(with = "Option<String>")]
    pub directory: Option<Spanned<String>>,
    /// The system's log: a socket such as `/dev/log`, or `host:port` of a collector (RFC 5424 over UDP).
    #[schemars(with = "Option<String>")]
    pub syslog: Option<Spanned<String>>,
    /// A URL that each is posted to as JSON, `https://` or `http://`.
    #[schemars(with = "Option<String>")]
    pub http: Option<Spanned<String>>,
    /// The URL of a time-stamping authority (RFC 3161); its token is kept with the checkpoint.
    #[schemars(with = "Option<String>")]
    pub timestamp: Option<Spanned<String>>,
    /// PEM file with the authority of these HTTPS servers, where the system does not know it.
    #[schemars(with = "Option<String>")]
    pub authority: Option<Spanned<String>>,
}

impl AnchorsPart {
    /// Says what cannot be a place.
    pub(super) fn check(&self, path: &Path, text: &str, base: &Path) -> Result<(), Mistake> {
        let wrong = |at: &Spanned<String>, why: String| Err(Mistake::at(path, text, at.span(), why));
        for url in [&self.http, &self.timestamp].into_iter().flatten() {
            if http_place(url.get_ref()).is_none() {
                return wrong(url, "this is no URL of HTTP; write \"https://host/path\"".into());
            }
        }
        if let Some(syslog) = self.syslog.as_ref().filter(|s| !is_log(s.get_ref())) {
            return wrong(syslog, "write the path of a socket, such as \"/dev/log\", or \"host:514\"".into());
        }
        if let Some(directory) = self.directory.as_ref().filter(|d| d.get_ref().is_empty()) {
            return wrong(directory, "this is no directory".into());
        }
        if let Some(authority) = &self.authority
            && let Err(error) = std::fs::File::open(base.join(authority.get_ref()))
        {
            return wrong(authority, format!("{error}; name a PEM file"));
        }
        Ok(())
    }

    /// As it is told when it changes.
    pub fn shown(&self) -> String {
        let word = |one: &Option<Spanned<String>>| one.as_ref().map(|s| s.get_ref().clone());
        let all = [&self.directory, &self.syslog, &self.http, &self.timestamp, &self.authority];
        format!("{:?}", all.map(word))
    }
}

fn is_log(text: &str) -> bool {
    let host = |(host, port): (&str, &str)| !host.is_empty() && port.parse::<u16>().is_ok();
    text.starts_with('/') || text.rsplit_once(':').is_some_and(host)
}

/// A URL of HTTP: is it secured, whose is it, and at which port?
pub fn http_place(url: &str) -> Option<(bool, String, u16, Uri)> {
    let uri: Uri = url.parse().ok()?;
    let secured = match uri.scheme_str()? {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = uri.port_u16().unwrap_or(if secured { 443 } else { 80 });
    (!host.is_empty() && uri.authority().is_some_and(|a| !a.as_str().contains('@')))
        .then_some((secured, host, port, uri))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn mistakes_name_their_line() {
        for (text, complaint) in [
            ("http = \"ftp://x/\"\n", "r.toml:3:8: this is no URL of HTTP"),
            ("timestamp = \"tsa.example\"\n", "r.toml:3:13: this is no URL of HTTP"),
            ("syslog = \"loghost\"\n", "r.toml:3:10: write the path of a socket"),
            ("directory = \"\"\n", "r.toml:3:13: this is no directory"),
            ("authority = \"nothing.pem\"\n", "r.toml:3:13: No such file"),
            ("directry = \"x\"\n", "r.toml:3:1: "),
        ] {
            let text = format!("domains = [\"a\"]\n[record.anchors]\n{text}");
            let m = Config::parse(Path::new("r.toml"), &text).unwrap_err().to_string();
            assert!(m.starts_with(complaint), "{m}");
        }
    }

    #[test]
    fn places() {
        let at = |url| http_place(url).map(|(secured, host, port, _)| (secured, host, port));
        assert_eq!(at("https://a.example/b?c"), Some((true, "a.example".into(), 443)));
        assert_eq!(at("http://[::1]:8080"), Some((false, "::1".into(), 8080)));
        for wrong in ["a.example", "https://", "https://u@a.example/", "/path"] {
            assert_eq!(at(wrong), None, "{wrong}");
        }
    }
}

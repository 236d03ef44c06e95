//! `[upload]`: files that people upload and others fetch.

use super::{Mistake, is_host};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::Path;
use toml::Spanned;

/// Files that people upload and others fetch; see [Files](files.md).
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UploadPart {
    /// Address and port where files are put and fetched over HTTPS. Without one nothing can be uploaded.
    #[schemars(with = "Option<String>")]
    pub listen: Option<Spanned<SocketAddr>>,
    /// HTTP without TLS, for a proxy on this machine that has it: `listen` must be a loopback address.
    pub plain: bool,
    /// How others reach it, `https://files.example.com`; without it `https://`, the first domain and the port.
    #[schemars(with = "Option<String>")]
    pub url: Option<Spanned<String>>,
    /// The largest file, in bytes.
    #[schemars(with = "u64")]
    pub max_bytes: Spanned<u64>,
    /// What one account may upload within a day, in bytes.
    #[schemars(with = "u64")]
    pub daily_bytes: Spanned<u64>,
    /// Files are kept for so many days; 0: for ever.
    pub retention_days: u32,
    /// Files are only looked at: nothing is opened.
    #[serde(skip)]
    pub closed: bool,
}

impl Default for UploadPart {
    fn default() -> Self {
        Self {
            listen: None,
            plain: false,
            url: None,
            max_bytes: Spanned::new(0..0, 100 << 20),
            daily_bytes: Spanned::new(0..0, 1 << 30),
            retention_days: 30,
            closed: false,
        }
    }
}

impl UploadPart {
    /// Says what is wrong with it; `secured`: there is a certificate.
    pub(super) fn check(&self, path: &Path, text: &str, secured: bool) -> Result<(), Mistake> {
        let wrong = |span, why: &str| Err(Mistake::at(path, text, span, why));
        if let Some(url) = &self.url {
            let fits = url.get_ref().strip_prefix("https://").is_some_and(|rest| {
                let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
                is_host(host)
                    && !rest.ends_with('/')
                    && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_/".contains(&b))
            });
            if !fits {
                let why = "write how clients reach `listen`, without a slash at the end, like \"https://files.example.com\"";
                return wrong(url.span(), why);
            }
            if self.listen.is_none() {
                return wrong(url.span(), "`url` says how others reach `listen`: name that too");
            }
        }
        let Some(listen) = &self.listen else { return Ok(()) };
        if self.plain && !listen.get_ref().ip().is_loopback() {
            return wrong(
                listen.span(),
                "`plain` needs a loopback address: others would see what people send",
            );
        }
        if self.plain && self.url.is_none() {
            return wrong(listen.span(), "`plain` needs `url`: how clients reach the proxy");
        }
        if !self.plain && !secured {
            let why = "HTTPS needs a certificate: there is no [tls] section, no [acme] section and no installed certificate";
            return wrong(listen.span(), why);
        }
        if self.daily_bytes.get_ref() < self.max_bytes.get_ref() {
            let named = if self.daily_bytes.span().is_empty() { &self.max_bytes } else { &self.daily_bytes };
            return wrong(
                named.span(),
                "`daily_bytes` is less than `max_bytes`: the largest file could never be sent",
            );
        }
        Ok(())
    }

    /// The same for whoever keeps files; none where nothing can be uploaded.
    pub fn settings(&self) -> Option<files::Settings> {
        self.listen.as_ref()?;
        Some(files::Settings {
            url: self.url.as_ref().map(|url| url.get_ref().clone()),
            max_bytes: *self.max_bytes.get_ref(),
            daily_bytes: *self.daily_bytes.get_ref(),
            retention_days: self.retention_days,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn mistakes_name_their_line() {
        for (text, complaint) in [
            ("url = \"https://h\"\n", "r.toml:3:7: `url` says how others"),
            ("listen = \"127.0.0.1:0\"\nurl = \"http://h\"\n", "r.toml:4:7: write how clients"),
            ("listen = \"127.0.0.1:0\"\nurl = \"https://h/\"\n", "r.toml:4:7: write how clients"),
            ("listen = \"0.0.0.0:0\"\nplain = true\n", "r.toml:3:10: `plain` needs a loopback"),
            ("listen = \"[::1]:0\"\nplain = true\n", "r.toml:3:10: `plain` needs `url`"),
            ("listen = \"127.0.0.1:0\"\n", "r.toml:3:10: HTTPS needs a certificate"),
            (
                "listen = \"[::1]:0\"\nplain = true\nurl = \"https://h\"\ndaily_bytes = 7\n",
                "r.toml:6:15: `daily_bytes` is less",
            ),
            ("max_byte = 7\n", "r.toml:3:1: "),
        ] {
            let text = format!("domains = [\"a\"]\n[upload]\n{text}");
            let m = Config::parse(std::path::Path::new("r.toml"), &text).unwrap_err().to_string();
            assert!(m.starts_with(complaint), "{m}");
        }
    }
}

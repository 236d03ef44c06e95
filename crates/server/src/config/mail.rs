//! `[mail]` and `[journaling]`: mail that goes out, and an archive elsewhere that gets what is said.

use super::{Config, Mistake};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;
use toml::Spanned;

/// Where mail is handed over; see [Exports](export.md).
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MailPart {
    /// The mail server's name. Without one no mail is sent.
    #[schemars(with = "Option<String>")]
    pub server: Option<Spanned<String>>,
    /// Its port; 587 for STARTTLS, 465 for TLS, 25 without.
    pub port: Option<u16>,
    /// How the way there is protected.
    pub tls: MailTls,
    /// The sender of what we send.
    #[schemars(with = "Option<String>")]
    pub from: Option<Spanned<String>>,
    /// Who we are at the mail server.
    pub user: Option<String>,
    /// A file with the password, on its first line.
    #[schemars(with = "Option<String>")]
    pub password_file: Option<Spanned<String>>,
    /// A PEM file with the authority of the mail server's certificate, besides those that the system knows.
    #[schemars(with = "Option<String>")]
    pub authority: Option<Spanned<String>>,
}

/// How the way to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// By STARTTLS, or no mail is sent.
    #[default]
    StartTls,
    /// By TLS from the first byte.
    Direct,
    /// Not at all: for a mail server on this machine.
    None,
}

/// An archive elsewhere that gets by mail what is said; see [Exports](export.md).
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JournalingPart {
    /// The archive's address. Without one nothing is sent.
    #[schemars(with = "Option<String>")]
    pub to: Option<Spanned<String>>,
    /// What was said within so many minutes goes into one mail for each conversation: a part of a day, such as 60 or 1440; 0 sends each message at once.
    #[schemars(with = "u32")]
    pub minutes: Spanned<u32>,
}

impl Default for JournalingPart {
    fn default() -> Self {
        Self { to: None, minutes: Spanned::new(0..0, 60) }
    }
}

/// Says what is wrong with them.
pub(super) fn check(
    mail: &MailPart,
    journaling: &JournalingPart,
    path: &Path,
    text: &str,
    base: &Path,
) -> Result<(), Mistake> {
    let wrong = |span, why: &str| Err(Mistake::at(path, text, span, why));
    if let Some(server) = &mail.server {
        if !super::is_host(server.get_ref()) || server.get_ref().contains(':') {
            return wrong(server.span(), "this is no host; its port goes into `port`");
        }
        let Some(from) = &mail.from else {
            return wrong(server.span(), "`server` needs `from`: the sender of what we send");
        };
        if !::mail::is_address(from.get_ref()) {
            return wrong(from.span(), "this is no address of mail; write \"rialto@example.com\"");
        }
    }
    match (&mail.user, &mail.password_file) {
        (None, Some(file)) => {
            return wrong(file.span(), "`password_file` needs `user`: whose password it is");
        }
        (Some(_), None) => {
            let at = mail.server.as_ref().map(Spanned::span).unwrap_or_default();
            return wrong(at, "`user` needs `password_file`: a file with the password on its first line");
        }
        (Some(_), Some(file)) if mail.tls == MailTls::None => {
            return wrong(file.span(), "a password is not sent in clear: `tls` must not be \"none\" with it");
        }
        _ => {}
    }
    for file in mail.password_file.iter().chain(&mail.authority) {
        if let Err(error) = std::fs::File::open(base.join(file.get_ref())) {
            return wrong(file.span(), &format!("{error}; name a file that the server can read"));
        }
    }
    let Some(to) = &journaling.to else { return Ok(()) };
    if !::mail::is_address(to.get_ref()) {
        return wrong(to.span(), "this is no address of mail; write \"archive@example.com\"");
    }
    if mail.server.is_none() {
        return wrong(
            to.span(),
            "nothing can be sent: name the mail server with `server` and `from` in [mail]",
        );
    }
    let minutes = *journaling.minutes.get_ref();
    if minutes > 0 && 1_440 % minutes != 0 {
        let why = "`minutes` must be a part of a day: 5, 15, 60, 240, 1440; or 0, at once";
        return wrong(journaling.minutes.span(), why);
    }
    Ok(())
}

impl MailPart {
    /// The same for whoever sends; none where nothing can be sent.
    pub fn settings(&self, base: &Path, name: &str) -> Option<::mail::Settings> {
        let (server, from) = (self.server.as_ref()?, self.from.as_ref()?);
        let (security, port) = match self.tls {
            MailTls::StartTls => (::mail::Security::StartTls, 587),
            MailTls::Direct => (::mail::Security::Tls, 465),
            MailTls::None => (::mail::Security::None, 25),
        };
        let file = |file: &Spanned<String>| base.join(file.get_ref());
        Some(::mail::Settings {
            server: server.get_ref().clone(),
            port: self.port.unwrap_or(port),
            security,
            login: self.user.clone().zip(self.password_file.as_ref().map(file)),
            authority: self.authority.as_ref().map(file),
            from: from.get_ref().clone(),
            name: name.to_owned(),
        })
    }
}

impl Config {
    /// Where mail is handed over; none where nothing can be sent.
    pub fn mail(&self) -> Option<::mail::Settings> {
        let name = self.domains.first().map_or("localhost", |domain| domain.domain());
        self.mail.settings(self.base(), name)
    }

    /// The archive that gets by mail what is said, and after how many minutes.
    pub fn journaling(&self) -> Option<(String, u32)> {
        let to = self.journaling.to.as_ref()?;
        Some((to.get_ref().clone(), *self.journaling.minutes.get_ref()))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn mistakes_name_their_line() {
        let server = "server = \"mail.example.com\"\n";
        let from = "from = \"rialto@example.com\"\n";
        for (text, complaint) in [
            (format!("[mail]\n{server}"), "r.toml:3:10: `server` needs `from`"),
            (format!("[mail]\nserver = \"h:25\"\n{from}"), "r.toml:3:10: this is no host"),
            (format!("[mail]\n{server}from = \"rialto\"\n"), "r.toml:4:8: this is no address of mail"),
            (format!("[mail]\n{server}{from}user = \"r\"\n"), "r.toml:3:10: `user` needs"),
            (
                format!("[mail]\n{server}{from}user = \"r\"\npassword_file = \"no\"\n"),
                "r.toml:6:17: No such file",
            ),
            (
                format!("[mail]\n{server}{from}tls = \"none\"\nuser = \"r\"\npassword_file = \"no\"\n"),
                "r.toml:7:17: a password",
            ),
            ("[journaling]\nto = \"a@b.example\"\n".into(), "r.toml:3:6: nothing can be sent"),
            (
                format!("[mail]\n{server}{from}[journaling]\nto = \"a@b.example\"\nminutes = 7\n"),
                "r.toml:7:11: `minutes` must",
            ),
        ] {
            let text = format!("domains = [\"a\"]\n{text}");
            let m = Config::parse(std::path::Path::new("r.toml"), &text).unwrap_err().to_string();
            assert!(m.starts_with(complaint), "{m}");
        }
    }
}

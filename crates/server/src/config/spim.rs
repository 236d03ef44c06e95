//! `[spim]`: what is asked of strangers.

use super::Mistake;
use model::Address;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spim::{Answer, Greylist, ListSettings, ListSource, Node, Settings};
use std::path::Path;
use toml::Spanned;

/// What is asked of strangers; see [Strangers](spim.md).
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SpimPart {
    /// Looks at what strangers send. Whom an administrator blocked stays blocked without it.
    pub enabled: bool,
    /// What becomes of a stranger's links and files.
    pub links: Links,
    /// To so many people of ours one stranger may write first in an hour; 0: to any number.
    pub contacts_per_sender: u32,
    /// The same for all strangers of one domain together.
    pub contacts_per_domain: u32,
    /// What becomes of the first message of somebody unknown from a domain that nobody here has written to.
    pub greylist: Grey,
    /// For so long.
    #[schemars(with = "u32")]
    pub greylist_minutes: Spanned<u32>,
    /// People of our own domains are strangers to one another too.
    pub colleagues: bool,
    /// So are people of [partners](partners.md).
    pub partners: bool,
    /// Whose reputation is so far below nothing, and whom three people have reported, is refused; 0: nobody is.
    pub refuse_below: u32,
    /// After so many days a reputation counts half.
    #[schemars(with = "u32")]
    pub half_life_days: Spanned<u32>,
    /// Lists of known offenders.
    pub list: Vec<SpimList>,
}

/// A list of known offenders.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpimList {
    /// Its name; without one, its file's or its service's.
    pub name: Option<String>,
    /// Its file: the SHA-256 of a bare address or a domain in each line, or address or domain themselves.
    #[schemars(with = "Option<String>")]
    pub file: Option<Spanned<String>>,
    /// Or the service that publishes it over XMPP (XEP-0060), and tells what comes and goes.
    #[schemars(with = "Option<String>")]
    pub service: Option<Spanned<String>>,
    /// The service's node.
    #[serde(default = "usual_node")]
    pub node: String,
    /// What becomes of what those send who are on it.
    #[serde(default)]
    pub then: Then,
}

/// What becomes of a stranger's links and files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Links {
    /// They pass.
    Pass,
    /// They do not, and the sender hears why.
    #[default]
    Refuse,
    /// They do not, and the sender hears nothing.
    Drop,
    /// They wait in the quarantine.
    Hold,
    /// They wait until the sender has answered a question.
    Challenge,
}

/// What becomes of what those send who are on a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Then {
    /// It is refused, and the sender hears why.
    #[default]
    Refuse,
    /// The sender hears nothing.
    Drop,
    /// It waits in the quarantine.
    Hold,
    /// It waits until the sender has answered a question.
    Challenge,
}

/// What becomes of the first message of somebody unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Grey {
    /// It passes.
    #[default]
    Off,
    /// It is refused for a while: who writes again later gets through.
    Refuse,
    /// It waits for a while, or until the addressee writes.
    Hold,
    /// It waits until the sender has answered a question.
    Challenge,
}

impl Default for SpimPart {
    fn default() -> Self {
        let s = Settings::default();
        let at_start = |n: u64| Spanned::new(0..0, u32::try_from(n).unwrap_or(u32::MAX));
        Self {
            enabled: s.enabled,
            links: Links::default(),
            contacts_per_sender: s.sender_contacts,
            contacts_per_domain: s.domain_contacts,
            greylist: Grey::default(),
            greylist_minutes: at_start(s.greylist_for / 60_000),
            colleagues: s.colleagues,
            partners: s.partners,
            refuse_below: s.refuse_below,
            half_life_days: at_start(s.half_life / DAY),
            list: Vec::new(),
        }
    }
}

const DAY: u64 = 24 * 3_600_000;

/// What services for XMPP call the node of those whom they have banned.
fn usual_node() -> String {
    "muc_bans_sha256".into()
}

impl SpimList {
    fn shown(&self) -> String {
        let file = self.file.as_ref().map(Spanned::get_ref);
        let stem = || Some(Path::new(file?).file_stem()?.to_string_lossy().into_owned());
        let service = || self.service.as_ref().map(|service| service.get_ref().replace('.', "-"));
        self.name.clone().or_else(stem).or_else(service).unwrap_or_default()
    }

    /// Where it comes from; what was checked makes sense.
    fn source(&self, base: &Path) -> Option<ListSource> {
        match (&self.file, &self.service) {
            (Some(file), _) => Some(ListSource::File(base.join(file.get_ref()))),
            (None, Some(service)) => {
                let service = Address::parse(service.get_ref()).ok()?;
                Some(ListSource::Node(Node { service, name: self.node.clone() }))
            }
            (None, None) => None,
        }
    }
}

impl SpimPart {
    /// The same for the guard.
    pub fn settings(&self, base: &Path) -> Settings {
        let list = |list: &SpimList| {
            let answer = match list.then {
                Then::Refuse => Answer::Refuse,
                Then::Drop => Answer::Drop,
                Then::Hold => Answer::Hold,
                Then::Challenge => Answer::Challenge,
            };
            Some(ListSettings { name: list.shown(), source: list.source(base)?, answer })
        };
        Settings {
            enabled: self.enabled,
            links: match self.links {
                Links::Pass => None,
                Links::Refuse => Some(Answer::Refuse),
                Links::Drop => Some(Answer::Drop),
                Links::Hold => Some(Answer::Hold),
                Links::Challenge => Some(Answer::Challenge),
            },
            sender_contacts: self.contacts_per_sender,
            domain_contacts: self.contacts_per_domain,
            greylist: match self.greylist {
                Grey::Off => Greylist::Off,
                Grey::Refuse => Greylist::Refuse,
                Grey::Hold => Greylist::Hold,
                Grey::Challenge => Greylist::Challenge,
            },
            greylist_for: u64::from(*self.greylist_minutes.get_ref()) * 60_000,
            colleagues: self.colleagues,
            partners: self.partners,
            refuse_below: self.refuse_below,
            half_life: u64::from(*self.half_life_days.get_ref()) * DAY,
            lists: self.list.iter().filter_map(list).collect(),
        }
    }

    /// As one line, for comparing.
    pub fn shown(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Says what is wrong with it, and where.
pub(super) fn checked(part: &SpimPart, path: &Path, text: &str, base: &Path) -> Result<(), Mistake> {
    let wrong = |span, why: String| Err(Mistake::at(path, text, span, why));
    for (key, value, most) in
        [("greylist_minutes", &part.greylist_minutes, 1_440), ("half_life_days", &part.half_life_days, 3_650)]
    {
        if !(1..=most).contains(value.get_ref()) {
            return wrong(value.span(), format!("`{key}` is a number from 1 to {most}"));
        }
    }
    let mut names = Vec::new();
    for list in &part.list {
        let at = match (&list.file, &list.service) {
            (Some(file), None) => {
                if let Err(error) = std::fs::File::open(base.join(file.get_ref())) {
                    return wrong(file.span(), format!("{error}; name a file with one SHA-256 in each line"));
                }
                file.span()
            }
            (None, Some(service)) => {
                let is_domain = Address::parse(service.get_ref()).is_ok_and(|s| s.user().is_none());
                if !is_domain {
                    let why = "write the domain of the service that publishes the list, such as \"lists.example.com\"";
                    return wrong(service.span(), why.into());
                }
                service.span()
            }
            (Some(_), Some(service)) => {
                return wrong(
                    service.span(),
                    "a list is from a `file` or from a `service`; make it two lists".into(),
                );
            }
            (None, None) => {
                return wrong(
                    0..0,
                    "a [[spim.list]] needs a `file`, or the `service` that publishes it".into(),
                );
            }
        };
        let name = list.shown();
        let fits = |c: char| c.is_alphanumeric() || "-_".contains(c);
        if name.is_empty() || !name.chars().all(fits) || names.contains(&name) {
            let why = format!(
                "{name:?} cannot be the name of this list: write another `name`, with letters, digits, `-` and `_`"
            );
            return wrong(at, why);
        }
        names.push(name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use std::path::Path;

    #[test]
    fn mistakes_name_their_line() {
        for (text, complaint) in [
            ("links = \"forbid\"\n", "r.toml:3:9: "),
            ("half_life_days = 0\n", "r.toml:3:18: `half_life_days` is a number from 1 to 3650"),
            ("[[spim.list]]\nfile = \"none\"\n", "r.toml:4:8: No such file"),
            ("[[spim.list]]\nfile = \"/dev/null\"\nservice = \"l.example\"\n", "r.toml:5:11: a list is from"),
            ("[[spim.list]]\nservice = \"a@l.example\"\n", "r.toml:4:11: write the domain"),
            ("[[spim.list]]\nthen = \"drop\"\n", "r.toml:1:1: a [[spim.list]] needs"),
            ("[[spim.list]]\nfile = \"/dev/null\"\nname = \"a b\"\n", "r.toml:4:8: \"a b\" cannot be"),
        ] {
            let text = format!("domains = [\"a\"]\n[spim]\n{text}");
            let m = Config::parse(Path::new("r.toml"), &text).unwrap_err().to_string();
            assert!(m.starts_with(complaint), "{m}");
        }
        let settings = Config::parse(Path::new("r.toml"), "domains = [\"a\"]\n").unwrap().spim;
        assert_eq!(settings.settings(Path::new("")), spim::Settings::default());
    }
}

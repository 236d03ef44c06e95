//! `[hygiene]`: what is unclean, and what becomes of it.

use super::Mistake;
use hygiene::{
    ArchiveLimits, ClamdAt, ClamdSettings, ListSettings, Listed, Lookalike, Settings, YaraSettings,
};
use model::Address;
use ports::Remedy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;
use toml::Spanned;

/// What is unclean; see [Hygiene](hygiene.md).
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HygienePart {
    /// Lists of links and hosts.
    pub list: Vec<ListPart>,
    /// Names that look like others.
    pub lookalike: LookalikePart,
    /// How much archives may be that people send.
    pub archive: ArchivePart,
    /// Who looks into files.
    pub clamd: ClamdPart,
    /// YARA rules, for files and texts.
    pub yara: YaraPart,
}

/// A list of links and hosts.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListPart {
    /// Its name; without one, its file's.
    pub name: Option<String>,
    /// Its file: hosts or URLs, one a line, a file of hosts, or Adblock's.
    #[schemars(with = "String")]
    pub file: Spanned<String>,
    /// What becomes of messages with such links.
    #[serde(default)]
    pub then: ListThen,
}

/// What becomes of messages with links on a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ListThen {
    /// They do not pass.
    #[default]
    Block,
    /// They wait in the quarantine.
    Hold,
    /// They pass, and whoever of the two is ours is told.
    Warn,
    /// What is on this list is good, whatever other lists and looks say.
    Allow,
}

/// Names that look like others.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LookalikePart {
    /// What becomes of what people send whose domain, address or links look like ours or a partner's.
    pub then: LookThen,
    /// Names of people whose word counts, as they are written: nobody from elsewhere may bear them.
    pub executives: Vec<String>,
    /// Addresses and domains that are what they seem.
    #[schemars(with = "Vec<String>")]
    pub except: Vec<Spanned<String>>,
}

/// clamd, which looks into files.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClamdPart {
    /// Its address and port, or its socket: `127.0.0.1:3310`, `/run/clamav/clamd.ctl`. Without one nobody looks.
    #[schemars(with = "Option<String>")]
    pub address: Option<Spanned<String>>,
    /// How long each step of asking it may take.
    pub timeout_seconds: u16,
    /// How many files it is given at a time.
    pub at_once: u16,
    /// What becomes of files that it could not be asked about.
    pub when_down: WhenDown,
}

impl Default for ClamdPart {
    fn default() -> Self {
        Self { address: None, timeout_seconds: 10, at_once: 8, when_down: WhenDown::Hold }
    }
}

impl ClamdPart {
    /// Where it is, and how long it may take.
    pub fn at(&self) -> Option<(ClamdAt, Duration)> {
        let at = self.address.as_ref()?.get_ref().parse().ok()?;
        Some((at, Duration::from_secs(self.timeout_seconds.max(1).into())))
    }
}

/// YARA rules, for files and texts.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct YaraPart {
    /// Their files. Without any nobody looks.
    #[schemars(with = "Vec<String>")]
    pub files: Vec<Spanned<String>>,
    /// How long a look may take.
    pub timeout_seconds: u16,
    /// How many looks at a time; each may take 32 MiB of memory.
    pub at_once: u16,
    /// Texts of messages are looked into as well as files.
    pub texts: bool,
    /// What becomes of what could not be looked into in time.
    pub when_down: WhenDown,
}

impl Default for YaraPart {
    fn default() -> Self {
        Self { files: Vec::new(), timeout_seconds: 10, at_once: 2, texts: true, when_down: WhenDown::Hold }
    }
}

impl YaraPart {
    fn settings(&self, base: &Path) -> Option<YaraSettings> {
        (!self.files.is_empty()).then(|| YaraSettings {
            files: self.files.iter().map(|file| base.join(file.get_ref())).collect(),
            patience: Duration::from_secs(self.timeout_seconds.max(1).into()),
            at_once: self.at_once.max(1).into(),
            texts: self.texts,
            fail_open: self.when_down == WhenDown::Pass,
        })
    }
}

/// How much archives may be, uploaded or within messages: ZIP and its kin, tar, gzip, bzip2, xz, zstd.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ArchivePart {
    /// Bytes of all that is in one, with what is in archives within it; 0: nobody looks.
    pub max_bytes: u64,
    /// So many times its own size, once that is more than 16 MiB.
    pub max_ratio: u32,
    /// Archives within archives.
    pub max_depth: u8,
    /// Files in it.
    pub max_files: u32,
}

impl Default for ArchivePart {
    fn default() -> Self {
        Self { max_bytes: 1 << 30, max_ratio: 200, max_depth: 5, max_files: 50_000 }
    }
}

impl ArchivePart {
    fn limits(&self) -> Option<ArchiveLimits> {
        (self.max_bytes > 0).then(|| ArchiveLimits {
            bytes: self.max_bytes,
            ratio: self.max_ratio.max(1).into(),
            depth: self.max_depth.max(1).into(),
            files: self.max_files.max(1).into(),
        })
    }
}

/// What becomes of what could not be looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WhenDown {
    /// They wait in the quarantine.
    #[default]
    Hold,
    /// They pass, and the record says that nobody looked.
    Pass,
}

/// What becomes of what looks like something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LookThen {
    /// Nobody looks.
    #[default]
    Off,
    /// It passes, and whoever of the two is ours is told.
    Warn,
    /// It waits in the quarantine.
    Hold,
    /// It does not pass.
    Block,
}

impl HygienePart {
    /// What is wrong with it, and where.
    pub(super) fn check(&self, base: &Path) -> Result<(), (Range<usize>, String)> {
        if let Some(address) = &self.clamd.address {
            address.get_ref().parse::<ClamdAt>().map_err(|why| (address.span(), why))?;
        }
        for file in &self.yara.files {
            if let Err(error) = std::fs::File::open(base.join(file.get_ref())) {
                return Err((file.span(), format!("{error}; name a file with YARA rules")));
            }
        }
        let mut names = Vec::new();
        for list in &self.list {
            if let Err(error) = std::fs::File::open(base.join(list.file.get_ref())) {
                return Err((list.file.span(), format!("{error}; name a file with a list of links")));
            }
            let name = list.shown();
            let fits = |c: char| c.is_alphanumeric() || "-_.".contains(c);
            if name.is_empty() || !name.chars().all(fits) {
                let why =
                    format!("{name:?} is no name for a list: write `name` with letters, digits, `-` and `_`");
                return Err((list.file.span(), why));
            }
            if names.contains(&name) {
                return Err((
                    list.file.span(),
                    format!("another list is named {name:?} too: write another `name`"),
                ));
            }
            names.push(name);
        }
        for word in &self.lookalike.except {
            if Address::parse(&word.get_ref().to_lowercase()).is_err() {
                let why = "this is no address and no domain; write \"anna@home.example\" or \"home.example\"";
                return Err((word.span(), why.into()));
            }
        }
        Ok(())
    }

    /// The same for whoever looks.
    pub fn settings(&self, base: &Path, domains: &[Address]) -> Settings {
        let list = |list: &ListPart| ListSettings {
            name: list.shown(),
            file: base.join(list.file.get_ref()),
            listed: match list.then {
                ListThen::Block => Listed::Bad(Remedy::Block),
                ListThen::Hold => Listed::Bad(Remedy::Hold),
                ListThen::Warn => Listed::Bad(Remedy::Warn),
                ListThen::Allow => Listed::Good,
            },
        };
        let look = &self.lookalike;
        let clamd = self.clamd.at().map(|(at, patience)| ClamdSettings {
            at,
            patience,
            at_once: self.clamd.at_once.max(1).into(),
            fail_open: self.clamd.when_down == WhenDown::Pass,
        });
        Settings {
            domains: domains.iter().map(|domain| domain.domain().to_owned()).collect(),
            lists: self.list.iter().map(list).collect(),
            archives: self.archive.limits(),
            clamd,
            yara: self.yara.settings(base),
            lookalike: Lookalike {
                remedy: match look.then {
                    LookThen::Off => None,
                    LookThen::Warn => Some(Remedy::Warn),
                    LookThen::Hold => Some(Remedy::Hold),
                    LookThen::Block => Some(Remedy::Block),
                },
                executives: look.executives.clone(),
                except: look.except.iter().map(|word| word.get_ref().to_lowercase()).collect(),
            },
        }
    }

    /// As one line, for comparing.
    pub fn shown(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl ListPart {
    fn shown(&self) -> String {
        let stem =
            || Path::new(self.file.get_ref()).file_stem().map(|stem| stem.to_string_lossy().into_owned());
        self.name.clone().or_else(stem).unwrap_or_default()
    }
}

pub(super) fn checked(part: &HygienePart, path: &Path, text: &str, base: &Path) -> Result<(), Mistake> {
    part.check(base).map_err(|(span, why)| Mistake::at(path, text, span, why))
}

//! `[control]`: who reaches the control socket, and what two administrators are needed for.

use super::Mistake;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;
use toml::Spanned;

/// Hours that a request may wait at most: a year.
const LONGEST: u32 = 8_760;

/// Who reaches the control socket, and what two administrators are needed for; see [Administrators](administrators.md).
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ControlPart {
    /// The control socket; without this key, `control.sock` in `data`.
    #[schemars(with = "Option<String>")]
    pub socket: Option<Spanned<String>>,
    /// The group of the system whose members may open it besides its owner; needs `socket`. What they may do there is another
    /// matter.
    #[schemars(with = "Option<String>")]
    pub group: Option<Spanned<String>>,
    /// Acts for which two administrators are needed; `rialto admin acts` lists their names.
    #[schemars(with = "Vec<String>")]
    pub four_eyes: Vec<Spanned<String>>,
    /// How long such an act waits for the second one, in hours.
    #[schemars(with = "u32")]
    pub request_hours: Spanned<u32>,
}

impl Default for ControlPart {
    fn default() -> Self {
        Self { socket: None, group: None, four_eyes: Vec::new(), request_hours: Spanned::new(0..0, 72) }
    }
}

impl ControlPart {
    /// Says what is wrong with it.
    pub(super) fn check(&self, path: &Path, text: &str) -> Result<(), Mistake> {
        for name in &self.four_eyes {
            admin::named(name.get_ref()).map_err(|why| Mistake::at(path, text, name.span(), why))?;
        }
        if !(1..=LONGEST).contains(self.request_hours.get_ref()) {
            let why = format!("`request_hours` is a number from 1 to {LONGEST}");
            return Err(Mistake::at(path, text, self.request_hours.span(), why));
        }
        let Some(group) = &self.group else { return Ok(()) };
        if self.socket.is_none() {
            let why = "`group` needs `socket`: nobody but the owner gets into the directory of the data; write `socket = \"/run/rialto/control.sock\"`";
            return Err(Mistake::at(path, text, group.span(), why));
        }
        if self.gid().is_none() {
            let why =
                "this system has no such group; `addgroup --system NAME` makes one, and a number is good too";
            return Err(Mistake::at(path, text, group.span(), why));
        }
        Ok(())
    }

    /// The group by number.
    pub fn gid(&self) -> Option<u32> {
        let name = self.group.as_ref()?.get_ref();
        name.parse().ok().or_else(|| {
            let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
            groups.lines().find_map(|line| {
                let mut fields = line.split(':');
                (fields.next()? == name).then_some(())?;
                fields.nth(1)?.parse().ok()
            })
        })
    }

    /// For what two are needed.
    pub fn four_eyes(&self) -> web::FourEyes {
        let acts = self.four_eyes.iter().map(|name| name.get_ref().clone()).collect();
        web::FourEyes { acts, hours: *self.request_hours.get_ref() }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use std::path::Path;

    #[test]
    fn mistakes_name_their_line_and_what_was_meant() {
        for (text, complaint) in [
            (
                "four_eyes = [\"policy.set\", \"quarantine.relase\"]\n",
                "r.toml:3:28: \"quarantine.relase\" is no act; did you mean `quarantine.release`?",
            ),
            ("four_eyes = [\"approve.yes\"]\n", "r.toml:3:14: \"approve.yes\" always needs one alone"),
            ("request_hours = 0\n", "r.toml:3:17: `request_hours` is a number from 1"),
            ("group = \"root\"\n", "r.toml:3:9: `group` needs `socket`"),
            ("socket = \"s\"\ngroup = \"nobody-has-this\"\n", "r.toml:4:9: this system has no such group"),
        ] {
            let text = format!("domains = [\"a\"]\n[control]\n{text}");
            let m = Config::parse(Path::new("r.toml"), &text).unwrap_err().to_string();
            assert!(m.starts_with(complaint), "{m}");
        }
        let text =
            "domains = [\"a\"]\n[control]\nsocket = \"s\"\ngroup = \"root\"\nfour_eyes = [\"policy.set\"]\n";
        let config = Config::parse(Path::new("/x/r.toml"), text).unwrap();
        assert_eq!(config.control(), Path::new("/x/s"));
        assert_eq!(config.administration.gid(), Some(0));
        assert_eq!(config.administration.four_eyes().hours, 72);
    }
}

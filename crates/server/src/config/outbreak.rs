//! What counts as spreading like a worm.

use super::Mistake;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::path::Path;
use toml::Spanned;

/// What counts as spreading like a worm, and what is done about it.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OutbreakPart {
    /// Looks for outbreaks. What an administrator stops is stopped without it.
    pub enabled: bool,
    /// A sender counts who sends the same thing to so many different people within `burst_seconds`.
    #[schemars(with = "u32")]
    pub recipients: Spanned<u32>,
    /// See `recipients`.
    #[schemars(with = "u32")]
    pub burst_seconds: Spanned<u32>,
    /// Who begins to send a thing on so shortly after it came does it at once, as a worm does; and so close together several senders make an outbreak.
    #[schemars(with = "u32")]
    pub reaction_seconds: Spanned<u32>,
    /// So many senders who send a thing on at once make an outbreak; for texts, twice as many.
    #[schemars(with = "u32")]
    pub carriers: Spanned<u32>,
    /// So many senders make one however they came by it; or so many who got it from somebody who had got it, within the window.
    #[schemars(with = "u32")]
    pub senders: Spanned<u32>,
    /// Nothing older counts.
    #[schemars(with = "u32")]
    pub window_seconds: Spanned<u32>,
    /// So many held messages mute their sender; 0: never.
    pub mute_after: u32,
    /// So many of a partner's people with held messages isolate the partner; 0: never.
    pub isolate_after: u32,
    /// What was done automatically ends so long after the last message that it stopped.
    #[schemars(with = "u32")]
    pub expire_minutes: Spanned<u32>,
}

impl Default for OutbreakPart {
    fn default() -> Self {
        let s = outbreak::Settings::default();
        let seconds = |ms: u64| u32::try_from(ms / 1_000).unwrap_or(u32::MAX);
        let whole = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let at_start = |n: u32| Spanned::new(0..0, n);
        Self {
            enabled: s.enabled,
            recipients: at_start(whole(s.recipients)),
            burst_seconds: at_start(seconds(s.burst)),
            reaction_seconds: at_start(seconds(s.reaction)),
            carriers: at_start(whole(s.carriers)),
            senders: at_start(whole(s.senders)),
            window_seconds: at_start(seconds(s.window)),
            mute_after: s.mute_after,
            isolate_after: s.isolate_after,
            expire_minutes: at_start(seconds(s.expire) / 60),
        }
    }
}

impl OutbreakPart {
    /// Says what is out of its range.
    pub(super) fn check(&self, path: &Path, text: &str) -> Result<(), Mistake> {
        let ranges: [(&str, &Spanned<u32>, RangeInclusive<u32>); 7] = [
            ("recipients", &self.recipients, 2..=64),
            ("burst_seconds", &self.burst_seconds, 1..=3_600),
            ("reaction_seconds", &self.reaction_seconds, 1..=86_400),
            ("carriers", &self.carriers, 1..=100),
            ("senders", &self.senders, 1..=100),
            ("window_seconds", &self.window_seconds, 1..=86_400),
            ("expire_minutes", &self.expire_minutes, 1..=525_600),
        ];
        for (key, value, range) in ranges {
            if !range.contains(value.get_ref()) {
                let why = format!("`{key}` is a number from {} to {}", range.start(), range.end());
                return Err(Mistake::at(path, text, value.span(), why));
            }
        }
        for (key, value) in
            [("burst_seconds", &self.burst_seconds), ("reaction_seconds", &self.reaction_seconds)]
        {
            if value.get_ref() > self.window_seconds.get_ref() {
                let why =
                    format!("`{key}` is longer than `window_seconds`, and nothing older than that counts");
                let named = if value.span().is_empty() { self.window_seconds.span() } else { value.span() };
                return Err(Mistake::at(path, text, named, why));
            }
        }
        Ok(())
    }

    /// The thresholds.
    pub fn settings(&self) -> outbreak::Settings {
        let ms = |seconds: &Spanned<u32>| u64::from(*seconds.get_ref()) * 1_000;
        outbreak::Settings {
            enabled: self.enabled,
            recipients: *self.recipients.get_ref() as usize,
            burst: ms(&self.burst_seconds),
            reaction: ms(&self.reaction_seconds),
            carriers: *self.carriers.get_ref() as usize,
            senders: *self.senders.get_ref() as usize,
            window: ms(&self.window_seconds),
            mute_after: self.mute_after,
            isolate_after: self.isolate_after,
            expire: ms(&self.expire_minutes) * 60,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use std::path::Path;

    #[test]
    fn mistakes_name_their_line() {
        for (text, complaint) in [
            ("recipients = 1\n", "r.toml:3:14: `recipients` is a number from 2 to 64"),
            ("expire_minutes = 0\n", "r.toml:3:18: `expire_minutes` is a number"),
            ("burst_seconds = 700\n", "r.toml:3:17: `burst_seconds` is longer than `window_seconds`"),
            ("window_seconds = 30\n", "r.toml:3:18: `reaction_seconds` is longer"),
            ("carers = 3\n", "r.toml:3:1: "),
        ] {
            let text = format!("domains = [\"a\"]\n[outbreak]\n{text}");
            let m = Config::parse(Path::new("r.toml"), &text).unwrap_err().to_string();
            assert!(m.starts_with(complaint), "{m}");
        }
        let text = "domains = [\"a\"]\n[outbreak]\ncarriers = 4\nexpire_minutes = 2\n";
        let settings = Config::parse(Path::new("r.toml"), text).unwrap().outbreak.settings();
        let wanted = outbreak::Settings { carriers: 4, expire: 120_000, ..outbreak::Settings::default() };
        assert_eq!(settings, wanted);
    }
}

//! How long content is kept.

use std::fmt;
use std::str::FromStr;

/// How long content is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Rule {
    /// Until somebody decides otherwise.
    #[default]
    Forever,
    /// For so many days.
    Days(u32),
}

impl Rule {
    /// For how many days; for ever is longer than any.
    pub fn days(self) -> u64 {
        match self {
            Self::Forever => u64::MAX,
            Self::Days(days) => days.into(),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forever => f.write_str("forever"),
            Self::Days(days) => write!(f, "{days} days"),
        }
    }
}

impl FromStr for Rule {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "write \"forever\" or \"N days\", such as \"365 days\"";
        if text == "forever" {
            return Ok(Self::Forever);
        }
        let days = text.strip_suffix(" days").or(text.strip_suffix(" day")).ok_or(wrong)?;
        days.parse().map(Self::Days).map_err(|_| wrong)
    }
}

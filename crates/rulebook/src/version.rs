//! One version of the policy.

use serde::{Deserialize, Serialize};
use similar::TextDiff;
use utoipa::ToSchema;

/// One version. Versions are only ever added: going back makes a new one with the text of an old one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Version {
    /// From 1.
    pub number: u32,
    /// When, Unix milliseconds.
    pub at: u64,
    /// Who.
    pub by: String,
    /// Why, in their words.
    pub note: String,
    /// The policy. Empty: there is none.
    pub text: String,
}

impl Version {
    /// The name under which the store keeps it; names sort as numbers do.
    pub(crate) fn name(number: u32) -> String {
        format!("{number:010}")
    }
}

/// What is different between two versions, as `diff -u` shows it.
pub fn differences(old: &Version, new: &Version) -> String {
    let (before, after) = (format!("version {}", old.number), format!("version {}", new.number));
    TextDiff::from_lines(&old.text, &new.text).unified_diff().header(&before, &after).to_string()
}

//! `[record]`: what the record keeps, and what may pass without it.

use super::Mistake;
use super::anchors::AnchorsPart;
use policy::Feature;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;
use toml::Spanned;

/// What the record keeps.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RecordPart {
    /// How long content is kept: `forever`, as without this key, or `N days`; see [The record](record.md).
    #[schemars(with = "Option<String>")]
    pub retention: Option<Spanned<String>>,
    /// Keep an index, for `rialto search`, `rialto trace` and `rialto losses`.
    pub search: bool,
    /// Put presence on record, too: what people's devices say of them whenever that changes.
    pub presence: bool,
    /// What may pass while nothing can be put on record. Without any, nothing may.
    pub fail_open: Vec<FailOpen>,
    /// Every so many minutes, and after a million, rows that are new are closed with a signed checkpoint; 0: only when the server stops, and on request.
    pub checkpoint_minutes: u32,
    /// Where checkpoints are kept besides here.
    pub anchors: AnchorsPart,
}

/// What may pass while nothing can be put on record.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FailOpen {
    /// A partner's name or domain, or `here` for what stays within the house; without this key, everybody.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub partner: Option<Spanned<String>>,
    /// What of it: `im`, `files`, `receipts`, `e2e`. A message with a file needs both `im` and `files`. Without this key, all.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub features: Option<Spanned<Vec<Feature>>>,
}

impl Default for RecordPart {
    fn default() -> Self {
        Self {
            retention: None,
            search: true,
            presence: false,
            fail_open: Vec::new(),
            checkpoint_minutes: 60,
            anchors: AnchorsPart::default(),
        }
    }
}

/// The features of what is recorded.
const RECORDED: [Feature; 4] = [Feature::Im, Feature::Files, Feature::Receipts, Feature::E2e];

impl RecordPart {
    /// Says what is wrong with it.
    pub(super) fn check(&self, path: &Path, text: &str, base: &Path) -> Result<(), Mistake> {
        self.anchors.check(path, text, base)?;
        let wrong = |span, why: &str| Err(Mistake::at(path, text, span, why));
        if let Some(rule) = &self.retention
            && let Err(why) = rule.get_ref().parse::<record::Rule>()
        {
            return wrong(rule.span(), why);
        }
        for open in &self.fail_open {
            if let Some(partner) = open.partner.as_ref().filter(|p| p.get_ref().trim().is_empty()) {
                let why = "write a partner's name or domain, or `here`; leave the key out to mean everybody";
                return wrong(partner.span(), why);
            }
            let Some(features) = &open.features else { continue };
            if features.get_ref().is_empty() {
                let why = "name what may pass; leave the key out to let everything pass";
                return wrong(features.span(), why);
            }
            if features.get_ref().iter().any(|f| !RECORDED.contains(f)) {
                let why = "only what is recorded message by message can be named here: `im`, `files`, `receipts`, `e2e`";
                return wrong(features.span(), why);
            }
        }
        Ok(())
    }

    /// How long content is kept.
    pub fn rule(&self) -> record::Rule {
        // `check` has read it.
        self.retention.as_ref().and_then(|rule| rule.get_ref().parse().ok()).unwrap_or_default()
    }
}

//! `[reports]`: usage reports that are made by themselves.

use super::Mistake;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;
use toml::Spanned;

/// Usage reports that are made by themselves; see [Usage reports](reports.md).
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReportsPart {
    /// After which periods one is made: `day`, `week`, `month`.
    #[schemars(with = "Vec<String>")]
    pub every: Vec<reports::Every>,
    /// In which forms: `html`, `pdf`, `csv`, `json`. Without this key `html` and `csv`.
    #[schemars(with = "Vec<String>")]
    pub forms: Option<Spanned<Vec<reports::Form>>>,
    /// Without names of people, and without figures that are of few people.
    pub aggregates: bool,
}

impl ReportsPart {
    /// Says what is wrong with it.
    pub(super) fn check(&self, path: &Path, text: &str) -> Result<(), Mistake> {
        let Some(forms) = self.forms.as_ref().filter(|forms| forms.get_ref().is_empty()) else {
            return Ok(());
        };
        Err(Mistake::at(path, text, forms.span(), "name a form: `html`, `pdf`, `csv` or `json`"))
    }

    /// The forms.
    pub fn forms(&self) -> Vec<reports::Form> {
        match &self.forms {
            Some(forms) => forms.get_ref().clone(),
            None => vec![reports::Form::Html, reports::Form::Csv],
        }
    }
}

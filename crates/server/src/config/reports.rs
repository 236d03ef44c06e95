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
    /// Who gets each by mail, if `[mail]` says how.
    #[schemars(with = "Vec<String>")]
    pub to: Vec<Spanned<String>>,
}

impl ReportsPart {
    /// Says what is wrong with it.
    pub(super) fn check(&self, path: &Path, text: &str, can_mail: bool) -> Result<(), Mistake> {
        for to in &self.to {
            if !::mail::is_address(to.get_ref()) {
                let why = "this is no address of mail; write \"somebody@example.com\"";
                return Err(Mistake::at(path, text, to.span(), why));
            }
            if !can_mail {
                let why = "nothing can be sent: name the mail server with `server` and `from` in [mail]";
                return Err(Mistake::at(path, text, to.span(), why));
            }
        }
        let Some(forms) = self.forms.as_ref().filter(|forms| forms.get_ref().is_empty()) else {
            return Ok(());
        };
        Err(Mistake::at(path, text, forms.span(), "name a form: `html`, `pdf`, `csv` or `json`"))
    }

    /// Who gets them by mail.
    pub fn to(&self) -> Vec<String> {
        self.to.iter().map(|to| to.get_ref().clone()).collect()
    }

    /// The forms.
    pub fn forms(&self) -> Vec<reports::Form> {
        match &self.forms {
            Some(forms) => forms.get_ref().clone(),
            None => vec![reports::Form::Html, reports::Form::Csv],
        }
    }
}

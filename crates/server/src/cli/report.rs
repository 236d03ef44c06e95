use super::Reach;
use super::offline::with_server;
use crate::failure::Failure;
use reports::Form;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// `rialto report`
#[derive(Debug, clap::Args)]
pub struct Report {
    /// A day, 2026-11-22; a week, 2026-W47; a month, 2026-11; or today, yesterday, this-week, last-week, this-month, last-month.
    #[arg(default_value = "this-month")]
    period: String,
    /// text, html, pdf, csv or json; without it as the file's name ends, else text.
    #[arg(long)]
    form: Option<Form>,
    /// Write it into this file, instead of showing it.
    #[arg(long, short = 'o')]
    out: Option<PathBuf>,
    /// Without names of people, and without figures that are of few people.
    #[arg(long)]
    aggregates: bool,
    #[command(flatten)]
    file: Reach,
}

impl Report {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let by_name = self.out.as_ref().and_then(|out| out.extension()?.to_str()?.parse().ok());
        let form = self.form.or(by_name).unwrap_or(Form::Text);
        let which = if self.aggregates { "/aggregates" } else { "" };
        let path = format!("/v1/reports/{}{which}?form={}", super::escape(&self.period), form.name());
        let bytes = with_server(&self.file, |c| async move { c.fetch(&path).await })?;
        match &self.out {
            Some(out) => {
                let fail = |e: std::io::Error| Failure::new(format!("{}: {e}", out.display()));
                std::fs::write(out, &bytes).map_err(fail)?;
                println!("written: {}", out.display());
            }
            None => std::io::stdout().write_all(&bytes)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

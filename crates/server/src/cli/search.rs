use super::offline::with_server;
use super::which::Which;
use super::{Reach, journal, json};
use crate::failure::Failure;
use std::process::ExitCode;
use web::{Context, SearchPage, SearchQuestion};

/// Columns to the left of what people wrote.
const MARGIN: usize = 10;

/// What is looked for.
#[derive(Debug, clap::Args)]
pub(super) struct What {
    /// Words that must be there. In one argument: "a phrase", -without, begin*, this OR that.
    words: Vec<String>,
    #[command(flatten)]
    which: Which,
}

/// `rialto search`
#[derive(Debug, clap::Args)]
pub struct Search {
    #[command(flatten)]
    what: What,
    /// Only rows before this one: the next page.
    #[arg(long)]
    before: Option<u64>,
    /// Rows of a page.
    #[arg(long, short = 'n', default_value_t = 20)]
    limit: usize,
    /// Show what people wrote.
    #[arg(long)]
    content: bool,
    /// Instead: this row in its conversation, with content.
    #[arg(long, value_name = "ROW", conflicts_with_all = ["words", "content"])]
    around: Option<u64>,
    /// For programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    file: Reach,
}

impl Search {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let Self { file, json: for_programs, around, limit, .. } = &self;
        let page: SearchPage = match around {
            Some(row) => {
                let asked = Context { row: *row, around: *limit / 2 };
                with_server(file, |c| async move { c.post("/v1/search/context", &asked).await })?
            }
            None => {
                let question =
                    SearchQuestion { before: self.before, limit: Some(self.limit), ..self.what.question() };
                let path = if self.content { "/v1/search/content" } else { "/v1/search" };
                with_server(file, |c| async move { c.post(path, &question).await })?
            }
        };
        if *for_programs {
            print!("{}", json(&page)?);
            return Ok(ExitCode::SUCCESS);
        }
        for hit in &page.hits {
            journal::print(&hit.row);
            for line in hit.text.iter().flat_map(|text| text.lines()) {
                println!("{:MARGIN$}{}", "", line.replace(char::is_control, " "));
            }
        }
        if page.hits.is_empty() {
            println!("nothing is found");
        }
        if let Some(next) = page.next {
            println!("there is more: --before {next}");
        }
        // A search is itself a row, so the last few are always to come.
        if page.head > page.indexed + 1_000 {
            println!("row {} of {} is indexed: what is newer cannot be found yet", page.indexed, page.head);
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl What {
    /// As the API asks it.
    pub(super) fn question(&self) -> SearchQuestion {
        self.which.question(&self.words.join(" "))
    }
}

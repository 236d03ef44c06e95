use super::offline::with_server;
use super::search::What;
use super::{Reach, escape, journal, json};
use crate::failure::Failure;
use clap::Subcommand;
use matters::{Decision, Mark};
use std::io::Write;
use std::process::ExitCode;
use web::{DecisionList, NewReview, Privileged, ReviewList, ReviewRow, ReviewView};

/// `rialto review`
#[derive(Debug, clap::Args)]
pub struct Review {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Begins a review: what is found now is frozen, kept by the matter, and looked through.
    Start {
        /// Its name: small letters, digits, - _ .
        name: String,
        /// The matter that it is about.
        #[arg(long)]
        matter: String,
        #[command(flatten)]
        what: Box<What>,
        /// Look through so many of a hundred only.
        #[arg(long, value_name = "PERCENT")]
        sample: Option<u32>,
        /// What the sample follows from: the same seed chooses the same rows.
        #[arg(long, requires = "sample")]
        seed: Option<String>,
        #[command(flatten)]
        file: Reach,
    },
    /// Lists reviews and how far people are.
    List {
        /// For programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: Reach,
    },
    /// Shows a review: what was looked for, how far people are, tags.
    Show {
        /// The review.
        name: String,
        #[command(flatten)]
        file: Reach,
    },
    /// Shows the first row that nobody is done with, with its content.
    Next {
        /// The review.
        name: String,
        /// Only after this row.
        #[arg(long)]
        after: Option<u64>,
        #[command(flatten)]
        file: Reach,
    },
    /// Shows a row with its content.
    Read {
        /// The review.
        name: String,
        /// The row.
        row: u64,
        #[command(flatten)]
        file: Reach,
    },
    /// Decides about a row, or changes what was decided.
    Mark {
        /// The review.
        name: String,
        /// The row.
        row: u64,
        /// A word for it.
        #[arg(long)]
        tag: Vec<String>,
        /// A word that is none for it.
        #[arg(long)]
        untag: Vec<String>,
        /// What is to be said of it.
        #[arg(long)]
        note: Option<String>,
        /// It is privileged: exports leave it out.
        #[arg(long)]
        privileged: bool,
        /// It is not.
        #[arg(long, conflicts_with = "privileged")]
        not_privileged: bool,
        /// Somebody is done with it.
        #[arg(long)]
        reviewed: bool,
        /// Nobody is.
        #[arg(long, conflicts_with = "reviewed")]
        not_reviewed: bool,
        #[command(flatten)]
        file: Reach,
    },
    /// Lists rows with what was decided, without content.
    Rows {
        /// The review.
        name: String,
        /// Only those with this tag.
        #[arg(long)]
        tag: Option<String>,
        /// Only those that nobody is done with.
        #[arg(long)]
        open: bool,
        /// Only privileged ones.
        #[arg(long)]
        privileged: bool,
        /// Only after this row: the next page.
        #[arg(long)]
        after: Option<u64>,
        #[command(flatten)]
        file: Reach,
    },
    /// Writes what was decided, row by row, as CSV.
    Export {
        /// The review.
        name: String,
        #[command(flatten)]
        file: Reach,
    },
    /// Tells which rows are privileged by any review.
    Privileged {
        #[command(flatten)]
        file: Reach,
    },
}

impl Review {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let path = |name: &str| format!("/v1/reviews/{}", escape(name));
        match self.act {
            Act::Start { name, matter, what, sample, seed, file } => {
                let new = NewReview { name, matter, question: what.question(), sample, seed };
                let begun: ReviewView =
                    with_server(&file, |c| async move { c.post("/v1/reviews", &new).await })?;
                line(&begun);
            }
            Act::List { json: for_programs, file } => {
                let list: ReviewList = with_server(&file, |c| async move { c.get("/v1/reviews").await })?;
                match for_programs {
                    true => print!("{}", json(&list)?),
                    false if list.reviews.is_empty() => println!("there are no reviews"),
                    false => list.reviews.iter().for_each(line),
                }
            }
            Act::Show { name, file } => {
                let path = path(&name);
                let one: ReviewView = with_server(&file, |c| async move { c.get(&path).await })?;
                line(&one);
                println!("  looked for: {}", one.review.question);
                if let Some(sample) = &one.review.sample {
                    println!(
                        "  a sample of {} % of {} row(s), seed {:?}",
                        sample.percent, one.review.found, sample.seed
                    );
                }
                one.progress.tags.iter().for_each(|(tag, rows)| println!("  tag {tag}: {rows}"));
                one.progress.by.iter().for_each(|(who, rows)| println!("  reviewed by {who}: {rows}"));
            }
            Act::Next { name, after, file } => {
                let path = format!("{}/next?after={}", path(&name), after.unwrap_or_default());
                let next: Option<ReviewRow> = with_server(&file, |c| async move { c.get(&path).await })?;
                match next {
                    Some(row) => show(&row),
                    None => println!("nothing is left"),
                }
            }
            Act::Read { name, row, file } => {
                let path = format!("{}/rows/{row}", path(&name));
                show(&with_server(&file, |c| async move { c.get(&path).await })?);
            }
            Act::Mark {
                name,
                row,
                tag,
                untag,
                note,
                privileged,
                not_privileged,
                reviewed,
                not_reviewed,
                file,
            } => {
                let flag = |yes: bool, no: bool| (yes || no).then_some(yes);
                let mark = Mark {
                    tags: tag,
                    untag,
                    note,
                    privileged: flag(privileged, not_privileged),
                    reviewed: flag(reviewed, not_reviewed),
                };
                if mark == Mark::default() {
                    return Err(Failure::new("what is decided? --tag, --note, --privileged, --reviewed..."));
                }
                let path = format!("{}/rows/{row}", path(&name));
                let decision: Decision = with_server(&file, |c| async move { c.post(&path, &mark).await })?;
                decided(&decision);
            }
            Act::Rows { name, tag, open, privileged, after, file } => {
                let tag = tag.map(|tag| format!("&tag={}", escape(&tag))).unwrap_or_default();
                let after = after.unwrap_or_default();
                let which = format!("after={after}&open={open}&privileged={privileged}{tag}");
                let path = format!("{}/rows?{which}", path(&name));
                let list: DecisionList = with_server(&file, |c| async move { c.get(&path).await })?;
                list.rows.iter().for_each(decided);
            }
            Act::Export { name, file } => {
                let path = format!("{}/decisions", path(&name));
                let csv = with_server(&file, |c| async move { c.fetch(&path).await })?;
                std::io::stdout().write_all(&csv)?;
            }
            Act::Privileged { file } => {
                let all: Privileged = with_server(&file, |c| async move { c.get("/v1/privileged").await })?;
                println!("{} row(s) are privileged: {}", all.count, all.rows);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn line(one: &ReviewView) {
    let (review, progress) = (&one.review, &one.progress);
    println!(
        "{:<20} matter {}: {} of {} row(s) reviewed, {} privileged; begun {} by {}",
        review.name,
        review.matter,
        progress.reviewed,
        progress.rows,
        progress.privileged,
        model::Timestamp(review.at),
        review.by
    );
}

fn show(row: &ReviewRow) {
    journal::print(&row.hit.row);
    for line in row.hit.text.iter().flat_map(|text| text.lines()) {
        println!("          {}", line.replace(char::is_control, " "));
    }
    decided(&row.decision);
}

fn decided(decision: &Decision) {
    let mut words = Vec::new();
    words.extend(decision.reviewed.then(|| "reviewed".to_owned()));
    words.extend(decision.privileged.then(|| "privileged".to_owned()));
    words.extend(decision.tags.iter().map(|tag| format!("tag {tag}")));
    words.extend(
        (!decision.note.is_empty())
            .then(|| format!("note: {}", decision.note.replace(char::is_control, " "))),
    );
    words.extend((decision.at > 0).then(|| format!("by {}", decision.by)));
    if words.is_empty() {
        words.push("nobody has decided".to_owned());
    }
    println!("{}: {}", decision.row, words.join(", "));
}

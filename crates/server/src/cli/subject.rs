use super::offline::with_server;
use super::when::Stretch;
use super::{Reach, json};
use crate::failure::Failure;
use clap::Subcommand;
use markup::html::escaped;
use matters::Erased;
use serde_json::Value;
use std::fs::{DirBuilder, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// `rialto subject`
#[derive(Debug, clap::Args)]
pub struct Subject {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Writes everything that is kept of a person into a new directory: subject.jsonl for programs, subject.html for people.
    Export {
        /// user@domain.
        person: String,
        /// The directory, which must not be there.
        #[arg(long)]
        to: PathBuf,
        #[command(flatten)]
        stretch: Stretch,
        #[command(flatten)]
        file: Reach,
    },
    /// Destroys what a person wrote and uploaded, for good; what a matter keeps stays, and is said.
    Erase {
        /// user@domain.
        person: String,
        /// Also what others wrote to them.
        #[arg(long)]
        received: bool,
        /// Also their account: password, contacts, permissions, blocks, registrations.
        #[arg(long)]
        account: bool,
        /// Say only what would go, and what would stay.
        #[arg(long)]
        dry_run: bool,
        /// For programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        stretch: Stretch,
        #[command(flatten)]
        file: Reach,
    },
}

impl Subject {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self.act {
            Act::Export { person, to, stretch, file } => {
                let (since, until) = (stretch.since, stretch.until);
                let asked = matters::Subject { who: person, since, until, ..matters::Subject::default() };
                let count = with_server(&file, |c| async move {
                    let mut pages = None;
                    let take = |line: &str| {
                        let pages = match &mut pages {
                            Some(pages) => pages,
                            // Not before somebody has allowed it.
                            none => none.insert(Pages::open(&to)?),
                        };
                        pages.take(line)
                    };
                    c.lines("/v1/subjects/export", &asked, take).await?;
                    match pages {
                        Some(pages) => pages.finish(),
                        None => Err(Failure::new("the server told nothing")),
                    }
                })?;
                println!("{count} things are kept of them");
            }
            Act::Erase { person, received, account, dry_run, json: for_programs, stretch, file } => {
                let (since, until) = (stretch.since, stretch.until);
                let asked = matters::Subject { who: person, received, account, since, until };
                let path = if dry_run { "/v1/subjects/preview" } else { "/v1/subjects/erase" };
                let done: Erased = with_server(&file, |c| async move { c.post(path, &asked).await })?;
                match for_programs {
                    true => print!("{}", json(&done)?),
                    false => show(&done, dry_run),
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn show(done: &Erased, dry: bool) {
    let verb = if dry { "would be erased" } else { "erased" };
    println!("{verb}: {} row(s), {} bytes, {} file(s)", done.rows, done.bytes, done.files);
    for (matter, rows) in &done.kept {
        println!("kept by the matter {matter}: {rows} row(s)");
    }
    if done.waiting > 0 {
        println!(
            "{} row(s) still wait for somebody and keep their content: erase again when they were delivered",
            done.waiting
        );
    }
    for matter in &done.account_kept {
        println!("the account's data are kept by the matter {matter}");
    }
    if done.account {
        println!("the account is removed");
    }
}

/// The two files.
struct Pages {
    lines: BufWriter<File>,
    html: BufWriter<File>,
    kind: String,
    count: u64,
    whole: bool,
}

const HEAD: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>What is kept of you</title>\n<style>\
body{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}\
table{border-collapse:collapse;width:100%;margin:0 0 .7em}td,th{border-top:1px solid #ddd;padding:.15em .6em;text-align:left;\
vertical-align:top;white-space:pre-wrap;overflow-wrap:anywhere}th{width:9em;color:#666;font-weight:normal}\
</style></head><body>\n<h1>What is kept of you</h1>\n";

fn heading(kind: &str) -> &str {
    match kind {
        "person" => "You",
        "contact" => "Your contacts",
        "permission" => "Who may see whose presence",
        "blocked" => "Whom you block",
        "file" => "Files you uploaded",
        _ => "What you wrote and got, and what was done about your account, by time",
    }
}

impl Pages {
    fn open(to: &Path) -> Result<Self, Failure> {
        let wrong = |error: std::io::Error| Failure::new(format!("{}: {error}", to.display()));
        DirBuilder::new().mode(0o700).create(to).map_err(wrong)?;
        let file = |name: &str| File::create_new(to.join(name)).map(BufWriter::new).map_err(wrong);
        let mut html = file("subject.html")?;
        html.write_all(HEAD.as_bytes())?;
        Ok(Self { lines: file("subject.jsonl")?, html, kind: String::new(), count: 0, whole: false })
    }

    fn take(&mut self, line: &str) -> Result<(), Failure> {
        let told: Value = serde_json::from_str(line).map_err(|e| Failure::new(e.to_string()))?;
        let kind = told["kind"].as_str().unwrap_or_default().to_owned();
        match kind.as_str() {
            "end" => self.whole = true,
            "broken" => return Err(Failure::new(told["why"].as_str().unwrap_or_default())),
            _ => {
                writeln!(self.lines, "{line}")?;
                self.row(&kind, &told)?;
                self.count += 1;
            }
        }
        Ok(())
    }

    fn row(&mut self, kind: &str, told: &Value) -> Result<(), Failure> {
        if heading(&self.kind) != heading(kind) || self.count == 0 {
            writeln!(self.html, "<h2>{}</h2>", heading(kind))?;
        }
        self.kind = kind.to_owned();
        writeln!(self.html, "<table>")?;
        for (name, value) in
            told.as_object().into_iter().flatten().filter(|(name, v)| *name != "kind" && !v.is_null())
        {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            writeln!(self.html, "<tr><th>{}</th><td>{}</td></tr>", name.replace('_', " "), escaped(&value))?;
        }
        Ok(writeln!(self.html, "</table>")?)
    }

    fn finish(mut self) -> Result<u64, Failure> {
        if !self.whole {
            return Err(Failure::new("the answer ended in the middle: what is in the directory is not all"));
        }
        writeln!(self.html, "</body></html>")?;
        self.html.flush()?;
        self.lines.flush()?;
        Ok(self.count)
    }
}

//! `rialto export`: the server tells rows of evidence, and this command makes the export of them, as files of whoever asks.

use super::offline::with_server;
use super::which::Which;
use super::{Reach, escape};
use crate::client::Control;
use crate::failure::Failure;
use export::{Account, Batch, ExportError, Form, Stage, Summary, Work};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::task::JoinHandle;
use web::{ExportBegun, ExportLine, ExportMade, ExportOrder, ExportSigned};

/// `rialto export`
#[derive(Debug, clap::Args)]
pub struct Export {
    /// The directory to make, or one in which an export broke off: that one goes on.
    dir: PathBuf,
    /// The forms to make besides the evidence: jsonl, csv, eml, xml, xep0227 (accounts with their keys, for another server).
    #[arg(long, value_delimiter = ',', default_value = "jsonl")]
    format: Vec<String>,
    /// Only rows with these words; as in `rialto search`.
    #[arg(long)]
    words: Option<String>,
    #[command(flatten)]
    which: Which,
    /// With the content of rows that a review calls privileged.
    #[arg(long)]
    privileged: bool,
    #[command(flatten)]
    file: Reach,
}

impl Export {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        if self.dir.join("manifest.sig").exists() {
            return Err(Failure::new(format!(
                "{} is a whole export: name another directory",
                self.dir.display()
            )));
        }
        let order = self.order()?;
        let dir = self.dir.clone();
        with_server(&self.file, |control| async move {
            let mut work = open(&control, &dir, &order).await?;
            fetch_rows(&control, &mut work).await?;
            fetch_acts(&control, &mut work).await?;
            fetch_files(&control, &mut work).await?;
            fetch_accounts(&control, &work)?;
            let mut told = Told::default();
            // It does nothing else meanwhile.
            tokio::task::block_in_place(|| {
                work.write_forms(&xmpp::jid::text, |what, done, total| told.hear(what, done, total))
            })?;
            seal(&control, work, &dir).await
        })
    }

    fn order(&self) -> Result<ExportOrder, Failure> {
        let mut forms = Vec::new();
        for name in self.format.iter().filter(|name| name.as_str() != "none") {
            let form: Form = name.parse().map_err(Failure::new)?;
            if !forms.contains(&form.to_string()) {
                forms.push(form.to_string());
            }
        }
        let question = self.which.question(self.words.as_deref().unwrap_or_default());
        Ok(ExportOrder { question, forms, privileged: self.privileged })
    }
}

impl From<export::ExportError> for Failure {
    fn from(error: export::ExportError) -> Self {
        Failure::new(format!("{error}\nwhat is finished stays: the same command goes on with it"))
    }
}

/// The export in this directory: the one that broke off, or a new one.
async fn open(control: &Control, dir: &Path, order: &ExportOrder) -> Result<Work, Failure> {
    let wrong = |error: serde_json::Error| Failure::new(error.to_string());
    let asked = serde_json::to_value(order).map_err(wrong)?;
    if let Some(work) = Work::resume(dir)? {
        let before = work.asked().1;
        if before["order"] != asked {
            let before = &work.begun().selection;
            return Err(Failure::new(format!(
                "in {} an export of something else broke off ({before}): name another directory, or ask for the same",
                dir.display()
            )));
        }
        eprintln!("going on with the export of {}, row {}", work.begun().at, work.begun().id);
        return Ok(work);
    }
    // Before it is on record: is this a place for it?
    let is_free = match std::fs::read_dir(dir) {
        Ok(mut files) => files.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    };
    if !is_free {
        return Err(Failure::new(format!("{} is not an empty directory: name another one", dir.display())));
    }
    let begun: ExportBegun = control.post("/v1/exports", order).await?;
    let forms: Vec<Form> = order.forms.iter().filter_map(|form| form.parse().ok()).collect();
    let asked = serde_json::json!({ "order": asked, "claim": begun.claim, "key": begun.key });
    Ok(Work::begin(dir, begun.begun(), &forms, asked)?)
}

/// Asks for a page, while the page before is being written.
fn page(control: &Control, id: u64, from: u64) -> JoinHandle<Result<Vec<u8>, Failure>> {
    let control = control.clone();
    tokio::spawn(async move { control.fetch(&format!("/v1/exports/{id}/rows?from={from}")).await })
}

async fn fetch_rows(control: &Control, work: &mut Work) -> Result<(), Failure> {
    let Stage::Rows { next } = work.stage() else { return Ok(()) };
    let (id, to) = (work.begun().id, work.begun().to);
    let mut told = Told::default();
    let mut coming = Some(page(control, id, next));
    while let Some(page_of_it) = coming.take() {
        let bytes = page_of_it.await.map_err(|e| Failure::new(e.to_string()))??;
        let got = read(&bytes)?;
        coming = got.next.map(|next| page(control, id, next));
        tokio::task::block_in_place(|| work.add(&got))?;
        told.hear("rows", got.next.map_or(to, |next| next - 1), to);
    }
    Ok(())
}

/// What says why rows are without content.
async fn fetch_acts(control: &Control, work: &mut Work) -> Result<(), Failure> {
    let id = work.begun().id;
    let mut next = work.wants_acts().then_some(1);
    while let Some(from) = next {
        let got = read(&control.fetch(&format!("/v1/exports/{id}/acts?from={from}")).await?)?;
        if got.rows > 0 {
            tokio::task::block_in_place(|| work.add_acts(&got.lines))?;
        }
        next = got.next;
    }
    Ok(())
}

/// Reads a page of evidence.
fn read(bytes: &[u8]) -> Result<Batch, Failure> {
    const ROW: &[u8] = b"{\"seq\":";
    let broken = || Failure::new("the server's answer broke off; the same command goes on");
    let mut page = Batch { lines: Vec::with_capacity(bytes.len()), ..Batch::default() };
    let mut is_whole = false;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if let Some(rest) = line.strip_prefix(ROW) {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
            let seq = digits.fold(0u64, |seq, digit| seq * 10 + u64::from(digit - b'0'));
            page.span = Some((page.span.map_or(seq, |(first, _)| first), seq));
            page.rows += 1;
            page.lines.extend_from_slice(line);
            continue;
        }
        match serde_json::from_slice(line).map_err(|_| broken())? {
            ExportLine::File(fact) => page.facts.push(fact),
            ExportLine::Bare(bare) => {
                page.withheld = bare.withheld.parse().map_err(Failure::new)?;
                page.destroyed = bare.destroyed;
            }
            ExportLine::Next(next) => (page.next, is_whole) = (Some(next), true),
            ExportLine::End(_) => is_whole = true,
        }
    }
    if is_whole { Ok(page) } else { Err(broken()) }
}

/// Contents of files are fetched one after the other; whatever is there already is not fetched again.
async fn fetch_files(control: &Control, work: &mut Work) -> Result<(), Failure> {
    let id = work.begun().id;
    let wanted = work.wanted()?;
    let mut told = Told::default();
    for (at, fact) in wanted.iter().enumerate() {
        let path = format!("/v1/exports/{id}/files/{}?row={}", escape(&fact.sha256), fact.row);
        let mut pieces = control.stream(&path).await?;
        let mut part = work.take()?;
        while let Some(piece) = pieces.next().await? {
            tokio::task::block_in_place(|| part.write(&piece))?;
        }
        part.keep(fact)?;
        told.hear("files", at as u64 + 1, wanted.len() as u64);
    }
    Ok(())
}

/// Accounts, page by page, for the form that has them.
fn fetch_accounts(control: &Control, work: &Work) -> Result<(), Failure> {
    if !work.wants_accounts() {
        return Ok(());
    }
    let (id, handle) = (work.begun().id, tokio::runtime::Handle::current());
    let mut after = String::new();
    let next = || {
        let path = format!("/v1/exports/{id}/accounts{after}");
        let page = control.get::<Vec<Account>>(&path);
        let page = handle.block_on(page).map_err(|failure| ExportError::Other(failure.to_string()))?;
        if let Some(last) = page.last() {
            after = format!("?after={}", escape(&last.address));
        }
        Ok(page)
    };
    Ok(tokio::task::block_in_place(|| work.keep_accounts(next))?)
}

async fn seal(control: &Control, mut work: Work, dir: &Path) -> Result<ExitCode, Failure> {
    let id = work.begun().id;
    let checkpoints = control.fetch(&format!("/v1/exports/{id}/checkpoints")).await?;
    let (rows, first, last) = work.rows();
    let text = |name: &str| work.asked().1[name].as_str().unwrap_or_default().to_owned();
    let (claim, key) = (text("claim"), text("key"));
    let summary = Summary { rows, first, last, claim, key, made: crate::clock::now().to_string() };
    let companions: [(&str, &[u8]); 3] = [
        ("checkpoints.jsonl", &checkpoints),
        ("FORMAT.md", record::FORMAT.as_bytes()),
        ("verify.py", record::VERIFIER.as_bytes()),
    ];
    let digest = work.seal(&companions, &summary)?;
    let made = ExportMade { manifest: record::hex(&digest), rows };
    let signed: ExportSigned = control.post(&format!("/v1/exports/{id}/done"), &made).await?;
    work.finish(&signed.signature)?;
    println!("{}: {rows} rows, {first} to {last}; manifest {}", dir.display(), made.manifest);
    println!("python3 {} proves it to anybody", dir.join("verify.py").display());
    Ok(ExitCode::SUCCESS)
}

/// Tells how far it is: over and over on a terminal, in steps of a quarter elsewhere.
#[derive(Default)]
struct Told(Option<u64>);

impl Told {
    fn hear(&mut self, what: &str, done: u64, total: u64) {
        let mut err = std::io::stderr().lock();
        let grain = if err.is_terminal() { 1 } else { 25 };
        let percent = (done * 100).checked_div(total).unwrap_or(100).min(100);
        let step = percent / grain;
        if self.0.is_some_and(|told| told >= step) {
            return;
        }
        self.0 = Some(step);
        let end = if err.is_terminal() && percent < 100 { "\r" } else { "\n" };
        let _ = write!(err, "{what}: {percent:3} %{end}");
    }
}

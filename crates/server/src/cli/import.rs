//! `rialto import`: this command reads what another server kept, and the server puts on record, and makes of accounts, what is not
//! there yet.

use super::Reach;
use super::moving::Moving;
use super::offline::with_server;
use crate::client::Control;
use crate::failure::Failure;
use import::{Bad, Found, Said, Source};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use web::{ImportBatch, ImportBegun, ImportCounts, ImportOrder, ImportedMessage};

/// Messages, and bytes of them, that are sent at a time.
const BATCH: usize = 500;
const BATCH_BYTES: usize = 512 * 1024;
/// Whatever is longer is not taken.
const LONGEST: usize = 1 << 20;
/// Bad records that are shown one by one.
const SHOWN: u64 = 20;

/// `rialto import`
#[derive(Debug, clap::Args)]
pub struct Import {
    /// What kept it: prosody (its data directory), ejabberd (files of export_piefxis, or a dump of export2sql), xep0227 (such files of
    /// another server), jsonl (messages.jsonl of an export).
    #[arg(long)]
    from: String,
    /// The file or directory.
    path: PathBuf,
    /// Take over accounts, too, with their passwords and contact lists.
    #[arg(long)]
    accounts: bool,
    /// Only count, and change nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    file: Reach,
}

impl Import {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let source: Source = self.from.parse().map_err(Failure::new)?;
        let (path, dry, take_accounts) = (self.path.clone(), self.dry_run, self.accounts);
        if !path.exists() {
            return Err(Failure::new(format!("{}: there is no such file or directory", path.display())));
        }
        with_server(&self.file, |control| async move {
            let id = match dry {
                true => None,
                false => {
                    let place =
                        std::path::absolute(&path).unwrap_or_else(|_| path.clone()).display().to_string();
                    let order = ImportOrder { source: source.name().to_owned(), place };
                    let begun: ImportBegun = control.post("/v1/imports", &order).await?;
                    Some(begun.id)
                }
            };
            let handle = tokio::runtime::Handle::current();
            let stop = |failure: Failure| Bad { place: "the server".into(), why: failure.to_string() };
            let mut accounts = Moving::new(control.clone(), id);
            if take_accounts {
                // First all that there are, so that consents between them find both.
                read(source, &path, |found| {
                    let Ok(Found::Account(account)) = found else { return Ok(()) };
                    let full = accounts.hear(*account);
                    if full { handle.block_on(accounts.send()).map_err(stop) } else { Ok(()) }
                })?;
                accounts.send().await?;
            }
            let mut sink = Sink { control, id, batch: Vec::new(), bytes: 0, counts: ImportCounts::default() };
            let (mut again, mut left) = (Moving::new(sink.control.clone(), id), 0);
            let end = read(source, &path, |found| {
                let found = match found {
                    Ok(Found::Account(account)) if take_accounts && !dry => {
                        let full = again.hear(*account);
                        return if full { handle.block_on(again.send()).map_err(stop) } else { Ok(()) };
                    }
                    Ok(Found::Account(_)) => {
                        left += u64::from(!take_accounts);
                        return Ok(());
                    }
                    Ok(Found::Said(said)) => Ok(said),
                    Err(bad) => Err(bad),
                };
                sink.hear(found).map_or(Ok(()), |batch| handle.block_on(sink.send(batch)).map_err(stop))
            });
            let last = std::mem::take(&mut sink.batch);
            let end = match end {
                Ok(()) => sink.send(last).await.and(again.send().await),
                Err(failure) => Err(failure),
            };
            let ImportCounts { new, known, bad } = sink.counts;
            if let (Some(id), Ok(())) = (sink.id, &end) {
                sink.control.post::<_, ()>(&format!("/v1/imports/{id}/done"), &sink.counts).await?;
            }
            let would = if dry { "would be " } else { "" };
            println!("{new} message(s) {would}imported, {known} on record already, {bad} not readable");
            match left {
                _ if take_accounts => accounts.tell(),
                0 => {}
                _ => println!("{left} account(s) are there, too: --accounts takes them over"),
            }
            end.map(|()| ExitCode::SUCCESS)
        })
    }
}

/// Reads all of it, beside what else runs.
fn read(
    source: Source,
    path: &Path,
    mut hear: impl FnMut(Result<Found, Bad>) -> Result<(), Bad>,
) -> Result<(), Failure> {
    let read = || import::read(source, path, &mut hear);
    tokio::task::block_in_place(read).map_err(|bad| {
        Failure::new(format!("{bad}\nwhat came before is on record; the same command goes on"))
    })
}

/// Where messages go.
struct Sink {
    control: Control,
    /// None: they are only counted.
    id: Option<u64>,
    batch: Vec<ImportedMessage>,
    bytes: usize,
    counts: ImportCounts,
}

impl Sink {
    /// Takes one; gives a batch that is full.
    fn hear(&mut self, said: Result<Said, Bad>) -> Option<Vec<ImportedMessage>> {
        match said.and_then(message) {
            Ok(message) => {
                self.bytes += message.stanza.len() * 2;
                self.batch.push(message);
            }
            Err(bad) => {
                self.counts.bad += 1;
                match self.counts.bad {
                    n if n < SHOWN => eprintln!("left out: {bad}"),
                    SHOWN => eprintln!("left out: {bad}\nfurther ones are only counted"),
                    _ => {}
                }
            }
        }
        (self.batch.len() >= BATCH || self.bytes >= BATCH_BYTES).then(|| {
            self.bytes = 0;
            std::mem::take(&mut self.batch)
        })
    }

    async fn send(&mut self, messages: Vec<ImportedMessage>) -> Result<(), Failure> {
        if messages.is_empty() {
            return Ok(());
        }
        let path = self.id.map_or_else(|| "/v1/imports/look".to_owned(), |id| format!("/v1/imports/{id}"));
        let counts: ImportCounts = self.control.post(&path, &ImportBatch { messages }).await?;
        self.counts.new += counts.new;
        self.counts.known += counts.known;
        Ok(())
    }
}

/// A message as the record has it: addresses are in one spelling, as if they had come by XMPP.
fn message(said: Said) -> Result<ImportedMessage, Bad> {
    let Said { at, from, to, parts, stanza, place } = said;
    let wrong = |why: String| Bad { place: place.clone(), why };
    let end = |jid: &str| xmpp::jid::parse(jid).map_err(|_| wrong(format!("{jid:?} is no address")));
    let (from, to) = (end(&from)?, end(&to)?);
    if stanza.len() > LONGEST {
        return Err(wrong("it is too long for a message".into()));
    }
    let device = |end: &model::Endpoint| end.device.as_ref().map(|device| device.as_str().to_owned());
    Ok(ImportedMessage {
        at,
        from_device: device(&from),
        to_device: device(&to),
        from: from.address.to_string(),
        to: to.address.to_string(),
        message_id: parts.id,
        thread: parts.thread,
        subject: parts.subject,
        text: parts.text,
        stanza,
    })
}

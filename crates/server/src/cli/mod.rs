//! The command line, one file per command.

mod admin;
mod approve;
mod backup;
mod certificate;
mod check;
mod config;
mod doctor;
mod drill;
mod export;
mod files;
mod group;
mod import;
mod init;
mod journal;
mod losses;
mod matter;
mod moving;
mod offline;
mod outbreak;
mod partner;
mod policy;
mod proof;
mod quarantine;
mod reach;
mod reload;
mod report;
mod restore;
mod retention;
mod review;
mod search;
mod serve;
mod spim;
mod status;
mod subject;
mod trace;
mod upgrade;
mod user;
mod when;
mod which;

use crate::failure::Failure;
use clap::{Parser, Subcommand};
use reach::Reach;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Rialto: business instant messaging and federation gateway.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Where the configuration is.
#[derive(Debug, Clone, clap::Args)]
pub struct ConfigFile {
    /// The configuration file.
    #[arg(long, default_value_os_t = usual(), env = "RIALTO_CONFIG")]
    config: PathBuf,
}

/// The file beside the caller, else the one that the package installs.
fn usual() -> PathBuf {
    let here = PathBuf::from("rialto.toml");
    let installed = Path::new("/etc/rialto/rialto.toml");
    if !here.exists() && installed.exists() { installed.to_owned() } else { here }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows a conversation between XMPP and SIP clients through a throw-away server, then leaves it up for yours.
    Demo {
        /// End after the conversation, with status 0 only if all of it held.
        #[arg(long)]
        exit: bool,
        /// Keep the data here.
        #[arg(long)]
        data: Option<PathBuf>,
        /// The address to listen on; ::1 for IPv6.
        #[arg(long, default_value = "127.0.0.1")]
        listen: IpAddr,
    },
    /// Makes a new server's directory: configuration and a local certificate.
    Init(init::Init),
    /// Runs the server in the foreground.
    Serve(serve::Serve),
    /// Says how the running server is.
    Status(status::Show),
    /// Makes the running server read its configuration and certificate again, without dropping connections.
    Reload(reload::Reload),
    /// Checks the configuration and says what is wrong with it.
    Check(check::Check),
    /// Explains the configuration: every key, a sample, or the one in force.
    Config(config::Explain),
    /// Looks at this machine and the running server, and says what would hurt.
    Doctor(doctor::Doctor),
    /// Manages administrators: their roles and tokens.
    Admin(admin::Admin),
    /// Shows what waits for a second administrator, and decides as one.
    Approve(approve::Approve),
    /// Manages accounts.
    User(user::User),
    /// Manages other companies: what was agreed with each.
    Partner(partner::Partner),
    /// Manages groups of people, for rules to name.
    Group(group::Group),
    /// Manages the policy: who may do what with whom, and why.
    Policy(policy::Policy),
    /// Shows what rules hold back, and decides about it.
    Quarantine(quarantine::Quarantine),
    /// Shows uploaded files, lets those pass that wait, and takes some away.
    Files(files::Files),
    /// Shows what spreads like a worm and is contained, stops and releases.
    Outbreak(outbreak::Outbreak),
    /// Shows whose messages are unwanted, blocks and forgives.
    Spim(spim::Spim),
    /// Plays what must not happen on a throw-away instance, and says how it ended.
    Drill(drill::Drill),
    /// Shows, requests and installs our certificates.
    Certificate(certificate::Certificate),
    /// Reads and verifies the journal.
    Journal(journal::Journal),
    /// Finds what was said, by whom, when, and what the rules said of it.
    Search(search::Search),
    /// Tells where a message is, and why.
    Trace(trace::Trace),
    /// Tells what translation between protocols has lost, by partner, route and kind.
    Losses(losses::Losses),
    /// Tells how the server was used: messages, people, partners, answers, verdicts, losses.
    Report(report::Report),
    /// Keeps for a matter what must not be destroyed, and releases it.
    Matter(matter::Matter),
    /// Manages the rules of how long content is kept, says what they would destroy, and does it.
    Retention(retention::Retention),
    /// Looks through what a search has found, row by row: tags, notes, privilege, samples.
    Review(review::Review),
    /// Tells a person all that is kept of them, or erases it.
    Subject(subject::Subject),
    /// Makes evidence for those who have no Rialto, and forms that people and archives read.
    Export(export::Export),
    /// Takes over the history that another server kept: Prosody, ejabberd, or an export.
    Import(import::Import),
    /// Copies store and configuration into a new directory, also while the server runs, and proves the copy.
    Backup(backup::Backup),
    /// Puts a backup back into an empty place, and proves it before and after.
    Restore(restore::Restore),
    /// Brings the store's tables up to date, or back for an older version. `serve` brings them up to date by itself.
    Upgrade(upgrade::Upgrade),
}

impl Cli {
    /// Runs the command.
    pub fn run(self) -> ExitCode {
        let result = match self.command {
            Command::Demo { exit, data, listen } => match runtime(0) {
                Ok(runtime) => return runtime.block_on(crate::demo::run(exit, data, listen)),
                Err(failure) => Err(failure),
            },
            Command::Init(command) => command.run(),
            Command::Serve(command) => command.run(),
            Command::Status(command) => command.run(),
            Command::Reload(command) => command.run(),
            Command::Check(command) => command.run(),
            Command::Config(command) => command.run(),
            Command::Doctor(command) => command.run(),
            Command::Admin(command) => command.run(),
            Command::Approve(command) => command.run(),
            Command::User(command) => command.run(),
            Command::Partner(command) => command.run(),
            Command::Group(command) => command.run(),
            Command::Policy(command) => command.run(),
            Command::Quarantine(command) => command.run(),
            Command::Files(command) => command.run(),
            Command::Outbreak(command) => command.run(),
            Command::Spim(command) => command.run(),
            Command::Drill(command) => command.run(),
            Command::Certificate(command) => command.run(),
            Command::Journal(command) => command.run(),
            Command::Search(command) => command.run(),
            Command::Trace(command) => command.run(),
            Command::Losses(command) => command.run(),
            Command::Report(command) => command.run(),
            Command::Matter(command) => command.run(),
            Command::Retention(command) => command.run(),
            Command::Review(command) => command.run(),
            Command::Subject(command) => command.run(),
            Command::Export(command) => command.run(),
            Command::Import(command) => command.run(),
            Command::Backup(command) => command.run(),
            Command::Restore(command) => command.run(),
            Command::Upgrade(command) => command.run(),
        };
        match result {
            Ok(code) => code,
            Err(failure) => {
                eprintln!("rialto: {failure}");
                failure.status()
            }
        }
    }
}

/// Percent-encodes what is not plain in a URL's path.
fn escape(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'@' | b'.' | b'-' | b'_');
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// What the API said, for programs.
fn json(what: &impl serde::Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(what).map_err(|e| Failure::new(e.to_string()))?;
    Ok(text + "\n")
}

/// A runtime with so many workers; 0 means one per core.
fn runtime(workers: usize) -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if workers > 0 {
        builder.worker_threads(workers);
    }
    Ok(builder
        .enable_all()
        // Threads are made when they are needed. Of look-ups by DNS that go slowly there are so many at most, and nobody waits for
        // them but whoever is looked up.
        .max_blocking_threads(16 + crate::published::AT_ONCE)
        .thread_keep_alive(std::time::Duration::from_secs(60))
        .build()?)
}

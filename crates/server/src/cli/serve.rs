use super::{ConfigFile, runtime};
use crate::config::Config;
use crate::failure::Failure;
use crate::log::Log;
use crate::recording::Recorder;
use crate::running::{Running, workers};
use crate::supervisor::Supervisor;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// How long what still runs may take to end when it is recorded.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// `rialto serve`
#[derive(Debug, clap::Args)]
pub struct Serve {
    #[command(flatten)]
    file: ConfigFile,
    /// Log in JSON, whatever the configuration says.
    #[arg(long)]
    log_json: bool,
    /// Write each connection into this directory as a transcript for a bug report, without names, texts and passwords.
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
}

impl Serve {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let config = Config::load(&self.file.config)?;
        let log = Log::start(&config.log, self.log_json);
        raise_descriptors();
        let runtime = runtime(workers(&config))?;
        let recorder = self.record.as_deref().map(|dir| record(dir, &config)).transpose()?;
        let code = runtime.block_on(serve(config, log, recorder.clone()))?;
        if let Some(recorder) = recorder {
            // The machines of datagram sockets end with the runtime.
            runtime.shutdown_timeout(LAST_WORDS);
            let (files, lost) = recorder.finish();
            let mut out = std::io::stdout().lock();
            for file in &files {
                // Nobody has to listen any more.
                let _ = writeln!(out, "recorded: {}", file.display());
            }
            tracing::info!(files = files.len(), lost, "recording ended");
            return Ok(code);
        }
        // Nothing that still runs may hold up the end: everything acknowledged is on disk.
        runtime.shutdown_background();
        Ok(code)
    }
}

/// Every connection is a descriptor: takes as many as the system lets us have.
fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
}

/// Begins to record, and says so where nobody can miss it.
fn record(dir: &Path, config: &Config) -> Result<Arc<Recorder>, Failure> {
    let domains = config.domains.iter().map(|domain| domain.as_str().to_owned()).collect();
    let recorder = Recorder::start(dir, domains, config.xmpp_resume_secs > 0)?;
    tracing::warn!(
        dir = %dir.display(),
        "RECORDING: what clients say is written into this directory, with texts, passwords, names, domains and \
         addresses replaced; what they do and when stays. Look through a file before you send it to anybody"
    );
    Ok(Arc::new(recorder))
}

async fn serve(config: Config, log: Log, recorder: Option<Arc<Recorder>>) -> Result<ExitCode, Failure> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hangup = signal(SignalKind::hangup())?;
    let supervisor = Supervisor::from_environment()?;
    let running = Running::start(config, supervisor.clone(), Some(log), recorder).await?;
    let mut out = std::io::stdout().lock();
    for listener in running.listeners() {
        writeln!(out, "listening: {} on {}", listener.name, listener.address)?;
    }
    writeln!(out, "ready")?;
    out.flush()?;
    drop(out);
    supervisor.ready();
    supervisor.watch();
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => running.reload().await,
        }
    }
    tracing::info!("stopping");
    let hurry = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    running.stop(hurry).await;
    Ok(ExitCode::SUCCESS)
}

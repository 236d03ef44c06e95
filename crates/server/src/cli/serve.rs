use super::{ConfigFile, runtime};
use crate::config::Config;
use crate::failure::Failure;
use crate::log::Log;
use crate::running::{Running, workers};
use crate::supervisor::Supervisor;
use std::io::Write;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// `rialto serve`
#[derive(Debug, clap::Args)]
pub struct Serve {
    #[command(flatten)]
    file: ConfigFile,
    /// Log in JSON, whatever the configuration says.
    #[arg(long)]
    log_json: bool,
}

impl Serve {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let config = Config::load(&self.file.config)?;
        let log = Log::start(&config.log, self.log_json);
        raise_descriptors();
        let runtime = runtime(workers(&config))?;
        let code = runtime.block_on(serve(config, log))?;
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

async fn serve(config: Config, log: Log) -> Result<ExitCode, Failure> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hangup = signal(SignalKind::hangup())?;
    let supervisor = Supervisor::from_environment()?;
    let running = Running::start(config, supervisor.clone(), Some(log)).await?;
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

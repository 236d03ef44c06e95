//! Logs: to standard error, quiet by default, never with secrets or message bodies.

use tracing_subscriber::EnvFilter;

/// Starts logging at this level unless `RIALTO_LOG` says otherwise.
pub fn start(level: &str, json: bool) {
    let filter = EnvFilter::try_from_env("RIALTO_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // A second start within one process (the demo) keeps the first.
    let _ = if json { builder.json().try_init() } else { builder.try_init() };
}

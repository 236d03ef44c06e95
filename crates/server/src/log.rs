//! Logs: to standard error, quiet by default, never with secrets or anything people wrote.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::{Layer, Layered, SubscriberExt};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

/// How lines look.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people; in colour on a terminal.
    #[default]
    Pretty,
    /// One JSON object a line, for machines.
    Json,
}

/// How much is said.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing.
    Off,
    /// What is broken.
    Error,
    /// What an operator should look at.
    Warn,
    /// What happens.
    #[default]
    Info,
    /// Why it happens.
    Debug,
    /// Everything but content.
    Trace,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// How lines look.
    pub format: Format,
    /// How much is said.
    pub level: Level,
    /// The same for single rooms of the code, such as `net` or `hub`.
    pub targets: BTreeMap<String, Level>,
}

type Lines = Box<dyn Layer<Layered<reload::Layer<EnvFilter, Registry>, Registry>> + Send + Sync>;

/// The log of this process. A change of its settings shows at once.
#[derive(Clone)]
pub struct Log {
    filter: reload::Handle<EnvFilter, Registry>,
    lines: reload::Handle<Lines, Layered<reload::Layer<EnvFilter, Registry>, Registry>>,
    /// Whatever the settings say.
    json: bool,
}

impl Log {
    /// Starts logging. `json` insists on that format; `RIALTO_LOG` has the last word on the level.
    pub fn start(settings: &Settings, json: bool) -> Self {
        let (filter, filter_handle) = reload::Layer::new(filter(settings));
        let (lines, lines_handle) = reload::Layer::new(lines(json || settings.format == Format::Json));
        // A second start within one process keeps the first.
        let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
        Self { filter: filter_handle, lines: lines_handle, json }
    }

    /// Puts other settings in force.
    pub fn set(&self, settings: &Settings) {
        let _ = self.filter.reload(filter(settings));
        let _ = self.lines.reload(lines(self.json || settings.format == Format::Json));
    }
}

fn filter(settings: &Settings) -> EnvFilter {
    if let Ok(filter) = EnvFilter::try_from_env("RIALTO_LOG") {
        return filter;
    }
    // The resolver tells of every forged or unsigned answer with all its bytes; what matters of it we say ourselves.
    let mut text = format!("{},hickory_net=error", word(settings.level));
    for (target, level) in &settings.targets {
        text += &format!(",{target}={}", word(*level));
    }
    EnvFilter::new(text)
}

fn lines(json: bool) -> Lines {
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match json {
        true => layer.json().flatten_event(true).boxed(),
        false => layer.with_ansi(std::io::stderr().is_terminal()).boxed(),
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Off => "off",
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

/// Can this name a part of the code?
pub fn is_target(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_:".contains(&b))
}

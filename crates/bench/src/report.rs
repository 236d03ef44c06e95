//! The result: an ordered list of named values, shown as a table or as one JSON object.

use serde_json::{Map, Value, json};

use crate::{hist::Histogram, opts::Opts, rig::Stats, usage::Usage};

/// Named values in order.
#[derive(Default)]
pub struct Report(Vec<(String, Value)>);

impl Report {
    /// Adds a value.
    pub fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.push((name.into(), value.into()));
    }

    /// Adds a number rounded to `digits` decimal places.
    pub fn num(&mut self, name: &str, value: f64, digits: i32) {
        let scale = 10f64.powi(digits);
        let rounded = (value * scale).round() / scale;
        self.put(name, if digits == 0 { json!(rounded as i64) } else { json!(rounded) });
    }

    /// A value by its name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    /// Adds the usual percentiles in milliseconds.
    pub fn latency(&mut self, prefix: &str, h: &Histogram) {
        for (name, q) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)] {
            self.num(&format!("{prefix}{name}_ms"), h.quantile(q) as f64 / 1e6, 3);
        }
        self.num(&format!("{prefix}max_ms"), h.max() as f64 / 1e6, 3);
    }

    /// Adds rates, percentiles, accounting and resource use of a message run.
    pub fn traffic(&mut self, opts: &Opts, stats: &Stats, span: &Span) {
        if let Some(rate) = opts.rate {
            self.num("rate_asked_per_s", rate, 1);
        }
        self.num("seconds", span.seconds, 2);
        self.put("delivered", stats.delivered);
        self.num("delivered_per_s", stats.delivered as f64 / span.seconds, 0);
        if span.server_cpu > 0.0 {
            self.num("per_server_cpu_s", stats.delivered as f64 / span.server_cpu, 0);
        }
        self.latency("", &stats.latency);
        if stats.answers.count() > 0 {
            self.latency("answer_", &stats.answers);
        }
        self.put("sent_in_all", stats.sent);
        self.put("lost", stats.lost);
        self.put("duplicates", stats.duplicates);
        self.put("out_of_order", stats.out_of_order);
        self.put("errors", stats.errors.values().sum::<u64>());
        for (what, n) in &stats.errors {
            self.put(&format!("error_{what}"), *n);
        }
        for (name, n) in [
            ("window_timeouts", stats.window_timeouts),
            ("stale_from_earlier_runs", stats.stale),
            ("retransmitted_by_us", stats.retransmitted),
            ("retransmitted_by_server", stats.absorbed),
            ("connections_lost", stats.closed),
        ] {
            if n > 0 {
                self.put(name, n);
            }
        }
        self.resources(opts, span);
    }

    /// Adds CPU shares and memory.
    pub fn resources(&mut self, opts: &Opts, span: &Span) {
        if !opts.server_pid.is_empty() {
            self.num("server_cpu_pct", 100.0 * span.server_cpu / span.seconds, 1);
            self.num("server_rss_mib", span.server_rss as f64 / f64::from(1 << 20), 1);
        }
        self.num("gen_cpu_pct", 100.0 * span.own_cpu / span.seconds, 1);
    }

    /// Prints to the standard output.
    pub fn print(self, as_json: bool) {
        if as_json {
            println!("{}", Value::Object(self.0.into_iter().collect::<Map<_, _>>()));
            return;
        }
        let width = self.0.iter().map(|(k, _)| k.len()).max().unwrap_or(0);
        for (k, v) in self.0 {
            let v = v.as_str().map_or_else(|| v.to_string(), str::to_owned);
            println!("{k:width$}  {v}");
        }
    }
}

/// Resources used over a stretch of time.
#[derive(Debug, Default, Clone, Copy)]
pub struct Span {
    /// How long.
    pub seconds: f64,
    /// CPU seconds of the server.
    pub server_cpu: f64,
    /// Memory of the server at the end.
    pub server_rss: u64,
    /// CPU seconds of the generator.
    pub own_cpu: f64,
}

impl Span {
    /// What was used between two looks `seconds` apart, each at the server and at ourselves.
    pub fn between(seconds: f64, before: (Usage, Usage), after: (Usage, Usage)) -> Self {
        Self {
            seconds,
            server_cpu: after.0.cpu - before.0.cpu,
            server_rss: after.0.rss,
            own_cpu: after.1.cpu - before.1.cpu,
        }
    }
}

//! Metrics in OpenMetrics text. The hot path only counts; everything here happens when somebody asks.

use crate::certificates::paper::Paper;
use crate::checkpoints::Standing;
use hub::Hub;
use model::Timestamp;
use net::ListenerCounts;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt;
use store::{COMMIT_BOUNDS_US, SqliteStore, WriterReport};

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Only grows; its name in the text ends in `_total`.
    Counter,
    Gauge,
    Histogram,
}

/// Name, kind, labels, meaning: the table of the handbook.
const METRICS: &[(&str, Kind, &[&str], &str)] = {
    use Kind::{Counter, Gauge, Histogram};
    &[
        ("rialto_build_info", Gauge, &["version"], "Always 1"),
        ("rialto_start_time_seconds", Gauge, &[], "When the server started, in Unix time"),
        ("rialto_uptime_seconds", Gauge, &[], "How long it has been running"),
        ("rialto_connections", Gauge, &["listener", "address"], "Open connections"),
        ("rialto_connections_accepted", Counter, &["listener", "address"], "Connections accepted"),
        ("rialto_connections_refused", Counter, &["listener", "address"], "Connections refused: too many"),
        (
            "rialto_tls_handshakes_failed",
            Counter,
            &["listener", "address", "cause"],
            "TLS handshakes that came to nothing: error or timeout",
        ),
        (
            "rialto_certificate_expiry_timestamp_seconds",
            Gauge,
            &["name"],
            "When a certificate of ours ends, in Unix time",
        ),
        ("rialto_datagrams", Counter, &["listener", "address"], "Datagrams received"),
        (
            "rialto_datagrams_dropped",
            Counter,
            &["listener", "address"],
            "Datagrams dropped because their queue was full",
        ),
        ("rialto_machine_panics", Counter, &["listener", "address"], "Sessions that broke: please report"),
        ("rialto_logins", Counter, &["dialect", "result"], "Passwords proven, and failures to prove one"),
        ("rialto_devices", Gauge, &["dialect"], "Bound devices"),
        ("rialto_accounts_loaded", Gauge, &[], "Accounts in memory"),
        ("rialto_messages_submitted", Counter, &["dialect"], "Messages that entered the pipeline"),
        ("rialto_events_submitted", Counter, &["dialect"], "Other events that entered the pipeline"),
        (
            "rialto_deliveries",
            Counter,
            &["from", "to", "outcome"],
            "Answers of devices to what they were handed, by dialect of sender and device",
        ),
        ("rialto_rows_delivered", Counter, &[], "Journal rows that reached a device"),
        (
            "rialto_limited",
            Counter,
            &["limit", "direction"],
            "What limits of rates refused; of whom, and whether it came from them (in) or was for them (out)",
        ),
        (
            "rialto_reads_slowed",
            Counter,
            &["listener", "address"],
            "Reads after which a peer had to wait because it sent too fast, and datagrams dropped for that",
        ),
        ("rialto_events_dropped", Counter, &[], "What was not delivered without a word to its sender"),
        (
            "rialto_unrecorded",
            Counter,
            &[],
            "Messages that passed while they could not be put on record, as `[record] fail_open` says",
        ),
        ("rialto_rows_held", Counter, &[], "Journal rows that rules held for a person to look at"),
        (
            "rialto_refusals",
            Counter,
            &["stage", "reason"],
            "Refusals by the stage that refused and the reason",
        ),
        (
            "rialto_outbreaks",
            Counter,
            &["step"],
            "Outbreaks found and contained, accounts muted, partners isolated",
        ),
        ("rialto_outbreak_stopped", Counter, &["how"], "What containments held and refused"),
        ("rialto_outbreak_orders", Gauge, &["kind"], "Containments in force"),
        ("rialto_outbreak_watched", Gauge, &[], "Links, files and texts that are remembered"),
        ("rialto_spim_stopped", Counter, &["cause"], "What strangers sent and was stopped"),
        ("rialto_spim_first_contacts", Counter, &[], "First messages of strangers that passed"),
        ("rialto_spim_reports", Counter, &[], "Reports of unwanted messages"),
        ("rialto_spim_known", Gauge, &[], "Pairs of people of whom ours wrote to the other"),
        ("rialto_spim_parties", Gauge, &[], "Addresses and domains with a reputation"),
        ("rialto_spim_waiting", Gauge, &[], "Pairs for which something waits for a time or an answer"),
        ("rialto_scans", Counter, &["result"], "Files looked into by the scanner: clean, found, failed"),
        ("rialto_scan_bytes", Counter, &[], "Bytes that the scanner was given"),
        ("rialto_scan_seconds", Counter, &[], "How long it was asked, waiting for our turn included"),
        ("rialto_yara_rules", Gauge, &[], "YARA rules in force"),
        (
            "rialto_yara_scans",
            Counter,
            &["result"],
            "Files and texts looked into with YARA rules: clean, found, failed",
        ),
        ("rialto_yara_seconds", Counter, &[], "How long that took, waiting for a turn included"),
        ("rialto_upload_slots", Counter, &["result"], "Slots for uploads: given, refused"),
        (
            "rialto_uploads",
            Counter,
            &["verdict"],
            "Uploaded files by what was decided of them, at once and later",
        ),
        ("rialto_uploads_broken", Counter, &[], "Uploads that broke off or could not be kept"),
        ("rialto_upload_bytes", Counter, &[], "Bytes of uploaded files"),
        ("rialto_upload_fetched_bytes", Counter, &[], "Bytes of files that were asked for"),
        ("rialto_mailboxes_draining", Gauge, &[], "Mailboxes that are being read from the store"),
        (
            "rialto_mailboxes_behind",
            Gauge,
            &[],
            "Mailboxes in memory with rows that no device was handed yet",
        ),
        ("rialto_deliveries_in_flight", Gauge, &[], "Deliveries that no device has answered yet"),
        ("rialto_lane_rows", Gauge, &[], "Committed rows that wait to be routed"),
        ("rialto_link_events", Gauge, &[], "Events that wait for sessions"),
        ("rialto_link_jobs", Gauge, &[], "Jobs of sessions that wait for the disk"),
        ("rialto_senders_waiting", Gauge, &[], "Senders who wait to hear how a row ended"),
        ("rialto_journal_rows", Gauge, &[], "Rows in the journal"),
        ("rialto_checkpoints", Counter, &[], "Signed checkpoints made"),
        ("rialto_checkpoint_row", Gauge, &[], "The last row that a signed checkpoint closes"),
        ("rialto_checkpoint_timestamp_seconds", Gauge, &[], "When that was"),
        (
            "rialto_checkpoint_ill",
            Gauge,
            &[],
            "1 while no checkpoint can be made, also because the record was tampered with",
        ),
        (
            "rialto_clock_ill",
            Gauge,
            &[],
            "1 while the clock has leapt ahead: nothing is destroyed by its age",
        ),
        (
            "rialto_anchored_row",
            Gauge,
            &["anchor"],
            "The last row of which a place outside has the checkpoint",
        ),
        ("rialto_anchor_ill", Gauge, &["anchor"], "1 while a place outside does not take checkpoints"),
        ("rialto_journaling_row", Gauge, &[], "The last row that the archive has by mail"),
        (
            "rialto_journaling_late_seconds",
            Gauge,
            &[],
            "How old the oldest row is that the archive should have by now",
        ),
        ("rialto_journaling_sent", Counter, &[], "Mails that the archive took"),
        ("rialto_journaling_failed", Counter, &[], "Attempts to send one that failed"),
        ("rialto_index_rows", Gauge, &[], "The last row that a search can find"),
        ("rialto_index_bytes", Gauge, &[], "What the index takes on disk"),
        ("rialto_index_ill", Gauge, &[], "1 while the index does not go on; nothing but searches suffers"),
        ("rialto_journal_queue_rows", Gauge, &[], "Rows that wait for the journal's writer"),
        ("rialto_journal_queue_bytes", Gauge, &[], "Bytes of these rows"),
        ("rialto_journal_queue_outcomes", Gauge, &[], "Outcomes that wait for the writer"),
        ("rialto_journal_queue_cursors", Gauge, &[], "Mailbox cursors that wait for the writer"),
        (
            "rialto_journal_outcomes_lost",
            Counter,
            &[],
            "Outcomes that could not be kept while nothing could be written",
        ),
        ("rialto_journal_commits_failed", Counter, &[], "Commits that failed"),
        (
            "rialto_journal_ill",
            Gauge,
            &[],
            "1 while nothing can be put on record and everything that must be is refused",
        ),
        ("rialto_journal_commit_seconds", Histogram, &[], "How long commits took, until they were on disk"),
    ]
};

#[derive(Debug)]
enum Value {
    Whole(u64),
    /// In microseconds.
    Seconds(u64),
    Commits(WriterReport),
}

#[derive(Debug)]
struct Sample {
    name: &'static str,
    labels: Vec<String>,
    value: Value,
}

/// One look at everything.
#[derive(Debug)]
struct Snapshot(Vec<Sample>);

/// Where the numbers are.
pub struct Sources<'a> {
    /// The hub.
    pub hub: &'a Hub,
    /// The store.
    pub store: &'a SqliteStore,
    /// How it stands with checkpoints.
    pub signing: Standing,
    /// Has the clock leapt ahead?
    pub clock_ill: bool,
    /// Journaling by mail, where it is wanted.
    pub journaling: Option<crate::journaling::Standing>,
    /// The record's index.
    pub search: Option<&'a search::Index>,
    /// The watch for outbreaks.
    pub outbreaks: &'a outbreak::Outbreaks,
    /// The guard against unwanted messages.
    pub guard: &'a spim::Guard,
    /// How the scanner is.
    pub scanner: Option<hygiene::ScannerView>,
    /// How the YARA rules are.
    pub yara: Option<hygiene::YaraView>,
    /// What was uploaded.
    pub files: Option<files::Counts>,
    /// The listeners.
    pub listeners: Vec<ListenerCounts>,
    /// Our certificates.
    pub certificates: Vec<Paper>,
    /// When the server started.
    pub started: Timestamp,
    /// What time it is.
    pub now: Timestamp,
}

impl Sources<'_> {
    /// The metrics as OpenMetrics text, version 1.0.0.
    pub fn text(self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.snapshot()));
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = text::encode(&mut out, &registry);
        out
    }

    fn snapshot(self) -> Snapshot {
        let mut all = Vec::new();
        let mut put = |name, labels: &[&str], n| {
            let labels = labels.iter().map(ToString::to_string).collect();
            all.push(Sample { name, labels, value: Value::Whole(n) });
        };
        put("rialto_build_info", &[env!("CARGO_PKG_VERSION")], 1);
        put("rialto_start_time_seconds", &[], self.started.unix_ms() / 1000);
        for paper in &self.certificates {
            let name = paper.names.first().cloned().unwrap_or_default();
            put("rialto_certificate_expiry_timestamp_seconds", &[&name], paper.until.try_into().unwrap_or(0));
        }
        put("rialto_uptime_seconds", &[], self.now.unix_ms().saturating_sub(self.started.unix_ms()) / 1000);
        for l in &self.listeners {
            let at = l.addr.to_string();
            let labels = [l.name.as_str(), &at];
            put("rialto_connections", &labels, l.open);
            put("rialto_connections_accepted", &labels, l.accepted);
            put("rialto_connections_refused", &labels, l.refused);
            put("rialto_tls_handshakes_failed", &[labels[0], &at, "error"], l.handshakes_failed);
            put("rialto_tls_handshakes_failed", &[labels[0], &at, "timeout"], l.handshakes_late);
            put("rialto_reads_slowed", &labels, l.slowed);
            put("rialto_datagrams", &labels, l.datagrams);
            put("rialto_datagrams_dropped", &labels, l.datagrams_dropped);
            put("rialto_machine_panics", &labels, l.panics);
        }
        let counters = self.hub.counters();
        for (dialect, proven, n) in &counters.logins {
            put("rialto_logins", &[dialect.name(), if *proven { "proven" } else { "failed" }], *n);
        }
        for (dialect, n) in &counters.messages {
            put("rialto_messages_submitted", &[dialect.name()], *n);
        }
        for (dialect, n) in &counters.others {
            put("rialto_events_submitted", &[dialect.name()], *n);
        }
        for (from, to, outcome, n) in &counters.answered {
            put("rialto_deliveries", &[from.name(), to.name(), outcome], *n);
        }
        put("rialto_rows_delivered", &[], counters.delivered);
        for (limit, direction, n) in &counters.limited {
            put("rialto_limited", &[limit, direction], *n);
        }
        put("rialto_events_dropped", &[], counters.dropped);
        put("rialto_unrecorded", &[], counters.unrecorded);
        put("rialto_rows_held", &[], counters.held);
        for (stage, reason, n) in &counters.refused {
            put("rialto_refusals", &[stage, reason], *n);
        }
        if let Some(journaling) = &self.journaling {
            let late = journaling.overdue.map_or(0, |at| self.now.0.saturating_sub(at) / 1_000);
            put("rialto_journaling_row", &[], journaling.cursor);
            put("rialto_journaling_late_seconds", &[], late);
            put("rialto_journaling_sent", &[], journaling.sent);
            put("rialto_journaling_failed", &[], journaling.failed);
        }
        if let Some(index) = self.search.map(search::Index::standing) {
            put("rialto_index_rows", &[], index.indexed.0);
            put("rialto_index_bytes", &[], index.bytes);
            put("rialto_index_ill", &[], u64::from(index.trouble.is_some()));
        }
        put("rialto_checkpoints", &[], self.signing.made);
        put("rialto_checkpoint_row", &[], self.signing.to.0);
        put("rialto_checkpoint_timestamp_seconds", &[], self.signing.at / 1000);
        put("rialto_checkpoint_ill", &[], u64::from(self.signing.trouble.is_some()));
        put("rialto_clock_ill", &[], u64::from(self.clock_ill));
        for anchor in &self.signing.anchors {
            put("rialto_anchored_row", &[anchor.kind], anchor.to.0);
            put("rialto_anchor_ill", &[anchor.kind], u64::from(anchor.trouble.is_some()));
        }
        let found = self.outbreaks.counts();
        for (step, n) in [("hold", found.found), ("mute", found.muted), ("isolate", found.isolated)] {
            put("rialto_outbreaks", &[step], n);
        }
        put("rialto_outbreak_stopped", &["held"], found.held);
        put("rialto_outbreak_stopped", &["refused"], found.refused);
        put("rialto_outbreak_watched", &[], found.watched);
        let orders = self.outbreaks.orders(self.now.unix_ms());
        for kind in ["link", "file", "text", "cleared", "user", "partner", "network"] {
            let n = orders.iter().filter(|(order, _)| order.target.kind() == kind).count();
            put("rialto_outbreak_orders", &[kind], n as u64);
        }
        let guarded = self.guard.counts();
        for (cause, n) in guarded.stopped {
            put("rialto_spim_stopped", &[cause], n);
        }
        for (name, n) in [
            ("rialto_spim_first_contacts", guarded.first),
            ("rialto_spim_reports", guarded.reports),
            ("rialto_spim_known", guarded.known),
            ("rialto_spim_parties", guarded.parties),
            ("rialto_spim_waiting", guarded.waiting),
        ] {
            put(name, &[], n);
        }
        if let Some(files) = &self.files {
            put("rialto_upload_slots", &["given"], files.slots[0]);
            put("rialto_upload_slots", &["refused"], files.slots[1]);
            files.uploads.iter().for_each(|(verdict, n)| put("rialto_uploads", &[verdict], *n));
            put("rialto_uploads_broken", &[], files.broken);
            put("rialto_upload_bytes", &[], files.bytes);
            put("rialto_upload_fetched_bytes", &[], files.fetched);
        }
        if let Some(scanner) = &self.scanner {
            put("rialto_scans", &["clean"], scanner.scanned - scanner.found);
            put("rialto_scans", &["found"], scanner.found);
            put("rialto_scans", &["failed"], scanner.failed);
            put("rialto_scan_bytes", &[], scanner.bytes);
        }
        if let Some(yara) = &self.yara {
            put("rialto_yara_rules", &[], yara.rules as u64);
            put("rialto_yara_scans", &["clean"], yara.scanned - yara.found);
            put("rialto_yara_scans", &["found"], yara.found);
            put("rialto_yara_scans", &["failed"], yara.failed);
        }
        let load = self.hub.load();
        for (dialect, n) in &load.devices {
            put("rialto_devices", &[dialect.name()], *n);
        }
        let writer = self.store.writer_report();
        for (name, n) in [
            ("rialto_accounts_loaded", load.accounts),
            ("rialto_mailboxes_draining", load.draining),
            ("rialto_mailboxes_behind", load.behind),
            ("rialto_deliveries_in_flight", load.in_flight),
            ("rialto_lane_rows", load.lane_rows),
            ("rialto_link_events", load.link_events),
            ("rialto_link_jobs", load.link_jobs),
            ("rialto_senders_waiting", load.awaiting),
            ("rialto_journal_rows", store::Journal::head(self.store).0),
            ("rialto_journal_queue_rows", writer.rows),
            ("rialto_journal_queue_bytes", writer.bytes),
            ("rialto_journal_queue_outcomes", writer.outcomes),
            ("rialto_journal_queue_cursors", writer.cursors),
            ("rialto_journal_outcomes_lost", writer.lost_outcomes),
            ("rialto_journal_commits_failed", writer.failed),
            ("rialto_journal_ill", u64::from(store::Journal::health(self.store).trouble.is_some())),
        ] {
            put(name, &[], n);
        }
        if let Some(scanner) = &self.scanner {
            let (labels, value) = (Vec::new(), Value::Seconds(scanner.micros));
            all.push(Sample { name: "rialto_scan_seconds", labels, value });
        }
        if let Some(yara) = &self.yara {
            let (labels, value) = (Vec::new(), Value::Seconds(yara.micros));
            all.push(Sample { name: "rialto_yara_seconds", labels, value });
        }
        let (labels, value) = (Vec::new(), Value::Commits(writer));
        all.push(Sample { name: "rialto_journal_commit_seconds", labels, value });
        Snapshot(all)
    }
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        for (name, kind, labels, help) in METRICS {
            let metric_type = match kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
            };
            let mut metric = encoder.encode_descriptor(name, help, None, metric_type)?;
            for sample in self.0.iter().filter(|s| s.name == *name) {
                let pairs: Vec<(&str, &str)> =
                    labels.iter().copied().zip(sample.labels.iter().map(String::as_str)).collect();
                match (&sample.value, kind) {
                    (Value::Commits(writer), _) => {
                        let bounds = COMMIT_BOUNDS_US.iter().map(|us| seconds(*us)).chain([f64::INFINITY]);
                        let buckets: Vec<(f64, u64)> = bounds.zip(writer.commits.iter().copied()).collect();
                        let count = writer.commits.iter().sum();
                        let sum = seconds(writer.commit_us);
                        metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
                    }
                    (Value::Seconds(us), _) => {
                        metric.encode_counter::<NoLabelSet, f64, u64>(&seconds(*us), None)?;
                    }
                    (Value::Whole(n), Kind::Counter) if pairs.is_empty() => {
                        metric.encode_counter::<NoLabelSet, u64, u64>(n, None)?;
                    }
                    (Value::Whole(n), Kind::Counter) => {
                        metric.encode_family(&pairs)?.encode_counter::<NoLabelSet, u64, u64>(n, None)?;
                    }
                    (Value::Whole(n), _) if pairs.is_empty() => metric.encode_gauge(n)?,
                    (Value::Whole(n), _) => metric.encode_family(&pairs)?.encode_gauge(n)?,
                }
            }
        }
        Ok(())
    }
}

#[allow(clippy::cast_precision_loss)]
fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The handbook's table, as this code would write it.
    fn table() -> String {
        let mut table = String::from("| metric | kind | labels | meaning |\n|---|---|---|---|\n");
        for (name, kind, labels, help) in METRICS {
            let (end, kind) = match kind {
                Kind::Counter => ("_total", "counter"),
                Kind::Gauge => ("", "gauge"),
                Kind::Histogram => ("", "histogram"),
            };
            table += &format!("| `{name}{end}` | {kind} | {} | {help} |\n", labels.join(", "));
        }
        table
    }

    /// Run with `UPDATE_DOCS=1` to write the table.
    #[test]
    fn the_handbook_lists_every_metric() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/src/metrics.md");
        let text = std::fs::read_to_string(page).unwrap();
        let at = text.find("| metric |").expect("the page has the table");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(page, format!("{}{}", &text[..at], table())).unwrap();
            return;
        }
        assert_eq!(&text[at..], table(), "UPDATE_DOCS=1 cargo test -p rialto handbook");
    }
}

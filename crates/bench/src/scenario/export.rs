//! `rialto export` from a running server, proved by the verifier that lies in the export; then one row is taken away, and the
//! verifier must name it.

use super::journal::{Wanted, written};
use crate::{Result, clock, report::Report, usage};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// Pairs of people who write to each other.
const PAIRS: u64 = 1_000;

/// What is exported, and by what.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Messages of the journal; each is delivered, which the journal says in further rows.
    pub messages: u64,
    /// Days over which they are spread.
    pub days: u64,
    /// The forms, as `rialto export --format` takes them.
    pub forms: String,
    /// The server's program.
    pub rialto: PathBuf,
    /// Where journal and export are made, and removed afterwards.
    pub dir: PathBuf,
}

/// A process that is ended when it is no longer needed.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs it.
///
/// # Errors
/// In words; also where the verifier does not say what it must.
pub fn measure(plan: &Plan, report: &mut Report) -> Result<()> {
    let (config, out) = (plan.dir.join("rialto.toml"), plan.dir.join("export"));
    set_up(plan, &config)?;
    let apart = (plan.days * 86_400_000 / plan.messages.max(1)).max(1);
    let wanted = Wanted { messages: plan.messages, apart, pairs: PAIRS, settled: true };
    drop(written(&plan.dir.join("data"), &wanted)?);
    let server = serve(plan, &config)?;
    let before = usage::of(&[server.0.id()]);
    let begun = clock::now();
    let mut export = Command::new(&plan.rialto);
    export.arg("export").arg(&out).args(["--format", &plan.forms, "--config"]).arg(&config);
    let (told, used) = watched(export)?;
    let seconds = (clock::now() - begun) as f64 / 1e9;
    let after = usage::of(&[server.0.id()]);
    if !told.status.success() {
        return Err(format!("rialto export: {}", text(&told)).into());
    }
    let cpu = after.cpu - before.cpu;
    report.put("messages", plan.messages);
    report.num("seconds", seconds, 2);
    report.num("messages_per_s", plan.messages as f64 / seconds, 0);
    report.num("messages_per_core_s", plan.messages as f64 / (cpu + used.cpu), 0);
    report.num("server_cpu_s", cpu, 2);
    report.num("export_cpu_s", used.cpu, 2);
    report.put("server_peak_bytes", usage::peak(server.0.id()));
    report.put("export_peak_bytes", used.peak);
    drop(server);
    report.put("evidence_bytes", std::fs::metadata(out.join("rows.jsonl"))?.len());

    let begun = clock::now();
    let (told, used) = watched(verifier(&out))?;
    if !told.status.success() {
        return Err(format!("a good export does not verify: {}", text(&told)).into());
    }
    report.num("verify_seconds", (clock::now() - begun) as f64 / 1e9, 1);
    report.put("verify_peak_bytes", used.peak);
    let gone = take_away(&out.join("rows.jsonl"))?;
    let told = verifier(&out).output()?;
    let said = text(&told);
    if told.status.code() != Some(1) || !said.contains(&format!("row {gone} is missing")) {
        return Err(format!("row {gone} is missing, and the verifier says: {said}").into());
    }
    report.put("missing_row", gone);
    report.put("verifier", said.lines().next().unwrap_or_default());
    Ok(std::fs::remove_dir_all(&plan.dir)?)
}

/// A server's directory as `rialto init` makes it, with one listener that is in nobody's way.
fn set_up(plan: &Plan, config: &Path) -> Result<()> {
    if plan.dir.exists() {
        return Err(format!("{} is there already", plan.dir.display()).into());
    }
    let mut init = Command::new(&plan.rialto);
    init.args(["init", "--domain", "corp.example", "--data"]).arg(&plan.dir);
    let made = init.output().map_err(|e| format!("{}: {e}", plan.rialto.display()))?;
    if !made.status.success() {
        return Err(format!("rialto init: {}", text(&made)).into());
    }
    // No index: what is measured is the export alone.
    let text = "domains = [\"corp.example\"]\ndata = \"data\"\n\n[tls]\ncertificate = \"tls/cert.pem\"\nkey = \"tls/key.pem\"\n\n\
                [[xmpp.listen]]\naddress = \"127.0.0.1:0\"\ntls = \"direct\"\n\n[record]\nsearch = false\n";
    Ok(std::fs::write(config, text)?)
}

fn serve(plan: &Plan, config: &Path) -> Result<Running> {
    let log = File::create(plan.dir.join("log"))?;
    let mut command = Command::new(&plan.rialto);
    command.args(["serve", "--config"]).arg(config).stdout(Stdio::piped()).stderr(log);
    let mut child = command.spawn()?;
    let lines = child.stdout.take().map(BufReader::new);
    let server = Running(child);
    for line in lines.into_iter().flat_map(BufRead::lines) {
        if line? == "ready" {
            return Ok(server);
        }
    }
    let log = std::fs::read_to_string(plan.dir.join("log")).unwrap_or_default();
    Err(format!("the server does not start: {log}").into())
}

fn verifier(export: &Path) -> Command {
    let mut command = Command::new("python3");
    command.arg(export.join("verify.py")).arg("--quiet").arg(export);
    command
}

fn text(done: &Output) -> String {
    [&done.stdout[..], &done.stderr[..]].iter().map(|said| String::from_utf8_lossy(said)).collect()
}

/// What a process used.
struct Used {
    cpu: f64,
    peak: u64,
}

/// Runs a command to its end, and looks at its memory all the while.
fn watched(mut command: Command) -> Result<(Output, Used)> {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let pid = child.id();
    let end = std::thread::spawn(move || child.wait_with_output());
    let mut used = Used { cpu: 0.0, peak: 0 };
    while !end.is_finished() {
        // What is over counts as nothing: the last look was good.
        used.cpu = usage::of(&[pid]).cpu.max(used.cpu);
        used.peak = usage::peak(pid).max(used.peak);
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok((end.join().map_err(|_| "waiting failed")??, used))
}

/// Takes a row out of the middle, and says which.
fn take_away(rows: &Path) -> Result<u64> {
    let part = rows.with_extension("part");
    let half = std::fs::metadata(rows)?.len() / 2;
    let (mut reader, mut writer) = (BufReader::new(File::open(rows)?), BufWriter::new(File::create(&part)?));
    let (mut line, mut offset, mut gone) = (String::new(), 0, None);
    while reader.read_line(&mut line)? > 0 {
        offset += line.len() as u64;
        if gone.is_none() && offset > half {
            let row: serde_json::Value = serde_json::from_str(&line)?;
            gone = Some(row["seq"].as_u64().ok_or("a row has no number")?);
        } else {
            writer.write_all(line.as_bytes())?;
        }
        line.clear();
    }
    writer.flush()?;
    std::fs::rename(&part, rows)?;
    gone.ok_or_else(|| "the export has no rows".into())
}

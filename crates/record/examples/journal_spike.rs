//! Measures the journal as spool: `cargo run --release -p record --example journal_spike -- write DIR ROWS [options]`.
//!
//! Commands: `write DIR ROWS [load] [slow MS] [rate ROWS/S]` appends rows of 800 bytes with the real chain, an outcome for each row and
//! a cursor for each mailbox; `crash DIR ROWS` does that in a child process, kills it with SIGKILL in the middle, opens
//! the file again and verifies it; `verify DIR` verifies. Linux only (reads /proc, uses taskset).

use model::{Address, Outcome, Seq, Timestamp};
use record::{Chain, ChainId, verify};
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use store::{
    CHAIN_SETTING, Draft, Journal, MailboxCursor, Options, RowKind, Settings, SettledRow, SqliteStore,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const ACCOUNTS: usize = 500;
const CONTACTS: usize = 20;
const HEAD: usize = 200;
const BODY: usize = 600;
/// Rows on their way to the disk at a time: what the windows of many flows add up to.
const IN_FLIGHT: usize = 8_000;

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let usage = "journal_spike write DIR ROWS [load] [slow MS] [rate ROWS/S] | crash DIR ROWS | verify DIR";
    let dir = PathBuf::from(args.get(1).ok_or(usage)?);
    let rows = || -> Result<u64, Failure> { Ok(args.get(2).ok_or(usage)?.parse()?) };
    std::fs::create_dir_all(&dir)?;
    match args[0].as_str() {
        "write" => {
            let number = |name: &str| -> Result<u64, Failure> {
                match args.iter().position(|a| a == name) {
                    Some(at) => Ok(args.get(at + 1).ok_or(usage)?.parse()?),
                    None => Ok(0),
                }
            };
            let how = How {
                load: args.iter().any(|a| a == "load"),
                tell: args.iter().any(|a| a == "tell"),
                slow: Duration::from_millis(number("slow")?),
                rate: number("rate")?,
            };
            write(&dir, rows()?, &how)
        }
        "crash" => crash(&dir, rows()?),
        "verify" => check(&open(&dir, Duration::ZERO)?),
        _ => Err(usage.into()),
    }
}

struct How {
    /// A thread that hashes all the time on the writer's core.
    load: bool,
    /// Tell each acknowledged row on standard output.
    tell: bool,
    /// Added to each commit.
    slow: Duration,
    /// Rows a second; 0 for as many as possible.
    rate: u64,
}

fn open(dir: &Path, slow_disk: Duration) -> Result<SqliteStore, Failure> {
    let options = Options { slow_disk, ..Options::default() };
    Ok(SqliteStore::open(&dir.join("rialto.db"), Box::new(Chain::new()?), options)?)
}

/// Kernel id of a thread of ours by its name.
fn thread(name: &str) -> Result<String, Failure> {
    for task in std::fs::read_dir("/proc/self/task")? {
        let task = task?;
        if std::fs::read_to_string(task.path().join("comm"))?.trim() == name {
            return Ok(task.file_name().to_string_lossy().into_owned());
        }
    }
    Err(format!("no thread {name}").into())
}

fn pin(name: &str) -> Result<(), Failure> {
    let id = thread(name)?;
    let done = Command::new("taskset").args(["-p", "-c", "0", &id]).stdout(Stdio::null()).status()?;
    if done.success() { Ok(()) } else { Err("taskset failed".into()) }
}

/// Nanoseconds a thread has spent on a processor.
fn cpu(id: &str) -> Result<u64, Failure> {
    let text = std::fs::read_to_string(format!("/proc/self/task/{id}/schedstat"))?;
    Ok(text.split(' ').next().ok_or("schedstat")?.parse()?)
}

struct Kept {
    seq: Seq,
    account: usize,
    /// Since when, for one row in 64.
    since: Option<Instant>,
}

fn write(dir: &Path, rows: u64, how: &How) -> Result<(), Failure> {
    let store = open(dir, how.slow)?;
    // The thread gives itself its name once it runs.
    std::thread::sleep(Duration::from_millis(50));
    let people: Vec<Address> = (0..ACCOUNTS)
        .map(|n| Address::parse(&format!("person.number{n}@example.com")))
        .collect::<Result<_, _>>()?;
    let journal = thread("journal")?;
    let stop = Arc::new(AtomicBool::new(false));
    let loader = how.load.then(|| start_load(&stop)).transpose()?;
    if how.load {
        pin("journal")?;
        std::thread::sleep(Duration::from_millis(50));
        pin("tls-load")?;
    }
    let kept: Arc<Mutex<Vec<Kept>>> = Arc::default();
    let filler: Vec<u8> = (0..4096u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let (mut settled, mut chance, mut waits) = (0u64, 1u64, Vec::new());
    let (begun, cpu_before) = (Instant::now(), cpu(&journal)?);
    let mut next = 0;
    while settled < rows {
        let due = match how.rate {
            0 => rows,
            rate => rows.min((begun.elapsed().as_secs_f64() * rate as f64) as u64),
        };
        if next < due && next - settled < IN_FLIGHT as u64 {
            for _ in 0..64.min(due - next) {
                chance =
                    chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let account = (chance >> 33) as usize % ACCOUNTS;
                let contact = (account + 1 + (chance >> 17) as usize % CONTACTS) % ACCOUNTS;
                let at = (chance >> 40) as usize % 3_000;
                let draft = Draft {
                    kind: RowKind::Envelope,
                    at: Timestamp(1_794_744_000_000 + next / 20),
                    mailbox: Some(people[account].clone()),
                    parties: (people[contact].clone(), people[account].clone()),
                    head: filler[at..at + HEAD].to_vec(),
                    body: filler[at..at + BODY].to_vec(),
                };
                let since = next.is_multiple_of(64).then(Instant::now);
                let kept = kept.clone();
                let done = move |end: Result<Seq, store::Trouble>| {
                    let Ok(seq) = end else { std::process::exit(3) };
                    if let Ok(mut kept) = kept.lock() {
                        kept.push(Kept { seq, account, since });
                    }
                };
                store.append(draft, Box::new(done));
                next += 1;
            }
        } else {
            std::thread::sleep(Duration::from_micros(100));
        }
        let news = std::mem::take(&mut *kept.lock().map_err(|_| "lock")?);
        settled += news.len() as u64;
        if let Some(last) = news.last()
            && how.tell
        {
            let mut out = std::io::stdout().lock();
            writeln!(out, "kept {}", last.seq)?;
            out.flush()?;
        }
        for Kept { seq, account, since } in news {
            waits.extend(since.map(|s| s.elapsed()));
            store.settle(SettledRow { seq, outcome: Outcome::Delivered, losses: Vec::new() });
            store.advance(MailboxCursor { account: people[account].clone(), low: seq, above: Vec::new() });
        }
    }
    let (took, spent) = (begun.elapsed(), cpu(&journal)? - cpu_before);
    stop.store(true, Ordering::Relaxed);
    let hashed = loader.map(|l| l.join().unwrap_or(0));
    store.close();
    let all = store.head().0;
    waits.sort_unstable();
    let wait = |part: usize| waits.get(waits.len() * part / 1000).copied().unwrap_or_default();
    println!(
        "{:.0} rows/s ({rows} rows in {took:.1?}; {} outcomes rows besides)",
        rows as f64 / took.as_secs_f64(),
        all.saturating_sub(rows)
    );
    println!("writer's processor time: {:.2} us a row", spent as f64 / 1000.0 / rows as f64);
    println!("append to acknowledged: p50 {:.1?}, p99 {:.1?}, p99.9 {:.1?}", wait(500), wait(990), wait(999));
    if let Some(hashed) = hashed {
        println!(
            "load on the same core: {:.0} MB/s hashed meanwhile",
            hashed as f64 / took.as_secs_f64() / 1e6
        );
    }
    let size = std::fs::metadata(dir.join("rialto.db"))?.len();
    println!(
        "{:.0} bytes on disk a row, of which {} are head and body",
        size as f64 / all as f64,
        HEAD + BODY
    );
    drop(store);
    let begun = Instant::now();
    let store = open(dir, Duration::ZERO)?;
    println!("ready after {:.1?} (clean stop, {} rows)", begun.elapsed(), store.head());
    Ok(())
}

/// What encryption of the same flows would cost: records of 16 kB hashed in a loop.
fn start_load(stop: &Arc<AtomicBool>) -> Result<std::thread::JoinHandle<u64>, Failure> {
    let stop = stop.clone();
    let work = move || {
        let (mut record, mut bytes) = (vec![0u8; 16_384], 0u64);
        while !stop.load(Ordering::Relaxed) {
            let digest = Sha256::digest(&record);
            record[..32].copy_from_slice(&digest);
            bytes += record.len() as u64;
        }
        bytes
    };
    Ok(std::thread::Builder::new().name("tls-load".into()).spawn(work)?)
}

fn crash(dir: &Path, rows: u64) -> Result<(), Failure> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["write".as_ref(), dir.as_os_str(), rows.to_string().as_ref(), "tell".as_ref()])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut acknowledged = 0;
    let lines = BufReader::new(child.stdout.take().ok_or("stdout")?).lines().map_while(Result::ok);
    for line in lines {
        if let Some(seq) = line.strip_prefix("kept ") {
            acknowledged = seq.parse()?;
        }
        if acknowledged > rows / 2 {
            // What the child still writes into the pipe before it dies is acknowledged too: the loop reads it.
            child.kill()?;
        }
    }
    child.wait()?;
    let wal = std::fs::metadata(dir.join("rialto.db-wal"))?.len();
    let begun = Instant::now();
    let store = open(dir, Duration::ZERO)?;
    let ready = begun.elapsed();
    let head = store.head().0;
    println!("killed at {acknowledged} acknowledged rows; log of {} MB; ready after {ready:.1?}", wal >> 20);
    if head < acknowledged {
        return Err(format!("rows lost: {head} are there, {acknowledged} were acknowledged").into());
    }
    println!("{head} rows are there: nothing acknowledged is missing");
    check(&store)
}

fn check(store: &SqliteStore) -> Result<(), Failure> {
    let id = store.value(CHAIN_SETTING)?.as_deref().and_then(ChainId::from_bytes).ok_or("no chain")?;
    let begun = Instant::now();
    let report = verify(store, id, |_| {})?;
    let took = begun.elapsed();
    match report.finding {
        None => println!(
            "chain of {} rows and {} conversations verifies: {took:.1?}, {:.0} rows/s",
            report.rows,
            report.conversations,
            report.rows as f64 / took.as_secs_f64()
        ),
        Some(finding) => return Err(finding.to_string().into()),
    }
    Ok(())
}

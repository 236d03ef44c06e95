use super::{ConfigFile, Reach, runtime};
use crate::certificates;
use crate::certificates::paper::{Paper, SOON, now};
use crate::config::Config;
use crate::failure::Failure;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// `rialto doctor`
#[derive(Debug, clap::Args)]
pub struct Doctor {
    #[command(flatten)]
    file: ConfigFile,
}

/// What one look found.
enum Finding {
    Good(String),
    Warning(String, &'static str),
    Bad(String, &'static str),
}

impl Doctor {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let config = Config::load(&self.file.config).map_err(|m| Failure::new(m.to_string()))?;
        let mut findings = vec![descriptors(), disk(&config.data), space(&config.data)];
        findings.extend(key_modes(&config));
        findings.extend(papers(&config));
        findings.extend(scanner(&config));
        findings.extend(rules(&config));
        findings.extend(server(&Reach::of(&self.file))?);
        let mut bad = false;
        for finding in findings {
            match finding {
                Finding::Good(what) => println!("good     {what}"),
                Finding::Warning(what, advice) => println!("warning  {what}\n         {advice}"),
                Finding::Bad(what, advice) => {
                    bad = true;
                    println!("BAD      {what}\n         {advice}");
                }
            }
        }
        Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn descriptors() -> Finding {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let soft =
        limits.lines().find(|l| l.starts_with("Max open files")).and_then(|l| l.split_whitespace().nth(3));
    match soft.and_then(|s| s.parse::<u64>().ok()) {
        Some(n) if n < 4096 => Finding::Warning(
            format!("a server started from here may open {n} files: so many connections at most"),
            "raise it with ulimit -n; the systemd unit has a limit of its own, LimitNOFILE=",
        ),
        Some(n) => Finding::Good(format!("a server started from here may open {n} files")),
        None => Finding::Good("open files: no limit that we can read".into()),
    }
}

/// Every acknowledgement waits for such a write, though many share one.
fn disk(data: &Path) -> Finding {
    let path = data.join("doctor.tmp");
    let measured = measure(&path);
    let _ = fs::remove_file(&path);
    match measured {
        Err(error) => Finding::Bad(
            format!("{} cannot be written: {error}", data.display()),
            "make it, or give it to the user the server runs as",
        ),
        Ok(median) if median > Duration::from_millis(20) => Finding::Warning(
            format!("a durable write takes {median:.1?}"),
            "messages wait that long; a disk with a power-safe cache is quicker",
        ),
        Ok(median) => Finding::Good(format!("a durable write takes {median:.1?}")),
    }
}

#[allow(clippy::disallowed_methods)]
fn measure(path: &Path) -> std::io::Result<Duration> {
    let mut file = fs::File::create(path)?;
    let mut times = Vec::new();
    for _ in 0..15 {
        let start = Instant::now();
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    times.sort();
    Ok(times[times.len() / 2])
}

fn space(data: &Path) -> Finding {
    let df = std::process::Command::new("df").args(["-Pk"]).arg(data).output();
    let free = df.ok().and_then(|o| {
        String::from_utf8_lossy(&o.stdout).lines().nth(1)?.split_whitespace().nth(3)?.parse::<u64>().ok()
    });
    match free.map(|kib| kib / 1024) {
        Some(mib) if mib < 1024 => Finding::Bad(
            format!("only {mib} MiB are free for the journal"),
            "when it is full, messages are refused: nothing is delivered that is not on record",
        ),
        Some(mib) => Finding::Good(format!("{mib} MiB are free for the journal")),
        None => Finding::Good("free space: cannot be read here".into()),
    }
}

fn key_modes(config: &Config) -> Vec<Finding> {
    use std::os::unix::fs::PermissionsExt;
    let files = certificates::files(config);
    if files.is_empty() {
        let fix = "add a [tls] or an [acme] section";
        return vec![Finding::Warning("no certificate: nothing is encrypted".into(), fix)];
    }
    let keys = files.iter().map(|f| &f.key);
    keys.map(|key| match fs::metadata(key).map(|m| m.permissions().mode() & 0o077) {
        Ok(0) => Finding::Good(format!("{} is readable by its owner alone", key.display())),
        Ok(_) => Finding::Bad(format!("{} can be read by others", key.display()), "chmod 600"),
        Err(_) => Finding::Bad(format!("{} cannot be read", key.display()), "check its path and owner"),
    })
    .collect()
}

fn papers(config: &Config) -> Vec<Finding> {
    if certificates::files(config).contains(&certificates::shelf::stand_in(config)) {
        let fix = "see in the log what the authority says; until then partners and clients refuse it";
        return vec![Finding::Warning(
            "no certificate has been issued yet: one by nobody is shown".into(),
            fix,
        )];
    }
    let papers = certificates::files(config).into_iter().filter_map(|f| Paper::open(&f.certificate).ok());
    papers
        .map(|paper| {
            let whose = paper.names.first().cloned().unwrap_or_default();
            match paper.days_left(now()) {
                ..0 => Finding::Bad(
                    format!("the certificate of {whose} has expired"),
                    "replace it: partners refuse it",
                ),
                days @ 0..SOON => Finding::Warning(
                    format!("the certificate of {whose} expires in {days} days"),
                    "replace it in time",
                ),
                days => Finding::Good(format!("the certificate of {whose} is good for {days} days")),
            }
        })
        .collect()
}

fn scanner(config: &Config) -> Option<Finding> {
    let (at, patience) = config.hygiene.clamd.at()?;
    Some(match hygiene::ping(&at, patience) {
        Ok(()) => Finding::Good(format!("clamd answers at {at}")),
        Err(why) => Finding::Bad(
            format!("clamd at {at} cannot be asked: {why}"),
            "start it, or mend `address` in [hygiene.clamd]; meanwhile `when_down` says what becomes of files",
        ),
    })
}

fn rules(config: &Config) -> Option<Finding> {
    let count = config.hygiene.yara.files.len();
    (count > 0).then(|| match crate::house::hygiene(config) {
        Ok(_) => Finding::Good(format!("the YARA rules of {count} file(s) can be read")),
        Err(why) => Finding::Bad(why.to_string(), "mend the rule; meanwhile those of before hold"),
    })
}

fn server(reach: &Reach) -> Result<Vec<Finding>, Failure> {
    let control = reach.control()?;
    Ok(runtime(1)?.block_on(async {
        match control.get::<web::Status>("/v1/status").await {
            Ok(web::Status { disk_trouble: Some(why), unrecorded, .. }) => vec![Finding::Bad(
                match unrecorded {
                    0 => format!("the server puts nothing on record: {why}"),
                    n => format!(
                        "the server puts nothing on record: {why}; since its start {n} message(s) passed without, as [record] fail_open says"
                    ),
                },
                "messages are refused until the disk is well; the server notices by itself, no restart is needed",
            )],
            Ok(s) => {
                let runs = Finding::Good(format!(
                    "the server runs since {}, {} account(s) online, a commit takes {:.1} ms",
                    s.started,
                    s.online.len(),
                    s.commit_ms
                ));
                let ill = s.journaling.filter(|how| how.contains("NOT TAKEN")).map(|how| {
                    Finding::Bad(
                        format!("journaling by mail: {how}"),
                        "mend [mail] or the mail server; nothing is lost meanwhile, and it goes on by itself",
                    )
                });
                let clock = s.clock_trouble.map(|why| {
                    Finding::Bad(why, "set the clock; where it is right, rialto retention run says so")
                });
                [runs].into_iter().chain(ill).chain(clock).chain(signing(&s.signing)).collect()
            }
            Err(why) if control.is_up().await => vec![Finding::Warning(
                format!("the server runs, and does not say how it is: {why}"),
                "ask as its owner",
            )],
            Err(_) => vec![Finding::Warning("the server does not run".into(), "start it: rialto serve")],
        }
    }))
}

/// Checkpoints and the places that keep them.
fn signing(signing: &web::Signing) -> Vec<Finding> {
    let own = signing.trouble.as_ref().map(|why| {
        let what = format!("no checkpoint can be made: {why}");
        Finding::Bad(
            what,
            "rialto journal verify says more; keep what is there, and the anchors, for whoever looks into it",
        )
    });
    let anchors = signing.anchors.iter().map(|anchor| match &anchor.trouble {
        None => Finding::Good(format!("{} {} has the checkpoints", anchor.kind, anchor.place)),
        Some(why) => Finding::Warning(
            format!("{} {} takes no checkpoints: {why}", anchor.kind, anchor.place),
            "what is cut off or written anew is found only up to the last one kept elsewhere; it is tried again every minute",
        ),
    });
    own.into_iter().chain(anchors).collect()
}

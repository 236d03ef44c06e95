//! CPU time and memory of processes, from /proc.

use std::fs;

/// What some processes have used so far.
#[derive(Debug, Default, Clone, Copy)]
pub struct Usage {
    /// User and system time of all threads, in seconds.
    pub cpu: f64,
    /// Resident memory in bytes.
    pub rss: u64,
}

/// The sum over `pids` and all their descendants. Processes that have gone count as nothing.
pub fn of(pids: &[u32]) -> Usage {
    let mut all = pids.to_vec();
    let mut next = 0;
    while let Some(&pid) = all.get(next) {
        next += 1;
        let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
        for task in tasks.flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            for child in children.split_whitespace().filter_map(|c| c.parse().ok()) {
                if !all.contains(&child) {
                    all.push(child);
                }
            }
        }
    }
    // Forked processes share pages: what is private adds up, what is shared is counted once, at its largest.
    let used: Vec<_> = all.iter().filter_map(|&pid| one(pid)).collect();
    Usage {
        cpu: used.iter().map(|u| u.cpu).sum(),
        rss: used.iter().map(|u| u.private).sum::<u64>() + used.iter().map(|u| u.shared).max().unwrap_or(0),
    }
}

/// This process.
pub fn own() -> Usage {
    one(std::process::id()).map(|u| Usage { cpu: u.cpu, rss: u.private + u.shared }).unwrap_or_default()
}

/// The most resident memory that a process had so far, in bytes; 0 where it is gone.
pub fn peak(pid: u32) -> u64 {
    fs::read_to_string(format!("/proc/{pid}/status")).map_or(0, |status| bytes(&status, "VmHWM:"))
}

/// A line of /proc/PID/status that counts kB.
fn bytes(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|l| l.strip_prefix(name));
    1024 * line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
}

struct One {
    cpu: f64,
    private: u64,
    shared: u64,
}

fn one(pid: u32) -> Option<One> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything; fields are counted from its closing bracket. utime and stime are fields 14 and 15.
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(One {
        cpu: ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
        private: bytes(&status, "RssAnon:"),
        shared: bytes(&status, "RssFile:") + bytes(&status, "RssShmem:"),
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn sees_itself_and_its_children() {
        let own = super::own();
        assert!(own.rss > 100_000);
        assert!(super::peak(std::process::id()) >= own.rss);
        let mut child = std::process::Command::new("sleep").arg("5").spawn().unwrap();
        assert!(super::of(&[std::process::id()]).rss > super::own().rss);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(super::of(&[u32::MAX]).rss, 0);
    }
}

//! A run over time: warm-up, counting, draining; pacing in the open loop; several threads.

use std::{
    future::Future,
    os::fd::OwnedFd,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::Barrier,
    task::spawn_local,
};

use crate::{
    Result,
    clock::{self, SECOND},
    opts::Opts,
    report::Span,
    rig::{Rig, Stats},
    usage,
};

/// One generator thread's place among all.
#[derive(Clone)]
pub struct Shard {
    /// Which thread.
    pub index: u32,
    /// Of how many.
    pub of: u32,
    ready: Arc<Barrier>,
    start: Arc<AtomicU64>,
}

impl Shard {
    /// This thread's part of `n` things: the first and how many.
    pub fn part(&self, n: u32) -> (u32, u32) {
        let bound = |i: u32| (u64::from(n) * u64::from(i) / u64::from(self.of)) as u32;
        (bound(self.index), bound(self.index + 1) - bound(self.index))
    }

    /// Waits until all threads are here; returns the same time to each.
    pub async fn meet(&self) -> u64 {
        if self.ready.wait().await.is_leader() {
            self.start.store(clock::now(), Ordering::SeqCst);
        }
        self.ready.wait().await;
        self.start.load(Ordering::SeqCst)
    }
}

/// Runs `work` on `threads` threads with a runtime each. The first failure ends the process.
pub fn threads<T, F, Fut>(threads: u32, work: F) -> Result<Vec<T>>
where
    T: Send + 'static,
    F: Fn(Shard) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<T>>,
{
    let ready = Arc::new(Barrier::new(threads as usize));
    let start = Arc::new(AtomicU64::new(0));
    let handles: Vec<_> = (0..threads)
        .map(|index| {
            let shard = Shard { index, of: threads, ready: ready.clone(), start: start.clone() };
            let work = work.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build_local(Default::default())?;
                let done = runtime.block_on(work(shard));
                if let (Err(e), true) = (&done, threads > 1) {
                    eprintln!("rialto-bench: {e}"); // the others wait for this thread and would wait for ever
                    std::process::exit(1);
                }
                runtime.shutdown_background();
                done
            })
        })
        .collect();
    handles.into_iter().map(|h| h.join().unwrap_or_else(|_| Err("a thread panicked".into()))).collect()
}

/// Waits until the clock shows `at`, to within a scheduling delay rather than a millisecond.
pub struct Timer(AsyncFd<OwnedFd>);

impl Timer {
    /// A timer of its own.
    pub fn new() -> Result<Self> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        #[allow(
            deprecated,
            reason = "its successor is unsafe, for types whose descriptor may change; an OwnedFd's does not"
        )]
        let fd = AsyncFd::with_interest(fd, Interest::READABLE)?;
        Ok(Self(fd))
    }

    /// Sleeps.
    pub async fn until(&self, at: u64) -> Result<()> {
        let Some(wait) = at.checked_sub(clock::now()).filter(|w| *w > 0) else { return Ok(()) };
        let spec = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec { tv_sec: (wait / SECOND) as i64, tv_nsec: (wait % SECOND) as i64 },
        };
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &spec)?;
        loop {
            let mut ready = self.0.readable().await?;
            let mut count = [0; 8];
            let read = ready.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut count)?));
            match read {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(e)) => return Err(e.into()),
                Err(_would_block) => continue,
            }
        }
    }
}

/// Sends what is due, all flows in turn, at `rate` messages a second, until `end`.
async fn pace(rig: &Rig, rate: f64, start: u64, end: u64) -> Result<()> {
    /// Waking up more often than this costs more than it tells.
    const GRAIN: u64 = 50_000;
    let timer = Timer::new()?;
    let due = |i: u64| start + (i as f64 * SECOND as f64 / rate) as u64;
    let mut next = 0;
    while due(next) < end {
        let now = clock::now();
        while due(next) <= now && due(next) < end {
            rig.send_due(next as usize % rig.len(), due(next));
            next += 1;
        }
        rig.pump();
        timer.until(due(next).max(now + GRAIN)).await?;
    }
    Ok(())
}

/// A look at the server's and at our own use of resources.
pub fn look(opts: &Opts) -> (usage::Usage, usage::Usage) {
    (usage::of(&opts.server_pid), usage::own())
}

/// What a thread brings home.
pub struct Outcome {
    /// Counts.
    pub stats: Stats,
    /// Resources while counting.
    pub span: Span,
}

/// Sets warm-up and counting time from now on; runs `stop` at the end; returns what was used while counting.
pub async fn count(opts: &Opts, start: u64, gate: &crate::rig::Gate) -> Span {
    let from = start + (opts.warmup * SECOND as f64) as u64;
    let to = from + (opts.seconds * SECOND as f64) as u64;
    gate.set(from, to);
    let until = |at: u64| tokio::time::sleep(Duration::from_nanos(at.saturating_sub(clock::now())));
    until(from).await;
    let (before, began) = (look(opts), clock::now());
    until(to).await;
    let after = look(opts);
    let mut span = Span::between((clock::now() - began) as f64 / SECOND as f64, before, after);
    // Deliveries are counted over exactly the time asked for; scale CPU to it.
    let scale = opts.seconds / span.seconds;
    span.server_cpu *= scale;
    span.own_cpu *= scale;
    span.seconds = opts.seconds;
    span
}

/// Runs a rig whose flows are ready: meets the other threads, loads, drains.
pub async fn run(rig: Rc<Rig>, opts: &Opts, shard: &Shard, all_flows: usize) -> Result<Outcome> {
    let start = shard.meet().await;
    let ticking = rig.clone();
    let ticker = spawn_local(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            ticking.tick();
        }
    });
    if let Some(rate) = opts.rate {
        let end = start + ((opts.warmup + opts.seconds) * SECOND as f64) as u64;
        let (pacing, share) = (rig.clone(), rate * rig.len() as f64 / all_flows as f64);
        spawn_local(async move {
            if let Err(e) = pace(&pacing, share, start, end).await {
                eprintln!("rialto-bench: {e}");
            }
        });
    } else {
        rig.start();
    }
    let span = count(opts, start, &rig.gate).await;
    rig.closed_loop.set(false);
    let stopped = clock::now();
    while !rig.is_settled()
        && clock::now() < stopped + 35 * SECOND
        && clock::now() < rig.last_progress().max(stopped) + 5 * SECOND
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Duplicates may still be on their way.
    tokio::time::sleep(Duration::from_millis(300)).await;
    ticker.abort();
    Ok(Outcome { stats: rig.stats(), span })
}

/// Adds up what the threads bring; resources are the first one's, who looked at whole processes.
pub fn total(outcomes: Vec<Outcome>) -> (Stats, Span) {
    let span = outcomes.first().map(|o| o.span).unwrap_or_default();
    let mut stats = Stats::default();
    outcomes.iter().for_each(|o| stats.merge(&o.stats));
    (stats, span)
}

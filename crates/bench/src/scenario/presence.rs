//! Presence: every watcher watches every presentity; a presentity publishes again when all have heard.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use tokio::{sync::Notify, task::spawn_local, time::timeout};

use super::{sip_users, xmpp_users};
use crate::{
    Result,
    clock::{self, SECOND},
    conn::Conn,
    env::{Env, accounts, nonce},
    load::{Outcome, Timer, count, threads, total},
    mark::Mark,
    opts::{Opts, Protocol, name},
    report::Report,
    rig::{Gate, Sink, Stats},
    sip::user::{Request, User},
    tracker::{Seen, Tracker},
    xmpp::stanza,
};

/// Who has seen which publication of whom.
struct Board {
    run: u32,
    presentities: u32,
    watchers: u32,
    /// XMPP watchers are clients and see everybody; a SIP subscription sees one presentity.
    by_client: bool,
    seen: RefCell<Vec<Tracker>>,
    published: RefCell<Vec<u32>>,
    heard: Vec<Notify>,
    stats: RefCell<Stats>,
    last_arrival: Cell<u64>,
    gate: Gate,
}

impl Board {
    fn new(run: u32, presentities: u32, watchers: u32, by_client: bool) -> Rc<Self> {
        Rc::new(Self {
            run,
            presentities,
            watchers,
            by_client,
            seen: RefCell::new(vec![Tracker::default(); (presentities * watchers) as usize]),
            published: RefCell::new(vec![0; presentities as usize]),
            heard: (0..presentities).map(|_| Notify::new()).collect(),
            stats: RefCell::default(),
            last_arrival: Cell::new(0),
            gate: Gate::default(),
        })
    }

    /// The mark of the next publication.
    fn publish(&self, presentity: u32, at: u64) -> Mark {
        let mut published = self.published.borrow_mut();
        let seq = published[presentity as usize];
        published[presentity as usize] += 1;
        Mark { run: self.run, flow: presentity, seq, at }
    }

    fn behind(&self, presentity: u32) -> usize {
        let latest = u64::from(self.published.borrow()[presentity as usize]);
        let first = (presentity * self.watchers) as usize;
        let seen = self.seen.borrow();
        seen[first..first + self.watchers as usize].iter().filter(|t| t.next() < latest).count()
    }

    /// Waits until all watchers have seen the latest publication; false if one has not after 5 s.
    async fn all_heard(&self, presentity: u32) -> bool {
        timeout(Duration::from_secs(5), async {
            while self.behind(presentity) > 0 {
                self.heard[presentity as usize].notified().await;
            }
        })
        .await
        .is_ok()
    }

    /// Subscriptions that have brought nothing yet.
    fn silent(&self) -> usize {
        self.seen.borrow().iter().filter(|t| t.next() == 0).count()
    }

    /// What was expected and what became of it so far, setting up included.
    fn counted(&self) -> Stats {
        let mut stats = self.stats.borrow().clone();
        for (i, t) in self.seen.borrow().iter().enumerate() {
            let sent = u64::from(self.published.borrow()[i / self.watchers as usize]);
            stats.sent += sent;
            stats.lost += t.lost(sent);
            stats.duplicates += t.duplicates;
            stats.out_of_order += t.out_of_order;
        }
        stats
    }

    /// The count since `earlier`.
    fn counted_since(&self, earlier: &Stats) -> Stats {
        let mut stats = self.counted();
        stats.sent -= earlier.sent;
        stats.lost = stats.lost.saturating_sub(earlier.lost);
        stats.duplicates -= earlier.duplicates;
        stats.out_of_order -= earlier.out_of_order;
        stats
    }
}

impl Sink for Board {
    fn arrived(&self, who: u32, mark: Mark, now: u64) {
        if mark.run != self.run || mark.flow >= self.presentities {
            self.stats.borrow_mut().stale += 1;
            return;
        }
        self.last_arrival.set(now);
        let index = if self.by_client {
            match who.checked_sub(self.presentities) {
                Some(watcher) => mark.flow * self.watchers + watcher,
                None => return, // one's own presence, or another presentity's
            }
        } else {
            who
        };
        let mut all = self.seen.borrow_mut();
        let Some(tracker) = all.get_mut(index as usize) else { return };
        if tracker.see(u64::from(mark.seq)) == Seen::Twice {
            return;
        }
        drop(all);
        let mut stats = self.stats.borrow_mut();
        if self.gate.open(now) {
            stats.delivered += 1;
        }
        if self.gate.open(mark.at) {
            stats.latency.record(now.saturating_sub(mark.at));
        }
        drop(stats);
        if self.behind(mark.flow) == 0 {
            self.heard[mark.flow as usize].notify_one();
        }
    }

    fn absorbed(&self) {
        self.stats.borrow_mut().absorbed += 1;
    }

    fn closed(&self) {
        self.stats.borrow_mut().closed += 1;
    }
}

/// One who publishes.
enum Presentity {
    Xmpp(Rc<Conn>),
    Sip { user: Rc<User>, call_id: String, cseq: Cell<u32>, etag: RefCell<Option<String>> },
}

impl Presentity {
    /// Publishes and, in SIP, waits for the answer.
    async fn publish(&self, mark: Mark) -> Result<()> {
        self.put(mark, 3600).await
    }

    /// Takes the publication back, so that the next run finds none.
    async fn withdraw(&self) -> Result<()> {
        if let Self::Sip { .. } = self { self.put(Mark::default(), 0).await } else { Ok(()) }
    }

    async fn put(&self, mark: Mark, expires: u32) -> Result<()> {
        match self {
            Self::Xmpp(conn) => {
                conn.queue(|out| stanza::presence().render(&mark, 0, b"", out));
                conn.flush();
            }
            Self::Sip { user, call_id, cseq, etag } => {
                let aor = user.aor();
                let text = mark.write();
                let mut body = format!(
                    "<?xml version='1.0' encoding='UTF-8'?>\r\n<presence xmlns='urn:ietf:params:xml:ns:pidf' \
                     entity='pres:{pres}'>\r\n<tuple id='b'><status><basic>open</basic></status><note>{mark}</note>\
                     </tuple>\r\n</presence>\r\n",
                    pres = &aor[4..],
                    mark = String::from_utf8_lossy(&text),
                );
                let mut headers = format!("Event: presence\r\nExpires: {expires}\r\n");
                if let Some(etag) = &*etag.borrow() {
                    headers += &format!("SIP-If-Match: {etag}\r\n");
                }
                if expires == 0 {
                    body.clear();
                } else {
                    headers += "Content-Type: application/pidf+xml\r\n";
                }
                let to = format!("<{aor}>");
                let reply = user
                    .request(Request {
                        method: "PUBLISH",
                        uri: &aor,
                        to: &to,
                        call_id,
                        cseq,
                        headers: &headers,
                        body: &body,
                    })
                    .await?;
                *etag.borrow_mut() = reply.header("sip-etag");
                if reply.code != 200 {
                    return Err(format!("PUBLISH {}", reply.code).into());
                }
            }
        }
        Ok(())
    }
}

/// Runs it, in one thread.
pub fn measure(
    opts: &Arc<Opts>,
    run_id: u32,
    protocol: Protocol,
    (presentities, watchers): (u32, u32),
    report: &mut Report,
) -> Result<()> {
    report.put("protocol", name(&protocol));
    report.put("presentities", presentities);
    report.put("watchers_of_each", watchers);
    let shared = opts.clone();
    let outcomes = threads(1, move |shard| {
        let opts = shared.clone();
        async move {
            let env = Env::new(opts.clone(), run_id)?;
            let board = Board::new(run_id, presentities, watchers, protocol == Protocol::Xmpp);
            let who = accounts(&opts, 0, presentities + watchers)?;
            let mut subscriptions = Vec::new();
            let publishers: Vec<Rc<Presentity>> = match protocol {
                Protocol::Xmpp => {
                    let conns = xmpp_users(&env, &who, board.clone()).await?;
                    for watcher in &conns[presentities as usize..] {
                        for presentity in &who[..presentities as usize] {
                            let ask = format!(
                                "<presence to='{}@{}' type='subscribe'/>",
                                presentity.user, opts.domain
                            );
                            watcher.queue(|out| out.extend_from_slice(ask.as_bytes()));
                        }
                        watcher.flush();
                    }
                    // Connections live on in their readers; those of the watchers too.
                    conns
                        .into_iter()
                        .take(presentities as usize)
                        .map(|c| Rc::new(Presentity::Xmpp(c)))
                        .collect()
                }
                Protocol::Sip => {
                    let users = sip_users(&env, &who, board.clone()).await?;
                    let (publishing, watching) = users.split_at(presentities as usize);
                    for (k, presentity) in publishing.iter().enumerate() {
                        for (m, watcher) in watching.iter().enumerate() {
                            let number = k as u32 * watchers + m as u32;
                            let subscription = Subscription {
                                watcher: watcher.clone(),
                                aor: presentity.aor(),
                                call_id: format!("rbs{run_id:08x}{number:08x}"),
                                cseq: Cell::new(0),
                            };
                            let (aor, to) = (presentity.aor(), format!("<{}>", presentity.aor()));
                            let dialog = subscription.ask(&aor, &to, 3600).await?;
                            subscriptions.push((subscription, dialog));
                        }
                    }
                    let publisher = |user: &Rc<User>| {
                        let (call_id, cseq, etag) = (nonce(), Cell::new(0), RefCell::default());
                        Rc::new(Presentity::Sip { user: user.clone(), call_id, cseq, etag })
                    };
                    publishing.iter().map(publisher).collect()
                }
            };
            wait_until_all_watch(&board, &publishers).await?;
            let before = board.counted();
            let start = shard.meet().await;
            let end = start + ((opts.warmup + opts.seconds) * SECOND as f64) as u64;
            let loops: Vec<_> = publishers
                .iter()
                .cloned()
                .enumerate()
                .map(|(k, p)| spawn_local(publish_loop(board.clone(), p, k as u32, opts.rate, start, end)))
                .collect();
            let span = count(&opts, start, &board.gate).await;
            for each in loops {
                each.await??;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
            let stats = board.counted_since(&before);
            // Leave nothing behind for the next run to trip over.
            for (subscription, (to, uri)) in &subscriptions {
                let _ = subscription.ask(uri, to, 0).await;
            }
            for publisher in &publishers {
                let _ = publisher.withdraw().await;
            }
            Ok(Outcome { stats, span })
        }
    })?;
    let (stats, span) = total(outcomes);
    report.traffic(opts, &stats, &span);
    Ok(())
}

/// Publishes whenever all have heard, or, at a rate, whenever it is due.
async fn publish_loop(
    board: Rc<Board>,
    presentity: Rc<Presentity>,
    k: u32,
    rate: Option<f64>,
    start: u64,
    end: u64,
) -> Result<()> {
    // A publication makes as many deliveries as there are watchers.
    let gap = rate.map(|r| SECOND as f64 * f64::from(board.presentities * board.watchers) / r);
    let timer = Timer::new()?;
    for i in 0u64.. {
        let mut at = clock::now();
        if let Some(gap) = gap {
            at = start + (gap * (i as f64 + f64::from(k) / f64::from(board.presentities))) as u64;
            timer.until(at.min(end)).await?;
        }
        if clock::now() >= end {
            break;
        }
        if let Err(e) = presentity.publish(board.publish(k, at)).await {
            board.stats.borrow_mut().error(e.to_string().replace(' ', "_"));
            tokio::time::sleep(Duration::from_millis(50)).await;
        } else if !board.all_heard(k).await {
            board.stats.borrow_mut().window_timeouts += 1;
        }
    }
    Ok(())
}

/// A SIP subscription.
struct Subscription {
    watcher: Rc<User>,
    aor: String,
    call_id: String,
    cseq: Cell<u32>,
}

impl Subscription {
    /// Subscribes (or, with no time to run, ends it) and returns the response's To and Contact.
    async fn ask(&self, uri: &str, to: &str, expires: u32) -> Result<(String, String)> {
        let headers = format!("Event: presence\r\nExpires: {expires}\r\nAccept: application/pidf+xml\r\n");
        let request = Request {
            method: "SUBSCRIBE",
            uri,
            to,
            call_id: &self.call_id,
            cseq: &self.cseq,
            headers: &headers,
            body: "",
        };
        let reply = self.watcher.request(request).await?;
        if reply.code >= 300 {
            return Err(format!("SUBSCRIBE to {}: {}", self.aor, reply.code).into());
        }
        let contact = reply.header("contact").unwrap_or_default();
        let uri = contact.split(['<', '>']).nth(1).unwrap_or(&contact).to_owned();
        Ok((reply.header("to").unwrap_or_default(), uri))
    }
}

/// Publishes until every watcher has seen every presentity, and nothing is on its way any more.
async fn wait_until_all_watch(board: &Rc<Board>, publishers: &[Rc<Presentity>]) -> Result<()> {
    let patience = clock::now() + 60 * SECOND;
    let mut again = SECOND;
    loop {
        for (k, p) in publishers.iter().enumerate() {
            p.publish(board.publish(k as u32, clock::now())).await?;
        }
        let pause = clock::now() + again;
        again *= 2;
        while clock::now() < pause {
            let behind: usize = (0..board.presentities).map(|k| board.behind(k)).sum();
            // A subscription may bring the latest state once more: let that come in before counting.
            if behind == 0 && clock::now() > board.last_arrival.get() + SECOND / 2 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if clock::now() > patience {
            return Err(format!("{} subscriptions have brought nothing after 60 s", board.silent()).into());
        }
    }
}

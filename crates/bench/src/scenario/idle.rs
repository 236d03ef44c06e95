//! What an idle session costs: memory for each connection, CPU for each login.

use std::{rc::Rc, sync::Arc, time::Duration};

use super::{sip_users, xmpp_users};
use crate::{
    Result,
    clock::{self, SECOND},
    env::{Env, accounts},
    load::threads,
    opts::{Opts, Protocol, name},
    report::Report,
    rig::Idle,
    usage,
};

/// Runs it.
pub fn measure(
    opts: &Arc<Opts>,
    run_id: u32,
    protocol: Protocol,
    settle: u64,
    report: &mut Report,
) -> Result<()> {
    let users = opts.users.unwrap_or(20_000);
    report.put("protocol", name(&protocol));
    report.put("users", users);
    let (before, began) = (usage::of(&opts.server_pid), clock::now());
    let shared = opts.clone();
    let ends = threads(opts.threads, move |shard| {
        let opts = shared.clone();
        async move {
            let (first, mine) = shard.part(users);
            let env = Env::new(opts.clone(), run_id)?;
            let sink = Rc::new(Idle::default());
            let who = accounts(&opts, first, mine)?;
            // Whatever is returned keeps the connections open.
            let _open: (Vec<_>, Vec<_>) = match protocol {
                Protocol::Xmpp => (xmpp_users(&env, &who, sink.clone()).await?, Vec::new()),
                Protocol::Sip => (Vec::new(), sip_users(&env, &who, sink.clone()).await?),
            };
            let logged_in = shard.meet().await;
            let logins = usage::of(&opts.server_pid);
            tokio::time::sleep(Duration::from_secs(settle)).await;
            let settled = usage::of(&opts.server_pid);
            shard.meet().await;
            Ok((sink.closed.get(), logged_in, logins, settled))
        }
    })?;
    let lost: u64 = ends.iter().map(|e| e.0).sum();
    let Some(&(_, logged_in, logins, settled)) = ends.first() else { return Ok(()) };
    let seconds = (logged_in - began) as f64 / SECOND as f64;
    report.num("logins_per_s", f64::from(users) / seconds, 1);
    report.put("connections_lost", lost);
    if !opts.server_pid.is_empty() {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        report.num("server_cpu_ms_per_login", 1000.0 * (logins.cpu - before.cpu) / f64::from(users), 3);
        report.num("server_rss_before_mib", mib(before.rss), 1);
        report.num("server_rss_after_mib", mib(settled.rss), 1);
        let grown = settled.rss.saturating_sub(before.rss) as f64;
        report.num("bytes_per_connection", grown / f64::from(users), 0);
        report.num("kib_per_connection", grown / 1024.0 / f64::from(users), 2);
        report.num("idle_server_cpu_pct", 100.0 * (settled.cpu - logins.cpu) / settle.max(1) as f64, 1);
    }
    report.num("gen_rss_mib", usage::own().rss as f64 / f64::from(1 << 20), 1);
    Ok(())
}

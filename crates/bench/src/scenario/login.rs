//! XMPP logins at full speed: connect, secure, authenticate, bind, disconnect.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use crate::{
    Result, clock,
    clock::SECOND,
    env::{Env, accounts},
    load::{Outcome, count, threads, total},
    opts::{Opts, name},
    report::Report,
    rig::{Gate, Stats},
    xmpp::session,
};

/// Runs it.
pub fn measure(opts: &Arc<Opts>, run_id: u32, report: &mut Report) -> Result<()> {
    let users = opts.users.unwrap_or(100);
    report.put("xmpp_tls", name(&opts.xmpp_tls));
    report.put("mechanism", name(&opts.mechanism));
    report.put("users", users);
    report.put("at_a_time", opts.login_parallel);
    let shared = opts.clone();
    let outcomes = threads(opts.threads, move |shard| {
        let opts = shared.clone();
        async move {
            let (first, mine) = shard.part(users);
            let env = Env::new(opts.clone(), run_id)?;
            let who = Rc::new(accounts(&opts, first, mine)?);
            let (stats, gate) = (Rc::new(RefCell::new(Stats::default())), Rc::new(Gate::default()));
            let start = shard.meet().await;
            let end = start + ((opts.warmup + opts.seconds) * SECOND as f64) as u64;
            let lanes = (opts.login_parallel / shard.of as usize).clamp(1, who.len().max(1));
            for lane in 0..lanes {
                let (env, who, stats, gate) = (env.clone(), who.clone(), stats.clone(), gate.clone());
                tokio::task::spawn_local(async move {
                    // Each lane has users of its own, so that no login replaces another's session.
                    let mut mine = (lane..who.len()).step_by(lanes).cycle();
                    while clock::now() < end {
                        let Some(user) = mine.next() else { return };
                        let began = clock::now();
                        let source = env.source(env.opts.xmpp, user as u32, 60_000);
                        let done = session::login(&env, &who[user], source, false).await;
                        let now = clock::now();
                        let mut stats = stats.borrow_mut();
                        match done {
                            Ok(_) if gate.open(now) => {
                                stats.delivered += 1;
                                stats.latency.record(now - began);
                            }
                            Ok(_) => {}
                            Err(e) => {
                                if stats.errors.is_empty() {
                                    eprintln!("rialto-bench: {e}");
                                }
                                stats.error("login".into());
                            }
                        }
                    }
                });
            }
            let span = count(&opts, start, &gate).await;
            let stats = stats.borrow().clone();
            Ok(Outcome { stats, span })
        }
    })?;
    let (stats, span) = total(outcomes);
    report.put("logins", stats.delivered);
    report.num("logins_per_s", stats.delivered as f64 / span.seconds, 1);
    if span.server_cpu > 0.0 {
        report.num("server_cpu_ms_per_login", 1000.0 * span.server_cpu / stats.delivered.max(1) as f64, 3);
    }
    report.latency("", &stats.latency);
    report.put("errors", stats.errors.values().sum::<u64>());
    report.resources(opts, &span);
    Ok(())
}

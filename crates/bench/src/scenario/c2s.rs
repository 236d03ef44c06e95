//! XMPP messages between pairs of users, both ways, to bare addresses.

use std::{rc::Rc, sync::Arc};

use super::xmpp_users;
use crate::{
    Result,
    env::{Env, accounts},
    load::{run, threads, total},
    opts::{Opts, name},
    report::Report,
    rig::Rig,
    xmpp::{session::StanzaSender, stanza},
};

/// Runs it.
pub fn measure(opts: &Arc<Opts>, run_id: u32, report: &mut Report) -> Result<()> {
    let (pairs, window) = (opts.pairs.unwrap_or(50), opts.window.unwrap_or(10));
    report.put("xmpp_tls", name(&opts.xmpp_tls));
    report.put("pairs", pairs);
    report.put("window", if opts.rate.is_some() { 0 } else { window });
    report.put("stanza_bytes", opts.size);
    let shared = opts.clone();
    let outcomes = threads(opts.threads, move |shard| {
        let opts = shared.clone();
        async move {
            let (first, mine) = shard.part(pairs);
            let env = Env::new(opts.clone(), run_id)?;
            let rig = Rig::new(run_id, first * 2, window);
            let users = accounts(&opts, first * 2, mine * 2)?;
            let conns = xmpp_users(&env, &users, rig.clone()).await?;
            for (i, conn) in conns.into_iter().enumerate() {
                let to = format!("{}@{}", users[i ^ 1].user, opts.domain);
                let template = stanza::message(&to, rig.next_flow(), opts.size);
                rig.add(Rc::new(StanzaSender { conn, template }));
            }
            run(rig, &opts, &shard, pairs as usize * 2).await
        }
    })?;
    let (stats, span) = total(outcomes);
    report.traffic(opts, &stats, &span);
    Ok(())
}

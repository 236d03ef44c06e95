//! SIP MESSAGE between pairs of registered users, both ways.

use std::sync::Arc;

use super::sip_users;
use crate::{
    Result,
    env::{Env, accounts},
    load::{run, threads, total},
    opts::{Opts, name},
    report::Report,
    rig::Rig,
    sip::user::MessageSender,
};

/// Runs it.
pub fn measure(opts: &Arc<Opts>, run_id: u32, report: &mut Report) -> Result<()> {
    let (pairs, window) = (opts.pairs.unwrap_or(50), opts.window.unwrap_or(4));
    report.put("sip_transport", name(&opts.sip_transport));
    report.put("pairs", pairs);
    report.put("window", if opts.rate.is_some() { 0 } else { window });
    report.put("text_bytes", opts.text);
    if let Some(trunks) = opts.trunks {
        report.put("trunks", trunks);
    }
    let shared = opts.clone();
    let outcomes = threads(opts.threads, move |shard| {
        let opts = shared.clone();
        async move {
            let (first, mine) = shard.part(pairs);
            let env = Env::new(opts.clone(), run_id)?;
            let rig = Rig::new(run_id, first * 2, window);
            let users = sip_users(&env, &accounts(&opts, first * 2, mine * 2)?, rig.clone()).await?;
            for (i, user) in users.iter().enumerate() {
                let to = users[i ^ 1].aor();
                rig.add(MessageSender::new(&env, user.clone(), to, rig.next_flow(), opts.text));
            }
            run(rig, &opts, &shard, pairs as usize * 2).await
        }
    })?;
    let (stats, span) = total(outcomes);
    report.traffic(opts, &stats, &span);
    Ok(())
}

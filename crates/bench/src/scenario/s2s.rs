//! XMPP messages between a partner's users and ours, all over one TLS stream between the servers.

use std::{net::SocketAddr, rc::Rc, sync::Arc};

use super::xmpp_users;
use crate::{
    Result,
    env::{Env, accounts},
    load::{run, threads, total},
    opts::{Opts, Way, name},
    report::Report,
    rig::Rig,
    tls,
    xmpp::{
        partner,
        session::{StanzaSender, attend},
        stanza,
    },
};

/// The partner.
#[derive(Clone)]
pub struct Partner {
    /// Where the server under test listens for servers.
    pub at: SocketAddr,
    /// The partner's domain.
    pub domain: String,
    /// Its certificate chain, PEM.
    pub certificate: String,
    /// Its key, PEM.
    pub key: String,
}

/// Runs it.
pub fn measure(
    opts: &Arc<Opts>,
    run_id: u32,
    partner: &Partner,
    way: Way,
    report: &mut Report,
) -> Result<()> {
    let (pairs, window) = (opts.pairs.unwrap_or(50), opts.window.unwrap_or(20));
    report.put("direction", name(&way));
    report.put("pairs", pairs);
    report.put("window", if opts.rate.is_some() { 0 } else { window });
    report.put("stanza_bytes", opts.size);
    let (shared, partner) = (opts.clone(), partner.clone());
    let ways = if way == Way::Both { 2 } else { 1 };
    // One stream has one reader: more threads would only wait for it.
    let outcomes = threads(1, move |shard| {
        let (opts, partner) = (shared.clone(), partner.clone());
        async move {
            let env = Env::new(opts.clone(), run_id)?;
            let rig = Rig::new(run_id, 0, window);
            let users = accounts(&opts, 0, pairs)?;
            let conns = xmpp_users(&env, &users, rig.clone()).await?;
            let tls = tls::as_partner(opts.ca.as_deref(), opts.insecure, &partner.certificate, &partner.key)?;
            let stream = partner::stream(partner.at, &partner.domain, &opts.domain, &tls, env.tls_name());
            let reader = stream.await?;
            let carrier = reader.conn.clone();
            tokio::task::spawn_local(attend(reader, pairs, rig.clone()));
            for (user, conn) in users.iter().zip(conns) {
                let (ours, theirs) =
                    (format!("{}@{}", user.user, opts.domain), format!("{}@{}", user.user, partner.domain));
                if way != Way::Out {
                    let template = stanza::message_from(&theirs, &ours, rig.next_flow(), opts.size);
                    rig.add(Rc::new(StanzaSender { conn: carrier.clone(), template }));
                }
                if way != Way::In {
                    let template = stanza::message(&theirs, rig.next_flow(), opts.size);
                    rig.add(Rc::new(StanzaSender { conn, template }));
                }
            }
            run(rig, &opts, &shard, pairs as usize * ways).await
        }
    })?;
    let (stats, span) = total(outcomes);
    report.traffic(opts, &stats, &span);
    Ok(())
}

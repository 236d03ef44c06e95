//! SIP MESSAGE between a partner's users and ours, over a few TLS connections between the servers. Ours use XMPP, which
//! costs the server less than phones would: what is measured is the trunk.

use std::{cell::Cell, rc::Rc, sync::Arc};

use super::{s2s::Partner, xmpp_users};
use crate::{
    Result,
    env::{Env, accounts, nonce},
    load::{run, threads, total},
    opts::{Opts, Way, name},
    report::Report,
    rig::Rig,
    sip::{
        link::Link,
        user::{MessageSender, Request, User},
    },
    tls,
    xmpp::{session::StanzaSender, stanza},
};

/// Runs it.
pub fn measure(
    opts: &Arc<Opts>,
    run_id: u32,
    partner: &Partner,
    (connections, way): (u32, Way),
    report: &mut Report,
) -> Result<()> {
    let (pairs, window) = (opts.pairs.unwrap_or(48), opts.window.unwrap_or(8));
    report.put("direction", name(&way));
    report.put("connections", connections);
    report.put("pairs", pairs);
    report.put("window", if opts.rate.is_some() { 0 } else { window });
    report.put("text_bytes", opts.text);
    let (shared, partner) = (opts.clone(), partner.clone());
    let ways = if way == Way::Both { 2 } else { 1 };
    let outcomes = threads(1, move |shard| {
        let (opts, partner) = (shared.clone(), partner.clone());
        async move {
            let env = Env::new(opts.clone(), run_id)?;
            let rig = Rig::new(run_id, 0, window);
            let users = accounts(&opts, 0, pairs)?;
            let conns = xmpp_users(&env, &users, rig.clone()).await?;
            let tls = tls::as_partner(opts.ca.as_deref(), opts.insecure, &partner.certificate, &partner.key)?;
            let mut links = Vec::new();
            for _ in 0..connections.max(1) {
                let link = Link::trunk(&env, partner.at, &tls, env.tls_name(), rig.clone()).await?;
                let server = User::elsewhere(link.clone(), users[0].clone(), &partner.domain);
                greet(&server, &opts.domain).await?;
                links.push(link);
            }
            for (i, (user, conn)) in users.iter().zip(conns).enumerate() {
                let theirs = User::elsewhere(links[i % links.len()].clone(), user.clone(), &partner.domain);
                if way != Way::Out {
                    let to = format!("sip:{}@{}", user.user, opts.domain);
                    rig.add(MessageSender::new(&env, theirs, to, rig.next_flow(), opts.text));
                }
                if way != Way::In {
                    let to = format!("{}@{}", user.user, partner.domain);
                    let template = stanza::message(&to, rig.next_flow(), opts.size);
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

/// The first request shows who we are; from then on the connection carries both ways.
async fn greet(server: &User, domain: &str) -> Result<()> {
    let (uri, call_id) = (format!("sip:{domain}"), nonce());
    let to = format!("<{uri}>");
    let (cseq, headers, body) = (&Cell::new(0), "", "");
    let request = Request { method: "OPTIONS", uri: &uri, to: &to, call_id: &call_id, cseq, headers, body };
    let reply = server.request(request).await?;
    match reply.code {
        200 => Ok(()),
        code => {
            Err(format!("the trunk is refused: {code} {}", reply.header("Warning").unwrap_or_default())
                .into())
        }
    }
}

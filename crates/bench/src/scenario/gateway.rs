//! XMPP users paired with SIP users through one server.

use std::{rc::Rc, sync::Arc};

use super::{sip_users, xmpp_users};
use crate::{
    Result,
    env::{Env, accounts},
    load::{run, threads, total},
    opts::{Direction, Opts, name},
    report::Report,
    rig::Rig,
    sip::user::MessageSender,
    xmpp::{session::StanzaSender, stanza},
};

/// How each side writes the other's addresses; `{user}` and `{domain}` stand for the parts.
#[derive(Clone)]
pub struct Addressing {
    /// A SIP user for XMPP users; the domain is the SIP one.
    pub sip_as_jid: String,
    /// An XMPP user for SIP users; the domain is the XMPP one.
    pub jid_as_uri: String,
}

/// Runs it. The first half of the accounts speaks XMPP, the second SIP.
pub fn measure(
    opts: &Arc<Opts>,
    run_id: u32,
    direction: Direction,
    addressing: &Addressing,
    report: &mut Report,
) -> Result<()> {
    let (pairs, window) = (opts.pairs.unwrap_or(20), opts.window.unwrap_or(5));
    report.put("direction", name(&direction));
    report.put("xmpp_tls", name(&opts.xmpp_tls));
    report.put("sip_transport", name(&opts.sip_transport));
    report.put("pairs", pairs);
    report.put("window", if opts.rate.is_some() { 0 } else { window });
    let per_pair = if direction == Direction::Both { 2 } else { 1 };
    let (shared, addressing) = (opts.clone(), addressing.clone());
    let outcomes = threads(opts.threads, move |shard| {
        let (opts, addressing) = (shared.clone(), addressing.clone());
        async move {
            let (first, mine) = shard.part(pairs);
            let env = Env::new(opts.clone(), run_id)?;
            let rig = Rig::new(run_id, first * per_pair, window);
            let (left, right) = (accounts(&opts, first, mine)?, accounts(&opts, pairs + first, mine)?);
            let conns = xmpp_users(&env, &left, rig.clone()).await?;
            let phones = sip_users(&env, &right, rig.clone()).await?;
            let write = |pattern: &str, user: &str, domain: &str| {
                pattern.replace("{user}", user).replace("{domain}", domain)
            };
            for (i, (conn, phone)) in conns.into_iter().zip(phones).enumerate() {
                if direction != Direction::ToXmpp {
                    let to = write(&addressing.sip_as_jid, &right[i].user, opts.sip_domain());
                    let template = stanza::message(&to, rig.next_flow(), opts.size);
                    rig.add(Rc::new(StanzaSender { conn, template }));
                }
                if direction != Direction::ToSip {
                    let to = write(&addressing.jid_as_uri, &left[i].user, &opts.domain);
                    rig.add(MessageSender::new(&env, phone, to, rig.next_flow(), opts.text));
                }
            }
            run(rig, &opts, &shard, (pairs * per_pair) as usize).await
        }
    })?;
    let (stats, span) = total(outcomes);
    report.traffic(opts, &stats, &span);
    Ok(())
}

//! What can be measured, one file each.

pub mod c2s;
pub mod export;
pub mod gateway;
pub mod idle;
mod journal;
pub mod login;
pub mod policy;
pub mod presence;
pub mod s2s;
pub mod search;
pub mod sip;
pub mod trunk;
pub mod verify;

use std::rc::Rc;

use tokio::task::JoinHandle;

use crate::{
    Result,
    conn::{Conn, Reader},
    env::{Account, Env},
    rig::Sink,
    sip::{link::Link, user::User},
    xmpp::session,
};

/// Logs XMPP users in and lets each report to `sink` under its number.
async fn xmpp_users(env: &Rc<Env>, accounts: &[Account], sink: Rc<dyn Sink>) -> Result<Vec<Rc<Conn>>> {
    let total = accounts.len() as u32;
    let logins: Vec<JoinHandle<Result<Reader>>> = accounts
        .iter()
        .enumerate()
        .map(|(i, account)| {
            let (login_env, account) = (env.clone(), account.clone());
            let source = env.source(env.opts.xmpp, i as u32, total);
            env.paced(async move { session::login(&login_env, &account, source, true).await })
        })
        .collect();
    let mut conns = Vec::new();
    for (i, login) in logins.into_iter().enumerate() {
        let reader = login.await??;
        conns.push(reader.conn.clone());
        tokio::task::spawn_local(session::attend(reader, i as u32, sink.clone()));
    }
    Ok(conns)
}

/// Registers SIP users, each on a connection of its own or all on `--trunks` connections.
async fn sip_users(env: &Rc<Env>, accounts: &[Account], sink: Rc<dyn Sink>) -> Result<Vec<Rc<User>>> {
    let total = accounts.len() as u32;
    let mut trunks = Vec::new();
    for i in 0..env.opts.trunks.unwrap_or(0).min(total) {
        trunks.push(Link::open(env, env.source(env.opts.sip, i, total), sink.clone()).await?);
    }
    let logins: Vec<JoinHandle<Result<Rc<User>>>> = accounts
        .iter()
        .enumerate()
        .map(|(i, account)| {
            let (login_env, account, sink) = (env.clone(), account.clone(), sink.clone());
            let trunk = trunks.get(i % trunks.len().max(1)).cloned();
            let source = env.source(env.opts.sip, i as u32, total);
            env.paced(async move {
                let link = match trunk {
                    Some(link) => link,
                    None => Link::open(&login_env, source, sink).await?,
                };
                let user = User::new(&login_env, link, account);
                user.register(true).await?;
                Ok(user)
            })
        })
        .collect();
    let mut users = Vec::new();
    for login in logins {
        users.push(login.await??);
    }
    Ok(users)
}

//! Listeners: which ones the configuration wants, and what is said of one that cannot be opened.

use crate::config::{Config, SipListen, XmppListen};
use crate::failure::Failure;
use crate::house;
use crate::recording::Recorder;
use connector::TlsMode;
use net::{Admission, Bound, ListenError, Opening};
use std::sync::Arc;
use store::SqliteStore;
use web::ListenerView;

pub(super) fn admission(config: &Config) -> Admission {
    config.limits.admission()
}

pub(super) fn wanted(
    config: &Config,
    store: &SqliteStore,
    partners: &Arc<partner::Federation>,
    recorder: Option<&Recorder>,
) -> Result<Vec<Opening>, Failure> {
    let doors = house::doors(config, store, partners, recorder)?;
    let mut wanted: Vec<Opening> = doors.iter().flat_map(Opening::of).collect();
    // The doors have their listeners in the order of the configuration.
    let proxies =
        config.xmpp.iter().map(XmppListen::proxies).chain(config.sip.iter().map(SipListen::proxies));
    for (opening, proxies) in wanted.iter_mut().zip(proxies) {
        opening.proxies = proxies;
    }
    Ok(wanted)
}

/// A listener that cannot be opened, said where the configuration names it.
pub(super) fn misplaced(config: &Config, error: &ListenError) -> Failure {
    let addresses = config.xmpp.iter().map(|l| &l.address).chain(config.sip.iter().map(|l| &l.address));
    let what = format!("{error}; choose another address, or end what uses it");
    match addresses.into_iter().find(|a| *a.get_ref() == error.addr()) {
        Some(address) => config.source.mistake_at(address, what).into(),
        None => Failure::new(what),
    }
}

pub(super) fn view(bound: &Bound) -> ListenerView {
    let tls = match bound.listener.tls {
        TlsMode::None => "none",
        TlsMode::Direct => "direct",
        TlsMode::Upgrade => "starttls",
    };
    ListenerView {
        name: bound.listener.name.clone(),
        address: bound.listener.addr.to_string(),
        tls: tls.to_owned(),
    }
}

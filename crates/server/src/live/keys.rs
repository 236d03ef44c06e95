//! Which keys of the configuration show at once, and which wait for a restart.

use crate::config::{Config, FailOpen, SipListen, SipTransport, XmppListen};
use web::Reloaded;

/// When a changed key shows.
enum When {
    /// At once, for connections that exist or for those that come.
    Now,
    /// Only in a new process, because of this.
    Restart(&'static str),
    /// Machines of datagram sockets live as long as their socket.
    NewSocket,
}

type Reading = fn(&Config) -> String;

/// Every key but listeners and certificate, when a change of it shows, and how to see that it changed.
const KEYS: &[(&str, When, Reading)] = &[
    ("domains", When::Restart("accounts and sessions are tied to it"), |c| format!("{:?}", c.domains)),
    ("data", When::Restart("the store is open"), |c| format!("{:?}", c.data)),
    ("workers", When::Restart("threads are made at the start"), |c| format!("{}", c.workers)),
    ("xmpp.require_tls", When::Now, |c| format!("{}", c.xmpp_require_tls)),
    ("xmpp.resume_seconds", When::Now, |c| format!("{}", c.xmpp_resume_secs)),
    ("sip.md5", When::NewSocket, |c| format!("{}", c.sip_md5)),
    ("sip.public_host", When::NewSocket, |c| format!("{:?}", c.sip_public_host)),
    ("limits.messages_per_second", When::Now, |c| format!("{}", c.limits.messages_per_second)),
    ("limits.burst", When::Now, |c| format!("{}", c.limits.burst)),
    ("limits", When::Now, |c| c.limits.shown()),
    ("limits.message_bytes", When::Now, |c| format!("{}", c.limits.message_bytes)),
    ("limits.connections", When::Now, |c| format!("{}", c.limits.connections)),
    ("limits.connections_per_source", When::Now, |c| format!("{}", c.limits.connections_per_source)),
    ("record.retention", When::Now, |c| format!("{}", c.record.rule())),
    ("record.search", When::Restart("the index is opened at the start"), |c| format!("{}", c.record.search)),
    ("record.presence", When::Restart("sessions that are there would be missing"), |c| {
        format!("{}", c.record.presence)
    }),
    ("reports", When::Now, |c| {
        let r = &c.reports;
        format!("{:?} {:?} {} {:?}", r.every, r.forms(), r.aggregates, r.to())
    }),
    ("record.fail_open", When::Now, |c| {
        let shown = |open: &FailOpen| {
            let features = open.features.as_ref().map(toml::Spanned::get_ref);
            format!("{:?} {features:?}", open.partner.as_ref().map(toml::Spanned::get_ref))
        };
        format!("{:?}", c.record.fail_open.iter().map(shown).collect::<Vec<_>>())
    }),
    ("record.checkpoint_minutes", When::Now, |c| format!("{}", c.record.checkpoint_minutes)),
    ("record.anchors", When::Now, |c| c.record.anchors.shown()),
    ("xmpp.listen.trusted", When::Now, |c| {
        format!("{:?}", c.xmpp.iter().map(XmppListen::proxies).collect::<Vec<_>>())
    }),
    ("sip.listen.trusted", When::Now, |c| {
        format!("{:?}", c.sip.iter().map(SipListen::proxies).collect::<Vec<_>>())
    }),
    ("drain.seconds", When::Now, |c| format!("{}", c.drain.as_secs())),
    ("drain.go_to", When::Now, |c| format!("{:?}", c.go_to)),
    ("log.format", When::Now, |c| format!("{:?}", c.log.format)),
    ("log.level", When::Now, |c| format!("{:?}", c.log.level)),
    ("log.targets", When::Now, |c| format!("{:?}", c.log.targets)),
    ("traces", When::Restart("the exporter begins with the server"), |c| format!("{:?}", c.traces)),
    ("acme", When::Restart("the keeper of certificates begins with the server"), |c| format!("{:?}", c.acme)),
    ("metrics.listen", When::Restart("it is opened at the start"), |c| format!("{:?}", c.metrics)),
    ("federation", When::Now, |c| {
        let f = &c.federation;
        let authorities: Vec<&String> = f.authorities.iter().map(toml::Spanned::get_ref).collect();
        let who = [&f.who, &f.except].map(|all| all.iter().map(|w| w.get_ref().clone()).collect::<Vec<_>>());
        let anchors = f.dnssec_anchors.as_ref().map(toml::Spanned::get_ref);
        let dns: Vec<_> = f.dns.iter().map(toml::Spanned::get_ref).collect();
        format!(
            "{:?}, {:?}, who {who:?}, authorities {authorities:?}, system's {}, dialback {}, dane {}, posh {}, anchors {anchors:?}, dns {dns:?}, deadline {}, tests {}",
            f.mode,
            f.protocols,
            f.system_authorities,
            f.dialback,
            f.dane,
            f.posh,
            f.deadline_seconds,
            f.test_hours
        )
    }),
    ("federation.listen", When::Restart("it is opened at the start"), |c| {
        format!("{:?}", c.federation.listen.as_ref().map(toml::Spanned::get_ref))
    }),
    ("federation.url", When::Now, |c| format!("{:?}", c.federation.url.as_ref().map(toml::Spanned::get_ref))),
    ("control.socket", When::Restart("it is opened at the start"), |c| {
        let part = &c.administration;
        format!("{:?}, group {:?}", c.control(), part.group.as_ref().map(toml::Spanned::get_ref))
    }),
    ("control.four_eyes", When::Now, |c| {
        let eyes = c.administration.four_eyes();
        format!("{:?}, for {} hours", eyes.acts, eyes.hours)
    }),
    ("quarantine.days", When::Now, |c| {
        c.quarantine_days.map_or_else(|| "for ever".to_owned(), |days| days.to_string())
    }),
    ("hygiene", When::Now, |c| c.hygiene.shown()),
    ("spim", When::Now, |c| c.spim.shown()),
    ("upload.listen", When::Restart("it is opened at the start"), |c| {
        format!("{:?} (plain: {})", c.upload.listen.as_ref().map(toml::Spanned::get_ref), c.upload.plain)
    }),
    ("upload", When::Now, |c| format!("{:?}", c.upload.settings())),
    ("mail", When::Now, |c| format!("{:?}", c.mail())),
    ("journaling", When::Now, |c| format!("{:?}", c.journaling())),
    ("outbreak", When::Now, |c| format!("{:?}", c.outbreak.settings())),
    ("consent.messages", When::Now, |c| format!("{:?}", c.consent.messages)),
    ("consent.presence", When::Now, |c| format!("{:?}", c.consent.presence)),
];

/// What differs, key by key.
pub(super) fn compare(before: &Config, after: &Config) -> Reloaded {
    let mut done = Reloaded::default();
    let has_udp = |c: &Config| c.sip.iter().any(|l| l.transport == SipTransport::Udp);
    for (key, when, read) in KEYS.iter().filter(|(_, _, read)| read(before) != read(after)) {
        let (old, new, place) = (read(before), read(after), after.source.place(key));
        let why = match when {
            When::Now => None,
            When::Restart(why) => Some(*why),
            When::NewSocket => (has_udp(before) && has_udp(after))
                .then_some("open UDP listeners keep the old value, new connections have the new one"),
        };
        match why {
            None => done.changed.push(format!("{key}: {old} -> {new}")),
            Some(why) => done.restart.push(format!("{place}: `{key}`: {old} -> {new} ({why})")),
        }
    }
    done
}

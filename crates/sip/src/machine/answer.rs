//! What every method needs to answer and to ask: status lines, Via, Contact.

use std::net::IpAddr;

use connector::{Output, Transport};
use model::{Address, Now, Reason, Refusal};

use super::{ACCEPT, ALLOW, Job, Owed, SOFTWARE, SipMachine, WINDOW};
use crate::transaction::{Hop, ServerId};
use crate::translate::{address, refusal};
use crate::wire::Writer;

/// Bytes of a challenge that is kept.
const MAX_CHALLENGE: usize = 4096;

impl SipMachine {
    pub(super) fn refuse(&mut self, now: Now, job: &Job, status: u16) {
        self.answer(now, job, status, |_| {});
    }

    pub(super) fn answer(&mut self, now: Now, job: &Job, status: u16, edit: impl FnOnce(&mut Writer)) {
        let tag = self.dice.token(10);
        let mut w = job.request.reply.answer(status, &tag);
        edit(&mut w);
        w.header("Server", SOFTWARE);
        self.send_answer(now, job.id, job.back, w);
    }

    pub(super) fn answer_owed(
        &mut self,
        now: Now,
        owed: &Owed,
        status: u16,
        tag: Option<&str>,
        edit: impl FnOnce(&mut Writer),
    ) {
        let fresh;
        let tag = match tag {
            Some(t) => t,
            None => {
                fresh = self.dice.token(10);
                &fresh
            }
        };
        let mut w = owed.reply.answer(status, tag);
        edit(&mut w);
        w.header("Server", SOFTWARE);
        self.send_answer(now, owed.id, owed.back, w);
    }

    /// Answers with a refusal of the hub (RFC 7247 7.1).
    pub(super) fn answer_refusal(&mut self, now: Now, owed: &Owed, no: &Refusal, full: bool) {
        // The account has proved itself already: a challenge would only go in circles.
        let status = match refusal::status(no, full) {
            401 | 407 => 403,
            s => s,
        };
        let tag = self.dice.token(10);
        let mut w = owed.reply.answer_with(status, &refusal::words(no, status), &tag);
        if let Some(contact) = refusal::contact(no).filter(|_| (300..400).contains(&status)) {
            w.header("Contact", contact);
        }
        match status {
            405 | 501 => {
                w.header("Allow", ALLOW);
            }
            415 => {
                w.header("Accept", ACCEPT);
            }
            // The store looks every second whether it can be written again.
            503 => {
                w.header("Retry-After", "10");
            }
            // What a limit of a rate gives back meanwhile is enough for another try (RFC 3261 21.5.1).
            500 if no.reason == Reason::Overloaded => {
                w.header("Retry-After", "5");
            }
            _ => {}
        }
        w.header("Server", SOFTWARE);
        self.send_answer(now, owed.id, owed.back, w);
    }

    pub(super) fn send_answer(&mut self, now: Now, id: ServerId, back: Hop, w: Writer) {
        self.transactions.respond(now.tick, id, back, w.finish(b""));
        self.resume_if_idle(back);
    }

    /// A challenge. A large one, to whom nobody knows, is kept for no repetition: that gets another (RFC 3261 26.3.2.4).
    pub(super) fn send_challenge(&mut self, now: Now, id: ServerId, back: Hop, w: Writer) {
        let bytes = w.finish(b"");
        match bytes.len() > MAX_CHALLENGE {
            true => self.transactions.respond_once(id, back, bytes),
            false => self.transactions.respond(now.tick, id, back, bytes),
        }
        self.resume_if_idle(back);
    }

    /// Reads a connection again once the hub has caught up with it.
    pub(super) fn resume_if_idle(&mut self, hop: Hop) {
        if let (true, Hop::Stream(flow)) = (self.paused, hop)
            && self.transactions.waiting(hop) < WINDOW / 2
        {
            self.paused = false;
            self.out.push_back(Output::Resume(flow));
        }
    }

    /// A fresh branch (RFC 3261 8.1.1.7).
    pub(super) fn branch(&mut self) -> String {
        format!("z9hG4bK{}", self.dice.token(24))
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(super) fn via(&self, to: Hop, branch: &str) -> String {
        // RFC 5923: requests may come back on this connection.
        let alias =
            if self.trunk.is_some() && self.config.trunk_port(self.tls).is_some() { ";alias" } else { "" };
        match (self.transport, self.tls) {
            (Transport::Udp, _) => format!("SIP/2.0/UDP {};rport;branch={branch}", self.sent_by(to)),
            (Transport::Tcp, false) => format!("SIP/2.0/TCP {};branch={branch}{alias}", self.sent_by(to)),
            (Transport::Tcp, true) => format!("SIP/2.0/TLS {};branch={branch}{alias}", self.sent_by(to)),
        }
    }

    pub(super) fn sent_by(&self, to: Hop) -> String {
        let local = self.peer.local;
        let text = |ip: IpAddr| match ip.to_canonical() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let host = match (&self.config.public_host, to) {
            (Some(host), _) => host.clone(),
            (None, _) if !local.ip().is_unspecified() => text(local.ip()),
            // Whoever sits on this machine finds us by the address it has itself.
            (None, Hop::Udp(peer)) if peer.ip().to_canonical().is_loopback() => text(peer.ip()),
            (None, _) => {
                self.config.domains.first().map_or_else(|| "localhost".to_owned(), |d| address::host(d))
            }
        };
        let port = match self.trunk.is_some() {
            // The end of a connection that we opened is no place to come to.
            true => self.config.trunk_port(self.tls).unwrap_or(local.port()),
            false => local.port(),
        };
        if port == 0 { host } else { format!("{host}:{port}") }
    }

    /// Our own Contact, inside dialogs of one of us.
    pub(super) fn contact(&self, to: Hop, ours: &Address) -> String {
        if self.trunk.is_some() && self.config.public_host.is_none() {
            // As they found us before.
            let transport = if self.tls { "tls" } else { "tcp" };
            return format!("<{};transport={transport}>", address::to_uri(&ours.to_domain()));
        }
        let transport = match (self.transport, self.tls) {
            (Transport::Udp, _) => "",
            (Transport::Tcp, false) => ";transport=tcp",
            (Transport::Tcp, true) => ";transport=tls",
        };
        format!("<sip:{}{transport}>", self.sent_by(to))
    }
}

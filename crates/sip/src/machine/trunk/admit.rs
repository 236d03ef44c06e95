//! Who may ask for what on a connection between servers: only domains that proved themselves, for domains of ours.

use std::time::Duration;

use model::{Answer, Ask, Dialect, DomainPair, Now, Reason, Refusal};

use super::{Asked, Mailbox, Standing, Trunk};
use crate::machine::{Job, SOFTWARE, SipMachine, Waiting};
use crate::translate::address;
use crate::wire::{NameAddr, clean, quote};
use connector::{Flow, Output};
use model::{Address, Opener};

/// Pairs of domains on one connection; a hosting company has many.
const MAX_PAIRS: usize = 1_000;
/// How long a no is believed: agreements are made and certificates renewed while connections stay.
const NO: Duration = Duration::from_secs(60);
/// When they may try again after a question that could not be answered.
const RETRY_AFTER: u32 = 10;
/// Asserted identities that are looked at.
const MAX_ASSERTED: usize = 4;

impl Trunk {
    fn admission(&self, pair: DomainPair, secured: bool) -> Ask {
        Ask::Admit {
            pair,
            dialect: Dialect::Sip,
            opener: self.opener,
            certificates: self.certificates.clone(),
            secured,
        }
    }
}

impl SipMachine {
    /// Lets a request in once everybody in whose name it comes has proved themselves.
    pub(in crate::machine) fn gate(&mut self, now: Now, job: Job) {
        if let Some(trunk) = &mut self.trunk {
            trunk.used = now.tick;
        }
        if self.is_loop(&job) {
            return self.refuse(now, &job, 482);
        }
        let (to, from) = (local_side(&job), address::from_header(&job.request.from));
        let reached = |domain: &str| self.config.serves(domain) || self.config.carries.has(domain);
        let Some(local) = to.filter(|to| reached(to.domain())) else {
            if job.request.method() == "OPTIONS" {
                return self.carry_out(now, job);
            }
            return self.forbid(now, &job, 404, "that domain is not served here");
        };
        let Some(from) = from else {
            return self.forbid(now, &job, 403, "From names nobody");
        };
        let mut speakers = vec![from.address.to_domain()];
        // RFC 3325: what they assert counts for us as From does; a telephone number names no domain.
        let asserted = job.request.list("P-Asserted-Identity");
        if asserted.len() > MAX_ASSERTED {
            return self.forbid(now, &job, 400, "too many asserted identities");
        }
        for identity in asserted {
            match NameAddr::parse(&identity) {
                Some(id) if id.uri.to_ascii_lowercase().starts_with("tel:") => {}
                Some(id) => match address::from_uri(&id.uri) {
                    Some(id) => speakers.push(id.address.to_domain()),
                    None => return self.forbid(now, &job, 403, "P-Asserted-Identity names nobody"),
                },
                None => return self.forbid(now, &job, 400, "P-Asserted-Identity cannot be read"),
            }
        }
        let Some(trunk) = &mut self.trunk else { return };
        let pairs: Vec<DomainPair> =
            speakers.into_iter().map(|remote| DomainPair { local: local.clone(), remote }).collect();
        let over =
            |standing: &Standing| matches!(standing, Standing::Refused(_, until) if *until <= now.tick);
        if trunk.pairs.len() >= MAX_PAIRS {
            trunk.pairs.retain(|_, standing| !over(standing));
        }
        let full = trunk.pairs.len() >= MAX_PAIRS;
        for pair in &pairs {
            match trunk.pairs.get_mut(pair) {
                Some(Standing::Certified(_)) => {}
                Some(Standing::Refused(why, until)) if now.tick < *until => {
                    let why = why.clone();
                    return self.forbid(now, &job, 403, &why);
                }
                Some(Standing::Asked(parked)) => return parked.push(job),
                None if full => {
                    return self.forbid(now, &job, 403, "too many domains on one connection");
                }
                None | Some(Standing::Refused(..)) => {
                    let pair = pair.clone();
                    return self.ask_admission(now, pair, vec![job]);
                }
            }
        }
        // RFC 5923: whoever says so takes requests on the connection it opened; on ours it may expect them anyway.
        let reusable = trunk.opener == Opener::Us || job.request.reply.has_via_flag("alias");
        if let (true, Some(pair)) = (reusable, pairs.into_iter().next()) {
            self.bind_mailbox(now, pair);
        }
        self.let_in(now, job, from.address);
    }

    fn let_in(&mut self, now: Now, job: Job, from: Address) {
        match job.request.method() {
            "MESSAGE" | "SUBSCRIBE" | "INVITE" if from.user().is_none() => {
                self.forbid(now, &job, 403, "From names no user");
            }
            _ if self.is_call(&job) => self.proxy(now, job, from),
            "MESSAGE" => self.message(now, job, from),
            "SUBSCRIBE" if is_presence(&job) => self.subscribe(now, job, from),
            "NOTIFY" if job.request.reply.has_to_tag() && is_presence(&job) => self.news(now, job),
            "SUBSCRIBE" | "NOTIFY" if !is_presence(&job) => self.answer(now, &job, 489, |w| {
                w.header("Allow-Events", "presence");
            }),
            // Accounts of ours register and publish where passwords are asked for.
            "REGISTER" | "PUBLISH" => self.answer(now, &job, 405, |w| {
                w.header("Allow", "OPTIONS, MESSAGE, SUBSCRIBE, NOTIFY, INVITE, ACK, CANCEL, BYE, UPDATE, PRACK, INFO, REFER");
            }),
            _ => self.carry_out(now, job),
        }
    }

    /// RFC 5393: it has been here, under our own name.
    fn is_loop(&self, job: &Job) -> bool {
        let ours = self.sent_by(job.source);
        job.request.reply.hops_before().any(|via| {
            let host = via.split(';').next().unwrap_or_default().split_whitespace().last();
            host.is_some_and(|host| host.eq_ignore_ascii_case(&ours))
        })
    }

    /// Asks once whether this pair may; what came for it waits.
    pub(super) fn ask_admission(&mut self, now: Now, pair: DomainPair, parked: Vec<Job>) {
        let Some(trunk) = &mut self.trunk else { return };
        trunk.pairs.insert(pair.clone(), Standing::Asked(parked));
        let ask = trunk.admission(pair.clone(), self.tls);
        self.ask(now, ask, Waiting::Trunk(Asked::Admission(pair)));
    }

    /// Asks whether what was proved still holds: certificates run out, and agreements end.
    pub(super) fn prove_again(&mut self, now: Now) {
        let Some(trunk) = &mut self.trunk else { return };
        trunk.proved = now.tick;
        let certified = trunk.pairs.iter().filter(|(_, s)| matches!(s, Standing::Certified(_)));
        let asks: Vec<Ask> = certified.map(|(pair, _)| trunk.admission(pair.clone(), self.tls)).collect();
        asks.into_iter().for_each(|ask| self.ask(now, ask, Waiting::Trunk(Asked::Again)));
    }

    /// If it does not, the connection ends: whoever wants to go on begins anew, and hears why not.
    pub(super) fn proved_again(&mut self, now: Now, answer: &Answer) {
        if !matches!(answer, Answer::Admitted(admission) if admission.certified.is_ok()) {
            self.close(now.tick, Flow::ACCEPTED);
        }
    }

    pub(super) fn admitted(&mut self, now: Now, pair: DomainPair, answer: Answer) {
        let verdict = match answer {
            Answer::Admitted(admission) => admission.certified.map_err(|why| {
                let said = format!("this connection does not prove to be {}: {why}", pair.remote);
                let text = format!("the server of {} is not trusted: {why}", pair.remote);
                (said, Refusal::new(Reason::NotAuthorized).with_text(text).by_rule("federation.trust"))
            }),
            Answer::Refused(no) => {
                let text = no.text.as_deref().unwrap_or(no.reason.name()).to_owned();
                Err((text, no))
            }
            _ => Err(("the server broke".to_owned(), Refusal::new(Reason::Internal))),
        };
        let Some(trunk) = &mut self.trunk else { return };
        let errand = trunk.errand.as_ref() == Some(&pair);
        let parked = match trunk.pairs.remove(&pair) {
            Some(Standing::Asked(parked)) => parked,
            _ => Vec::new(),
        };
        match verdict {
            Ok(()) => {
                trunk.pairs.insert(pair.clone(), Standing::Certified(Mailbox::No));
                if errand {
                    self.hello(now, pair);
                }
                parked.into_iter().for_each(|job| self.gate(now, job));
            }
            Err((text, no)) => {
                // A domain that is not to be had here is a decision; of the others nobody has made one, and the next request
                // asks again.
                if no.reason.is_transient() && no.reason != Reason::RemoteNotFound {
                    parked.iter().for_each(|job| self.put_off(now, job, &text));
                } else {
                    trunk.pairs.insert(pair, Standing::Refused(text, now.tick + NO));
                    parked.into_iter().for_each(|job| self.gate(now, job));
                }
                if errand {
                    self.fail(now, no);
                }
            }
        }
    }

    /// Whether they may could not be told just now (RFC 3261 21.5.1).
    fn put_off(&mut self, now: Now, job: &Job, why: &str) {
        let why: String = clean(why).chars().take(200).collect();
        let tag = self.dice.token(10);
        let mut w = job.request.reply.answer_with(500, &why, &tag);
        w.header("Retry-After", RETRY_AFTER).header("Server", SOFTWARE);
        self.send_answer(now, job.id, job.back, w);
    }

    /// Answers with words of ours, on the status line and in a Warning (RFC 3261 20.43).
    pub(in crate::machine) fn forbid(&mut self, now: Now, job: &Job, status: u16, why: &str) {
        let why: String = clean(why).chars().take(200).collect();
        let tag = self.dice.token(10);
        let mut w = job.request.reply.answer_with(status, &why, &tag);
        w.header("Warning", format!("399 {} {}", self.sent_by(job.source), quote(&why)))
            .header("Server", SOFTWARE);
        self.send_answer(now, job.id, job.back, w);
    }

    /// What waits for the pairs of this connection goes elsewhere from now on.
    pub(in crate::machine) fn unattend(&mut self) {
        let Some(trunk) = &mut self.trunk else { return };
        for standing in trunk.pairs.values() {
            if let Standing::Certified(Mailbox::Bound(endpoint)) = standing {
                self.out.push_back(Output::Attend(endpoint.clone(), None));
            }
        }
    }
}

/// Which domain of ours a request is for. Inside a dialog the target is our own contact, so To says it.
fn local_side(job: &Job) -> Option<Address> {
    let named = match job.request.reply.has_to_tag() {
        true => address::from_header(&job.request.to),
        false => address::from_uri(&job.request.target()),
    };
    named.map(|named| named.address.to_domain())
}

fn is_presence(job: &Job) -> bool {
    job.request.params("Event").is_some_and(|event| event.head.eq_ignore_ascii_case("presence"))
}

//! SASL on the stream: RFC 6120 section 6, XEP-0440.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use connector::Output;
use model::{Address, Answer, Ask, Scheme};

use crate::jid;
use crate::sasl::{ClientFirst, Failure, Mechanism, Offer, Plain, Scram};
use crate::wire::{Condition, SASL, SASL_CB, Stanza, Writer, content};

use super::C2s;
use super::asked::Asked;
use super::phase::Phase;

/// The log-in of one stream.
#[derive(Debug, Default)]
pub(crate) struct Login {
    pub offer: Offer,
    failures: u32,
    exchange: Exchange,
}

/// Where the exchange stands.
#[derive(Debug, Default)]
enum Exchange {
    #[default]
    None,
    /// The mechanism was chosen without its first message.
    Chosen(Mechanism),
    /// The key was asked for. Boxed: a session keeps this enum long after its log-in.
    Key { scheme: Scheme, first: Box<ClientFirst>, account: Address },
    /// The challenge is out.
    Proof(Box<Scram>, Option<Address>),
    /// The password is being checked.
    Password(Address),
}

impl Offer {
    /// Appends the stream features.
    pub(super) fn write(&self, w: &mut Writer) {
        w.open_ns("mechanisms", SASL);
        for name in self.names() {
            w.leaf("mechanism", name);
        }
        w.end();
        if self.binds() {
            w.open_ns("sasl-channel-binding", SASL_CB);
            for binding in &self.bindings {
                w.open("channel-binding").attr("type", binding.name).end();
            }
            w.end();
        }
    }
}

impl C2s {
    pub(super) fn sasl(&mut self, stanza: &Stanza<'_>) {
        let result = match stanza.name() {
            b"auth" => self.begin_login(stanza),
            b"response" => self.login_response(stanza),
            b"abort" => Err(Failure::Aborted),
            _ => return self.fail(Condition::InvalidXml),
        };
        if let Err(failure) = result {
            self.refuse_login(failure);
        }
    }

    fn begin_login(&mut self, stanza: &Stanza<'_>) -> Result<(), Failure> {
        self.login.exchange = Exchange::None;
        let name = stanza.attr("mechanism").unwrap_or_default();
        if !self.may_login() {
            return Err(Failure::EncryptionRequired);
        }
        let mechanism = match self.login.offer.choose(&name) {
            Some(mechanism) => mechanism,
            None if self.login.offer.needs_tls(&name) => return Err(Failure::EncryptionRequired),
            None => return Err(Failure::InvalidMechanism),
        };
        match decode(stanza)? {
            Some(message) => self.first_message(mechanism, &message),
            None => {
                self.login.exchange = Exchange::Chosen(mechanism);
                self.out.write(b"<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
                Ok(())
            }
        }
    }

    fn login_response(&mut self, stanza: &Stanza<'_>) -> Result<(), Failure> {
        let message = decode(stanza)?.unwrap_or_default();
        match std::mem::take(&mut self.login.exchange) {
            Exchange::Chosen(mechanism) => self.first_message(mechanism, &message),
            Exchange::Proof(scram, account) => {
                match (scram.finish(&message), account) {
                    (Ok(last), Some(account)) => self.logged_in(account, Some(&last)),
                    // A name that is no address cannot have a genuine key.
                    (Ok(_), None) => return Err(Failure::NotAuthorized),
                    (Err(failure), account) => self.refuse_login_of(account, failure),
                }
                Ok(())
            }
            _ => Err(Failure::MalformedRequest),
        }
    }

    fn first_message(&mut self, mechanism: Mechanism, message: &[u8]) -> Result<(), Failure> {
        match mechanism {
            Mechanism::Plain => {
                let plain = Plain::parse(message)?;
                let account = self.account_of(&plain.user).ok_or(Failure::NotAuthorized)?;
                check_authzid(&plain.authzid, Some(&account))?;
                self.park_ask(Ask::Verify { account: account.clone(), password: plain.password });
                self.login.exchange = Exchange::Password(account);
            }
            Mechanism::Scram { scheme, plus } => {
                let first = ClientFirst::parse(message, plus, &self.login.offer)?;
                let account = self.account_of(&first.user);
                check_authzid(first.authzid.as_deref().unwrap_or(""), account.as_ref())?;
                match account {
                    Some(account) => {
                        self.park_ask(Ask::Credential { account: account.clone(), scheme, from: None });
                        let first = Box::new(first);
                        self.login.exchange = Exchange::Key { scheme, first, account };
                    }
                    None => {
                        let key = self.config.decoy.or(None, scheme, &first.user);
                        let scram = Scram::challenge(scheme, first, key, &self.dice.token(26));
                        self.challenge(scram, None);
                    }
                }
            }
        }
        Ok(())
    }

    /// The account a SASL user name means on this stream. Some clients send their whole address.
    fn account_of(&self, user: &str) -> Option<Address> {
        let domain = self.domain.as_deref()?;
        let local = match user.rsplit_once('@') {
            Some((local, host)) if jid::domain(host).as_deref() == Ok(domain) => local,
            _ => user,
        };
        jid::address(local, domain).ok()
    }

    fn park_ask(&mut self, ask: Ask) {
        self.reader.park();
        self.ask(ask, Asked::Login);
    }

    /// The hub answered a question of the log-in.
    pub(super) fn login_answered(&mut self, answer: Answer) {
        self.reader.unpark();
        match (std::mem::take(&mut self.login.exchange), answer) {
            (Exchange::Password(account), Answer::Verified(true)) => self.logged_in(account, None),
            (Exchange::Password(account), Answer::Verified(false)) => {
                self.refuse_login_of(Some(account), Failure::NotAuthorized);
            }
            (Exchange::Key { scheme, first, account }, Answer::Credential(credential)) => {
                let key = self.config.decoy.or(credential, scheme, account.as_str());
                let scram = Scram::challenge(scheme, *first, key, &self.dice.token(26));
                self.challenge(scram, Some(account));
            }
            _ => self.refuse_login(Failure::TemporaryAuthFailure),
        }
    }

    fn challenge(&mut self, scram: Scram, account: Option<Address>) {
        let mut w = Writer::new();
        w.open_ns("challenge", SASL).text(&STANDARD.encode(scram.server_first()));
        self.out.write_vec(w.finish());
        self.login.exchange = Exchange::Proof(Box::new(scram), account);
    }

    fn logged_in(&mut self, account: Address, last: Option<&str>) {
        let mut w = Writer::new();
        w.open_ns("success", SASL);
        if let Some(last) = last {
            w.text(&STANDARD.encode(last));
        }
        self.out.write_vec(w.finish());
        self.out.push(Output::Login { account: Some(account.clone()), from: None, proven: true });
        self.bare = jid::bare(&account);
        self.account = Some(account);
        self.phase = Phase::Reopening;
        self.login = Login::default();
        self.reader.restart();
    }

    fn refuse_login(&mut self, failure: Failure) {
        self.refuse_login_of(None, failure);
    }

    fn refuse_login_of(&mut self, account: Option<Address>, failure: Failure) {
        self.out.push(Output::Login { account, from: None, proven: false });
        self.login.exchange = Exchange::None;
        let mut w = Writer::new();
        w.open_ns("failure", SASL).open(failure.name());
        self.out.write_vec(w.finish());
        self.login.failures += 1;
        if self.login.failures >= self.config.auth_tries {
            self.fail_with(Condition::PolicyViolation, Some("Too many failed attempts to log in."));
        }
    }
}

/// The message in a SASL element; `None` where there is none at all (RFC 6120 section 6.4.2).
fn decode(stanza: &Stanza<'_>) -> Result<Option<Vec<u8>>, Failure> {
    let text = content(stanza.inner());
    match text.trim() {
        "" => Ok(None),
        "=" => Ok(Some(Vec::new())),
        text => STANDARD.decode(text).map(Some).map_err(|_| Failure::IncorrectEncoding),
    }
}

/// One may act as oneself only (RFC 6120 section 6.3.8).
fn check_authzid(authzid: &str, account: Option<&Address>) -> Result<(), Failure> {
    if authzid.is_empty() {
        return Ok(());
    }
    let wanted = jid::parse(authzid).map_err(|_| Failure::InvalidAuthzid)?;
    if wanted.device.is_none() && Some(&wanted.address) == account {
        Ok(())
    } else {
        Err(Failure::InvalidAuthzid)
    }
}

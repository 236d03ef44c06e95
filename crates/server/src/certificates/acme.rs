//! Certificates by ACME (RFC 8555): one for each hosted domain, renewed when two thirds of its life are over.

use super::dns01::Hook;
use super::http01::Answers;
use super::paper::{Paper, now};
use super::shelf;
use crate::config::{AcmeChallenge, AcmePart, Config};
use crate::failure::Failure;
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder,
    OrderStatus, RetryPolicy,
};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// How often certificates are looked at while all is well.
const LOOK: Duration = Duration::from_secs(3600);
/// After a failure, doubled each time: an authority counts failures, and locks out who fails too often.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 3600);

/// Sees to it that there are certificates.
pub struct Keeper {
    config: Config,
    part: AcmePart,
    answers: Answers,
    hurry: Arc<Notify>,
}

/// What is told of each certificate that was issued: its domain. False where it could not be used, and is to be told again.
pub type Issued = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// A keeper at work.
pub struct Kept {
    /// Makes it look now.
    pub hurry: Arc<Notify>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Are these the credentials of an account with the authority of this directory?
fn is_with(credentials: &[u8], directory: &str) -> bool {
    let credentials: Option<serde_json::Value> = serde_json::from_slice(credentials).ok();
    credentials.is_some_and(|it| it["directory"].as_str().is_none_or(|theirs| theirs == directory))
}

impl Keeper {
    /// Begins, if the configuration wants ACME.
    ///
    /// # Errors
    /// [`Failure`] with file and line where challenges cannot be listened for.
    pub async fn start(config: &Config, issued: Issued) -> Result<Option<Kept>, Failure> {
        let Some(part) = config.acme.clone() else { return Ok(None) };
        let hurry = Arc::new(Notify::new());
        let answers = Answers::default();
        let mut tasks = Vec::new();
        if part.challenge == AcmeChallenge::Http01 {
            let socket = TcpListener::bind(part.listen).await.map_err(|error| {
                let what = format!("cannot listen for http-01 challenges on {}: {error}", part.listen);
                Failure::from(config.source.mistake("acme.listen", what))
            })?;
            tasks.push(tokio::spawn(answers.clone().serve(socket)));
        }
        let keeper = Self { config: config.clone(), part, answers, hurry: hurry.clone() };
        tasks.push(tokio::spawn(keeper.keep(issued)));
        Ok(Some(Kept { hurry, tasks }))
    }

    async fn keep(self, issued: Issued) {
        let mut pause = FIRST_PAUSE;
        let mut at_once = false;
        let mut unused: Vec<String> = Vec::new();
        loop {
            unused.retain(|domain| !issued(domain));
            let mut failed = false;
            let domains: Vec<String> = self.config.domains.iter().map(|d| d.domain().to_owned()).collect();
            for domain in domains.iter().filter(|d| at_once || self.is_due(d)) {
                match self.issue(domain).await {
                    Ok(()) => {
                        tracing::info!(domain, "a certificate was issued");
                        if !issued(domain) && !unused.contains(domain) {
                            unused.push(domain.clone());
                        }
                    }
                    Err(why) => {
                        failed = true;
                        tracing::error!(domain, why, "no certificate was issued; it is tried again");
                    }
                }
            }
            failed |= !unused.is_empty();
            let next = if failed { pause } else { LOOK };
            pause = if failed { (pause * 2).min(LONGEST_PAUSE) } else { FIRST_PAUSE };
            at_once = tokio::select! {
                () = tokio::time::sleep(next) => false,
                () = self.hurry.notified() => true,
            };
        }
    }

    fn is_due(&self, domain: &str) -> bool {
        let paper = Paper::open(&shelf::files(&self.config, domain).certificate);
        paper.map_or(true, |paper| paper.is_due(now()) || !paper.is_for(domain))
    }

    /// Orders one certificate and puts it in place.
    async fn issue(&self, domain: &str) -> Result<(), String> {
        let words = |error: instant_acme::Error| error.to_string();
        let account = self.account().await?;
        // RFC 8555 section 7.1.4: as DNS has it.
        let name = partner::ascii(domain);
        let identifiers = [Identifier::Dns(name.clone())];
        let mut order = account.new_order(&NewOrder::new(&identifiers)).await.map_err(words)?;
        let mut given = Vec::new();
        let answered = self.answer(&mut order, &name, &mut given).await;
        let ended = match answered {
            Ok(()) => order.poll_ready(&RetryPolicy::default()).await.map_err(words),
            Err(why) => Err(why),
        };
        for (token, value) in given {
            match self.part.challenge {
                AcmeChallenge::Http01 => self.answers.clear(&token),
                AcmeChallenge::Dns01 => self.hook()?.clear(&name, &value).await,
            }
        }
        if ended? != OrderStatus::Ready {
            return Err("the authority did not accept our answer".into());
        }
        let key = order.finalize().await.map_err(words)?;
        let chain = order.poll_certificate(&RetryPolicy::default()).await.map_err(words)?;
        shelf::put_pair(&self.config, domain, key.as_bytes(), chain.as_bytes()).map_err(|f| f.to_string())
    }

    async fn answer(
        &self,
        order: &mut instant_acme::Order,
        domain: &str,
        given: &mut Vec<(String, String)>,
    ) -> Result<(), String> {
        let words = |error: instant_acme::Error| error.to_string();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(words)?;
            match authorization.status {
                AuthorizationStatus::Pending => {}
                AuthorizationStatus::Valid => continue,
                other => return Err(format!("the authority says {other:?}")),
            }
            let kind = match self.part.challenge {
                AcmeChallenge::Http01 => ChallengeType::Http01,
                AcmeChallenge::Dns01 => ChallengeType::Dns01,
            };
            let Some(mut challenge) = authorization.challenge(kind) else {
                return Err("the authority offers no challenge of the kind that is configured".into());
            };
            let proof = challenge.key_authorization();
            given.push((challenge.token.clone(), proof.dns_value()));
            match self.part.challenge {
                AcmeChallenge::Http01 => self.answers.set(&challenge.token, proof.as_str()),
                AcmeChallenge::Dns01 => self.hook()?.set(domain, &proof.dns_value()).await?,
            }
            challenge.set_ready().await.map_err(words)?;
        }
        Ok(())
    }

    fn hook(&self) -> Result<Hook, String> {
        let command = self.part.dns_hook.as_ref().ok_or("there is no `dns_hook`")?;
        Ok(Hook::new(&self.config.base().join(command.get_ref())))
    }

    /// Our account with the authority, made if need be.
    async fn account(&self) -> Result<Account, String> {
        let words = |error: instant_acme::Error| error.to_string();
        let builder = match &self.part.authority {
            None => Account::builder(),
            Some(authority) => Account::builder_with_root(self.config.base().join(authority.get_ref())),
        }
        .map_err(words)?;
        let file: PathBuf = shelf::dir(&self.config).join("acme-account.json");
        if let Ok(text) = std::fs::read(&file)
            && is_with(&text, &self.part.directory)
            && let Ok(credentials) = serde_json::from_slice::<AccountCredentials>(&text)
        {
            return builder.from_credentials(credentials).await.map_err(words);
        }
        let contact: Vec<String> = self.part.contact.iter().map(|c| format!("mailto:{c}")).collect();
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        let new = NewAccount {
            contact: &contact,
            terms_of_service_agreed: self.part.agree_to_terms,
            only_return_existing: false,
        };
        let created = builder.create(&new, self.part.directory.clone(), None).await;
        let (account, credentials) = created.map_err(words)?;
        let text = serde_json::to_vec(&credentials).map_err(|e| e.to_string())?;
        shelf::put(&file, &text).map_err(|f| f.to_string())?;
        Ok(account)
    }
}

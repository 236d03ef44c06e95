//! Mail that goes out (RFC 5321): to one server, over TLS, with a login. What is sent is made by others.

mod letter;

pub use letter::Letter;

use lettre::address::{Address, Envelope};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls as Way, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use std::path::PathBuf;
use std::time::Duration;

/// How long the server may take for each answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the way to the server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Security {
    /// Not at all: for a server on this machine.
    None,
    /// By TLS once STARTTLS (RFC 3207) was answered, or not at all then.
    #[default]
    StartTls,
    /// By TLS from the first byte (RFC 8314).
    Tls,
}

/// Where mail is handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The server's name.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// How the way there is protected.
    pub security: Security,
    /// Who we are there, and the file with the password. It is read with each connection, so it may change.
    pub login: Option<(String, PathBuf)>,
    /// A file with the authority (PEM) that the server's certificate is by, besides those that the system knows.
    pub authority: Option<PathBuf>,
    /// The sender, to whom it is said when something cannot be delivered.
    pub from: String,
    /// The name we greet with.
    pub name: String,
}

/// Why a mail was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct NotSent {
    /// In words.
    pub why: String,
    /// The server does not want this one for what it is: its length, its content. Else it may be otherwise later.
    pub for_good: bool,
}

impl NotSent {
    fn by_us(why: impl Into<String>) -> Self {
        Self { why: why.into(), for_good: false }
    }
}

/// Is this an address that mail can be sent to?
pub fn is_address(text: &str) -> bool {
    text.parse::<Address>().is_ok()
}

/// A way to the server. Connections are kept for the next mail.
pub struct Mailer {
    from: Address,
    transport: AsyncSmtpTransport<Tokio1Executor>,
    server: String,
}

impl Mailer {
    /// Prepares a way; nothing is sent yet. Reads the files.
    ///
    /// # Errors
    /// [`NotSent`] where settings or files are not as they must be.
    pub fn new(settings: &Settings) -> Result<Self, NotSent> {
        let from =
            settings.from.parse().map_err(|_| NotSent::by_us(format!("{:?} is no sender", settings.from)))?;
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.server)
            .port(settings.port)
            .timeout(Some(PATIENCE))
            .hello_name(ClientId::Domain(settings.name.clone()))
            .tls(match settings.security {
                Security::None => Way::None,
                Security::StartTls => Way::Required(tls(settings)?),
                Security::Tls => Way::Wrapper(tls(settings)?),
            });
        if let Some((user, file)) = &settings.login {
            let read = std::fs::read_to_string(file);
            let password = read.map_err(|e| NotSent::by_us(format!("{}: {e}", file.display())))?;
            let password = password.lines().next().unwrap_or_default().trim().to_owned();
            transport = transport.credentials(Credentials::new(user.clone(), password));
        }
        Ok(Self {
            from,
            transport: transport.build(),
            server: format!("{}:{}", settings.server, settings.port),
        })
    }

    /// Hands a whole message (RFC 5322) over, for these people. When this returns the server has it.
    ///
    /// # Errors
    /// [`NotSent`]
    pub async fn send(&self, to: &[String], message: &[u8]) -> Result<(), NotSent> {
        let parse = |who: &String| {
            who.parse::<Address>().map_err(|_| NotSent::by_us(format!("{who:?} is no address")))
        };
        let to = to.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let envelope =
            Envelope::new(Some(self.from.clone()), to).map_err(|e| NotSent::by_us(e.to_string()))?;
        let sent = self.transport.send_raw(&envelope, message).await;
        sent.map(drop).map_err(|error| NotSent {
            // Whose fault it is stands in the source of the error.
            why: format!("{}: {}", self.server, chain(&error)),
            for_good: is_about_content(&error),
        })
    }
}

/// A refusal for good of the mail itself, and not of our login, of the addressee, or of everything.
fn is_about_content(error: &lettre::transport::smtp::Error) -> bool {
    let code = error.status().filter(|_| error.is_permanent()).map(u16::from);
    // Enhanced codes (RFC 3463) say more, where there are any.
    let words = chain(error);
    let says = |codes: &[&str]| codes.iter().any(|code| words.contains(code));
    match code {
        // A mailbox that is full will be emptied.
        Some(552) => !says(&["5.2.2"]),
        Some(554) => !says(&["5.1.", "5.4."]),
        // Size, system limits, media, policy.
        Some(550) => says(&["5.2.3", "5.3.4", "5.6.", "5.7."]),
        _ => false,
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let more = source.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        next = source.source();
    }
    words
}

fn tls(settings: &Settings) -> Result<TlsParameters, NotSent> {
    let mut parameters = TlsParameters::builder(settings.server.clone());
    if let Some(file) = &settings.authority {
        let named = |why: String| NotSent::by_us(format!("{}: {why}", file.display()));
        let pem = std::fs::read(file).map_err(|e| named(e.to_string()))?;
        parameters =
            parameters.add_root_certificate(Certificate::from_pem(&pem).map_err(|e| named(chain(&e)))?);
    }
    parameters.build_rustls().map_err(|e| NotSent::by_us(chain(&e)))
}

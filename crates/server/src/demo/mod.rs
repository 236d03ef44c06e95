//! `rialto demo`: a throw-away server, and a conversation between XMPP and SIP clients through it that shows what
//! arrives, what is refused and what is on record. The clients are the demonstration's own and share no code with the
//! doors they talk to.

mod book;
mod element;
mod ports;
mod presence;
mod print;
mod proof;
mod refusals;
mod script;
mod sip;
mod wire;
mod xmpp;

use crate::client::Control;
use crate::config::Config;
use crate::failure::Failure;
use crate::log::{Level, Log, Settings};
use crate::running::Running;
use crate::setup::{Ports, Setup, prepare};
use book::Book;
use print::{Line, Table, Tone, say, toned};
use script::{Script, Stage};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use tokio::signal::unix::{SignalKind, signal};
use xmpp::Account;

/// Runs the demonstration. With `exit` it ends after the conversation, else it stays up until it is interrupted. `data`
/// is where the data stays; without it, they go with the demonstration. `here` is an address of this machine.
pub async fn run(exit: bool, data: Option<PathBuf>, here: IpAddr) -> ExitCode {
    Log::start(&Settings { level: Level::Error, ..Settings::default() }, false);
    match perform(exit, data, here).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("rialto: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// The address as it stands before a port.
fn host(here: IpAddr) -> String {
    match here {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// Everything; true if every expectation held.
async fn perform(exit: bool, data: Option<PathBuf>, here: IpAddr) -> Result<bool, Failure> {
    // Whichever way this ends, the temporary directory goes when this does.
    let (dir, _temporary) = match data {
        Some(dir) => (dir, None),
        None => {
            let made = tempfile::Builder::new().prefix("rialto-demo-").tempdir()?;
            (made.path().to_owned(), Some(made))
        }
    };
    let ports::Chosen { ports, moved, held } = ports::choose(here, Ports::STANDARD)?;
    let domains = vec!["example.com".to_owned(), "example.net".to_owned()];
    let file = prepare(&Setup { dir: dir.clone(), domains, listen: vec![here], ports })?;
    let config = Config::load(&file).map_err(|m| Failure::new(m.to_string()))?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    drop(held);
    let running = Running::start(config, crate::supervisor::Supervisor::none(), None, None).await?;

    say(&format!("A Rialto server with two users, just for this. Its data are in {}.", dir.display()));
    moved.iter().for_each(|m| say(m));
    say(&format!(
        "XMPP on {0}:{1} (STARTTLS) and {0}:{2} (TLS); SIP on {0}:{3} (UDP, TCP) and {0}:{4} (TLS).",
        host(here),
        ports.xmpp,
        ports.xmpps,
        ports.sip,
        ports.sips
    ));
    say(
        "juliet@example.com uses an XMPP client, romeo@example.com a SIP client. What they say is checked at the",
    );
    say("other end and in the journal before it is printed here.\n");

    let stage = Stage {
        tls: wire::trust(&dir.join("ca.pem"))?,
        xmpp: SocketAddr::new(here, ports.xmpp),
        xmpps: SocketAddr::new(here, ports.xmpps),
        sips: SocketAddr::new(here, ports.sips),
        juliet: account("juliet")?,
        romeo: account("romeo")?,
    };
    let held = tokio::select! {
        held = converse(&stage, &running.control) => Some(held?),
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
    };
    if let (Some(held), false) = (held, exit) {
        explain(&stage, ports, &dir, held);
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        say("\nGoodbye.");
    }
    running.stop(std::future::pending()).await;
    Ok(held.unwrap_or(false))
}

fn account(user: &str) -> Result<Account, Failure> {
    Ok(Account { user: user.to_owned(), domain: "example.com".to_owned(), password: proof::random(12)? })
}

/// The conversation, then what the record says; true if every expectation held.
async fn converse(stage: &Stage, control: &Path) -> Result<bool, Failure> {
    let api = Control::new(control);
    for account in [&stage.juliet, &stage.romeo] {
        let first = web::PasswordChange { password: account.password.clone() };
        let () = api.put(&format!("/v1/users/{}", script::address(account)), &first).await?;
    }
    let since = Instant::now();
    let mut book = Book::new(api);
    let mut table = Table::begin();
    let mut held = true;
    if let Err(failure) = Script::play(stage, &mut table, &mut book).await {
        held = false;
        let what = failure.to_string();
        table.line(&Line {
            who: "-",
            whom: "-",
            way: "",
            what,
            verdict: "FAILED".into(),
            tone: Tone::Wrong,
            journal: None,
        });
    }
    let took = since.elapsed();
    let checked = book.verify().await?;
    say(
        "\nA dash: not put on record, for it is no conversation. Numbers left out: the outcomes of earlier rows.",
    );
    say(&format!(
        "Journal: {} rows in {} conversations, {}.",
        checked.rows,
        checked.conversations,
        match &checked.finding {
            None if checked.intact => "every one as it was written and none missing".to_owned(),
            finding => format!("NOT INTACT: {}", finding.as_deref().unwrap_or("no reason given")),
        }
    ));
    if !book.losses.is_empty() {
        let times = |n: &usize| if *n == 1 { String::new() } else { format!(", {n} times") };
        let list: Vec<String> = book.losses.iter().map(|(name, n)| format!("{name}{}", times(n))).collect();
        say(&format!("Lost in translation, as the journal has it: {}.", list.join("; ")));
    }
    held &= checked.intact && checked.rows > 0;
    let verdict = if held {
        format!("All {} lines went as they should, in {:.1} s.", table.lines(), took.as_secs_f32())
    } else {
        "Something did not go as it should; see above.".to_owned()
    };
    say(&toned(&verdict, held));
    Ok(held)
}

/// How to go on with clients of one's own.
fn explain(stage: &Stage, ports: Ports, dir: &Path, held: bool) {
    let here = host(stage.xmpp.ip());
    let shown = if held { "Now with clients of your own" } else { "You can look for yourself" };
    let (config, ca) = (dir.join("rialto.toml"), dir.join("ca.pem"));
    say(&format!("\n{shown}. The server stays up until Ctrl-C.\n"));
    for account in [&stage.juliet, &stage.romeo] {
        say(&format!("  address      {}   password {}", script::address(account), account.password));
    }
    say(&format!("  authority    {}   (trust it, or accept the certificate when asked)", ca.display()));
    say(&format!(
        "\n  XMPP client  server {here}, port {} (STARTTLS) or {} (direct TLS)",
        ports.xmpp, ports.xmpps
    ));
    say("  SIP phone    user name romeo or juliet, domain example.com; outbound proxy one of");
    say(&format!(
        "               sip:{here}:{};transport=tls   sip:{here}:{};transport=tcp",
        ports.sips, ports.sip
    ));
    say(&format!("               sip:{here}:{}", ports.sip));
    say("\nEither user may use either protocol, or both at once. In another terminal:\n");
    say(&format!("  rialto user add benvolio@example.net --config {}", config.display()));
    say(&format!("  rialto journal tail --config {}", config.display()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn all_of_it_holds() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("kept");
        let here = IpAddr::from([127, 0, 0, 1]);
        assert!(perform(true, Some(data.clone()), here).await.unwrap());
        assert!(data.join("rialto.toml").exists());
        // What is there is not overwritten.
        let again = perform(true, Some(data), here).await.unwrap_err().to_string();
        assert!(again.contains("exists already"), "{again}");
    }
}

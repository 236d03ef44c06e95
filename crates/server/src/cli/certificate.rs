use super::{ConfigFile, Reach, runtime};
use crate::certificates::paper::{Paper, SOON, now};
use crate::certificates::{files, request};
use crate::client::Control;
use crate::config::Config;
use crate::failure::Failure;
use clap::Subcommand;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// `rialto certificate`
#[derive(Debug, clap::Args)]
pub struct Certificate {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Lists our certificates: for whom, by whom, and how long they are good.
    List {
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Makes a key and a signing request for a domain, to be sent to an authority.
    Request {
        /// One of the hosted domains.
        domain: String,
        /// Write the request here instead of to the terminal.
        #[arg(long)]
        out: Option<PathBuf>,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Puts the chain in place that an authority sent back, and makes the running server use it.
    Install {
        /// One of the hosted domains.
        domain: String,
        /// PEM file, the domain's certificate first.
        chain: PathBuf,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Makes the running server order new certificates by ACME now.
    Renew {
        #[command(flatten)]
        file: ConfigFile,
    },
}

impl Certificate {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self.act {
            Act::List { file } => list(&load(&file)?),
            Act::Request { domain, out, file } => {
                let text = request::make(&load(&file)?, &domain)?;
                match out {
                    Some(out) => {
                        std::fs::write(&out, text)
                            .map_err(|e| Failure::new(format!("cannot write {}: {e}", out.display())))?;
                        println!("{}", out.display());
                    }
                    None => print!("{text}"),
                }
                Ok(ExitCode::SUCCESS)
            }
            Act::Install { domain, chain, file } => install(&load(&file)?, &domain, &chain),
            Act::Renew { file } => {
                let renewed = Reach::of(&file).control()?;
                runtime(1)?.block_on(renewed.post::<_, ()>("/v1/certificates/renew", &()))?;
                println!("ordered; `rialto certificate list` and the log tell what came of it");
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

fn load(file: &ConfigFile) -> Result<Config, Failure> {
    Config::load(&file.config).map_err(|m| Failure::new(m.to_string()))
}

fn list(config: &Config) -> Result<ExitCode, Failure> {
    let now = now();
    let mut worst = ExitCode::SUCCESS;
    for files in files(config) {
        let file = files.certificate.display();
        if files == crate::certificates::shelf::stand_in(config) {
            println!("NONE     no certificate has been issued yet: one by nobody is shown  {file}");
            worst = ExitCode::FAILURE;
            continue;
        }
        match Paper::open(&files.certificate) {
            Err(failure) => {
                println!("BAD      {failure}");
                worst = ExitCode::FAILURE;
            }
            Ok(paper) => {
                let days = paper.days_left(now);
                let mark = match days {
                    ..0 => "EXPIRED",
                    0..SOON => "soon",
                    _ => "good",
                };
                println!("{mark:<8} {days:>4} days  {}  by {}  {file}", paper.names.join(", "), paper.issuer);
            }
        }
    }
    let missing = config.domains.iter().filter(|domain| {
        let named = |f: &net::KeyFiles| Paper::open(&f.certificate).is_ok_and(|p| p.is_for(domain.domain()));
        !files(config).iter().any(named)
    });
    for domain in missing {
        println!("MISSING  no certificate names {domain}: partners and clients will refuse it");
        worst = ExitCode::FAILURE;
    }
    Ok(worst)
}

fn install(config: &Config, domain: &str, chain: &Path) -> Result<ExitCode, Failure> {
    let paper = request::install(config, domain, chain)?;
    println!("installed: good for {} days, by {}", paper.days_left(now()), paper.issuer);
    let control = Control::new(&config.control());
    let reloaded = runtime(1)?.block_on(async {
        match control.is_up().await {
            true => control.post::<_, web::Reloaded>("/v1/reload", &()).await.map(|_| true),
            false => Ok(false),
        }
    })?;
    println!(
        "{}",
        if reloaded {
            "the server uses it from now on"
        } else {
            "the server does not run; it will use it when it starts"
        }
    );
    Ok(ExitCode::SUCCESS)
}

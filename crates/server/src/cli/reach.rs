//! How a command reaches the running server, and in whose name.

use super::ConfigFile;
use crate::client::Control;
use crate::config::Config;
use crate::failure::Failure;
use std::path::PathBuf;

/// The running server, and the token to show it.
#[derive(Debug, Clone, clap::Args)]
pub struct Reach {
    #[command(flatten)]
    pub(super) file: ConfigFile,
    /// The control socket, for administrators who cannot read the configuration.
    #[arg(long, env = "RIALTO_SOCKET")]
    socket: Option<PathBuf>,
    /// A file with an access token, else RIALTO_TOKEN; without either you are the system's user that you are.
    #[arg(long)]
    token_file: Option<PathBuf>,
}

impl Reach {
    /// The server of this configuration.
    pub(super) fn of(file: &ConfigFile) -> Self {
        Self { file: file.clone(), socket: None, token_file: None }
    }

    /// The configuration; none where only the socket is known.
    pub(super) fn config(&self) -> Result<Option<Config>, Failure> {
        match self.socket {
            Some(_) => Ok(None),
            None => Ok(Some(Config::load(&self.file.config)?)),
        }
    }

    /// The server behind this socket.
    pub(super) fn at(&self, socket: &std::path::Path) -> Result<Control, Failure> {
        Ok(Control::new(socket).with_token(self.token()?))
    }

    /// The running server.
    pub(super) fn control(&self) -> Result<Control, Failure> {
        match (&self.socket, self.config()?) {
            (Some(socket), _) => self.at(socket),
            (None, Some(config)) => self.at(&config.control()),
            (None, None) => Err(Failure::new("no server is named")),
        }
    }

    fn token(&self) -> Result<Option<String>, Failure> {
        let text = match &self.token_file {
            Some(file) => std::fs::read_to_string(file)
                .map_err(|e| Failure::new(format!("cannot read the token in {}: {e}", file.display())))?,
            None => match std::env::var("RIALTO_TOKEN") {
                Ok(token) => token,
                Err(_) => return Ok(None),
            },
        };
        let token = text.trim();
        if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Failure::new("this is no access token: `rialto admin token NAME` makes one"));
        }
        Ok(Some(token.to_owned()))
    }
}

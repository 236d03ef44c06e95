//! Commands on a server that may or may not run: through its API if it does, else through the same API over the
//! opened store, so that there is one way of doing each thing.

use super::ConfigFile;
use crate::client::Control;
use crate::config::Config;
use crate::failure::Failure;
use crate::running::Running;
use crate::supervisor::Supervisor;
use std::future::Future;

/// Runs `act` against the running server, or against one that is opened without listeners for just this act.
pub(super) fn with_server<F, R>(file: &ConfigFile, act: impl FnOnce(Control) -> F) -> Result<R, Failure>
where
    F: Future<Output = Result<R, Failure>>,
{
    let mut config = Config::load(&file.config).map_err(|m| Failure::new(m.to_string()))?;
    super::runtime(1)?.block_on(async move {
        let control = Control::new(&config.control());
        if control.is_up().await {
            return act(control).await;
        }
        config.xmpp.clear();
        config.sip.clear();
        config.metrics = None;
        config.federation.listen = None;
        let running = Running::start(config, Supervisor::none(), None, None).await?;
        let result = act(Control::new(&running.control)).await;
        running.stop(std::future::pending()).await;
        result
    })
}

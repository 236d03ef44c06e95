//! Commands on a server that may or may not run: through its API if it does, else through the same API over the
//! opened store, so that there is one way of doing each thing.

use super::Reach;
use crate::client::Control;
use crate::config::{Config, ControlPart};
use crate::failure::Failure;
use crate::running::Running;
use crate::supervisor::Supervisor;
use std::future::Future;

/// Runs `act` against the running server, or against one that is opened without listeners for just this act.
pub(super) fn with_server<F, R>(reach: &Reach, act: impl FnOnce(Control) -> F) -> Result<R, Failure>
where
    F: Future<Output = Result<R, Failure>>,
{
    with_server_on(reach.config()?, reach, act)
}

/// The same for an act that only looks: it may be done also where rows of the journal are gone.
pub(super) fn with_whatever_is_left<F, R>(reach: &Reach, act: impl FnOnce(Control) -> F) -> Result<R, Failure>
where
    F: Future<Output = Result<R, Failure>>,
{
    let config = reach.config()?.map(|mut config| {
        config.may_be_cut = true;
        // The index may be all that knows of them, and would be made anew.
        config.record.search = false;
        config
    });
    with_server_on(config, reach, act)
}

fn with_server_on<F, R>(
    config: Option<Config>,
    reach: &Reach,
    act: impl FnOnce(Control) -> F,
) -> Result<R, Failure>
where
    F: Future<Output = Result<R, Failure>>,
{
    super::runtime(1)?.block_on(async move {
        let control = reach.control()?;
        let Some(mut config) = config else { return act(control).await };
        if control.is_up().await {
            return act(control).await;
        }
        config.xmpp.clear();
        config.sip.clear();
        config.metrics = None;
        config.federation.listen = None;
        // Nobody else has to reach it meanwhile.
        config.administration = ControlPart { socket: None, group: None, ..config.administration };
        config.upload.closed = true;
        config.alone = true;
        let running = Running::start(config, Supervisor::none(), None, None).await?;
        let result = match reach.at(&running.control) {
            Ok(control) => act(control).await,
            Err(failure) => Err(failure),
        };
        running.stop(std::future::pending()).await;
        result
    })
}

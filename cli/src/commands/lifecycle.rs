//! `stop`, `restart`, `kill`, `wait`, `rm`: one call for each container.

use super::{each, tell_warnings};
use crate::args::{Kill, Remove, Stop};
use crate::engine::{Engine, call, patient_call};
use crate::error::Result;
use schema::Call;
use std::time::Duration;

/// Containers that are dealt with at a time, where one may take a while.
const AT_ONCE: usize = 16;
/// What a stop may take beside the time that the container is given.
const MARGIN: Duration = Duration::from_secs(60);

fn stopping(timeout_ms: u32) -> Call {
    Call::within(Duration::from_millis(timeout_ms.into()) + MARGIN)
}

/// `stop`: prints the names.
pub(crate) async fn stop(engine: &Engine, arguments: &Stop) -> Result<u8> {
    each(&arguments.containers, AT_ONCE, |name| async move {
        engine.containers.stop(&stopping(arguments.timeout_ms), name, arguments.timeout_ms).await?;
        Ok(name.to_owned())
    })
    .await
}

/// `restart`: prints the names.
pub(crate) async fn restart(engine: &Engine, arguments: &Stop) -> Result<u8> {
    each(&arguments.containers, AT_ONCE, |name| async move {
        let container = engine.containers.restart(&stopping(arguments.timeout_ms), name, arguments.timeout_ms).await?;
        tell_warnings(&container);
        Ok(name.to_owned())
    })
    .await
}

/// `kill`: prints the names.
pub(crate) async fn kill(engine: &Engine, arguments: &Kill) -> Result<u8> {
    each(&arguments.containers, 1, |name| async move {
        engine.containers.kill(&call(), name, arguments.signal).await?;
        Ok(name.to_owned())
    })
    .await
}

/// `wait`: prints the exit codes; -1 where it cannot be known.
pub(crate) async fn wait(engine: &Engine, names: &[String]) -> Result<u8> {
    each(names, AT_ONCE, |name| async move {
        let container = engine.containers.wait(&patient_call(), name).await?;
        Ok(container.exit.map_or(0, |exit| exit.code).to_string())
    })
    .await
}

/// `rm`: prints the names.
pub(crate) async fn remove(engine: &Engine, arguments: &Remove) -> Result<u8> {
    each(&arguments.containers, AT_ONCE, |name| async move {
        engine.containers.remove(&call(), name, arguments.force).await?;
        Ok(name.to_owned())
    })
    .await
}

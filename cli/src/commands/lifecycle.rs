//! `stop`, `restart`, `kill`, `wait`, `rm`, `rename`, `pause`, `unpause`: one call for each container.

use super::{each, tell_warnings};
use crate::args::{Kill, Remove, Rename, Stop};
use crate::engine::{Engine, call, patient_call};
use crate::error::Result;
use schema::{Call, Code, Failure};
use std::time::Duration;

/// Containers that are dealt with at a time, where one may take a while.
const AT_ONCE: usize = 16;
/// What a stop may take beside the time that the container is given.
const MARGIN: Duration = Duration::from_secs(60);
/// How long a stop waits if nobody says, milliseconds.
const USUAL: u32 = 10_000;

/// In place of a time: the one that the container's record says.
const OF_RECORD: u32 = u32::MAX;
/// What a container may have in its record, as far as callers wait for it: an hour.
const LONGEST: u32 = 3_600_000;

fn stopping(timeout_ms: u32) -> Call {
    let given = if timeout_ms == OF_RECORD { LONGEST } else { timeout_ms };
    Call::within(Duration::from_millis(given.into()) + MARGIN)
}

/// Sends a signal of the user's choice and waits for the end, no longer than the stop that follows would.
async fn signal_first(engine: &Engine, name: &str, signal: i32, timeout_ms: u32) -> Result<u32, Failure> {
    let container = match engine.containers.kill(&call(), name, signal).await {
        Ok(container) => container,
        // It does not run.
        Err(failure) if failure.code == Code::Conflict => return Ok(timeout_ms),
        Err(failure) => return Err(failure),
    };
    let of_record = if container.spec.stop_timeout_ms == 0 { USUAL } else { container.spec.stop_timeout_ms };
    let patience = Duration::from_millis(if timeout_ms == OF_RECORD { of_record } else { timeout_ms }.into());
    let call = patient_call();
    let ended = engine.containers.wait(&call, container.id.as_str());
    // What still runs then gets SIGKILL.
    let _ = tokio::time::timeout(patience, ended).await;
    Ok(0)
}

/// `stop`: prints the names.
pub(crate) async fn stop(engine: &Engine, arguments: &Stop) -> Result<u8> {
    let timeout_ms = arguments.timeout_ms.unwrap_or(OF_RECORD);
    each(&arguments.containers, AT_ONCE, |name| async move {
        let left = match arguments.signal {
            Some(signal) => signal_first(engine, name, signal, timeout_ms).await?,
            None => timeout_ms,
        };
        engine.containers.stop(&stopping(left), name, left).await?;
        Ok(name.to_owned())
    })
    .await
}

/// `restart`: prints the names.
pub(crate) async fn restart(engine: &Engine, arguments: &Stop) -> Result<u8> {
    let timeout_ms = arguments.timeout_ms.unwrap_or(OF_RECORD);
    each(&arguments.containers, AT_ONCE, |name| async move {
        let left = match arguments.signal {
            Some(signal) => signal_first(engine, name, signal, timeout_ms).await?,
            None => timeout_ms,
        };
        let container = engine.containers.restart(&stopping(left), name, left).await?;
        tell_warnings(&container);
        Ok(name.to_owned())
    })
    .await
}

/// `rename`.
pub(crate) async fn rename(engine: &Engine, arguments: &Rename) -> Result<u8> {
    engine.containers.rename(&call(), &arguments.container, &arguments.new_name).await?;
    Ok(0)
}

/// `pause`: prints the names.
pub(crate) async fn pause(engine: &Engine, names: &[String]) -> Result<u8> {
    each(names, AT_ONCE, |name| async move {
        engine.containers.pause(&call(), name).await?;
        Ok(name.to_owned())
    })
    .await
}

/// `unpause`: prints the names.
pub(crate) async fn unpause(engine: &Engine, names: &[String]) -> Result<u8> {
    each(names, AT_ONCE, |name| async move {
        engine.containers.unpause(&call(), name).await?;
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

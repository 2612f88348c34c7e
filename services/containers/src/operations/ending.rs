//! Operations that end something.

use super::freezing::pause;
use crate::container::{Handle, Remove, Signalled, Stop, View};
use crate::decide::{Verdict, not_running};
use crate::lifecycle::Phase;
use crate::signals;
use crate::workers::Workers;
use schema::call::RequestId;
use schema::{Call, Code, Failure};
use std::time::Duration;

/// How long PID 1 may take to end after SIGKILL.
const KILLED: Duration = Duration::from_secs(30);

/// Ends a container's run; answers when nothing of it is left.
pub(crate) async fn stop(handle: Handle, request: RequestId, timeout_ms: u32) -> Result<View, Failure> {
    end(handle, Stop { request, timeout_ms, with_all: false }).await
}

/// The same for one of all containers.
pub(crate) async fn stop_with_all(handle: Handle, request: RequestId, timeout_ms: u32) -> Result<View, Failure> {
    end(handle, Stop { request, timeout_ms, with_all: true }).await
}

async fn end(handle: Handle, stop: Stop) -> Result<View, Failure> {
    while handle.ask(stop).await? == Verdict::Later {
        if passed(&handle).await.is_settled() {
            break;
        }
    }
    Ok(handle.until(View::is_settled).await)
}

/// Waits until a start or a clean-up, during which nothing else can be begun, is over.
pub(super) async fn passed(handle: &Handle) -> View {
    handle.until(|view| !matches!(view.phase(), Phase::Starting | Phase::Ending) || view.is_settled()).await
}

/// Sends a signal to PID 1. One that cannot be ignored is waited for.
pub(crate) async fn kill(handle: Handle, workers: Workers, call: Call, number: i32) -> Result<View, Failure> {
    if !(1..=signals::LAST).contains(&number) {
        return Err(Failure::invalid(format_args!("{number} is no signal"))
            .hint(format_args!("signals are numbered from 1 to {}", signals::LAST)));
    }
    handle.until_live().await?;
    let view = handle.until(|view| view.phase() != Phase::Starting).await;
    let ends = number == signals::KILL || number == view.record.image.stop_signal;
    if ends && view.record.is_to_restart() {
        return stop(handle, call.request, 0).await;
    }
    match send(&handle, &workers, &call, number).await {
        // The signal was sent before, and the answer was lost.
        Err(failure) if failure.code == Code::Conflict && view.record.signalled_by(call.request) => {}
        answer => answer?,
    }
    if ends && handle.now().phase() == Phase::Paused {
        // It cannot end where it is. It may be on its way to its end already.
        let _ = pause(&handle, &workers, &call, false).await;
    }
    if number == signals::KILL {
        let _ = tokio::time::timeout(KILLED, handle.until(View::is_settled)).await;
    }
    Ok(handle.now())
}

async fn send(handle: &Handle, workers: &Workers, call: &Call, signal: i32) -> Result<(), Failure> {
    handle.ask(Signalled(signal, call.request)).await?;
    let record = handle.now().record;
    match workers.executor.signal(call, record.id(), signal).await {
        Err(failure) if failure.code == Code::NotFound => Err(not_running(&record)),
        answer => answer,
    }
}

/// Removes a container and all that belongs to it.
pub(crate) async fn remove(handle: Handle, request: RequestId, force: bool) -> Result<(), Failure> {
    loop {
        if force {
            end_at_once(&handle, request).await?;
        }
        match handle.ask(Remove).await {
            Ok(_) => break,
            // Somebody started it meanwhile.
            Err(failure) if force && failure.code == Code::Conflict => {}
            Err(failure) => return Err(failure),
        }
    }
    match handle.until(View::is_settled).await.trouble {
        None => Ok(()),
        Some(failure) => Err(failure.context("removing the container")),
    }
}

/// Kills PID 1, if it runs. What is left of the run goes with the container.
async fn end_at_once(handle: &Handle, request: RequestId) -> Result<(), Failure> {
    handle.until_live().await?;
    handle.until(|view| view.phase() != Phase::Starting).await;
    handle.ask(Stop { request, timeout_ms: 0, with_all: false }).await?;
    let ended = handle.until(|view| !view.phase().is_running());
    match tokio::time::timeout(KILLED, ended).await {
        Ok(_) => Ok(()),
        Err(_) => Err(Failure::deadline(format_args!(
            "container {:?} has not ended {} s after SIGKILL",
            handle.now().record.name(),
            KILLED.as_secs()
        ))
        .hint("a process that hangs in the kernel cannot be killed; see what its volumes wait for")),
    }
}

//! `system start`.

use super::program;
use crate::console;
use crate::engine::{Engine, call};
use crate::error::Result;
use crate::sys;
use rustix::process::geteuid;
use schema::supervisor::{ServiceStatus, State};
use schema::{Code, Failure, Instance};
use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long all services together may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long an answer may take of a system that may be about to start or to end.
const PROBE: Duration = Duration::from_secs(2);
/// Between two looks at it.
const PAUSE: Duration = Duration::from_millis(20);
/// The process that outlives all others; its log has its name.
const KEEPER: &str = "keeper";

/// Starts the services in the background, and waits until all serve.
pub(super) async fn run(engine: &Engine) -> Result<u8> {
    if !geteuid().is_root() {
        return Err(Failure::permission_denied("cctl needs root to start its services")
            .hint("run `sudo cctl system start`")
            .into());
    }
    let keeper = match probe(engine).await {
        Ok(_) => {
            console::print_line("cctl is already running")?;
            None
        }
        Err(failure) if failure.code == Code::Unavailable => Some(spawn(&engine.instance)?),
        // Somebody holds the socket and does not answer: perhaps it starts.
        Err(failure) if failure.code == Code::DeadlineExceeded => None,
        Err(failure) => return Err(failure.into()),
    };
    let started = keeper.is_some();
    let services = ready(engine, keeper).await?;
    if started {
        console::print_line(format_args!("cctl is running: {} services are ready", services.len().saturating_sub(1)))?;
    }
    Ok(0)
}

pub(super) async fn probe(engine: &Engine) -> Result<Vec<ServiceStatus>, Failure> {
    engine.supervisor.status(&call().limited(PROBE)).await
}

/// Starts the keeper with nothing of ours but the environment and its log.
fn spawn(instance: &Instance) -> Result<Child, Failure> {
    let program = program::find()?;
    let log = open_log(&instance.log(KEEPER))?;
    let mut command = Command::new(&program);
    command.arg(KEEPER).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    sys::detach(&mut command);
    command.spawn().map_err(|error| Failure::io(format_args!("starting {}", program.display()), &error))
}

fn open_log(path: &Path) -> Result<File, Failure> {
    let failed = |error| Failure::io(format_args!("opening {}", path.display()), &error);
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o755).create(directory).map_err(failed)?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(failed)
}

/// Waits until every service serves.
pub(super) async fn ready(engine: &Engine, mut keeper: Option<Child>) -> Result<Vec<ServiceStatus>, Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = probe(engine).await;
        let last = match &answer {
            Ok(services) => match trouble(services) {
                None => return answer,
                Some(service) if service.state == State::Failed => return Err(not_ready(engine, service)),
                Some(service) => not_ready(engine, service),
            },
            Err(failure) if matches!(failure.code, Code::Unavailable | Code::DeadlineExceeded) => {
                // Another keeper may have been faster: then that one answers, and ours has ended.
                if failure.code == Code::Unavailable
                    && let Some(status) = keeper.as_mut().and_then(|keeper| keeper.try_wait().ok().flatten())
                {
                    return Err(ended(engine, status));
                }
                failure.clone()
            }
            Err(failure) => return Err(failure.clone()),
        };
        if Instant::now() > deadline {
            return Err(last.context(format_args!("not ready after {} s", PATIENCE.as_secs())));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The first service that does not serve; one that has given up before others.
fn trouble(services: &[ServiceStatus]) -> Option<&ServiceStatus> {
    let with = |state: fn(State) -> bool| services.iter().find(move |service| state(service.state));
    with(|state| state == State::Failed).or_else(|| with(|state| state != State::Ready))
}

fn not_ready(engine: &Engine, status: &ServiceStatus) -> Failure {
    let ServiceStatus { service, state, last_error, .. } = status;
    let why = if last_error.is_empty() { String::new() } else { format!(": {last_error}") };
    Failure::unavailable(format_args!("service {service} is not ready but {state}{why}"))
        .hint(format_args!("its log is {}", engine.instance.log(service).display()))
}

fn ended(engine: &Engine, status: std::process::ExitStatus) -> Failure {
    let log = engine.instance.log(KEEPER);
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    let why = last.map_or_else(|| status.to_string(), str::to_owned);
    Failure::unavailable(format_args!("the keeper of the services has ended: {why}"))
        .hint(format_args!("its log is {}", log.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::supervisor::Usage;

    fn service(name: &str, state: State) -> ServiceStatus {
        ServiceStatus {
            service: name.into(),
            pid: 1,
            state,
            restarts: 0,
            uptime_ms: 0,
            memory: 0,
            last_error: String::new(),
            executable: String::new(),
            usage: Usage::default(),
        }
    }

    #[test]
    fn the_worst_trouble_comes_first() {
        let services = [service("a", State::Ready), service("b", State::Starting), service("c", State::Failed)];
        assert_eq!(trouble(&services).unwrap().service, "c");
        assert_eq!(trouble(&services[..2]).unwrap().service, "b");
        assert!(trouble(&services[..1]).is_none());
    }
}

//! `system reload`.

use super::boot::{probe, ready};
use crate::console;
use crate::engine::Engine;
use crate::error::Result;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use schema::supervisor::{SERVICE, ServiceStatus};
use schema::{Failure, Instance};
use std::fs;
use std::io;
use std::time::{Duration, Instant};

/// How long the processes that run may take to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at them.
const PAUSE: Duration = Duration::from_millis(20);
/// The name of the keeper's process.
const KEEPER: &str = "cctl-keeper";

/// Has the keeper, and by it all processes but the monitors, replaced by the programs that are installed now. The sockets
/// stay: commands that run meanwhile wait.
pub(super) async fn run(engine: &Engine) -> Result<u8> {
    let before = supervisor(&probe(engine).await?);
    let failed = |error: io::Error| Failure::io("telling the keeper", &error);
    let (keeper, process) = keeper(&engine.instance)?;
    pidfd_send_signal(&process, Signal::HUP).map_err(|error| failed(error.into()))?;
    let deadline = Instant::now() + PATIENCE;
    // The keeper stays the same process; what it starts is new.
    while probe(engine).await.map_or(before, |rows| supervisor(&rows)) == before {
        if Instant::now() > deadline {
            return Err(Failure::deadline(format_args!("keeper {keeper} does not run the installed programs"))
                .hint(format_args!("its log is {}", engine.instance.log("keeper").display()))
                .into());
        }
        tokio::time::sleep(PAUSE).await;
    }
    let services = ready(engine, None).await?;
    console::print_line(format_args!("cctl runs what is installed: {} services are ready", services.len() - 1))?;
    Ok(0)
}

/// The process of the supervisor; 0 while there is none.
fn supervisor(rows: &[ServiceStatus]) -> i32 {
    rows.iter().find(|row| row.service == SERVICE).map_or(0, |row| row.pid)
}

/// The keeper that has signed the instance's lock.
fn keeper(instance: &Instance) -> Result<(i32, std::os::fd::OwnedFd), Failure> {
    let path = instance.run().join("keeper.lock");
    let text = fs::read_to_string(&path)
        .map_err(|error| Failure::io(format_args!("reading who the keeper is from {}", path.display()), &error))?;
    let gone = || {
        Failure::unavailable(format_args!("{} names no keeper that lives", path.display()))
            .hint("run `cctl system start`")
    };
    let pid = text.trim().parse().ok().and_then(Pid::from_raw).ok_or_else(gone)?;
    let process = pidfd_open(pid, PidfdFlags::empty()).map_err(|_| gone())?;
    // Asked after it was opened: so it is this very process.
    let name = fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero())).map_err(|_| gone())?;
    if name.trim_end() == KEEPER { Ok((pid.as_raw_nonzero().get(), process)) } else { Err(gone()) }
}

//! Standing by: the instance has a keeper that whoever started us does not know, and we stand for it.
//!
//! A keeper that is killed is replaced by its supervisor, at once and without a gap; only, systemd sees its main process
//! end and starts another. That one does not disturb what runs: it hands on what it is told, and ends when the
//! keeper does; with success if that was in order, and otherwise with a failure, so that a keeper is started.

use crate::events::{Events, Told};
use crate::lock::{self, Holder};
use crate::predecessor::find;
use kit::notify::Notifier;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, pidfd_send_signal};
use schema::{Failure, Instance};
use std::fs;
use std::io;
use std::time::{Duration, Instant};

/// Between two looks at the keeper.
const PAUSE: Duration = Duration::from_millis(200);
/// The name of a keeper's process.
const NAME: &str = "cctl-keeper";

/// Stands by until the instance has no keeper any more.
pub(crate) fn run(instance: &Instance, starter: Option<&Notifier>) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::io("standing by for another keeper", &error);
    rustix::thread::set_name(c"cctl-stand-by").map_err(|error| failed(error.into()))?;
    let events = Events::signals().map_err(failed)?;
    if let Some(starter) = starter {
        starter.ready();
    }
    let (mut ending, mut told) = (false, Told::Nothing);
    loop {
        let keeper = match lock::holder(instance).map_err(failed)? {
            Holder::Nobody => return Ok(()),
            Holder::Dead => {
                return Err(
                    Failure::unavailable("the keeper and its supervisor were killed").hint("run `cctl system start`")
                );
            }
            Holder::Alive(keeper) => keeper,
        };
        ending |= told == Told::ToEnd;
        // Again and again: it may be another keeper by now.
        if ending {
            hand_on(keeper, Signal::TERM).map_err(failed)?;
        } else if told == Told::ToReload {
            hand_on(keeper, Signal::HUP).map_err(failed)?;
        }
        told = events.next(Instant::now() + PAUSE).map_err(failed)?;
    }
}

/// Sends the signal to the keeper, if it is one.
fn hand_on(keeper: Option<Pid>, signal: Signal) -> io::Result<()> {
    let Some(pid) = keeper else { return Ok(()) };
    let Some(process) = find(pid)? else { return Ok(()) };
    // Asked after it was opened: so it is this very process.
    let name = fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero())).unwrap_or_default();
    if name.trim_end() == NAME {
        match pidfd_send_signal(&process, signal) {
            Err(Errno::SRCH) | Ok(()) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

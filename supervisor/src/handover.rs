//! What keeper and supervisor pass to each other when one starts, or becomes, the other.

use crate::arguments::Arguments;
use crate::keeper::WATCHDOG;
use crate::program::Program;
use crate::shelves::Shelves;
use crate::{libexec, sockets};
use schema::supervisor::SERVICE;
use schema::{Failure, Instance};
use std::env;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// The name of the lock among the passed descriptors.
const LOCK: &str = "keeper.lock";
/// This program, also if its file was replaced or removed.
pub(crate) const THIS_PROGRAM: &str = "/proc/self/exe";

const KEEPER: &str = "CCTL_KEEPER";
const RESTARTS: &str = "CCTL_SUPERVISOR_RESTARTS";
const LAST_ERROR: &str = "CCTL_SUPERVISOR_ERROR";

/// What keeper and supervisor share.
#[derive(Debug)]
pub(crate) struct Handover {
    /// Held by both.
    pub(crate) lock: OwnedFd,
    /// Listening, by the name of the service.
    pub(crate) sockets: Vec<(String, OwnedFd)>,
    /// What keeps descriptors for services.
    pub(crate) shelves: Shelves,
    /// What became of the supervisors so far.
    pub(crate) past: Past,
}

/// What became of the supervisors so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Past {
    /// How often one was started after the first.
    pub(crate) restarts: u32,
    /// Why the last one was.
    pub(crate) last_error: String,
}

impl Handover {
    /// What this process was given by the other; none if it was not started by it.
    pub(crate) fn receive() -> Result<Option<Self>, Failure> {
        let failed = |error| Failure::io("taking over the passed sockets", &error);
        let Some(mut sockets) = crate::sys::passed().map_err(failed)? else { return Ok(None) };
        let lock = sockets.iter().position(|(name, _)| name == LOCK).ok_or_else(|| {
            Failure::invalid(format_args!("no descriptor named {LOCK} was passed")).hint("run `cctl system start`")
        })?;
        let (_, lock) = sockets.remove(lock);
        let shelves = Shelves::take_from(&mut sockets);
        let past = Past {
            restarts: env::var(RESTARTS).ok().and_then(|text| text.parse().ok()).unwrap_or_default(),
            last_error: env::var(LAST_ERROR).unwrap_or_default(),
        };
        Ok(Some(Self { lock, sockets, shelves, past }))
    }

    /// The process id of the keeper that started this supervisor.
    pub(crate) fn keeper() -> Option<i32> {
        env::var(KEEPER).ok()?.parse().ok()
    }

    /// The socket of a service.
    pub(crate) fn socket(&self, service: &str) -> Result<&OwnedFd, Failure> {
        self.sockets
            .iter()
            .find_map(|(name, socket)| (name == service).then_some(socket))
            .ok_or_else(|| Failure::internal(format_args!("the keeper holds no socket of {service}")))
    }

    /// This program, or another file of it, as `role`, with all of this and with the arguments and settings of this
    /// process.
    pub(crate) fn program(
        &self,
        file: &Path,
        role: &str,
        arguments: &Arguments,
        instance: &Instance,
        libexec: &Path,
    ) -> Program<'_> {
        let mut program = Program::new(file, "cctl-supervisor")
            .argument(role)
            .of(instance)
            .variable(libexec::VARIABLE, libexec)
            .variable(KEEPER, std::process::id().to_string())
            .variable(RESTARTS, self.past.restarts.to_string())
            .variable(LAST_ERROR, &self.past.last_error)
            .variable("NOTIFY_SOCKET", sockets::notification_path(instance, SERVICE))
            .variable("WATCHDOG_USEC", WATCHDOG.as_micros().to_string())
            .pass(LOCK, self.lock.as_fd());
        if let Some(file) = &arguments.manifest {
            program = program.argument("--manifest").argument(file);
        }
        let shelves = self.shelves.iter();
        let sockets = self.sockets.iter().map(|(name, socket)| (name.as_str(), socket.as_fd()));
        sockets.chain(shelves).fold(program, |program, (name, socket)| program.pass(name, socket))
    }
}

//! Starts PID 1, and hears how that goes.

use crate::child::{self, Child as Task};
use crate::relay::Relay;
use crate::streams::Streams;
use crate::sys::{self, At, Child, Errno, Fd, Fork, Memory, Poll, Received, flag, namespace};
use core::ffi::CStr;
use shim_protocol::layout;
use shim_protocol::plan::{STEP_CLONE, STEP_JOIN, STEP_READ, Steps};

/// What the child says.
pub enum News {
    /// The master of its terminal.
    Terminal(Fd),
    /// A step failed.
    Failed {
        /// Its number.
        step: u32,
        /// The error number.
        error: i32,
    },
    /// It waits to be told the rest of its plan.
    SetUp,
    /// The program runs: exec has closed the child's end. Also if it was killed before; its end tells that.
    Executed,
    /// Nothing yet.
    Nothing,
}

/// A child that was forked.
pub struct Started {
    /// It.
    pub child: Child,
    /// On which it is heard.
    pub status: Fd,
    /// Of its stdout and stderr, if it joins a sandbox and has no terminal.
    pub relays: Option<[Relay; 2]>,
}

/// Forks the child that carries out the plan in this file; or tells which step failed.
pub fn start(
    directory: &Fd,
    plan: &CStr,
    streams: &Streams,
    size: Option<(u16, u16)>,
    joins: bool,
    users: Option<Fd>,
    (mut descriptors, born_in): (Received, bool),
) -> Result<Started, (u32, Errno)> {
    let plan = read_plan(directory, plan).map_err(|error| (STEP_READ, error))?;
    let steps = Steps::new(&plan).map_err(|_| (STEP_READ, Errno::INVAL))?;
    let cloning = |error| (STEP_CLONE, error);
    let [ours, theirs] = sys::socket_pair().map_err(cloning)?;
    let task = |target, entered, cgroups, pipes| Task {
        directory,
        steps,
        target,
        users,
        entered,
        cgroups,
        pipes,
        streams,
        size,
        status: theirs,
    };
    let mut given = descriptors.iter_mut().map(Option::take);
    let mut next = || given.next().flatten();
    let target = if joins { Some(next().ok_or((STEP_JOIN, Errno::INVAL))?) } else { None };
    let cgroup = if born_in { next() } else { None };
    let cgroups: Received = core::array::from_fn(|_| next());
    let Some(target) = target else {
        let (forked, entered) = fork_in(namespace::PID, cgroup).map_err(cloning)?;
        return match forked {
            Fork::Parent(child) => Ok(Started { child, status: ours, relays: None }),
            Fork::Child => child::run(task(None, entered, cgroups, None)),
        };
    };
    let (relays, pipes) = match &streams.stderr {
        Some(_) => relays(directory).map_err(cloning).map(|(relays, pipes)| (Some(relays), Some(pipes)))?,
        // All of it goes to the terminal.
        None => (None, None),
    };
    let (forked, entered) = fork_into(&target, cgroup)?;
    match forked {
        Fork::Parent(child) => Ok(Started { child, status: ours, relays }),
        Fork::Child => child::run(task(Some(target), entered, cgroups, pipes)),
    }
}

/// For stdout and stderr, and the ends of their pipes that the process gets.
fn relays(directory: &Fd) -> sys::Result<([Relay; 2], [Fd; 2])> {
    let (stdout, out) = Relay::new(directory, layout::STDOUT_RELAY)?;
    let (stderr, err) = Relay::new(directory, layout::STDERR_RELAY)?;
    Ok(([stdout, stderr], [out, err]))
}

/// Forks into the PID namespace of a process; whatever is forked later is in ours again.
fn fork_into(target: &Fd, cgroup: Option<Fd>) -> Result<(Fork, Option<Fd>), (u32, Errno)> {
    let joining = |error| (STEP_JOIN, error);
    let own = sys::own_handle().map_err(joining)?;
    sys::join(target, namespace::PID).map_err(joining)?;
    let forked = fork_in(0, cgroup).map_err(|error| (STEP_CLONE, error));
    // It cannot fail. If it did, a later fork would, when that namespace is gone, and that is provided for.
    let _ = sys::join(&own, namespace::PID);
    forked
}

/// Forks into a cgroup of v2; where that is not to be had, as in one that has all the processes that it may have, answers
/// with the cgroup that is still to be entered.
fn fork_in(namespaces: u64, cgroup: Option<Fd>) -> sys::Result<(Fork, Option<Fd>)> {
    match cgroup {
        Some(cgroup) => match sys::fork(namespaces, Some(&cgroup)) {
            Ok(forked) => Ok((forked, None)),
            Err(_) => Ok((sys::fork(namespaces, None)?, Some(cgroup))),
        },
        None => Ok((sys::fork(namespaces, None)?, None)),
    }
}

/// Reads a plan.
pub fn read_plan(directory: &Fd, name: &CStr) -> sys::Result<Memory> {
    let file = sys::open(At::Dir(directory), name, flag::O_RDONLY, 0)?;
    let length = sys::length(&file)?;
    let mut memory = Memory::map(length)?;
    let mut filled = 0;
    while filled < length {
        match sys::read(&file, memory.get_mut(filled..).unwrap_or_default())? {
            0 => return Err(Errno::IO),
            count => filled += count,
        }
    }
    Ok(memory)
}

/// What the child tells of a failure: the step and the error number.
pub fn failure_message(step: u32, error: Errno) -> [u8; 8] {
    let mut message = [0; 8];
    let bytes = step.to_ne_bytes().into_iter().chain(error.0.to_ne_bytes());
    message.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
    message
}

/// What a child that is set up tells, and what it is told: that the rest of the plan is there, and the terminal's size, if
/// somebody has told that.
const SET_UP: &[u8; 1] = b"s";

/// Tells a child that is set up to go on. Fails if it was killed.
pub fn go_on(status: &Fd, size: Option<(u16, u16)>) -> sys::Result<()> {
    let (rows, columns) = size.unwrap_or_default();
    let ([a, b], [c, d]) = (rows.to_ne_bytes(), columns.to_ne_bytes());
    sys::send(status, &[size.is_some().into(), a, b, c, d], None)
}

/// The child's side: says that it is set up, and waits to be told to go on.
pub fn wait(status: &Fd) -> sys::Result<Option<(u16, u16)>> {
    sys::send(status, SET_UP, None)?;
    loop {
        sys::poll(&mut [Poll::readable(Some(status))], None)?;
        let mut message = [0; 5];
        match sys::receive(status, &mut message) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            Ok((5, _)) => {
                let [is_known, a, b, c, d] = message;
                return Ok((is_known != 0).then_some((u16::from_ne_bytes([a, b]), u16::from_ne_bytes([c, d]))));
            }
            // The monitor is gone.
            _ => return Err(Errno::IO),
        }
    }
}

/// Hears the child.
pub fn hear(status: &Fd) -> News {
    let mut message = [0; 8];
    match sys::receive(status, &mut message) {
        Err(Errno::AGAIN | Errno::INTR) => News::Nothing,
        Ok((1, _)) if message.starts_with(SET_UP) => News::SetUp,
        Ok((1, [Some(master), ..])) => News::Terminal(master),
        Ok((8, _)) => {
            let [a, b, c, d, e, f, g, h] = message;
            News::Failed { step: u32::from_ne_bytes([a, b, c, d]), error: i32::from_ne_bytes([e, f, g, h]) }
        }
        _ => News::Executed,
    }
}

//! Starts PID 1, and hears how that goes.

use crate::child::{self, Child as Task};
use crate::streams::Streams;
use crate::sys::{self, At, Child, Errno, Fd, Fork, Memory, Received, flag, namespace};
use shim_protocol::layout;
use shim_protocol::plan::{STEP_CLONE, STEP_READ, Steps};

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
    /// The program runs: exec has closed the child's end. Also if it was killed before; its end tells that.
    Executed,
    /// Nothing yet.
    Nothing,
}

/// Forks the child that carries out the plan: it, and the socket on which it is heard. Or which step failed.
pub fn start(
    directory: &Fd,
    streams: &Streams,
    size: Option<(u16, u16)>,
    cgroups: Received,
) -> Result<(Child, Fd), (u32, Errno)> {
    let plan = read_plan(directory).map_err(|error| (STEP_READ, error))?;
    let steps = Steps::new(&plan).map_err(|_| (STEP_READ, Errno::INVAL))?;
    let cloning = |error| (STEP_CLONE, error);
    let [ours, theirs] = sys::socket_pair().map_err(cloning)?;
    match sys::fork(namespace::PID).map_err(cloning)? {
        Fork::Parent(child) => Ok((child, ours)),
        Fork::Child => child::run(&Task { steps, cgroups, streams, size, status: theirs }),
    }
}

fn read_plan(directory: &Fd) -> sys::Result<Memory> {
    let file = sys::open(At::Dir(directory), layout::PLAN, flag::O_RDONLY, 0)?;
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

/// Hears the child.
pub fn hear(status: &Fd) -> News {
    let mut message = [0; 8];
    match sys::receive(status, &mut message) {
        Err(Errno::AGAIN | Errno::INTR) => News::Nothing,
        Ok((1, [Some(master), ..])) => News::Terminal(master),
        Ok((8, _)) => {
            let [a, b, c, d, e, f, g, h] = message;
            News::Failed { step: u32::from_ne_bytes([a, b, c, d]), error: i32::from_ne_bytes([e, f, g, h]) }
        }
        _ => News::Executed,
    }
}

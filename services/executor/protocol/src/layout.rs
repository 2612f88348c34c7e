//! The files of a sandbox's directory, and how a monitor is started. An exec has a directory and a monitor like a
//! sandbox's: PID 1, in what follows, is then the process that was asked for.
//!
//! The monitor gets three descriptors instead of standard streams: the sandbox's directory as 0, the control
//! listener as 1, and a status pipe as 2. Its arguments are its name, the sandbox's id (for people who look
//! at the process list), the hostname, a word of flags, and, if the sandbox is to have a user namespace, what is to be
//! written to its uid_map and gid_map (user_namespaces(7)). One that adopts a sandbox gets a socket as 2.

use core::ffi::CStr;

/// Output of PID 1; with a terminal, all of it.
pub const STDOUT: &CStr = c"stdout";
/// Errors of PID 1; absent with a terminal.
pub const STDERR: &CStr = c"stderr";
/// Input of PID 1; absent unless stdin is open.
pub const STDIN: &CStr = c"stdin";
/// A staging pipe for whoever writes to `stdin`; the monitor only keeps it alive.
pub const STDIN_STAGE: &CStr = c"stdin.stage";
/// Any byte written here ends the input of PID 1. Nobody takes it out again: so it is also known later.
pub const STDIN_CLOSE: &CStr = c"stdin.close";
/// Locked by whoever captures the output, until all of it is captured.
pub const CAPTURE_LOCK: &CStr = c"capture.lock";
/// What an exec without a terminal writes its output to; its monitor moves that into `stdout`.
pub const STDOUT_RELAY: &CStr = c"stdout.relay";
/// The same of its errors.
pub const STDERR_RELAY: &CStr = c"stderr.relay";
/// There as long as output may come. A FIFO also seems to end when a monitor is killed; whoever captures believes it
/// when this is gone.
pub const OUTPUT_OPEN: &CStr = c"output.open";
/// Locked by whoever takes out of the FIFOs, for as long as that takes; see [`crate::turn`] for what is in it.
pub const TAKE_LOCK: &CStr = c"take.lock";
/// A directory that belongs to the user of whoever captures the output. What a monitor makes in there, it makes as that
/// user: whatever that one puts there leads it nowhere else.
pub const COLLECTOR: &CStr = c"log";
/// What the monitor took out of `stdout` because nobody else did, though it was full. `spill` leads to a directory of
/// the collector, if that has made it.
pub const STDOUT_SPILL_EARLY: &CStr = c"log/spill/stdout";
/// The same of `stderr`.
pub const STDERR_SPILL_EARLY: &CStr = c"log/spill/stderr";
/// As long as this file is: what the monitor could not even spill, and a container that must not wait has lost.
pub const STDOUT_LOST: &CStr = c"log/lost";
/// The same of `stderr`.
pub const STDERR_LOST: &CStr = c"log/lost.stderr";
/// What nobody captured, when the run was over.
pub const STDOUT_SPILL: &CStr = c"log/stdout.spill";
/// What nobody captured, when the run was over.
pub const STDERR_SPILL: &CStr = c"log/stderr.spill";
/// What PID 1 does before it knows what it is to execute, if that was asked for; [`PLAN`] is then the rest.
pub const SETUP: &CStr = c"setup";
/// How PID 1 is to be made.
pub const PLAN: &CStr = c"plan";
/// How PID 1 ended, as soon as that is known; its output is perhaps still being captured.
pub const ENDED: &CStr = c"ended";
/// The same, while it is written; made with the sandbox, so that there is space for it whatever comes.
pub const ENDED_TEMPORARY: &CStr = c"ended.tmp";
/// How PID 1 ended; the last thing that is written.
pub const EXIT: &CStr = c"exit";
/// The same, while it is written; made with the sandbox as well.
pub const EXIT_TEMPORARY: &CStr = c"exit.tmp";
/// The monitor's listening socket.
pub const CONTROL: &CStr = c"control.sock";

/// Where a container's root filesystem is mounted, inside the sandbox.
pub const ROOTFS: &CStr = c"/rootfs";

/// Flag: PID 1 gets a pseudo-terminal.
pub const TERMINAL: u8 = b't';
/// Flag: PID 1 reads `stdin`.
pub const OPEN_STDIN: u8 = b'i';
/// Flag: the sandbox has a network namespace of its own.
pub const OWN_NETWORK: u8 = b'n';
/// Flag: an exec. The monitor makes no sandbox; its process joins the one whose PID 1 is named by the first
/// descriptor, a pidfd, of the request to start.
pub const JOIN: u8 = b'j';
/// Flag: the monitor was killed, and this is another. It makes nothing and starts nothing, but takes over what there
/// is, as an [`crate::adoption`] says.
pub const ADOPT: u8 = b'a';
/// Stands first in the word of flags, so that it is never empty.
pub const NO_FLAGS: u8 = b'-';

/// What a monitor was doing, by its own words, when no user namespace could be made.
pub const MAKING_USERS: &str = "making a user namespace";

/// What a monitor writes to its status pipe when the sandbox is ready. If it fails, it writes a line that
/// says why instead, and ends.
pub const READY: &[u8] = b"READY\n";

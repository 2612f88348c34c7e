//! How the first process of a sandbox is made: steps, each one or a few system calls, which the monitor's
//! child carries out in order. The first that fails ends it; its number and the error number go back.

use crate::Malformed;
use crate::wire::{Field, Put, Reader};
use core::ffi::CStr;

pub use crate::wire::{Numbers, Strings};

/// What a plan begins with: a name and the version of the format.
const HEADER: &[u8; 8] = b"cctlpln1";

/// Number of the step, not in any plan, of reading the plan.
pub const STEP_READ: u32 = u32::MAX;
/// Number of the step, not in any plan, of cloning the process.
pub const STEP_CLONE: u32 = u32::MAX - 1;
/// Number of the step, not in any plan, of joining the cgroups.
pub const STEP_CGROUP: u32 = u32::MAX - 2;

/// Number of the step, not in any plan, of waiting for the rest of a plan: the process was killed meanwhile. Nothing was
/// executed.
pub const STEP_LOST: u32 = u32::MAX - 4;

/// Number of the step, not in any plan, of entering the PID namespace of a sandbox that is joined.
pub const STEP_JOIN: u32 = u32::MAX - 3;

macro_rules! steps {
    ($($(#[$doc:meta])* $tag:literal $name:ident { $($(#[$field_doc:meta])* $field:ident : $type:ty,)* })*) => {
        /// One step.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Step<'a> {
            $($(#[$doc])* $name { $($(#[$field_doc])* $field: $type,)* },)*
        }

        impl<'a> Step<'a> {
            /// Hands the step's bytes to `put`, piece by piece.
            pub fn encode(&self, put: &mut dyn FnMut(&[u8])) {
                match self {
                    $(Self::$name { $($field,)* } => {
                        put(&[$tag]);
                        $(Field::put($field, put);)*
                    })*
                }
            }

            fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
                match u8::take(reader)? {
                    $($tag => Ok(Self::$name { $($field: Field::take(reader)?,)* }),)*
                    _ => Err(Malformed),
                }
            }
        }
    };
}

steps! {
    /// Leaves some namespaces for fresh ones (unshare(2)).
    1 Unshare {
        /// `CLONE_NEW…`.
        flags: u32,
    }
    /// Makes the directory `rootfs`, which must be a mount point, the root, and lets go of the old root.
    2 Pivot {}
    /// Makes a directory if it is missing; fails if the path is not one, or has a symbolic link in it.
    3 Directory {
        /// Where.
        path: &'a CStr,
        /// Permissions, if it is made.
        mode: u32,
    }
    /// Mounts a filesystem (mount(2)).
    4 Mount {
        /// What; or a name that is shown.
        source: &'a CStr,
        /// Where.
        target: &'a CStr,
        /// Type of the filesystem.
        kind: &'a CStr,
        /// `MS_…`.
        flags: u64,
        /// Options.
        data: &'a CStr,
        /// Whether to go on if the kernel does not have it.
        optional: bool,
    }
    /// Makes a device node or a file.
    5 Node {
        /// Where.
        path: &'a CStr,
        /// Type and permissions.
        mode: u32,
        /// Device number, as mknod(2) takes it.
        device: u64,
    }
    /// Makes a symbolic link.
    6 Link {
        /// What it points to.
        content: &'a CStr,
        /// Where.
        path: &'a CStr,
    }
    /// Hides a file behind /dev/null, or a directory behind an empty read-only one. A missing one is no error.
    7 Mask {
        /// Which.
        path: &'a CStr,
    }
    /// Makes a tree read-only. A missing one is no error.
    8 ReadOnly {
        /// Which.
        path: &'a CStr,
        /// `MS_…` that its mount has besides.
        flags: u64,
    }
    /// Overwrites a file.
    9 Write {
        /// Which.
        path: &'a CStr,
        /// With what.
        content: &'a [u8],
    }
    /// Makes a session with a new pseudo-terminal as its terminal, for stdin, stdout and stderr, and as
    /// /dev/console. The monitor gets the other side.
    10 Terminal {
        /// Owner of the terminal.
        uid: u32,
        /// Rows; a size that the monitor was told goes first.
        rows: u16,
        /// Columns.
        columns: u16,
    }
    /// Makes a session without a terminal; stdin, stdout and stderr are the sandbox's FIFOs, or /dev/null.
    11 Streams {}
    /// Enters the working directory; what is missing of it is made and given to the user.
    12 WorkingDirectory {
        /// Absolute.
        path: &'a CStr,
        /// Owner of what is made.
        uid: u32,
        /// Group of what is made.
        gid: u32,
    }
    /// Sets the file mode creation mask.
    13 Mask022 {}
    /// Becomes a user, with no capabilities but these, and no way to get more.
    14 Credentials {
        /// User.
        uid: u32,
        /// Group.
        gid: u32,
        /// Supplementary groups.
        groups: Numbers<'a>,
        /// Bit set.
        capabilities: u64,
        /// Number of capabilities that the kernel knows.
        known_capabilities: u32,
    }
    /// Filters the system calls of everything that follows (seccomp(2)).
    15 Seccomp {
        /// The program: `struct sock_filter` one behind the other, as the kernel of this machine wants it.
        program: &'a [u8],
    }
    /// Executes the first of these paths that exists.
    16 Execute {
        /// Paths to try.
        candidates: Strings<'a>,
        /// `argv`.
        arguments: Strings<'a>,
        /// `envp`.
        environment: Strings<'a>,
    }
    /// Enters namespaces of the sandbox that is joined (setns(2)), all at once.
    17 Join {
        /// `CLONE_NEW…`.
        namespaces: u32,
    }
    /// As `Terminal`, in a sandbox that is joined: /dev/console stays as it is.
    18 FurtherTerminal {
        /// Owner of the terminal.
        uid: u32,
        /// Rows; a size that the monitor was told goes first.
        rows: u16,
        /// Columns.
        columns: u16,
    }
    /// As `Credentials`, but programs may give more rights than their user has, as by a set-user-id bit. A filter of
    /// system calls is to be set before.
    23 Identity {
        /// User.
        uid: u32,
        /// Group.
        gid: u32,
        /// Supplementary groups.
        groups: Numbers<'a>,
        /// Bit set.
        capabilities: u64,
        /// Number of capabilities that the kernel knows.
        known_capabilities: u32,
    }
    /// Gives a file to a user and group; a symbolic link is not followed.
    24 Give {
        /// Which.
        path: &'a CStr,
        /// User.
        uid: u32,
        /// Group.
        gid: u32,
    }
    /// Limits what a process may use (setrlimit(2)).
    25 Limit {
        /// `RLIMIT_…`.
        resource: u32,
        /// What counts.
        soft: u64,
        /// What it may be raised to.
        hard: u64,
    }
    /// As `Streams`, in a sandbox that is joined: stdout and stderr are pipes, which the monitor relays to the
    /// FIFOs. So it can end the output when the process has ended, whoever else still holds the pipes.
    19 Pipes {
        /// Owner of the pipes.
        uid: u32,
    }
    /// Becomes a user and group of the host for whatever is made from here on, without giving up any power: those are root of
    /// a sandbox that has a user namespace.
    26 FilesOf {
        /// Both.
        id: u32,
    }
    /// Enters the sandbox's user namespace, and becomes root there: nothing of the host's is left. Ids in the steps before
    /// are the host's, in those that follow the container's.
    27 Users {}
    /// Waits to be told that the rest of the plan is there.
    28 Await {}
}

/// Hands the plan's bytes to `put`, piece by piece.
pub fn encode<'s>(steps: impl IntoIterator<Item = Step<'s>>, put: &mut dyn FnMut(&[u8])) {
    put_header(put);
    for step in steps {
        step.encode(put);
    }
}

/// Hands over what a plan begins with; the steps follow.
pub fn put_header(put: Put<'_>) {
    put(HEADER);
}

/// A plan that is read step by step.
#[derive(Clone, Debug)]
pub struct Steps<'a>(Reader<'a>);

impl<'a> Steps<'a> {
    /// The steps of a plan. Fails if it is not a plan of this version.
    pub fn new(plan: &'a [u8]) -> Result<Self, Malformed> {
        plan.strip_prefix(HEADER).map(|steps| Self(Reader(steps))).ok_or(Malformed)
    }
}

impl<'a> Iterator for Steps<'a> {
    type Item = Result<Step<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.0.is_empty() {
            return None;
        }
        let step = Step::decode(&mut self.0);
        if step.is_err() {
            // What follows has no meaning.
            self.0 = Reader(&[]);
        }
        Some(step)
    }
}

//! Carries out a plan, step by step, and thereby becomes PID 1 of the container.

use crate::start::{failure_message, read_plan, wait};
use crate::streams::Streams;
use crate::sys::{self, At, Errno, Fd, PointerList, Received, Result, flag, mounting, namespace, terminal};
use core::ffi::CStr;
use shim_protocol::layout;
use shim_protocol::plan::{Numbers, STEP_CGROUP, STEP_JOIN, STEP_LOST, STEP_READ, Step, Steps, Strings};

/// What the child has to do, and with what.
pub struct Child<'a> {
    /// The sandbox's directory.
    pub directory: &'a Fd,
    /// The plan, or what of it comes first.
    pub steps: Steps<'a>,
    /// PID 1 of the sandbox to join, if there is one.
    pub target: Option<Fd>,
    /// The user namespace of a sandbox that is not joined, if it has one.
    pub users: Option<Fd>,
    /// The cgroup of v2 to enter, if it was not born in it.
    pub entered: Option<Fd>,
    /// `cgroup.procs` files of the cgroups to join.
    pub cgroups: Received,
    /// For stdout and stderr, in a sandbox that is joined.
    pub pipes: Option<[Fd; 2]>,
    /// The sandbox's FIFOs.
    pub streams: &'a Streams,
    /// The terminal's size, if the monitor was told.
    pub size: Option<(u16, u16)>,
    /// Where to tell the monitor.
    pub status: Fd,
}

/// Becomes the program, or tells which step failed, and ends.
pub fn run(mut child: Child<'_>) -> ! {
    let (step, error) = child.carry_out();
    // If the monitor is gone, nobody wants to know.
    let _ = sys::send(&child.status, &failure_message(step, error), None);
    sys::exit(1)
}

impl Child<'_> {
    fn carry_out(&mut self) -> (u32, Errno) {
        // A monitor that is killed now takes along what it has not told anybody of.
        let _ = sys::die_with_parent();
        if self.target.is_some()
            && let Err(error) = sys::hide()
        {
            return (STEP_JOIN, error);
        }
        if let Err(error) = self.join_cgroups() {
            return (STEP_CGROUP, error);
        }
        if let Err(failed) = self.follow(self.steps.clone()) {
            return failed;
        }
        match wait(&self.status) {
            Ok(size) => self.size = size,
            Err(error) => return (STEP_LOST, error),
        }
        let plan = match read_plan(self.directory, layout::PLAN) {
            Ok(plan) => plan,
            Err(error) => return (STEP_READ, error),
        };
        let Ok(steps) = Steps::new(&plan) else { return (STEP_READ, Errno::INVAL) };
        self.follow(steps).err().unwrap_or((STEP_READ, Errno::INVAL))
    }

    /// Takes the steps, up to where the rest of the plan is to be waited for.
    fn follow(&self, steps: Steps<'_>) -> core::result::Result<(), (u32, Errno)> {
        for (number, step) in (0..).zip(steps) {
            match step {
                Ok(Step::Await {}) => return Ok(()),
                Ok(step) => self.take(&step).map_err(|error| (number, error))?,
                Err(_) => break,
            }
        }
        // A plan ends with the program that is executed.
        Err((STEP_READ, Errno::INVAL))
    }

    fn join_cgroups(&self) -> Result<()> {
        let open = |cgroup| sys::open(At::Dir(cgroup), c"cgroup.procs", flag::O_WRONLY, 0);
        let entered = self.entered.as_ref().map(open).transpose()?;
        entered.iter().chain(self.cgroups.iter().flatten()).try_for_each(|procs| sys::write(procs, b"0").map(drop))
    }

    fn take(&self, step: &Step<'_>) -> Result<()> {
        match *step {
            Step::Unshare { flags } => sys::unshare(flags.into()),
            Step::Pivot {} => {
                sys::change_directory(layout::ROOTFS)?;
                sys::pivot_here()
            }
            Step::Directory { path, mode } => make_real_directory(path, mode),
            Step::Mount { source, target, kind, flags, data, optional } => {
                match sys::mount(source, target, kind, flags, data) {
                    Err(Errno::NODEV) if optional => Ok(()),
                    other => other,
                }
            }
            Step::Node { path, mode, device } => sys::make_node(path, mode, device),
            Step::Link { content, path } => sys::link(content, path),
            Step::Mask { path } => mask(path),
            Step::ReadOnly { path, flags } => make_read_only(path, flags),
            Step::Write { path, content } => {
                let file = sys::open(At::Current, path, flag::O_WRONLY, 0)?;
                sys::write(&file, content).map(drop)
            }
            Step::Terminal { uid, rows, columns } => {
                let slave = self.open_terminal(uid, self.size.unwrap_or((rows, columns)))?;
                make_console()?;
                take_terminal(&slave)
            }
            Step::FurtherTerminal { uid, rows, columns } => {
                take_terminal(&self.open_terminal(uid, self.size.unwrap_or((rows, columns)))?)
            }
            Step::Streams {} => {
                let Streams { stdout, stderr, .. } = self.streams;
                let writers = [Some(stdout), stderr.as_ref()];
                self.take_streams(writers.map(|output| output.and_then(|output| output.writer.as_ref())))
            }
            Step::Pipes { uid } => {
                let pipes = self.pipes.as_ref().ok_or(Errno::INVAL)?;
                pipes.iter().try_for_each(|pipe| sys::change_user(pipe, uid))?;
                self.take_streams(pipes.each_ref().map(Some))
            }
            Step::Join { namespaces } => sys::join(self.target.as_ref().ok_or(Errno::INVAL)?, namespaces.into()),
            Step::WorkingDirectory { path, uid, gid } => enter(path, uid, gid),
            Step::FilesOf { id } => {
                sys::act_as(id)?;
                // Who becomes another is not killed with its parent any more.
                sys::die_with_parent()
            }
            Step::Users {} => {
                let users = self.users.as_ref().or(self.target.as_ref());
                sys::join(users.ok_or(Errno::INVAL)?, namespace::USER)?;
                sys::become_user(0, 0, &[])?;
                sys::die_with_parent()
            }
            Step::Mask022 {} => {
                sys::set_mask(0o022);
                Ok(())
            }
            Step::Credentials { uid, gid, groups, capabilities, known_capabilities } => {
                become_user(uid, gid, groups, capabilities, known_capabilities)?;
                sys::no_new_privileges()
            }
            Step::Identity { uid, gid, groups, capabilities, known_capabilities } => {
                become_user(uid, gid, groups, capabilities, known_capabilities)
            }
            Step::Give { path, uid, gid } => sys::change_owner(path, uid, gid),
            Step::Limit { resource, soft, hard } => sys::limit(resource, soft, hard),
            Step::Seccomp { program } => sys::filter_calls(program),
            // Whoever follows the plan stops there.
            Step::Await {} => Err(Errno::INVAL),
            Step::Execute { candidates, arguments, environment } => execute(candidates, arguments, environment),
        }
    }

    /// Makes a pseudo-terminal, and hands its master to the monitor.
    fn open_terminal(&self, uid: u32, (rows, columns): (u16, u16)) -> Result<Fd> {
        let flags = flag::O_RDWR | flag::O_NOCTTY | flag::O_NONBLOCK;
        let master = sys::open(At::Current, c"/dev/pts/ptmx", flags, 0)?;
        terminal::unlock(&master)?;
        let slave = terminal::peer(&master)?;
        terminal::set_size(&master, rows, columns)?;
        sys::change_user(&slave, uid)?;
        sys::send(&self.status, b"t", Some(&master))?;
        Ok(slave)
    }

    fn take_streams(&self, outputs: [Option<&Fd>; 2]) -> Result<()> {
        // In a sandbox that is joined, somebody may have put something else in this place.
        const NULL: i32 = flag::O_RDONLY | flag::O_NOCTTY | flag::O_NONBLOCK;
        sys::new_session()?;
        match &self.streams.stdin {
            Some(input) => sys::duplicate_onto(&input.reader, 0)?,
            None => sys::duplicate_onto(&sys::open(At::Current, c"/dev/null", NULL, 0)?, 0)?,
        }
        for (output, number) in outputs.into_iter().zip(1..) {
            if let Some(output) = output {
                sys::duplicate_onto(output, number)?;
            }
        }
        Ok(())
    }
}

/// Lets /dev/console be the first terminal of a new instance of devpts, which has number 0.
fn make_console() -> Result<()> {
    const REGULAR: u32 = 0o100000;
    sys::make_node(c"/dev/console", REGULAR | 0o600, 0)?;
    sys::mount(c"/dev/pts/0", c"/dev/console", c"", mounting::BIND, c"")
}

fn take_terminal(slave: &Fd) -> Result<()> {
    sys::new_session()?;
    terminal::control(slave)?;
    (0..=2).try_for_each(|number| sys::duplicate_onto(slave, number))
}

/// A mount on a symbolic link would be a mount somewhere else.
fn make_real_directory(path: &CStr, mode: u32) -> Result<()> {
    match sys::open_real_directory(path) {
        Err(Errno::NOENT) => {
            match sys::make_directory(path, mode) {
                // Somebody else has the same root filesystem.
                Ok(()) | Err(Errno::EXIST) => sys::open_real_directory(path).map(drop),
                failed => failed,
            }
        }
        other => other.map(drop),
    }
}

fn mask(path: &CStr) -> Result<()> {
    match sys::mount(c"/dev/null", path, c"", mounting::BIND, c"") {
        Err(Errno::NOENT) => Ok(()),
        // It is a directory, and a device cannot be mounted on it.
        Err(Errno::NOTDIR) => sys::mount(c"tmpfs", path, c"tmpfs", mounting::RDONLY, c"size=0"),
        other => other,
    }
}

fn make_read_only(path: &CStr, flags: u64) -> Result<()> {
    match sys::mount(path, path, c"", mounting::BIND | mounting::REC, c"") {
        Err(Errno::NOENT) => return Ok(()),
        other => other?,
    }
    let flags = flags | mounting::BIND | mounting::REMOUNT | mounting::RDONLY;
    sys::mount(c"none", path, c"", flags, c"")
}

/// Enters a directory, making what is missing of it.
fn enter(path: &CStr, uid: u32, gid: u32) -> Result<()> {
    const LONGEST: usize = 4096;
    match sys::change_directory(path) {
        Err(Errno::NOENT) => {}
        other => return other,
    }
    let mut part = [0; LONGEST];
    let bytes = path.to_bytes_with_nul();
    for (at, byte) in bytes.iter().enumerate() {
        let ends = at > 0 && matches!(byte, 0 | b'/');
        *part.get_mut(at).ok_or(Errno::INVAL)? = if ends { 0 } else { *byte };
        if ends {
            let ancestor = CStr::from_bytes_until_nul(&part).map_err(|_| Errno::INVAL)?;
            match sys::make_directory(ancestor, 0o755) {
                Ok(()) => sys::change_owner(ancestor, uid, gid)?,
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
            *part.get_mut(at).ok_or(Errno::INVAL)? = *byte;
        }
    }
    sys::change_directory(path)
}

/// Becomes a user who has, and can get, no capabilities but these.
fn become_user(uid: u32, gid: u32, groups: Numbers<'_>, capabilities: u64, known: u32) -> Result<()> {
    restrict(capabilities, known)?;
    sys::become_user(uid, gid, groups.bytes())?;
    sys::set_capabilities(if uid == 0 { capabilities } else { 0 })
}

/// Gives up all capabilities but some, for whatever is executed from here on.
fn restrict(capabilities: u64, known: u32) -> Result<()> {
    (0..known).filter(|number| capabilities & (1 << number) == 0).try_for_each(sys::drop_capability)?;
    sys::clear_ambient()
}

fn execute(candidates: Strings<'_>, arguments: Strings<'_>, environment: Strings<'_>) -> Result<()> {
    let arguments = PointerList::new(arguments.count(), arguments.iter())?;
    let environment = PointerList::new(environment.count(), environment.iter())?;
    sys::reset_signals();
    sys::block_signals(false)?;
    sys::outlive_parent()?;
    let mut worst = Errno::NOENT;
    for path in candidates.iter() {
        match sys::execute(path, &arguments, &environment) {
            Errno::NOENT | Errno::NOTDIR => {}
            // It may not be executed here, but perhaps one further on.
            Errno::ACCES => worst = Errno::ACCES,
            error => return Err(error),
        }
    }
    Err(worst)
}

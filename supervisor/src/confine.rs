//! What a child gives up before it becomes a service. All of this runs between fork and exec: it allocates nothing, and
//! takes no lock.

use crate::landlock::Rules;
use crate::view::{Step, View};
use kit::users::User;
use nix::sched::CloneFlags;
use rustix::fs::{CWD, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, mount_change,
    mount_remount, unmount,
};
use rustix::process::{Resource, Rlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, LinkNameSpaceType, clear_ambient_capability_set,
    configure_capability_in_ambient_set, move_into_link_name_space, remove_capability_from_bounding_set,
    set_capabilities, set_keep_capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};
use seccomp::Filter;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

/// What is left to it.
#[derive(Debug)]
pub(crate) struct Confinement {
    /// None: all that the supervisor sees.
    pub(crate) view: Option<View>,
    /// By which it uses what it sees; none: by modes and owners alone.
    pub(crate) rules: Option<Rules>,
    /// None: the supervisor's.
    pub(crate) network: Option<Rc<OwnedFd>>,
    /// None: root.
    pub(crate) user: Option<User>,
    /// None: all that the supervisor has.
    pub(crate) capabilities: Option<u64>,
    /// Not even a program with a setuid bit gives it more.
    pub(crate) no_new_privileges: bool,
    /// Descriptors that it may have open.
    pub(crate) files: Option<u64>,
    /// What it may call; none: whatever there is.
    pub(crate) filter: Option<Filter>,
}

/// What could not be done, for the service's log.
pub(crate) type Failed = (&'static [u8], Errno);

fn doing<T>(what: &'static [u8], done: Result<T, Errno>) -> Result<T, Failed> {
    done.map_err(|error| (what, error))
}

impl Confinement {
    /// Confines this process, but for its system calls.
    pub(crate) fn apply(&self) -> Result<(), Failed> {
        let Self { view, rules, network, user, capabilities, no_new_privileges, files, filter: _ } = self;
        if let Some(network) = network {
            let kind = Some(LinkNameSpaceType::Network);
            doing(b"entering the empty network", move_into_link_name_space(network.as_fd(), kind))?;
        }
        if let Some(view) = view {
            see(view)?;
        }
        // After the last mount, which they forbid, and before the capability is given up that it takes to do so without
        // renouncing new privileges.
        if let Some(rules) = rules {
            doing(b"taking on the rules of Landlock", rules.take_on())?;
        }
        if let Some(files) = files {
            let inherited = rustix::process::getrlimit(Resource::Nofile).maximum;
            // Nobody but the mighty may raise it; to lower it is allowed to all.
            let limit = Some(inherited.map_or(*files, |inherited| inherited.min(*files)));
            let limit = Rlimit { current: limit, maximum: limit };
            doing(b"limiting descriptors", rustix::process::setrlimit(Resource::Nofile, limit))?;
        }
        // Those of whoever started us are not for services.
        doing(b"leaving groups", set_thread_groups(&[]))?;
        doing(b"clearing ambient capabilities", clear_ambient_capability_set())?;
        if let Some(kept) = capabilities {
            bound(*kept)?;
        }
        if let Some(user) = user {
            become_user(*user, capabilities.unwrap_or_default())?;
        }
        if *no_new_privileges {
            doing(b"forbidding new privileges", set_no_new_privs(true))?;
        }
        Ok(())
    }

    /// Filters its system calls. After everything else: what that calls is not for the service.
    pub(crate) fn filter(&self) -> Result<(), Failed> {
        let Some(filter) = &self.filter else { return Ok(()) };
        let installed = filter.install().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO));
        doing(b"filtering system calls", installed)
    }
}

/// Changes to a root in which there is only that.
fn see(view: &View) -> Result<(), Failed> {
    let made = nix::sched::unshare(CloneFlags::CLONE_NEWNS).map_err(|error| Errno::from_raw_os_error(error as i32));
    doing(b"making a mount namespace", made)?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    doing(b"making mounts private", mount_change(c"/", private))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    doing(b"mounting a root", mount(c"cctl", &*view.place, c"tmpfs", flags, c"mode=0755,size=64k"))?;
    view.steps.iter().try_for_each(take)?;
    let read_only = MountFlags::BIND | MountFlags::RDONLY | flags;
    doing(b"closing the root", mount_remount(&*view.place, read_only, c""))?;
    doing(b"entering the root", rustix::process::chdir(&*view.place))?;
    doing(b"changing the root", rustix::process::pivot_root(c".", c"."))?;
    doing(b"leaving the host's mounts", unmount(c".", UnmountFlags::DETACH))?;
    doing(b"entering the root", rustix::process::chdir(c"/"))
}

fn take(step: &Step) -> Result<(), Failed> {
    match step {
        Step::Directory(at) => match rustix::fs::mkdir(&**at, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err((b"making a directory of the root", error)),
        },
        Step::File(at) => {
            let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
            let made = rustix::fs::openat(CWD, &**at, flags, Mode::from_raw_mode(0o600));
            doing(b"making a file of the root", made.map(drop))
        }
        Step::Link { content, at } => doing(b"making a link of the root", rustix::fs::symlink(&**content, &**at)),
        Step::Bind { from, at, recursive, flags } => {
            let bound = if *recursive { mount_bind_recursive(&**from, &**at) } else { mount_bind(&**from, &**at) };
            doing(b"showing a part of the host", bound)?;
            doing(b"restricting a part of the host", mount_remount(&**at, MountFlags::BIND | *flags, c""))
        }
    }
}

/// Gives up all capabilities but these, for whatever is executed.
fn bound(kept: u64) -> Result<(), Failed> {
    for number in 0..64 {
        let one = CapabilitySet::from_bits_retain(1 << number);
        if kept & one.bits() == 0 {
            match remove_capability_from_bounding_set(one) {
                // The kernel does not know it.
                Ok(()) | Err(Errno::INVAL) => {}
                Err(error) => return Err((b"giving up capabilities", error)),
            }
        }
    }
    Ok(())
}

fn become_user(User { uid, gid }: User, capabilities: u64) -> Result<(), Failed> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    let what = b"becoming another user";
    if capabilities != 0 {
        doing(what, set_keep_capabilities(true))?;
    }
    doing(what, set_thread_res_gid(gid, gid, gid))?;
    doing(what, set_thread_res_uid(uid, uid, uid))?;
    let set = CapabilitySet::from_bits_retain(capabilities);
    doing(what, set_capabilities(None, CapabilitySets { effective: set, permitted: set, inheritable: set }))?;
    for number in 0..64 {
        let one = CapabilitySet::from_bits_retain(1 << number);
        if set.contains(one) {
            doing(b"keeping capabilities", configure_capability_in_ambient_set(one, true))?;
        }
    }
    Ok(())
}

//! A host with users and groups of its own, as the test and all that it starts see it.

use harness::{Instance, Output};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use rustix::thread::{Gid, Uid, set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Command;

/// Somebody.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: &'static [u32],
}

pub(crate) const ADMIN: Who = Who { uid: 52_001, gid: 52_001, groups: &[52_100] };
pub(crate) const VIEWER: Who = Who { uid: 52_002, gid: 52_101, groups: &[] };
/// A viewer, too, by one of many groups.
pub(crate) const VISITOR: Who = Who { uid: 52_003, gid: 52_003, groups: &[52_900, 52_901, 52_101] };
pub(crate) const ALICE: Who = Who { uid: 52_004, gid: 52_004, groups: &[] };
/// In a project by his group.
pub(crate) const BOB: Who = Who { uid: 52_005, gid: 52_005, groups: &[52_102] };
pub(crate) const NOBODY: Who = Who { uid: 52_006, gid: 52_006, groups: &[] };

/// Gives this thread, and what it starts, an /etc with these users.
fn populate() {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
    let add = |file: &str, lines: &str| {
        let copy = tempfile::NamedTempFile::new().unwrap();
        let name = |line: &str| line.split(':').next().unwrap_or_default().to_owned();
        let names: Vec<String> = lines.lines().map(name).collect();
        // The host may have these names already, with other numbers.
        let text = fs::read_to_string(file).unwrap();
        let kept: String =
            text.lines().filter(|line| !names.contains(&name(line))).map(|line| format!("{line}\n")).collect();
        fs::write(copy.path(), kept + lines).unwrap();
        fs::set_permissions(copy.path(), PermissionsExt::from_mode(0o644)).unwrap();
        mount(Some(copy.path()), file, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    };
    add("/etc/passwd", "alice:x:52004:52004::/:/bin/sh\nbob:x:52005:52005::/:/bin/sh\n");
    add("/etc/group", "cctl:x:52100:\ncctl-viewer:x:52101:\nwebdev:x:52102:bob\n");
}

/// Starts an instance whose `access.toml` says this.
pub(crate) fn start(access: &str) -> Instance {
    populate();
    let cctl = Instance::prepare();
    fs::set_permissions(cctl.scratch(), PermissionsExt::from_mode(0o755)).unwrap();
    configure(&cctl, access);
    cctl.cctl(&["system", "start"]).ok();
    cctl.cctl_with_input(&["import", "-", "base"], harness::base_image()).ok();
    cctl
}

/// Writes `access.toml`, as an editor does.
pub(crate) fn configure(cctl: &Instance, access: &str) {
    fs::create_dir_all(cctl.config()).unwrap();
    let new = cctl.config().join("access.toml.new");
    fs::write(&new, access).unwrap();
    fs::set_permissions(&new, PermissionsExt::from_mode(0o644)).unwrap();
    fs::rename(&new, cctl.config().join("access.toml")).unwrap();
}

/// `cctl` as somebody, not started yet.
pub(crate) fn command(cctl: &Instance, who: Who, arguments: &[&str]) -> Command {
    let plain = cctl.command(arguments);
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={}", who.uid)).arg(format!("--regid={}", who.gid));
    if who.groups.is_empty() {
        command.arg("--clear-groups");
    } else {
        let groups: Vec<String> = who.groups.iter().map(u32::to_string).collect();
        command.arg(format!("--groups={}", groups.join(",")));
    }
    command.arg(plain.get_program()).args(plain.get_args()).stdin(std::process::Stdio::null());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// Runs `cctl` as somebody, to its end.
pub(crate) fn run(cctl: &Instance, who: Who, arguments: &[&str]) -> Output {
    command(cctl, who, arguments).output().unwrap().into()
}

/// Connects to a service as somebody.
pub(crate) fn connect(cctl: &Instance, who: Who, service: &str) -> io::Result<UnixStream> {
    let path = cctl.runtime().join(format!("{service}.sock"));
    // A thread has credentials of its own.
    let connecting = std::thread::spawn(move || {
        let groups: Vec<Gid> = who.groups.iter().map(|group| Gid::from_raw(*group)).collect();
        let (uid, gid) = (Uid::from_raw(who.uid), Gid::from_raw(who.gid));
        set_thread_groups(&groups)?;
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)?;
        UnixStream::connect(path)
    });
    connecting.join().unwrap()
}

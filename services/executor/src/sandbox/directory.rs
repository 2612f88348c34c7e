//! The directory of a sandbox and the files in it.

use super::record::Spec;
use crate::control;
use kit::users::User;
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Uid, chmodat, chownat, fchmod, fchown, mkdirat, mknodat, openat,
};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};
use schema::Failure;
use shim_protocol::{exit, layout, turn};
use std::ffi::CStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// How often a directory is removed into which somebody writes at that moment.
const TRIES: u32 = 100;

/// Connections that wait for the monitor.
const BACKLOG: i32 = 16;
/// Plain files of a sandbox, and how many bytes of each have their space from the beginning: a run ends, and its output
/// is taken, though the file system has become full.
const FILES: [(&CStr, usize); 5] = [
    (layout::CAPTURE_LOCK, 0),
    (layout::TAKE_LOCK, turn::SIZE),
    (layout::OUTPUT_OPEN, 0),
    (layout::ENDED_TEMPORARY, exit::LONGEST),
    (layout::EXIT_TEMPORARY, exit::LONGEST),
];
const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

/// Opens a directory.
pub(crate) fn open(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// The path of a file in a sandbox's directory.
pub(crate) fn file(directory: &Path, name: &CStr) -> PathBuf {
    directory.join(name.to_string_lossy().as_ref())
}

/// Makes the directory of all sandboxes.
pub(crate) fn make_all(path: &Path) -> Result<(), Failure> {
    make_with(path, 0o711)
}

/// Makes that of one.
pub(crate) fn make(path: &Path) -> Result<(), Failure> {
    make_with(path, 0o700)
}

fn make_with(path: &Path, mode: u32) -> Result<(), Failure> {
    let made = fs::DirBuilder::new().recursive(true).mode(mode).create(path);
    made.map_err(|error| Failure::io(format_args!("making {}", path.display()), &error))
}

/// The FIFOs that carry a process's streams, which belong to the process's user.
fn streams(spec: &Spec) -> impl Iterator<Item = &'static CStr> {
    let stderr = (!spec.terminal()).then_some(layout::STDERR);
    let stdin = spec.open_stdin().then_some(layout::STDIN);
    [Some(layout::STDOUT), stderr, stdin].into_iter().flatten()
}

/// What a log collector opens.
fn shared(spec: &Spec) -> impl Iterator<Item = &'static CStr> {
    streams(spec).chain(inputs(spec)).chain(relays(spec)).chain([layout::CAPTURE_LOCK, layout::TAKE_LOCK])
}

/// Lets the log collector have what it needs of a sandbox, and nothing else: it may open the FIFOs and the locks, and
/// has a directory of its own. What was another user's in there becomes this one's.
pub(super) fn share(path: &Path, spec: &Spec, collector: User) -> Result<(), Failure> {
    let failed =
        |error: io::Error| Failure::io(format_args!("sharing {} with the log collector", path.display()), &error);
    let gid = Gid::from_raw(collector.gid);
    let share = || -> io::Result<()> {
        let opened = open(path)?;
        for name in shared(spec) {
            chownat(&opened, name, None, Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
            chmodat(&opened, name, PRIVATE | Mode::RGRP | Mode::WGRP, AtFlags::empty())?;
        }
        match mkdirat(&opened, layout::COLLECTOR, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        // Also what one of before has made in there, who was another user.
        kit::ownership::give(&opened, layout::COLLECTOR, collector)?;
        fchown(&opened, None, Some(gid))?;
        Ok(fchmod(&opened, Mode::RWXU | Mode::XGRP)?)
    };
    share().map_err(failed)
}

/// Makes all files that a monitor expects, and the socket on which it will listen.
pub(super) fn fill(path: &Path, spec: &Spec, collector: User) -> Result<(OwnedFd, OwnedFd), Failure> {
    let doing = |name: &CStr| format!("making {}", file(path, name).display());
    let opened = open(path).map_err(|error| Failure::io(format_args!("opening {}", path.display()), &error))?;
    for name in streams(spec).chain(inputs(spec)).chain(relays(spec)) {
        mknodat(&opened, name, FileType::Fifo, PRIVATE, 0).map_err(|error| Failure::io(doing(name), &error.into()))?;
    }
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    for (name, space) in FILES {
        let made = openat(&opened, name, flags, PRIVATE).map_err(io::Error::from);
        let made = made.and_then(|file| File::from(file).write_all(&[0; exit::LONGEST][..space]));
        made.map_err(|error| Failure::io(doing(name), &error))?;
    }
    share(path, spec, collector)?;
    let listener = listener(&opened).map_err(|error| Failure::io(doing(layout::CONTROL), &error))?;
    Ok((opened, listener))
}

/// The FIFOs of whoever writes to stdin: what is on its way there, and that it is to end.
fn inputs(spec: &Spec) -> impl Iterator<Item = &'static CStr> {
    [layout::STDIN_STAGE, layout::STDIN_CLOSE].into_iter().filter(|_| spec.open_stdin())
}

/// The FIFOs between an exec's process and its monitor.
fn relays(spec: &Spec) -> impl Iterator<Item = &'static CStr> {
    let relayed = spec.exec_of().is_some() && !spec.terminal();
    [layout::STDOUT_RELAY, layout::STDERR_RELAY].into_iter().filter(move |_| relayed)
}

/// Opens ends of the FIFOs that its monitor alone holds, or shares with a collector: they keep what is in them, and
/// those who write to them, while there is no monitor.
pub(super) fn spares(path: &Path, spec: &Spec) -> io::Result<Vec<OwnedFd>> {
    let opened = open(path)?;
    let copied = spec.terminal() || spec.exec_of().is_some();
    // PID 1 holds both ends of what it writes to itself.
    let outputs = streams(spec).filter(|name| copied && *name != layout::STDIN);
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    outputs
        .chain(relays(spec))
        .chain(inputs(spec))
        .map(|name| Ok(openat(&opened, name, flags, Mode::empty())?))
        .collect()
}

/// Opens a spare end of stdin, and what tells when to let go of it.
pub(super) fn spare_input(path: &Path) -> io::Result<(OwnedFd, OwnedFd)> {
    let opened = open(path)?;
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let end = |name: &CStr| openat(&opened, name, flags, Mode::empty());
    Ok((end(layout::STDIN)?, end(layout::STDIN_CLOSE)?))
}

/// Opens the directory and makes the socket again, for another monitor.
pub(super) fn reopen(path: &Path) -> Result<(OwnedFd, OwnedFd), Failure> {
    let failed = |error: io::Error| Failure::io(format_args!("listening in {}", path.display()), &error);
    let opened = open(path).map_err(failed)?;
    match rustix::fs::unlinkat(&opened, layout::CONTROL, AtFlags::empty()) {
        Err(error) if error != Errno::NOENT => return Err(failed(error.into())),
        _ => {}
    }
    let listener = listener(&opened).map_err(failed)?;
    Ok((opened, listener))
}

fn listener(directory: &OwnedFd) -> io::Result<OwnedFd> {
    let address = control::address(directory)?;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// Gives the streams to the user that the process runs as: programs open /dev/stdout by its name. Their group is the
/// log collector's.
pub(super) fn give_streams(path: &Path, spec: &Spec, uid: u32) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::io(format_args!("giving {} to user {uid}", path.display()), &error);
    let opened = open(path).map_err(failed)?;
    streams(spec).try_for_each(|name| {
        chownat(&opened, name, Some(Uid::from_raw(uid)), None, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| failed(error.into()))
    })
}

/// Removes it all; done also if it is gone.
pub(super) fn remove(path: &Path) -> Result<(), Failure> {
    let mut tries = 0;
    loop {
        match fs::remove_dir_all(path) {
            // The log collector has just taken hold of a run that it does not know to be over, and writes what was lost.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty && tries < TRIES => tries += 1,
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Failure::io(format_args!("removing {}", path.display()), &error));
            }
            _ => return Ok(()),
        }
    }
}

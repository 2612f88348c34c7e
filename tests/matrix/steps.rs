//! Which system calls are steps: those that change something that outlives the call.

use nix::libc;

/// The descriptor of the service's own log.
const STDERR: u64 = 2;
/// What wakes a thread of the same process: a write to an eventfd.
const WAKE_UP: u64 = 8;
/// `WATCHDOG=1`, the sign of life. What Cap'n Proto sends has a multiple of 8 bytes.
const SIGN_OF_LIFE: u64 = 10;

macro_rules! steps {
    ($($name:ident),* $(,)?) => {
        fn name(number: i64) -> Option<&'static str> {
            $(if number == libc::$name { return Some(stringify!($name).trim_start_matches("SYS_")); })*
            None
        }
    };
}

steps! {
    SYS_write, SYS_pwrite64, SYS_writev, SYS_pwritev, SYS_pwritev2, SYS_sendto, SYS_sendmsg, SYS_sendmmsg,
    SYS_openat, SYS_openat2, SYS_renameat, SYS_renameat2, SYS_linkat, SYS_symlinkat, SYS_unlinkat,
    SYS_mkdirat, SYS_mknodat, SYS_ftruncate, SYS_fallocate, SYS_fsync, SYS_fdatasync, SYS_sync_file_range,
    SYS_copy_file_range, SYS_splice, SYS_tee, SYS_sendfile, SYS_mount, SYS_umount2, SYS_move_mount, SYS_open_tree,
    SYS_fsopen, SYS_fsconfig, SYS_fsmount, SYS_mount_setattr, SYS_setns, SYS_unshare, SYS_clone, SYS_clone3,
    SYS_kill, SYS_tgkill, SYS_pidfd_send_signal, SYS_fchmodat, SYS_fchmod, SYS_fchownat, SYS_fchown,
    SYS_setxattr, SYS_lsetxattr, SYS_fsetxattr, SYS_utimensat, SYS_connect, SYS_bind, SYS_listen, SYS_flock, SYS_syncfs,
}

/// The older calls, which only some architectures have.
#[cfg(target_arch = "x86_64")]
mod older {
    use nix::libc;
    steps! { SYS_open, SYS_rename, SYS_link, SYS_symlink, SYS_unlink, SYS_mkdir, SYS_rmdir, SYS_mknod, SYS_chmod, SYS_chown, SYS_fork, SYS_vfork }
    pub(super) fn known(number: i64) -> Option<&'static str> {
        name(number)
    }
}

#[cfg(target_arch = "aarch64")]
mod older {
    pub(super) fn known(_number: i64) -> Option<&'static str> {
        None
    }
}

/// The name of a call that is a step.
pub(crate) fn step(number: u64, arguments: [u64; 6]) -> Option<&'static str> {
    let number = i64::try_from(number).ok()?;
    let name = name(number).or_else(|| older::known(number))?;
    let [first, second, third, ..] = arguments;
    let flags = |flags: u64| flags & (libc::O_CREAT | libc::O_TRUNC) as u64 != 0;
    let passes = match name {
        "write" => first != STDERR && third != WAKE_UP,
        "writev" => first != STDERR,
        "sendto" => third != SIGN_OF_LIFE,
        "open" => flags(second),
        "openat" => flags(third),
        _ => true,
    };
    passes.then_some(name)
}

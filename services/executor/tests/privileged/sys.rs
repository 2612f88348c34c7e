//! The one place of these tests with `unsafe`.
#![allow(unsafe_code)]

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};
use std::fs::File;
use std::os::fd::AsFd;

/// Moves this thread, which was started for that, into a mount namespace.
pub(crate) fn enter(namespace: &File) {
    // SAFETY: descriptors stay shared with the other threads; only the root and current directory are not, and
    // nothing of this thread depends on them.
    unsafe { unshare_unsafe(UnshareFlags::FS) }.unwrap();
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Mount)).unwrap();
}

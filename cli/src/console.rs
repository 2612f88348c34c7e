//! Everything that this process writes.
//!
//! Nothing here panics when the reader has gone: `println!` would.

use crate::error::{Error, Result};
use crate::render::text;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::stdio::{stderr, stdout};
use schema::{Failure, log_collector::Stream};
use std::os::fd::BorrowedFd;

/// Writes a text to stdout.
pub(crate) fn print(text: &str) -> Result {
    write(Stream::Stdout, text.as_bytes())
}

/// Writes a line to stdout.
pub(crate) fn print_line(line: impl std::fmt::Display) -> Result {
    print(&format!("{line}\n"))
}

/// Writes bytes to stdout or stderr, all of them, as they are.
pub(crate) fn write(stream: Stream, bytes: &[u8]) -> Result {
    let (fd, name) = match stream {
        Stream::Stdout => (stdout(), "stdout"),
        Stream::Stderr => (stderr(), "stderr"),
    };
    write_all(fd, bytes).map_err(|errno| match errno {
        Errno::PIPE => Error::Closed,
        errno => Failure::io(format_args!("writing to {name}"), &errno.into()).into(),
    })
}

/// Tells the user of a failure: one line, and one more for what to do about it.
pub(crate) fn complain(failure: &Failure) {
    let mut lines = format!("cctl: {}\n", text::one_line(&failure.message));
    if !failure.hint.is_empty() {
        lines.push_str(&format!("      {}\n", text::one_line(&failure.hint)));
    }
    say(&lines);
}

/// Tells the user of something that is no failure.
pub(crate) fn note(message: impl std::fmt::Display) {
    say(&format!("cctl: {}\n", text::one_line(&message.to_string())));
}

fn say(lines: &str) {
    // If stderr is gone, there is nobody to tell.
    let _ = write_all(stderr(), lines.as_bytes());
}

fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> std::result::Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            // Whoever shares the descriptor has made it non-blocking.
            Err(Errno::AGAIN) => wait_for(fd, PollFlags::OUT)?,
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Reads from a descriptor, also from one that somebody has made non-blocking; 0 at its end.
pub(crate) fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> std::result::Result<usize, Errno> {
    loop {
        match rustix::io::read(fd, &mut *buffer) {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait_for(fd, PollFlags::IN)?,
            answer => return answer,
        }
    }
}

fn wait_for(fd: BorrowedFd<'_>, what: PollFlags) -> std::result::Result<(), Errno> {
    match poll(&mut [PollFd::from_borrowed_fd(fd, what)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(errno),
    }
}

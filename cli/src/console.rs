//! Everything that this process writes.
//!
//! Nothing here panics when the reader has gone: `println!` would.

use crate::error::{Error, Result};
use crate::render::text;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::stdio::{stderr, stdout};
use schema::{Failure, log_collector::Stream};
use std::fs::File;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;

/// Bytes that the kernel moves at one go.
const PIECE: usize = 1 << 20;
/// Bytes that are copied where it cannot.
const COPIED: usize = 256 << 10;

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
    let (fd, name) = place(stream);
    write_all(fd, bytes).map_err(|errno| failed(name, errno))
}

/// Writes a part of a file to stdout or stderr, without reading it where the kernel can do that. Answers how many bytes
/// there were.
pub(crate) fn send(stream: Stream, file: &File, offset: u64, length: u64) -> Result<u64> {
    let (fd, name) = place(stream);
    let (mut at, end) = (offset, offset.saturating_add(length));
    while at < end {
        let most = usize::try_from(end - at).unwrap_or(PIECE).min(PIECE);
        match rustix::fs::sendfile(fd, file, Some(&mut at), most) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait_for(fd, PollFlags::OUT).map_err(|errno| failed(name, errno))?,
            // Not to such a file: one that is appended to, or that of a driver.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => {
                let mut buffer = vec![0; COPIED.min(most)];
                let read = file.read_at(&mut buffer, at);
                let read = read.map_err(|error| Failure::io("reading a log", &error))?;
                if read == 0 {
                    break;
                }
                write(stream, &buffer[..read])?;
                at += read as u64;
            }
            Err(errno) => return Err(failed(name, errno)),
        }
    }
    Ok(at - offset)
}

fn place(stream: Stream) -> (BorrowedFd<'static>, &'static str) {
    match stream {
        Stream::Stdout => (stdout(), "stdout"),
        Stream::Stderr => (stderr(), "stderr"),
    }
}

fn failed(name: &str, errno: Errno) -> Error {
    match errno {
        Errno::PIPE => Error::Closed,
        errno => Failure::io(format_args!("writing to {name}"), &errno.into()).into(),
    }
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

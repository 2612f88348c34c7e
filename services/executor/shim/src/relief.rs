//! Takes output out of the FIFOs when they fill up and nobody else does: a log collector that is absent or stuck
//! never makes a container wait.
//!
//! The collector counts its turns, and holds a lock through each. When the count stands still and a FIFO is half full,
//! we take the lock, say so, and move all there is to the end of a file, which the collector takes over before
//! anything that comes later. A FIFO that is empty costs nothing; one that has something is looked at after a while.

use crate::streams::{CAPACITY, Output, Streams};
use crate::sys::{self, At, Fd, Poll, Result, flag};
use core::ffi::CStr;
use shim_protocol::layout;
use shim_protocol::turn::{self, Turns};

/// Nanoseconds after which a FIFO that had something is looked at.
const PAUSE: i64 = 20_000_000;
/// The same, when it fills up quickly.
const SHORT_PAUSE: i64 = 4_000_000;
/// How long the count has to stand still before a FIFO that is half full is emptied; and one that is not.
const STUCK: i64 = 35_000_000;
const FORGOTTEN: i64 = 1_000_000_000;
const HALF: u32 = CAPACITY as u32 / 2;

/// What we know of the collector.
pub struct Relief {
    /// None: this sandbox has no such file.
    lock: Option<Fd>,
    /// When to look again, by the steady clock; none: when there is something.
    next: Option<i64>,
    beat: u64,
    /// Since when the count is what it is.
    since: i64,
}

/// The places of one stream.
struct Places {
    spill: &'static CStr,
    lost: &'static CStr,
}

const STDOUT: Places = Places { spill: layout::STDOUT_SPILL_EARLY, lost: layout::STDOUT_LOST };
const STDERR: Places = Places { spill: layout::STDERR_SPILL_EARLY, lost: layout::STDERR_LOST };

impl Relief {
    /// Opens the lock.
    pub fn new(directory: &Fd) -> Self {
        let lock = sys::open(At::Dir(directory), layout::TAKE_LOCK, flag::O_RDWR, 0).ok();
        Self { lock, next: None, beat: 0, since: 0 }
    }

    /// What to wait for.
    pub fn polls(&self, streams: &Streams) -> [Poll; 2] {
        // After the end, what is left is another's matter.
        if self.next.is_some() || self.lock.is_none() || streams.stdout.writer.is_none() {
            return [Poll::NONE; 2];
        }
        [Poll::readable(Some(&streams.stdout.reader)), Poll::readable(streams.stderr.as_ref().map(|err| &err.reader))]
    }

    /// Until when to wait at most, by the steady clock.
    pub fn deadline(&self) -> Option<i64> {
        self.next
    }

    /// There is something.
    pub fn arm(&mut self) {
        let now = sys::steady_now();
        if self.next.is_none() {
            (self.next, self.since) = (Some(now + PAUSE), now);
        }
    }

    /// Looks, if it is time.
    pub fn look(&mut self, directory: &Fd, streams: &Streams) {
        let now = sys::steady_now();
        if self.next.is_none_or(|next| next > now) {
            return;
        }
        let outputs = [Some(&streams.stdout), streams.stderr.as_ref()];
        let waiting = outputs.map(|output| output.map_or(0, |output| sys::waiting(&output.reader).unwrap_or(0)));
        if waiting == [0; 2] || streams.stdout.writer.is_none() {
            self.next = None;
            return;
        }
        self.next = Some(now + PAUSE);
        let Some(turns) = self.turns() else { return };
        if turns.beat != self.beat {
            (self.beat, self.since) = (turns.beat, now);
            return;
        }
        let full = waiting.iter().any(|count| *count >= HALF) || outputs.into_iter().flatten().any(is_full);
        let stuck = now - self.since;
        if stuck >= FORGOTTEN || (full && stuck >= STUCK) {
            self.relieve(directory, outputs, turns);
            if full {
                self.next = Some(now + SHORT_PAUSE);
            }
        }
    }

    fn turns(&self) -> Option<Turns> {
        let mut bytes = [0; turn::SIZE];
        let length = sys::read_at(self.lock.as_ref()?, &mut bytes, 0).ok()?;
        Some(Turns::decode(bytes.get(..length)?))
    }

    fn relieve(&self, directory: &Fd, outputs: [Option<&Output>; 2], turns: Turns) {
        let Some(lock) = &self.lock else { return };
        if sys::lock(lock, false).is_err() {
            return;
        }
        let counted = sys::write_at(lock, &turns.spilled.wrapping_add(1).to_le_bytes(), turn::SPILLED);
        if counted.is_ok() {
            // What cannot be spilled waits, or is counted.
            let mut room = turns.limit.saturating_sub(held(directory));
            for (output, places) in outputs.into_iter().zip([STDOUT, STDERR]) {
                let Some(output) = output else { continue };
                let spilled = spill(directory, &output.reader, places.spill, &mut room);
                if turns.drops && (spilled.is_err() || room == 0) {
                    let _ = lose(directory, &output.reader, places.lost);
                }
            }
        }
        sys::unlock(lock);
    }
}

/// Whether it takes no more: it may be full of small pieces.
fn is_full(output: &Output) -> bool {
    let Some(writer) = &output.writer else { return false };
    let mut room = [Poll::new(writer, false, true)];
    sys::poll(&mut room, Some(0)).is_ok() && !room.iter().any(Poll::happened)
}

/// Bytes that are spilled and not taken over.
fn held(directory: &Fd) -> u64 {
    let length = |name| open_of_collector(directory, name, flag::O_RDONLY).and_then(|file| sys::length(&file));
    [STDOUT, STDERR].into_iter().map(|places| length(places.spill).unwrap_or(0) as u64).sum()
}

/// Opens a file of the collector's, as its user.
pub fn open_of_collector(directory: &Fd, name: &CStr, flags: i32) -> Result<Fd> {
    let (uid, gid) = sys::owner(directory, layout::COLLECTOR)?;
    sys::as_user(uid, gid, || sys::open(At::Dir(directory), name, flags, 0o600))
}

/// Moves what there is, as far as there is room.
fn spill(directory: &Fd, pipe: &Fd, name: &CStr, room: &mut u64) -> Result<()> {
    if *room == 0 || sys::waiting(pipe)? == 0 {
        return Ok(());
    }
    let file = open_of_collector(directory, name, flag::O_RDWR | flag::O_CREAT)?;
    let mut end = sys::length(&file)? as u64;
    while *room > 0 && sys::waiting(pipe)? > 0 {
        let most = (*room).min(CAPACITY as u64) as usize;
        let moved = sys::splice_to(pipe, &file, end, most)? as u64;
        if moved == 0 {
            break;
        }
        end += moved;
        *room -= moved;
    }
    Ok(())
}

/// Moves what there is to where it is only counted.
fn lose(directory: &Fd, pipe: &Fd, name: &CStr) -> Result<()> {
    const MOST: usize = 64 << 10;
    let file = open_of_collector(directory, name, flag::O_RDWR | flag::O_CREAT)?;
    let mut end = sys::length(&file)? as u64;
    while sys::waiting(pipe)? > 0 {
        match sys::splice_to(pipe, &file, end, MOST)? as u64 {
            0 => break,
            moved => end += moved,
        }
        // If that fails, the space is freed with the sandbox.
        let _ = sys::punch(&file, end);
    }
    Ok(())
}

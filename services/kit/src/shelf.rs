//! A shelf: descriptors that outlive the service that put them there.
//!
//! It is a pair of connected sockets, which whoever starts the service holds, too, and does nothing with. What is put
//! there is a message in the kernel's queue, with descriptors: it is there whole or not at all, and as long as anybody
//! holds the sockets. A successor finds all of it. One process at a time uses a shelf.

use crate::passing::{self, MOST};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

/// How the socket into which a service puts is called among those that are passed.
pub const IN: &str = "shelf.in";
/// How the one is called out of which it takes.
pub const OUT: &str = "shelf.out";

/// Bytes of a note, at most.
pub const LONGEST_NOTE: usize = 512;
const STAMP: usize = size_of::<u64>();

/// Where descriptors are kept.
#[derive(Debug)]
pub struct Shelf {
    into: OwnedFd,
    out: OwnedFd,
    /// What was put there since the last turn begins with this number.
    stamp: Mutex<u64>,
}

/// What was found.
#[derive(Debug)]
pub struct Kept {
    /// What it is: the owner's words.
    pub note: Vec<u8>,
    /// The descriptors, in the order in which they were put.
    pub descriptors: Vec<OwnedFd>,
}

impl Shelf {
    /// On these two sockets.
    pub fn new(into: OwnedFd, out: OwnedFd) -> Self {
        // Differs from those of all predecessors.
        Self { into, out, stamp: Mutex::new(schema::call::RequestId::random().0) }
    }

    /// Keeps descriptors, with a note of what they are.
    pub fn put(&self, note: &[u8], descriptors: &[impl AsFd]) -> io::Result<()> {
        if note.len() > LONGEST_NOTE || descriptors.is_empty() || descriptors.len() > MOST {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let stamp = self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(self.send(*stamp, note, descriptors)?)
    }

    /// All that is there. Some of it may be there twice, if a predecessor was killed here.
    pub fn all(&self) -> io::Result<Vec<Kept>> {
        let mut all = Vec::new();
        self.turn(|kept| {
            all.push(kept);
            true
        })?;
        Ok(all)
    }

    /// Keeps only what `wanted` says, by its note.
    pub fn retain(&self, mut wanted: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
        self.turn(|kept| wanted(&kept.note))
    }

    /// Shows everything, and removes that of which `keep` says no. Whatever stays is put behind all else before it is
    /// removed from the front, with another stamp, by which it is known when it comes to the front again.
    fn turn(&self, mut keep: impl FnMut(Kept) -> bool) -> io::Result<()> {
        let mut stamp = self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        *stamp = stamp.wrapping_add(1);
        loop {
            let (its, note, descriptors) = match self.receive(RecvFlags::PEEK) {
                Ok(received) => received,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            if its == *stamp {
                return Ok(());
            }
            let copy = descriptors.iter().map(OwnedFd::try_clone).collect::<io::Result<_>>()?;
            // What has no descriptors is not ours.
            let stays = keep(Kept { note: note.clone(), descriptors: copy }) && !descriptors.is_empty();
            let sent = if stays { self.send(*stamp, &note, &descriptors) } else { Ok(()) };
            let full = sent == Err(Errno::AGAIN);
            if !full {
                sent?;
            }
            self.receive(RecvFlags::empty())?;
            if full {
                self.send(*stamp, &note, &descriptors)?;
            }
        }
    }

    fn send(&self, stamp: u64, note: &[u8], descriptors: &[impl AsFd]) -> Result<(), Errno> {
        let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
        passing::send(&self.into, &[&stamp.to_ne_bytes(), note], &descriptors, SendFlags::DONTWAIT)
    }

    fn receive(&self, flags: RecvFlags) -> Result<(u64, Vec<u8>, Vec<OwnedFd>), Errno> {
        let mut message = [0; STAMP + LONGEST_NOTE];
        let (message, descriptors) = passing::receive(&self.out, &mut message, flags | RecvFlags::DONTWAIT)?;
        let (stamp, note) = message
            .split_first_chunk::<STAMP>()
            .map_or((0, message), |(stamp, note)| (u64::from_ne_bytes(*stamp), note));
        Ok((stamp, note.to_vec(), descriptors))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use std::fs::File;
    use std::io::{Read, Write};

    fn sockets() -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None).unwrap()
    }

    /// As another process would have it.
    fn successor((into, out): &(OwnedFd, OwnedFd)) -> Shelf {
        Shelf::new(into.try_clone().unwrap(), out.try_clone().unwrap())
    }

    fn notes(shelf: &Shelf) -> Vec<String> {
        let mut notes: Vec<_> =
            shelf.all().unwrap().into_iter().map(|kept| String::from_utf8(kept.note).unwrap()).collect();
        notes.sort();
        notes
    }

    #[test]
    fn descriptors_outlive_whoever_put_them_there() {
        let sockets = sockets();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        successor(&sockets).put(b"pipe", &[reader, writer]).unwrap();
        for _ in 0..3 {
            let kept = successor(&sockets).all().unwrap().pop().unwrap();
            assert_eq!(kept.note, b"pipe");
            let [reader, writer] = kept.descriptors.try_into().unwrap();
            File::from(writer).write_all(b"x").unwrap();
            let mut byte = [0];
            File::from(reader).read_exact(&mut byte).unwrap();
        }
        drop(successor(&sockets));
        let shelf = successor(&sockets);
        shelf.retain(|_| false).unwrap();
        assert_eq!(notes(&shelf), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_wanted_any_more_goes_and_is_closed() {
        let sockets = sockets();
        let shelf = successor(&sockets);
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        shelf.put(b"pipe", &[writer]).unwrap();
        for number in 0..100 {
            shelf.put(format!("{number:03}").as_bytes(), &[File::open("/dev/null").unwrap()]).unwrap();
        }
        assert_eq!(notes(&shelf).len(), 101);
        shelf.retain(|note| note != b"pipe" && note != b"042").unwrap();
        let left = notes(&successor(&sockets));
        assert!(left.len() == 99 && !left.contains(&"042".to_owned()), "{left:?}");
        let mut end = Vec::new();
        File::from(reader).read_to_end(&mut end).unwrap();
        assert_eq!(end, b"");
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        let sockets = sockets();
        let shelf = successor(&sockets);
        let null = || File::open("/dev/null").unwrap();
        assert!(shelf.put(b"none", &[] as &[File]).is_err());
        assert!(shelf.put(&[0; LONGEST_NOTE + 1], &[null()]).is_err());
        let mut count = 0;
        while shelf.put(&[b'x'; 8], &[null()]).is_ok() {
            count += 1;
        }
        assert!(count > 100, "{count}");
        // Also a full one turns.
        assert_eq!(notes(&shelf).len(), count);
        shelf.retain(|_| false).unwrap();
        shelf.put(b"more", &[null()]).unwrap();
        assert_eq!(notes(&shelf), ["more"]);
    }
}

//! What bounds an archive, so that a small hostile one cannot fill the disk or the memory.

use std::io::{self, Read};

/// Members that an archive may have.
pub const MOST_MEMBERS: u64 = 4_000_000;
/// Bytes of one long name, long link name or extended header.
pub const LONGEST_METADATA: u64 = 1 << 20;
/// Pieces of data in one sparse file.
pub const MOST_PIECES: usize = 1 << 20;

/// Bytes that any archive may have when it is uncompressed: 256 GiB.
const MOST_BYTES: u64 = 256 << 30;
/// An archive of any compressed size may expand to this: 1 GiB.
const ALWAYS_ALLOWED: u64 = 1 << 30;
/// Beyond that, bytes that each compressed byte may become. Programs and text reach 10, text full of
/// repetitions 100.
const RATIO: u64 = 200;

/// How many bytes an archive of `compressed` bytes may expand to.
pub fn expanded_limit(compressed: u64) -> u64 {
    compressed.saturating_mul(RATIO).saturating_add(ALWAYS_ALLOWED).min(MOST_BYTES)
}

/// A reader that fails, with [`io::ErrorKind::FileTooLarge`], where its limit ends and the data does not.
#[derive(Debug)]
pub struct Bounded<R> {
    inner: R,
    limit: u64,
    left: u64,
}

impl<R> Bounded<R> {
    /// At most `limit` bytes of `inner`.
    pub fn new(inner: R, limit: u64) -> Self {
        Self { inner, limit, left: limit }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => {
                let reason = format!(
                    "the archive expands to more than {} bytes, which its compressed size does not justify",
                    self.limit
                );
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_grow_with_the_compressed_size_and_end() {
        assert_eq!(expanded_limit(0), 1 << 30);
        assert_eq!(expanded_limit(1 << 30), 201 << 30);
        assert_eq!(expanded_limit(u64::MAX), MOST_BYTES);
    }

    #[test]
    fn a_reader_fails_behind_its_limit_only() {
        let mut all = Vec::new();
        Bounded::new(&[0_u8; 10][..], 10).read_to_end(&mut all).unwrap();
        assert_eq!(all.len(), 10);
        let error = Bounded::new(&[0_u8; 11][..], 10).read_to_end(&mut all).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
}

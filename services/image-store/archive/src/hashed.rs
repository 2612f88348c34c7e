//! Hashing on the way.

use sha2::{Digest, Sha256};
use std::io::{self, Read, Write};

/// A reader or writer that hashes and counts what goes through it.
#[derive(Debug)]
pub struct Hashed<T> {
    inner: T,
    hasher: Sha256,
    length: u64,
}

impl<T> Hashed<T> {
    /// On top of `inner`.
    pub fn new(inner: T) -> Self {
        Self { inner, hasher: Sha256::new(), length: 0 }
    }

    /// What went through: its SHA-256 and length; and what is beneath.
    pub fn finish(self) -> ([u8; 32], u64, T) {
        (self.hasher.finalize().into(), self.length, self.inner)
    }

    fn note(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
    }
}

impl<T: Read> Read for Hashed<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.note(&buffer[..count]);
        Ok(count)
    }
}

impl<T: Write> Write for Hashed<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.note(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

//! The bytes of an archive, with the position for messages.

use crate::Error;
use std::io::{self, Read};

/// Everything in a tar archive is a multiple of this.
pub(crate) const BLOCK: usize = 512;
pub(crate) type Block = [u8; BLOCK];

const CHUNK: usize = 64 << 10;

/// What is read, counted.
#[derive(Debug)]
pub(crate) struct Source<R> {
    reader: R,
    position: u64,
    /// For what is passed over. Made when it is needed first.
    scratch: Vec<u8>,
}

impl<R: Read> Source<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, position: 0, scratch: Vec::new() }
    }

    /// Bytes read until now.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Some bytes; none at the end.
    pub(crate) fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        loop {
            match self.reader.read(buffer) {
                Ok(count) => {
                    self.position += count as u64;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// As many bytes as there are, up to the buffer's length.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_some(&mut buffer[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        Ok(filled)
    }

    /// The next block; none at a clean end.
    pub(crate) fn block(&mut self) -> Result<Option<Block>, Error> {
        let start = self.position;
        let mut block = [0; BLOCK];
        match self.fill(&mut block)? {
            0 => Ok(None),
            BLOCK => Ok(Some(block)),
            _ if start == 0 => Err(Error::invalid("this is not a tar archive: it is shorter than one block")),
            _ => Err(self.cut_off()),
        }
    }

    /// `length` bytes, which the caller has found to be few.
    pub(crate) fn bytes(&mut self, length: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let mut chunk = [0; BLOCK];
        while (bytes.len() as u64) < length {
            let wanted = (length - bytes.len() as u64).min(BLOCK as u64) as usize;
            if self.fill(&mut chunk[..wanted])? < wanted {
                return Err(self.cut_off());
            }
            bytes.extend_from_slice(&chunk[..wanted]);
        }
        Ok(bytes)
    }

    /// Passes over `length` bytes.
    pub(crate) fn skip(&mut self, mut length: u64) -> Result<(), Error> {
        if length == 0 {
            return Ok(());
        }
        let mut chunk = self.scratch();
        while length > 0 {
            let wanted = length.min(CHUNK as u64) as usize;
            match self.read_some(&mut chunk[..wanted])? {
                0 => return Err(self.cut_off()),
                count => length -= count as u64,
            }
        }
        self.scratch = chunk;
        Ok(())
    }

    fn scratch(&mut self) -> Vec<u8> {
        let mut chunk = std::mem::take(&mut self.scratch);
        chunk.resize(CHUNK, 0);
        chunk
    }

    /// Reads to the end, where nothing but zeros may be.
    pub(crate) fn expect_zeros(&mut self) -> Result<(), Error> {
        let mut chunk = self.scratch();
        loop {
            let start = self.position;
            let count = self.read_some(&mut chunk)?;
            if count == 0 {
                return Ok(());
            }
            if let Some(at) = chunk[..count].iter().position(|byte| *byte != 0) {
                return Err(Error::invalid(format_args!(
                    "something follows the end of the archive, at byte {}",
                    start + at as u64
                )));
            }
        }
    }

    pub(crate) fn cut_off(&self) -> Error {
        Error::invalid(format_args!("the archive is cut off at byte {}", self.position))
    }
}

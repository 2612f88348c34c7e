//! The compressed form of a file: zstd frames of equal content, and a table of their sizes at the end.
//!
//! This is zstd's seekable format (contrib/seekable_format in its repository), so `zstdcat` reads such a file as well.
//! A byte in the middle costs the decompression of its frame, not of what is before it.

use std::cell::RefCell;
use std::fmt;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::FileExt;
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::CParameter;

/// Bytes of content in a frame; the last one may have fewer.
pub const FRAME: usize = 256 << 10;
/// As `zstd` has it without options.
const LEVEL: i32 = 3;
/// Begins the frame that holds the table, which decompressors skip.
const SKIPPABLE: u32 = 0x184D_2A5E;
/// Ends the table.
const SEEKABLE: u32 = 0x8F92_EAB1;
/// Bytes before the table's entries, of an entry, and after the entries.
const HEAD: usize = 8;
const ENTRY: usize = 8;
const FOOT: usize = 9;

/// Compresses all of a file into an empty one.
pub fn pack(from: &File, to: &File) -> io::Result<()> {
    let mut compressor = Compressor::new(LEVEL)?;
    compressor.set_parameter(CParameter::ChecksumFlag(true))?;
    let (mut buffer, mut table) = (vec![0; FRAME], Vec::new());
    let (mut read, mut written) = (0, 0);
    loop {
        let length = read_at_most(from, &mut buffer, read)?;
        if length == 0 {
            break;
        }
        let frame = compressor.compress(&buffer[..length])?;
        to.write_all_at(&frame, written)?;
        read += length as u64;
        written += frame.len() as u64;
        table.extend((frame.len() as u32).to_le_bytes());
        table.extend((length as u32).to_le_bytes());
    }
    let frames = (table.len() / ENTRY) as u32;
    let head = [SKIPPABLE, (table.len() + FOOT) as u32].map(u32::to_le_bytes).concat();
    let foot = [&frames.to_le_bytes()[..], &[0], &SEEKABLE.to_le_bytes()].concat();
    to.write_all_at(&[head, table, foot].concat(), written)
}

/// A compressed file.
#[derive(Debug)]
pub struct Packed {
    file: File,
    /// Where each frame begins, in the file and in the content; and where the last one ends.
    frames: Vec<(u64, u64)>,
    reading: RefCell<Reading>,
}

/// What reading needs, made when it is needed and used again.
#[derive(Default)]
struct Reading {
    decompressor: Option<Decompressor<'static>>,
    /// A frame as it is in the file.
    frame: Vec<u8>,
    /// The number of the frame that was decompressed last.
    last: Option<usize>,
    /// Its content.
    content: Vec<u8>,
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading").field("last", &self.last).finish_non_exhaustive()
    }
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

impl Packed {
    /// Reads the table. Fails with `InvalidData` if it is not whole.
    pub fn open(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let mut foot = [0; FOOT];
        let foot_at = length.checked_sub(FOOT as u64).ok_or_else(|| damaged("too short"))?;
        file.read_exact_at(&mut foot, foot_at)?;
        let [a, b, c, d, flags, magic @ ..] = foot;
        if u32::from_le_bytes(magic) != SEEKABLE || flags != 0 {
            return Err(damaged("no table of frames at the end"));
        }
        let entries = u64::from(u32::from_le_bytes([a, b, c, d])) * ENTRY as u64;
        let table_at = foot_at.checked_sub(entries).ok_or_else(|| damaged("the table of frames is cut"))?;
        let mut table = vec![0; entries as usize];
        file.read_exact_at(&mut table, table_at)?;
        let (mut frames, mut at) = (vec![(0, 0)], (0_u64, 0_u64));
        for entry in table.chunks_exact(ENTRY) {
            let word = |from: usize| entry[from..from + 4].try_into().map(u32::from_le_bytes).unwrap_or(0);
            at = (at.0 + u64::from(word(0)), at.1 + u64::from(word(4)));
            if word(4) == 0 || word(4) as usize > FRAME {
                return Err(damaged("a frame has no possible size"));
            }
            frames.push(at);
        }
        if at.0 + HEAD as u64 != table_at {
            return Err(damaged("the frames are not as long as the table says"));
        }
        Ok(Self { file, frames, reading: RefCell::default() })
    }

    /// What the kernel knows of the file.
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    /// Bytes of content.
    pub fn length(&self) -> u64 {
        self.frames.last().map_or(0, |end| end.1)
    }

    /// Reads content until the buffer is full, the content ends, or a frame is damaged.
    pub fn read_at_most(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let (most, mut done) = (buffer.len() as u64, 0);
        self.each(offset, most, |piece| {
            buffer[done..done + piece.len()].copy_from_slice(piece);
            done += piece.len();
            Ok(())
        })?;
        Ok(done)
    }

    /// Shows content, piece by piece, until `most` bytes were shown, the content ends, or a frame is damaged; answers how
    /// many bytes that were. Fails if `show` does, or the file cannot be read.
    pub fn each(&self, offset: u64, most: u64, mut show: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<u64> {
        let mut reading = self.reading.borrow_mut();
        let mut done = 0;
        while done < most {
            let at = offset + done;
            let frame = self.frames.partition_point(|frame| frame.1 <= at);
            if frame == self.frames.len() {
                break;
            }
            match self.frame(&mut reading, frame - 1) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    tracing::error!(%error, frame, "a frame of a compressed log is damaged: it is lost");
                    break;
                }
                Err(error) => return Err(error),
            }
            let from = (at - self.frames[frame - 1].1) as usize;
            let length = reading.content.len() - from;
            let length = usize::try_from(most - done).unwrap_or(usize::MAX).min(length);
            show(&reading.content[from..from + length])?;
            done += length as u64;
        }
        Ok(done)
    }

    /// Decompresses a frame.
    fn frame(&self, reading: &mut Reading, number: usize) -> io::Result<()> {
        if reading.last == Some(number) {
            return Ok(());
        }
        reading.last = None;
        let ((from, content), (to, content_end)) = (self.frames[number], self.frames[number + 1]);
        reading.frame.resize((to - from) as usize, 0);
        self.file.read_exact_at(&mut reading.frame, from).map_err(|error| damaged(&error.to_string()))?;
        let decompressor = match &mut reading.decompressor {
            Some(decompressor) => decompressor,
            none => none.insert(Decompressor::new()?),
        };
        let length = (content_end - content) as usize;
        reading.content.resize(length, 0);
        let done = decompressor.decompress_to_buffer(&reading.frame, reading.content.as_mut_slice());
        if done.map_err(|error| damaged(&error.to_string()))? != length {
            return Err(damaged("it is not as long as the table says"));
        }
        reading.last = Some(number);
        Ok(())
    }

    /// Whether the content is that of another file.
    pub fn is_copy_of(&self, file: &File) -> io::Result<bool> {
        let (mut ours, mut theirs) = (vec![0; FRAME], vec![0; FRAME]);
        let mut at = 0;
        loop {
            let (our, their) = (self.read_at_most(&mut ours, at)?, read_at_most(file, &mut theirs, at)?);
            if ours[..our] != theirs[..their] {
                return Ok(false);
            }
            if our == 0 {
                return Ok(true);
            }
            at += our as u64;
        }
    }
}

/// Reads from a file that is not compressed until the buffer is full or the file ends.
pub fn read_at_most(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packed(content: &[u8]) -> (File, Packed) {
        let (raw, target) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        raw.write_all_at(content, 0).unwrap();
        pack(&raw, &target).unwrap();
        let reading = Packed::open(target.try_clone().unwrap()).unwrap();
        assert!(reading.is_copy_of(&raw).unwrap());
        (target, reading)
    }

    fn content(length: usize) -> Vec<u8> {
        (0..length as u32).flat_map(|number| (number / 3).to_le_bytes()).take(length).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

        #[test]
        fn any_part_comes_back(length in 0..3 * FRAME + 7, offset in 0..3 * FRAME + 100, wanted in 0..2 * FRAME) {
            let content = content(length);
            let (_, packed) = packed(&content);
            prop_assert_eq!(packed.length(), length as u64);
            let mut buffer = vec![0; wanted];
            let read = packed.read_at_most(&mut buffer, offset as u64).unwrap();
            let from = offset.min(length);
            prop_assert!(buffer[..read] == content[from..(from + wanted).min(length)]);
        }

        #[test]
        fn a_changed_byte_is_never_handed_out(at in any::<prop::sample::Index>(), flip in 1..=u8::MAX) {
            let content = content(FRAME + 1000);
            let (file, _) = packed(&content);
            let at = at.index(file.metadata().unwrap().len() as usize) as u64;
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ flip], at).unwrap();
            if let Ok(packed) = Packed::open(file) {
                let mut buffer = vec![0; content.len()];
                let read = packed.read_at_most(&mut buffer, 0).unwrap();
                prop_assert!(buffer[..read] == content[..read]);
                let read = packed.read_at_most(&mut buffer, FRAME as u64).unwrap();
                prop_assert!(buffer[..read] == content[FRAME..FRAME + read]);
            }
        }

        #[test]
        fn any_file_is_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let file = tempfile::tempfile().unwrap();
            file.write_all_at(&bytes, 0).unwrap();
            prop_assert!(Packed::open(file).is_err());
        }
    }

    #[test]
    fn other_content_is_noticed() {
        let (_, packed) = packed(b"one text");
        for other in [&b"one tex"[..], b"one texts", b"two text", b""] {
            let file = tempfile::tempfile().unwrap();
            file.write_all_at(other, 0).unwrap();
            assert!(!packed.is_copy_of(&file).unwrap());
        }
    }
}

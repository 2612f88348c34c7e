//! Compressing with gzip on several threads: pieces of the data are compressed by themselves, and make one stream
//! (RFC 1952) that every program reads. What cannot be compressed is not tried.

use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Bytes that are compressed by themselves: many times what deflate looks back.
const PIECE: usize = 256 << 10;
/// Bytes of a piece that are tried first.
const SAMPLE: usize = 12 << 10;
/// Of a stored block, at most.
const BLOCK: usize = 0xffff;
/// More threads than these do not compress for one stream.
const MOST_THREADS: usize = 8;
/// RFC 1952: deflate, no name, no time, of an unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// The last block, which is empty.
const LAST: [u8; 5] = [1, 0, 0, 0xff, 0xff];

/// A writer that compresses what is written to it. When it is dropped, nothing is written to its output any more.
pub(crate) struct Packing<W> {
    piece: Vec<u8>,
    /// None: there will be no more.
    input: Option<Input>,
    /// None: it has ended, and that was told.
    output: Option<JoinHandle<io::Result<W>>>,
}

struct Input {
    jobs: Sender<Job>,
    /// Pieces in their order. It is bounded, and so is what is under way.
    order: SyncSender<Receiver<Packed>>,
}

struct Job {
    piece: Vec<u8>,
    done: SyncSender<Packed>,
}

struct Packed {
    deflated: Vec<u8>,
    sum: Crc,
}

impl<W: Write + Send + 'static> Packing<W> {
    /// Writes a compressed stream to `to`, on a thread.
    pub(crate) fn new(to: W, level: Compression) -> io::Result<Self> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
        let (jobs, work) = channel();
        let work = Arc::new(Mutex::new(work));
        for _ in 0..threads {
            let work = Arc::clone(&work);
            thread("compress", move || compress(&work, level))?;
        }
        let (order, packed) = sync_channel(2 * threads);
        let output = thread("packed", move || assemble(&packed, to))?;
        Ok(Self { piece: Vec::with_capacity(PIECE), input: Some(Input { jobs, order }), output: Some(output) })
    }

    /// Ends the stream, and gives what it was written to.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.hand_over()?;
        self.end()
    }
}

impl<W> Packing<W> {
    /// Waits until the output has taken what was handed over.
    fn end(&mut self) -> io::Result<W> {
        self.input = None;
        let ended = self.output.take().map(JoinHandle::join);
        ended.and_then(Result::ok).unwrap_or_else(|| Err(io::Error::other("a thread ended early")))
    }

    fn hand_over(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        let (done, packed) = sync_channel(1);
        let is_taken = |input: &Input| input.order.send(packed).is_ok() && input.jobs.send(Job { piece, done }).is_ok();
        if self.input.as_ref().is_some_and(is_taken) {
            return Ok(());
        }
        // The output ends early only if it has failed.
        Err(self.end().err().unwrap_or_else(|| io::Error::other("a thread ended early")))
    }
}

impl<W> Drop for Packing<W> {
    fn drop(&mut self) {
        // Whoever drops it does not want what it has made.
        let _ended = self.end();
    }
}

impl<W> Write for Packing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..count]);
        if self.piece.len() == PIECE {
            self.hand_over()?;
        }
        Ok(count)
    }

    /// Pieces are not ended early.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<std::thread::JoinHandle<T>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work)
}

fn compress(work: &Mutex<Receiver<Job>>, level: Compression) {
    let mut deflater = Deflater { level, deflate: Compress::new(level, false) };
    loop {
        let job = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { piece, done }) = job else { return };
        let mut sum = Crc::new();
        sum.update(&piece);
        // Whoever has failed waits for nothing.
        let _gone = done.send(Packed { deflated: deflater.deflated(&piece), sum });
    }
}

struct Deflater {
    level: Compression,
    deflate: Compress,
}

impl Deflater {
    /// Blocks of deflate that end at a byte, and refer to nothing before them.
    fn deflated(&mut self, piece: &[u8]) -> Vec<u8> {
        if self.is_dense(piece) {
            return stored(piece);
        }
        match self.flushed(piece) {
            Some(deflated) if deflated.len() < piece.len() => deflated,
            _ => stored(piece),
        }
    }

    fn flushed(&mut self, piece: &[u8]) -> Option<Vec<u8>> {
        self.deflate.reset();
        // What cannot be compressed takes 9 bits a byte.
        let mut deflated = Vec::with_capacity(piece.len() + piece.len() / 7 + 64);
        let status = self.deflate.compress_vec(piece, &mut deflated, FlushCompress::Sync);
        let is_whole = matches!(status, Ok(Status::Ok)) && self.deflate.total_in() == piece.len() as u64;
        // A full buffer may lack the end of the flush.
        if is_whole && deflated.len() < deflated.capacity() {
            return Some(deflated);
        }
        // zlib-rs 0.6.8 forgets only a part of what it could not put out, and panics later.
        self.deflate = Compress::new(self.level, false);
        None
    }

    /// Whether samples of a piece do not become smaller.
    fn is_dense(&mut self, piece: &[u8]) -> bool {
        [piece.len() / 4, piece.len() / 4 * 3].into_iter().all(|at| {
            let sample = piece.get(at..at + SAMPLE).unwrap_or_default();
            !sample.is_empty() && self.flushed(sample).is_none_or(|packed| packed.len() >= SAMPLE / 100 * 98)
        })
    }
}

fn stored(piece: &[u8]) -> Vec<u8> {
    let mut blocks = Vec::with_capacity(piece.len() + 5 * piece.len().div_ceil(BLOCK));
    for block in piece.chunks(BLOCK) {
        #[allow(clippy::cast_possible_truncation)] // a block is not longer
        let length = block.len() as u16;
        blocks.push(0);
        blocks.extend_from_slice(&length.to_le_bytes());
        blocks.extend_from_slice(&(!length).to_le_bytes());
        blocks.extend_from_slice(block);
    }
    blocks
}

fn assemble<W: Write>(order: &Receiver<Receiver<Packed>>, mut to: W) -> io::Result<W> {
    to.write_all(&HEADER)?;
    let mut sum = Crc::new();
    for packed in order {
        let Packed { deflated, sum: of_piece } =
            packed.recv().map_err(|_| io::Error::other("a thread that compresses ended early"))?;
        to.write_all(&deflated)?;
        sum.combine(&of_piece);
    }
    to.write_all(&LAST)?;
    to.write_all(&sum.sum().to_le_bytes())?;
    to.write_all(&sum.amount().to_le_bytes())?;
    to.flush()?;
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Read;

    fn packed(data: &[u8], write: usize) -> Vec<u8> {
        let mut packing = Packing::new(Vec::new(), Compression::fast()).unwrap();
        data.chunks(write).for_each(|some| packing.write_all(some).unwrap());
        packing.finish().unwrap()
    }

    fn unpacked(packed: &[u8]) -> Vec<u8> {
        let mut data = Vec::new();
        // One stream, not several.
        flate2::read::GzDecoder::new(packed).read_to_end(&mut data).unwrap();
        data
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u64;
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .take(length)
        .collect()
    }

    #[test]
    fn what_goes_in_comes_out() {
        let text = b"the quick brown fox jumps over the lazy dog\n".repeat(50_000);
        let mixed = [&text[..PIECE - 1], &noise(2 * PIECE), &text].concat();
        // Samples of it look as if it could be compressed.
        let worse = [&text[..PIECE / 4 + SAMPLE], &noise(PIECE - PIECE / 4 - SAMPLE)].concat().repeat(40);
        for data in [&[][..], b"x", &text, &noise(PIECE), &noise(3 * PIECE + 1), &noise(40 * PIECE), &mixed, &worse] {
            assert!(unpacked(&packed(data, 100_000)) == data, "{} bytes", data.len());
        }
        assert!(packed(&text, 1 << 20).len() < text.len() / 10);
        assert!(packed(&noise(PIECE), PIECE).len() < PIECE + 100);
    }

    #[test]
    fn an_output_that_fails_ends_it() {
        #[derive(Debug)]
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::Error::from(io::ErrorKind::StorageFull))
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut packing = Packing::new(Full, Compression::fast()).unwrap();
        let error = loop {
            if let Err(error) = packing.write_all(&noise(PIECE)) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        let mut short = Packing::new(Full, Compression::fast()).unwrap();
        short.write_all(b"x").unwrap();
        assert_eq!(short.finish().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_data_survives(
            parts in proptest::collection::vec((any::<u8>(), 1_usize..200_000, any::<bool>()), 0..6),
            write in 1_usize..300_000,
        ) {
            let parts = parts.iter().map(|(byte, length, noisy)| if *noisy { noise(*length) } else { vec![*byte; *length] });
            let data = parts.collect::<Vec<_>>().concat();
            prop_assert!(unpacked(&packed(&data, write)) == data);
        }
    }
}

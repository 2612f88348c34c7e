//! The writer and the reader against a model: whatever is written and however often the writer is killed, what is
//! read is what was written.

use crate::bounds::Bounds;
use crate::compress::compress_sealed;
use crate::entry::number;
use crate::files::{BOTH, name, packed, unfinished};
use crate::recover::{RunMark, recover};
use crate::source::{Losses, Pipe, Source};
use crate::view::Shared;
use crate::writer::{Taken, Writer};
use crate::{locate, reader};
use packed::pack;
use proptest::prelude::*;
use schema::log_collector::{From, Stream};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

#[derive(Clone, Debug)]
enum Step {
    /// The container writes.
    Write(Stream, usize),
    /// The collector takes.
    Take(Stream),
    /// The collector is killed, after having moved so many bytes that it did not index.
    Kill(Stream, usize),
    /// What is sealed is compressed.
    Compress,
    /// The collector is killed between the steps of that: the compressed form of some files is there, or half of it.
    KillCompressing(usize),
    /// It is killed while it writes an entry, or begins a segment: leftovers that a filesystem may show.
    Torn,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let stream = || prop_oneof![Just(Stream::Stdout), Just(Stream::Stderr)];
    let step = prop_oneof![
        4 => (stream(), 1..9000_usize).prop_map(|(stream, bytes)| Step::Write(stream, bytes)),
        4 => stream().prop_map(Step::Take),
        1 => (stream(), 0..9000_usize).prop_map(|(stream, bytes)| Step::Kill(stream, bytes)),
        1 => Just(Step::Compress),
        1 => any::<usize>().prop_map(Step::KillCompressing),
        1 => Just(Step::Torn),
    ];
    proptest::collection::vec(step, 1..60)
}

const RUN: RunMark = RunMark { number: 1, first: 0 };

struct Bench {
    shared: Arc<Shared>,
    bounds: Bounds,
    writer: Writer,
    pipes: [(Pipe, File); 2],
    lost: Losses,
    written: [Vec<u8>; 2],
}

impl Bench {
    fn new(directory: &Path, bounds: Bounds) -> Self {
        let shared = Shared::new(directory.to_owned(), None);
        let pipe = || {
            let (reader, writer) = rustix::pipe::pipe().unwrap();
            rustix::pipe::fcntl_setpipe_size(&writer, 1 << 20).unwrap();
            (Pipe(reader), File::from(writer))
        };
        let writer = recover(&shared, bounds, Some(RUN)).unwrap();
        let lost = Losses::open(directory).unwrap();
        Self { shared, bounds, writer, pipes: [pipe(), pipe()], lost, written: [Vec::new(), Vec::new()] }
    }

    fn write(&mut self, stream: Stream, bytes: usize) {
        let all = &mut self.written[number(stream)];
        let first = all.len();
        // Numbers, so that a byte out of place is a wrong byte; now and then a line ends.
        let text = (first..first + bytes).map(|at| if at % 97 == 0 { b'\n' } else { (at % 251) as u8 });
        all.extend(text);
        self.pipes[number(stream)].1.write_all(&all[first..]).unwrap();
    }

    fn take(&mut self, stream: Stream) -> Taken {
        self.writer.take(&mut self.pipes[number(stream)].0, stream, &mut self.lost)
    }

    fn kill(&mut self, stream: Stream, bytes: usize) {
        let (stored, index) = self.writer.live.as_ref().map_or((0, 0), |live| (live.stored(), live.index_length()));
        let room = self.bounds.room(stored, index) as usize;
        if let Some(live) = &mut self.writer.live
            && bytes.min(room) > 0
        {
            let (file, length) = live.target(&self.shared.files, stream).unwrap();
            let _ = self.pipes[number(stream)].0.store(file, length, bytes.min(room));
        }
        self.restart();
    }

    fn kill_compressing(&mut self, at: usize) {
        let sealed: Vec<_> = self.writer.segments.iter().rev().skip(1).map(|segment| segment.number).collect();
        if !sealed.is_empty() {
            let part = &self.shared.files.parts(sealed[at % sealed.len()])[at % 3];
            if let Ok(raw) = File::open(part) {
                // An index goes first: data is never compressed before it.
                let before = &self.shared.files.parts(sealed[at % sealed.len()])[0];
                if at.is_multiple_of(3) || !before.exists() {
                    let path = if at.is_multiple_of(2) { packed(part) } else { unfinished(part) };
                    pack(&raw, &File::create(path).unwrap()).unwrap();
                }
            }
        }
        self.restart();
    }

    fn torn(&mut self) {
        let newest = self.writer.segments.back().map(|segment| segment.number);
        if let Some(newest) = newest {
            let mut index = File::options().append(true).open(self.shared.files.index(newest)).unwrap();
            index.write_all(b"half of an entry").unwrap();
        }
        File::create(self.shared.files.index(newest.unwrap_or(0) + 1)).unwrap();
        self.restart();
    }

    fn restart(&mut self) {
        self.writer = recover(&self.shared, self.bounds, Some(RUN)).unwrap();
    }

    fn play(&mut self, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Write(stream, bytes) => self.write(stream, bytes),
                Step::Take(stream) => drop(self.take(stream)),
                Step::Kill(stream, bytes) => self.kill(stream, bytes),
                Step::Compress => compress_sealed(&self.shared, u64::MAX),
                Step::KillCompressing(at) => self.kill_compressing(at),
                Step::Torn => self.torn(),
            }
            for segment in &self.writer.segments {
                let lengths = BOTH.map(|stream| std::fs::metadata(self.shared.files.data(segment.number, stream)));
                let stored: u64 = lengths.into_iter().map(|data| data.map_or(0, |data| data.len())).sum();
                assert!(stored <= self.bounds.size);
            }
        }
        for stream in BOTH {
            while self.take(stream) == Taken::Some {}
        }
    }

    /// Everything, in chunks of `max` bytes: the bytes of each stream, and how many are lost.
    fn read(&self, max: usize) -> ([Vec<u8>; 2], u64) {
        let (mut streams, mut lost, mut at) = ([Vec::new(), Vec::new()], 0, 0);
        let view = self.shared.view();
        let mut time = i64::MIN;
        while at < view.end {
            let chunk = reader::chunk(&self.shared, &view, at, max).unwrap();
            let bytes: usize = chunk.records.iter().map(|record| record.data.len()).sum();
            assert!(chunk.next > at && bytes <= max);
            assert_eq!(chunk.next, at + chunk.lost + bytes as u64);
            for record in chunk.records {
                assert!(record.at >= time);
                time = record.at;
                streams[number(record.stream)].extend(record.data);
            }
            lost += chunk.lost;
            at = chunk.next;
        }
        (streams, lost)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn each_byte_is_read_once_and_in_order(steps in steps(), max in 1..20_000_usize) {
        let directory = tempfile::tempdir().unwrap();
        let mut bench = Bench::new(directory.path(), Bounds { size: 4096, files: usize::MAX });
        bench.play(steps);
        let (streams, lost) = bench.read(max);
        prop_assert_eq!(lost, 0);
        for stream in BOTH {
            prop_assert!(streams[number(stream)] == bench.written[number(stream)], "{}", name(stream));
        }
    }

    #[test]
    fn what_is_rotated_away_is_counted(steps in steps(), max in 1..20_000_usize, files in 1..4_usize) {
        let directory = tempfile::tempdir().unwrap();
        let mut bench = Bench::new(directory.path(), Bounds { size: 4096, files });
        bench.play(steps);
        let (streams, lost) = bench.read(max);
        let written: usize = bench.written.iter().map(Vec::len).sum();
        prop_assert!(bench.writer.segments.len() <= files);
        prop_assert_eq!(lost + streams.iter().map(|stream| stream.len() as u64).sum::<u64>(), written as u64);
        for stream in BOTH {
            prop_assert!(bench.written[number(stream)].ends_with(&streams[number(stream)]), "{}", name(stream));
        }
    }

    #[test]
    fn lines_are_found_across_segments(steps in steps(), lines in 1..40_u64) {
        let directory = tempfile::tempdir().unwrap();
        let mut bench = Bench::new(directory.path(), Bounds { size: 4096, files: usize::MAX });
        bench.play(steps);
        let view = bench.shared.view();
        let all = text(&bench, 0);
        let from = locate::locate(&bench.shared, &view, From::LastLines(lines)).unwrap();
        let expected: usize = all.split_inclusive(|byte| *byte == b'\n').rev().take(lines as usize).map(<[u8]>::len).sum();
        prop_assert_eq!(all.len() - from as usize, expected);
    }
}

/// Both streams as captured.
fn text(bench: &Bench, from: u64) -> Vec<u8> {
    let (mut text, mut at) = (Vec::new(), from);
    let view = bench.shared.view();
    while at < view.end {
        let chunk = reader::chunk(&bench.shared, &view, at, usize::MAX).unwrap();
        at = chunk.next;
        text.extend(chunk.records.into_iter().flat_map(|record| record.data));
    }
    text
}

#[test]
fn a_chatty_container_has_a_bounded_index() {
    let directory = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(directory.path(), Bounds { size: 4096, files: 2 });
    for _ in 0..20_000 {
        bench.write(Stream::Stdout, 1);
        bench.write(Stream::Stderr, 1);
        BOTH.into_iter().for_each(|stream| assert_eq!(bench.take(stream), Taken::Some));
    }
    for segment in &bench.writer.segments {
        assert!(std::fs::metadata(bench.shared.files.index(segment.number)).unwrap().len() <= 4096 + 64);
    }
    assert!(bench.writer.segments.len() == 2 && bench.writer.end == 40_000);
}

//! What lies between a container that must never wait and a log that may be slow: mode `drop`.
//!
//! Such a run is captured into a small log in our part of its sandbox's directory, which is in memory. From there its records are
//! moved to the log that is kept. Both count the same positions, so where the kept one ends is where to go on, also
//! after a kill. What does not fit into the stage is counted, and leaves a gap there, which is moved like the rest.
//! A disk that fails, or is full, leaves a gap as well; one that is slow fills the stage.

use crate::bounds::Bounds;
use crate::entry::number;
use crate::files::BOTH;
use crate::gate::own;
use crate::reader;
use crate::recover::{RunMark, recover};
use crate::view::Shared;
use crate::writer::Writer;
use schema::log_collector::{LogMode, Record, Stream};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const DIRECTORY: &str = "stage";
/// What a run may have in memory.
const BOUNDS: Bounds = Bounds { size: 1 << 20, files: 4 };
/// Bytes that are moved at a time.
const PIECE: usize = 256 << 10;
/// Who keeps what was not moved yet from being rotated away, and for how long: always.
const MOVER: u64 = 1;
const ALWAYS: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The way from a run's stage to its log.
#[derive(Debug)]
pub(crate) struct Moving {
    log: Writer,
    stage: Arc<Shared>,
    failing: bool,
}

/// Opens or makes the stage of a run whose log is `log`. Answers the writer that captures. Blocks. Fails with
/// `NotFound` if the sandbox is gone.
pub(crate) fn open(log: Writer, sandbox: &Path, run: RunMark) -> io::Result<(Writer, Moving)> {
    let directory = own(sandbox)?.join(DIRECTORY);
    match std::fs::create_dir(&directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let stage = Shared::new(directory, None);
    let mut capturing = recover(&stage, BOUNDS, Some(run))?;
    capturing.mode = LogMode::Drop;
    capturing.end = capturing.end.max(log.end);
    capturing.begin();
    capturing.publish();
    let moving = Moving { log, stage, failing: false };
    moving.keep_the_rest();
    Ok((capturing, moving))
}

impl Moving {
    /// Moves some of what there is; false: there was nothing. After a failure it may be called again.
    pub(crate) fn step(&mut self) -> io::Result<bool> {
        let records = self.next()?;
        let moved = !records.is_empty();
        for record in records {
            if record.dropped > 0 {
                self.log.leave_gap(record.at, record.stream, record.dropped)?;
            }
            self.put(&record)?;
        }
        self.keep_the_rest();
        self.log.publish();
        Ok(moved)
    }

    /// What comes after the end of the log.
    fn next(&mut self) -> io::Result<Vec<Record>> {
        self.log.index_all()?;
        let view = self.stage.view();
        let chunk = reader::chunk(&self.stage, &view, self.log.end, PIECE)?;
        if chunk.lost > 0 {
            tracing::error!(bytes = chunk.lost, stage = %self.stage.files.directory().display(), "a stage is damaged");
            self.log.leave_gap(i64::MIN, Stream::Stdout, chunk.lost)?;
        }
        Ok(chunk.records)
    }

    fn put(&mut self, record: &Record) -> io::Result<()> {
        let end = self.log.end + record.data.len() as u64;
        let Err(error) = self.log.put(record) else {
            self.failing &= record.data.is_empty();
            return Ok(());
        };
        if !std::mem::replace(&mut self.failing, true) {
            tracing::error!(%error, log = %self.log.shared.files.directory().display(), "cannot store output: it is lost");
        }
        self.log.index_all()?;
        self.log.leave_gap(record.at, record.stream, end.saturating_sub(self.log.end))
    }

    /// Moves all there is. What cannot be moved becomes a gap at the end; answers how many bytes not even that
    /// could be told of.
    pub(crate) fn finish(&mut self) -> u64 {
        loop {
            match self.step() {
                Ok(true) => {}
                Ok(false) => return 0,
                Err(error) => {
                    tracing::error!(%error, log = %self.log.shared.files.directory().display(), "a log ends with a gap");
                    break;
                }
            }
        }
        // One entry a stream: the index has space for that.
        if let Err(error) = self.leave_the_rest() {
            tracing::error!(%error, "cannot say in the log what was lost");
        }
        self.log.publish();
        self.stage.view().end.saturating_sub(self.log.end)
    }

    fn leave_the_rest(&mut self) -> io::Result<()> {
        let view = self.stage.view();
        let (mut rest, mut at) = ([0; 2], self.log.end);
        while at < view.end {
            let chunk = reader::chunk(&self.stage, &view, at, PIECE)?;
            rest[0] += chunk.lost;
            for record in &chunk.records {
                rest[number(record.stream)] += record.dropped + record.data.len() as u64;
            }
            at = chunk.next;
        }
        BOTH.into_iter().try_for_each(|stream| self.log.leave_gap(i64::MIN, stream, rest[number(stream)]))
    }

    fn keep_the_rest(&self) {
        self.stage.holds.renew(MOVER, self.log.end, Instant::now() + ALWAYS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::name;
    use crate::source::{Losses, Pipe, Source};
    use crate::writer::Taken;
    use proptest::prelude::*;
    use std::fs::File;
    use std::io::Write;
    use std::os::unix::fs::FileExt;

    #[derive(Clone, Debug)]
    enum Step {
        Write(Stream, usize),
        Take(Stream),
        Move,
        /// The collector is killed, after having moved so many bytes into the log that it did not index, and having
        /// dropped what a stream had.
        Kill(usize, Option<Stream>),
    }

    const RUN: RunMark = RunMark { number: 1, first: 0 };
    const LOG: Bounds = Bounds { size: 300_000, files: usize::MAX };

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let stream = || prop_oneof![Just(Stream::Stdout), Just(Stream::Stderr)];
        let step = prop_oneof![
            4 => (stream(), 1..900_000_usize).prop_map(|(stream, bytes)| Step::Write(stream, bytes)),
            4 => stream().prop_map(Step::Take),
            1 => Just(Step::Move),
            1 => (0..300_000_usize, proptest::option::of(stream())).prop_map(|(bytes, stream)| Step::Kill(bytes, stream)),
        ];
        proptest::collection::vec(step, 1..60)
    }

    struct Bench<'a> {
        sandbox: &'a Path,
        shared: Arc<Shared>,
        capturing: Writer,
        moving: Moving,
        lost: Losses,
        pipes: [(Pipe, File); 2],
        written: [Vec<u8>; 2],
    }

    fn begin(shared: &Arc<Shared>, sandbox: &Path) -> (Writer, Moving, Losses) {
        let mut log = recover(shared, LOG, Some(RUN)).unwrap();
        log.begin();
        let (mut capturing, moving) = open(log, sandbox, RUN).unwrap();
        let lost = Losses::open(sandbox).unwrap();
        capturing.account(lost.totals()).unwrap();
        (capturing, moving, lost)
    }

    impl<'a> Bench<'a> {
        fn new(log: &Path, sandbox: &'a Path) -> Self {
            let shared = Shared::new(log.to_owned(), None);
            let pipe = || {
                let (reader, writer) = rustix::pipe::pipe().unwrap();
                rustix::pipe::fcntl_setpipe_size(&writer, 1 << 20).unwrap();
                rustix::io::ioctl_fionbio(&writer, true).unwrap();
                (Pipe(reader), File::from(writer))
            };
            let (capturing, moving, lost) = begin(&shared, sandbox);
            Self { sandbox, shared, capturing, moving, lost, pipes: [pipe(), pipe()], written: Default::default() }
        }

        fn play(&mut self, step: Step) {
            match step {
                Step::Write(stream, bytes) => {
                    let all = &mut self.written[number(stream)];
                    let text: Vec<u8> = (all.len()..all.len() + bytes).map(|at| (at % 251) as u8).collect();
                    if let Ok(written) = self.pipes[number(stream)].1.write(&text) {
                        all.extend(&text[..written]);
                    }
                }
                Step::Take(stream) => {
                    let taken = self.capturing.take(&mut self.pipes[number(stream)].0, stream, &mut self.lost);
                    // Whatever the log does, a pipe with something is never left as it is.
                    assert!(matches!(taken, Taken::Some | Taken::Nothing));
                }
                Step::Move => drop(self.moving.step().unwrap()),
                Step::Kill(bytes, dropping) => self.kill(bytes, dropping),
            }
        }

        fn kill(&mut self, bytes: usize, dropping: Option<Stream>) {
            if let Some(stream) = dropping {
                let _ = self.pipes[number(stream)].0.discard(self.lost.of(stream));
            }
            let view = self.moving.stage.view();
            let chunk = reader::chunk(&self.moving.stage, &view, self.moving.log.end, PIECE).unwrap();
            if let Some(record) = chunk.records.first() {
                let room = self.moving.log.prepare(self.moving.log.accounted).unwrap() as usize;
                let bytes = bytes.min(record.data.len()).min(room);
                let live = self.moving.log.live.as_mut().unwrap();
                let (file, length) = live.target(&self.shared.files, record.stream).unwrap();
                file.write_all_at(&record.data[..bytes], length).unwrap();
            }
            (self.capturing, self.moving, self.lost) = begin(&self.shared, self.sandbox);
        }
    }

    /// A kill between making a segment and removing the oldest leaves one too many.
    #[test]
    fn a_rotation_that_was_cut_short_does_not_take_along_what_is_not_moved_yet() {
        let (directory, sandbox) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let shared = Shared::new(directory.path().to_owned(), None);
        let bounds = |files| Bounds { size: 10_000, files };
        let record = |bytes| Record { at: 1, stream: Stream::Stderr, data: vec![7; bytes], dropped: 0 };
        let mut before = recover(&shared, bounds(3), Some(RUN)).unwrap();
        before.begin();
        while before.segments.len() < 3 || before.prepare(before.accounted).unwrap() > 1 {
            before.put(&record(1)).unwrap();
        }
        before.put(&record(1)).unwrap();

        let mut writer = recover(&shared, bounds(2), Some(RUN)).unwrap();
        writer.mode = LogMode::Drop;
        let mut lost = Losses::open(sandbox.path()).unwrap();
        let (reader, pipe) = rustix::pipe::pipe().unwrap();
        let (mut source, mut pipe) = (Pipe(reader), File::from(pipe));
        let [second, third] = [writer.segments[1].start, writer.segments[2].start];
        for (moved, dropped) in [(second, 100), (third, 0)] {
            shared.holds.renew(MOVER, moved, Instant::now() + ALWAYS);
            pipe.write_all(&[8; 100]).unwrap();
            let already = lost.totals()[0];
            assert_eq!(writer.take(&mut source, Stream::Stdout, &mut lost), Taken::Some);
            assert_eq!(lost.totals()[0] - already, dropped);
            let view = shared.view();
            assert_eq!(reader::chunk(&shared, &view, moved, PIECE).unwrap().lost, 0);
        }
        assert_eq!(writer.segments.len(), 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

        #[test]
        fn what_is_kept_and_what_is_dropped_make_up_what_was_written(steps in steps()) {
            let (log, sandbox) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let mut bench = Bench::new(log.path(), sandbox.path());
            steps.into_iter().for_each(|step| bench.play(step));
            for stream in BOTH {
                while bench.capturing.take(&mut bench.pipes[number(stream)].0, stream, &mut bench.lost) == Taken::Some {}
            }
            bench.capturing.account(bench.lost.totals()).unwrap();
            bench.capturing.publish();
            prop_assert_eq!(bench.moving.finish(), 0);

            let (mut at, mut streams, mut dropped) = (0, [0_usize; 2], [0; 2]);
            let view = bench.shared.view();
            while at < view.end {
                let chunk = reader::chunk(&bench.shared, &view, at, usize::MAX).unwrap();
                prop_assert_eq!(chunk.lost, 0);
                for record in chunk.records {
                    let place = &mut streams[number(record.stream)];
                    *place += record.dropped as usize;
                    dropped[number(record.stream)] += record.dropped;
                    // Each byte is where it was written: no more and no less is missing before it.
                    let written = &bench.written[number(record.stream)];
                    prop_assert!(written[*place..].starts_with(&record.data), "{}", name(record.stream));
                    *place += record.data.len();
                }
                at = chunk.next;
            }
            prop_assert_eq!(streams, bench.written.each_ref().map(Vec::len));
            prop_assert_eq!(dropped, bench.lost.totals());
        }
    }
}

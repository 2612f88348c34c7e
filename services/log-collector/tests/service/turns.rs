//! A monitor takes its turns at the FIFOs: what it spills is taken over in its place, whenever whoever is killed.

use crate::harness::*;
use rustix::fs::{FlockOperation, flock};
use rustix::pipe::{SpliceFlags, splice};
use schema::log_collector::{LogMode, LogSpec, Stream};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What a monitor does in its turn: counts it, and moves what there is; then, if that is wanted, something more into
/// the counter of lost bytes. Answers how many bytes it moved.
fn turn(directory: &Path, lock: &File, names: &[&str], lose: bool) -> u64 {
    let spilled = &mut [0; 8];
    lock.read_at(spilled, 8).unwrap();
    lock.write_all_at(&(u64::from_le_bytes(*spilled) + 1).to_le_bytes(), 8).unwrap();
    let mut moved = 0;
    for name in names {
        let fifo = fifo(&directory.join(name), rustix::fs::OFlags::RDONLY);
        let to = match (lose, *name) {
            (false, name) => directory.join("log/spill").join(name),
            (true, "stdout") => directory.join("log/lost"),
            (true, _) => directory.join("log/lost.stderr"),
        };
        let Ok(file) = File::options().write(true).create(true).truncate(false).open(to) else { continue };
        let mut end = file.metadata().unwrap().len();
        if let Ok(count) = splice(&fifo, None, &file, Some(&mut end), 300_000, SpliceFlags::NONBLOCK) {
            moved += count as u64;
        }
    }
    moved
}

/// Takes turns, now and then, until it is told to stop: how many bytes were spilled.
fn take_turns(directory: &Path, names: &[&str], stop: &AtomicBool, loses: bool) -> u64 {
    let lock = File::options().read(true).write(true).open(directory.join("take.lock")).unwrap();
    let mut moved = 0;
    while !stop.load(Ordering::Relaxed) {
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            moved += turn(directory, &lock, names, loses);
            flock(&lock, FlockOperation::Unlock).unwrap();
        }
        std::thread::sleep(Duration::from_micros(random() % 3000));
    }
    moved
}

#[test]
fn whoever_takes_it_each_line_is_there_once() {
    const LINES: u64 = 1_500_000;
    let mut service = Service::start();
    let id = id();
    let mut sandbox = Sandbox::new(&service, &id, false, false);
    File::create(sandbox.directory.join("take.lock")).unwrap();
    let spec = sandbox.spec(1 << 20, 1000);
    assert_eq!(block_on(service.client().open(&call(), &id, &spec)), Ok(0));
    let (directory, stop) = (sandbox.directory.clone(), AtomicBool::new(false));
    let spilled = std::thread::scope(|scope| {
        let monitor = scope.spawn(|| take_turns(&directory, &["stdout", "stderr"], &stop, false));
        let writing = [("stdout", 977), ("stderr", 4096)].map(|(name, per_write)| {
            let writer = sandbox.writer(name);
            scope.spawn(move || write_lines(writer, 0..LINES, per_write))
        });
        service.torment(60, || writing.iter().any(|writing| !writing.is_finished()));
        writing.into_iter().for_each(|writing| writing.join().unwrap());
        stop.store(true, Ordering::Relaxed);
        monitor.join().unwrap()
    });
    sandbox.end();
    assert_eq!(block_on(service.client().open(&call(), &id, &spec)), Ok(0));
    sandbox.destroy();
    let output = block_on(async { read_all(&service.client(), &id, 0).await.unwrap() });
    eprintln!("{} kills, {} bytes, {spilled} of them spilled", service.kills, output.next);
    assert_eq!(output.lost, 0);
    assert_same(&output.of(Stream::Stdout), &lines(0..LINES));
    assert_same(&output.of(Stream::Stderr), &lines(0..LINES));
    assert!(service.kills > 0 && spilled > 0, "{} kills, {spilled} bytes", service.kills);
}

#[test]
fn what_the_monitor_counts_as_lost_is_told() {
    let mut service = Service::start();
    let id = id();
    let mut sandbox = Sandbox::new(&service, &id, false, false);
    File::create(sandbox.directory.join("take.lock")).unwrap();
    let spec = LogSpec { mode: LogMode::Drop, ..sandbox.spec(1 << 20, 1000) };
    block_on(service.client().open(&call(), &id, &spec)).unwrap();
    let (directory, stop) = (sandbox.directory.clone(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let monitor = scope.spawn(|| take_turns(&directory, &["stdout", "stderr"], &stop, true));
        let writing = [("stdout", 977), ("stderr", 4096)].map(|(name, per_write)| {
            let writer = sandbox.writer(name);
            scope.spawn(move || write_lines(writer, 0..400_000, per_write))
        });
        service.torment(60, || writing.iter().any(|writing| !writing.is_finished()));
        writing.into_iter().for_each(|writing| writing.join().unwrap());
        stop.store(true, Ordering::Relaxed);
        monitor.join().unwrap();
    });
    sandbox.end();
    block_on(service.client().open(&call(), &id, &spec)).unwrap();
    // What is captured lies in the sandbox until it is in the log, and a sandbox stays until then.
    let output = block_on(async { read_all(&service.client(), &id, 0).await.unwrap() });
    sandbox.destroy();
    let written = lines(0..400_000).len() as u64;
    for stream in [Stream::Stdout, Stream::Stderr] {
        let dropped = output.dropped(stream);
        assert!(dropped > 0);
        assert_eq!(output.of(stream).len() as u64 + dropped, written);
    }
}

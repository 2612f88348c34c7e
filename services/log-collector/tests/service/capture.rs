//! Capture: whatever happens to the collector, each byte once and in order.

use crate::harness::*;
use schema::log_collector::{LogMode, LogSpec, Stream};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

#[test]
fn whenever_the_collector_is_killed_each_line_is_there_once() {
    const LINES: u64 = 4_000_000;
    let mut service = Service::start();
    let id = id();
    let mut sandbox = Sandbox::new(&service, &id, false, false);
    let spec = sandbox.spec(1 << 20, 1000);
    assert_eq!(block_on(service.client().open(&call(), &id, &spec)), Ok(0));

    let writing = [("stdout", 977), ("stderr", 4096)].map(|(name, per_write)| {
        let writer = sandbox.writer(name);
        std::thread::spawn(move || write_lines(writer, 0..LINES, per_write))
    });
    let started = Instant::now();
    service.torment(30, || writing.iter().any(|writing| !writing.is_finished()) && started.elapsed().as_secs() < 60);
    writing.into_iter().for_each(|writing| writing.join().unwrap());
    sandbox.end();
    // Its answer means that what was spilled is in the log.
    assert_eq!(block_on(service.client().open(&call(), &id, &spec)), Ok(0));
    sandbox.destroy();

    let reading = Instant::now();
    let output = block_on(async { read_all(&service.client(), &id, 0).await.unwrap() });
    let seconds = reading.elapsed().as_secs_f64();
    let expected = lines(0..LINES);
    assert_eq!(output.lost, 0);
    assert_same(&output.of(Stream::Stdout), &expected);
    assert_same(&output.of(Stream::Stderr), &expected);
    assert!(output.records.is_sorted_by_key(|record| record.at));
    eprintln!(
        "{} kills, {} bytes, {} records; read with {:.0} MB/s",
        service.kills,
        output.next,
        output.records.len(),
        output.next as f64 / 1e6 / seconds
    );
    assert!(service.kills >= 5, "only {} kills", service.kills);
}

#[test]
fn capture_and_reading_are_fast() {
    const BYTES: u64 = 256 << 20;
    let service = Service::start();
    let id = id();
    let mut sandbox = Sandbox::new(&service, &id, true, false);
    let client = service.client();
    block_on(async {
        client.open(&call(), &id, &sandbox.spec(64 << 20, 10)).await.unwrap();
        let writer = sandbox.writer("stdout");
        let started = Instant::now();
        let writing = std::thread::spawn(move || {
            let block = vec![b'x'; 64 << 10];
            let mut writer = writer;
            (0..BYTES / block.len() as u64).for_each(|_| std::io::Write::write_all(&mut writer, &block).unwrap());
        });
        writing.join().unwrap();
        sandbox.end();
        let captured = started.elapsed().as_secs_f64();
        let started = Instant::now();
        let mut next = 0;
        while next < BYTES {
            next = client.read(&call(), &id, next, 0, 1000).await.unwrap().next;
        }
        let read = started.elapsed().as_secs_f64();
        eprintln!("captured {:.0} MB/s, read {:.0} MB/s", BYTES as f64 / 1e6 / captured, BYTES as f64 / 1e6 / read);
        assert_eq!(next, BYTES);
    });
}

#[test]
fn a_run_that_ends_without_a_collector_is_complete() {
    let mut service = Service::start();
    let id = id();
    let mut sandbox = Sandbox::new(&service, &id, false, false);
    block_on(service.client().open(&call(), &id, &sandbox.spec(8 << 10, 1000))).unwrap();
    write_lines(sandbox.writer("stdout"), 0..1000, 100);
    service.kill();
    // Nobody reads: this must fit the pipes.
    write_lines(sandbox.writer("stdout"), 1000..15_000, 4096);
    write_lines(sandbox.writer("stderr"), 0..20_000, 4096);
    sandbox.end();
    assert!(sandbox.directory.join("log/stdout.spill").exists() && sandbox.directory.join("log/stderr.spill").exists());
    for _ in 0..30 {
        service.spawn();
        std::thread::sleep(std::time::Duration::from_micros(random() % 30_000));
        service.kill();
    }
    service.spawn();
    let spec = sandbox.spec(8 << 10, 1000);
    let output = block_on(async {
        // Its answer means that what was spilled is in the log.
        assert_eq!(service.client().open(&call(), &id, &spec).await, Ok(0));
        sandbox.destroy();
        read_all(&service.client(), &id, 0).await.unwrap()
    });
    assert_same(&output.of(Stream::Stdout), &lines(0..15_000));
    assert_same(&output.of(Stream::Stderr), &lines(0..20_000));
}

#[test]
fn the_end_is_seen_by_a_collector_that_opens_a_fifo_after_its_last_writer_is_gone() {
    let mut service = Service::start();
    for bytes in [0, 10, 60_000, 1_000_000] {
        let id = id();
        let mut sandbox = Sandbox::new(&service, &id, false, false);
        block_on(service.client().open(&call(), &id, &sandbox.spec(64 << 10, 100))).unwrap();
        service.kill();
        std::io::Write::write_all(&mut sandbox.writer("stdout"), &vec![b'x'; bytes]).unwrap();
        // The monitor keeps read ends, and is slow to ask for the lock.
        let slow = sandbox.let_go();
        service.spawn();
        let output = block_on(async { read_all(&service.client(), &id, 0).await.unwrap() });
        assert_eq!(output.of(Stream::Stdout).len(), bytes);
        drop(slow);
    }
}

#[test]
fn a_spill_that_cannot_be_read_yet_repeats_nothing() {
    let mut service = Service::start();
    let id = id();
    let mut sandbox = Sandbox::new(&service, &id, false, false);
    let spec = sandbox.spec(0, 0);
    block_on(service.client().open(&call(), &id, &spec)).unwrap();
    service.kill();
    write_lines(sandbox.writer("stdout"), 0..1000, 100);
    write_lines(sandbox.writer("stderr"), 0..1000, 4096);
    sandbox.end();
    let (spill, aside) = (sandbox.directory.join("log/stderr.spill"), sandbox.directory.join("aside"));
    fs::rename(&spill, &aside).unwrap();
    std::os::unix::fs::symlink(&spill, &spill).unwrap();
    service.spawn();
    let output = block_on(async {
        let client = service.client();
        // Nothing can be promised yet, but what is there can be read.
        client.open(&call(), &id, &spec).await.unwrap_err();
        read_until(&client, &id, 0, 3890).await;
        fs::rename(&aside, &spill).unwrap();
        read_all(&client, &id, 0).await.unwrap()
    });
    assert_same(&output.of(Stream::Stdout), &lines(0..1000));
    assert_same(&output.of(Stream::Stderr), &lines(0..1000));
}

#[test]
fn a_follower_misses_nothing_when_segments_are_rotated() {
    const LINES: u64 = 60_000;
    const SIZE: u64 = 32 << 10;
    let service = Service::start();
    let id = id();
    let mut sandbox = Sandbox::new(&service, &id, true, false);
    block_on(service.client().open(&call(), &id, &sandbox.spec(SIZE, 3))).unwrap();
    let directory = service.log_directory(&id);
    let writer = sandbox.writer("stdout");
    let done = AtomicBool::new(false);
    let (output, largest) = std::thread::scope(|scope| {
        scope.spawn(|| {
            for first in (0..LINES).step_by(500) {
                write_lines(&writer, first..first + 500, 300);
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            drop(writer);
            sandbox.end();
            done.store(true, Ordering::Relaxed);
        });
        let watching = scope.spawn(|| {
            let mut largest = 0;
            while !done.load(Ordering::Relaxed) {
                largest = largest.max(stored(&directory));
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            largest
        });
        let output = block_on(async { read_all(&service.client(), &id, 0).await.unwrap() });
        (output, watching.join().unwrap())
    });
    assert_eq!(output.lost, 0);
    assert_same(&output.of(Stream::Stdout), &lines(0..LINES));
    // While the next segment is begun, the oldest still exists.
    assert!(largest <= 4 * SIZE, "{largest} bytes of output on the disk");
    assert!(stored(&directory) <= 3 * SIZE);
    // Who comes late learns how much is gone.
    let late = block_on(async { read_all(&service.client(), &id, 0).await.unwrap() });
    assert!(late.lost > 0);
    assert!(lines(0..LINES).ends_with(&late.of(Stream::Stdout)));
}

#[test]
fn in_mode_drop_nobody_is_waited_for_and_each_byte_is_kept_or_counted_whenever_the_collector_is_killed() {
    const LINES: u64 = 2_000_000;
    let mut service = Service::start();
    let id = id();
    let mut sandbox = Sandbox::new(&service, &id, false, false);
    let spec = LogSpec { mode: LogMode::Drop, ..sandbox.spec(256 << 10, 1000) };
    block_on(async {
        let client = service.client();
        client.open(&call(), &id, &spec).await.unwrap();
        // A client that is attached and does not read on.
        client.read_attached(&call(), &id, 0, 0, 0, 7).await.unwrap();
    });
    let writing = [("stdout", 977), ("stderr", 40_960)].map(|(name, per_write)| {
        let writer = sandbox.writer(name);
        std::thread::spawn(move || write_lines(writer, 0..LINES, per_write))
    });
    let started = Instant::now();
    service.torment(30, || writing.iter().any(|writing| !writing.is_finished()) && started.elapsed().as_secs() < 60);
    writing.into_iter().for_each(|writing| writing.join().unwrap());
    sandbox.end();
    assert_eq!(block_on(service.client().open(&call(), &id, &spec)), Ok(0));
    let output = block_on(async { read_all(&service.client(), &id, 0).await.unwrap() });
    eprintln!("{} kills, {} bytes", service.kills, output.next);
    let expected = lines(0..LINES);
    assert_eq!((output.lost, output.next), (0, 2 * expected.len() as u64));
    for stream in [Stream::Stdout, Stream::Stderr] {
        let mut at = 0;
        for record in output.records.iter().filter(|record| record.stream == stream) {
            at += record.dropped as usize;
            assert_same(&record.data, &expected[at..at + record.data.len()]);
            at += record.data.len();
        }
        assert_eq!(at, expected.len());
    }
    assert!(service.kills >= 3, "only {} kills", service.kills);
}

/// Bytes of output on the disk.
fn stored(directory: &std::path::Path) -> u64 {
    let is_index = |path: &std::path::Path| path.extension().is_some_and(|ending| ending == "index");
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| !is_index(path)).map(|path| fs::metadata(path).map_or(0, |data| data.len())).sum()
}

#[test]
fn two_hundred_containers_are_captured_at_once() {
    const CONTAINERS: usize = 200;
    const LINES: u64 = 2_000;
    let mut service = Service::start();
    let client = service.client();
    let mut sandboxes: Vec<_> = (0..CONTAINERS)
        .map(|_| {
            let id = id();
            let sandbox = Sandbox::new(&service, &id, false, false);
            (id, sandbox)
        })
        .collect();
    block_on(async {
        let opening = sandboxes.iter().map(|(id, sandbox)| {
            let (client, spec) = (client.clone(), sandbox.spec(0, 0));
            async move { client.open(&call(), id, &spec).await.unwrap() }
        });
        futures::future::join_all(opening).await;
    });
    std::thread::scope(|scope| {
        for (_, sandbox) in &sandboxes {
            scope.spawn(|| write_lines(sandbox.writer("stdout"), 0..LINES, 64));
            scope.spawn(|| write_lines(sandbox.writer("stderr"), 0..LINES, 640));
        }
        let mut kills = 0;
        service.torment(300, || {
            kills += 1;
            kills <= 5
        });
    });
    std::thread::scope(|scope| {
        sandboxes.iter_mut().for_each(|(_, sandbox)| drop(scope.spawn(|| sandbox.end())));
    });
    let expected = lines(0..LINES);
    block_on(async {
        for (id, _) in &sandboxes {
            let output = read_all(&service.client(), id, 0).await.unwrap();
            assert_same(&output.of(Stream::Stdout), &expected);
            assert_same(&output.of(Stream::Stderr), &expected);
        }
    });
    let threads = fs::read_dir(format!("/proc/{}/task", service.pid())).unwrap().count();
    let memory = kit::process::memory(service.pid().try_into().unwrap()).unwrap();
    eprintln!("{threads} threads, {} KiB", memory >> 10);
    assert!(threads < 50, "{threads} threads");
    assert!(memory < 64 << 20, "{memory} bytes of memory");
}

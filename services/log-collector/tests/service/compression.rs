//! Sealed segments are compressed, and nobody who reads notices.

use crate::harness::*;
use schema::log_collector::{From, Stream};
use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

/// Bytes that a log takes on the disk.
fn on_disk(service: &Service, id: &schema::ContainerId) -> u64 {
    let files = fs::read_dir(service.log_directory(id)).unwrap();
    files.map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn a_compressed_log_is_smaller_and_reads_the_same() {
    const LINES: u64 = 1_000_000;
    let service = Service::start();
    let id = id();
    let mut sandbox = Sandbox::new(&service, &id, true, false);
    let text = lines(0..LINES);
    block_on(async {
        let client = service.client();
        client.open(&call(), &id, &sandbox.spec(2 << 20, 100)).await.unwrap();
        sandbox.writer("stdout").write_all(&text).unwrap();
        sandbox.end();
        read_all(&client, &id, 0).await.unwrap();
    });
    service.wait_until_compressed(&id);
    let size = on_disk(&service, &id);
    eprintln!("{} bytes of output take {size}", text.len());
    assert!(size < text.len() as u64 / 2, "{size}");
    block_on(async {
        let client = service.client();
        let output = read_all(&client, &id, 0).await.unwrap();
        assert_eq!(output.lost, 0);
        assert_same(&output.of(Stream::Stdout), &text);
        // A tail reads some frames, not the log.
        for (lines, most) in [(1, 1), (10, 1), (400_000, 3)] {
            let started = Instant::now();
            let position = client.locate(&call(), &id, From::LastLines(lines)).await.unwrap();
            let took = started.elapsed();
            let tail = &text[position as usize..];
            assert_eq!(tail.iter().filter(|byte| **byte == b'\n').count() as u64, lines);
            eprintln!("the last {lines} lines found in {took:?}");
            assert!(took < Duration::from_secs(5 * most), "{took:?}");
        }
        let middle = client.read(&call(), &id, 3_000_000, 1000, 0).await.unwrap();
        assert_same(&middle.records[0].data, &text[3_000_000..3_001_000]);
    });
    // It is what any zstd reads.
    let first = fs::File::open(service.log_directory(&id).join("000001.stdout.zst")).unwrap();
    assert_same(&zstd::decode_all(first).unwrap(), &text[..2 << 20]);
}

#[test]
fn whenever_the_collector_is_killed_while_it_compresses_each_line_is_read_once() {
    const LINES: u64 = 600_000;
    let mut service = Service::start();
    let id = id();
    let mut sandbox = Sandbox::new(&service, &id, false, false);
    let spec = sandbox.spec(64 << 10, 1000);
    block_on(service.client().open(&call(), &id, &spec)).unwrap();
    let instance = service.instance.clone();
    // Read while segments turn into their compressed form: from the collector, and from the files of which it tells.
    let following = std::thread::spawn({
        let (id, instance) = (id.clone(), instance.clone());
        move || {
            let client = schema::log_collector::Client::new(&instance);
            block_on(async { read_all(&client, &id, 0).await.unwrap() })
        }
    });
    let by_files = std::thread::spawn({
        let id = id.clone();
        move || {
            let client = schema::log_collector::Client::new(&instance);
            block_on(async { read_files(&instance, &client, &id, 1 << 20).await.0 })
        }
    });
    let writing = [("stdout", 977), ("stderr", 4096)].map(|(name, per_write)| {
        let writer = sandbox.writer(name);
        std::thread::spawn(move || {
            for first in (0..LINES).step_by(2000) {
                write_lines(&writer, first..first + 2000, per_write);
                std::thread::sleep(Duration::from_millis(10));
            }
        })
    });
    service.torment(50, || writing.iter().any(|writing| !writing.is_finished()));
    writing.into_iter().for_each(|writing| writing.join().unwrap());
    sandbox.end();
    block_on(service.client().open(&call(), &id, &spec)).unwrap();
    let (follower, by_files) = (following.join().unwrap(), by_files.join().unwrap());
    service.wait_until_compressed(&id);
    let late = block_on(async { read_all(&service.client(), &id, 0).await.unwrap() });
    let (late_by_files, packed) =
        block_on(async { read_files(&service.instance, &service.client(), &id, 1 << 20).await });
    assert!(packed > 10, "only {packed} files were compressed");
    eprintln!("{} kills, {} bytes in {}", service.kills, late.next, on_disk(&service, &id));
    for output in [follower, by_files, late, late_by_files] {
        assert_eq!(output.lost + output.dropped(Stream::Stdout) + output.dropped(Stream::Stderr), 0);
        assert_same(&output.of(Stream::Stdout), &lines(0..LINES));
        assert_same(&output.of(Stream::Stderr), &lines(0..LINES));
    }
    assert!(service.kills >= 6, "only {} kills", service.kills);
    // A removed log leaves nothing, whatever was on its way.
    block_on(service.client().remove(&call(), &id)).unwrap();
    assert!(!service.log_directory(&id).exists());
}

#[test]
fn a_log_that_is_rotated_while_it_is_compressed_stays_within_its_bound() {
    const SIZE: u64 = 256 << 10;
    let service = Service::start();
    let id = id();
    let mut sandbox = Sandbox::new(&service, &id, true, false);
    block_on(service.client().open(&call(), &id, &sandbox.spec(SIZE, 3))).unwrap();
    // Does not shrink: only rotation keeps it small.
    let text = noise(20 << 20);
    for block in text.chunks(100 << 10) {
        sandbox.writer("stdout").write_all(block).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    sandbox.end();
    let output = block_on(async { read_all(&service.client(), &id, 0).await.unwrap() });
    service.wait_until_compressed(&id);
    assert!(text.ends_with(&output.of(Stream::Stdout)) && output.lost > 0);
    let size = on_disk(&service, &id);
    assert!(size <= 3 * SIZE + (64 << 10), "{size}");
    let files = fs::read_dir(service.log_directory(&id)).unwrap().count();
    assert!(files <= 6, "{files} files of three segments");
}

#[test]
fn what_is_rotated_away_at_once_is_not_compressed() {
    let service = Service::start();
    let id = id();
    let mut sandbox = Sandbox::new(&service, &id, true, false);
    block_on(service.client().open(&call(), &id, &sandbox.spec(64 << 10, 3))).unwrap();
    let started = Instant::now();
    let text = noise(4 << 20);
    for block in text.chunks(32 << 10) {
        sandbox.writer("stdout").write_all(block).unwrap();
        let names = fs::read_dir(service.log_directory(&id)).unwrap();
        let packed = names.filter(|name| name.as_ref().unwrap().path().extension().is_some_and(|end| end == "zst"));
        if started.elapsed() < Duration::from_secs(1) {
            assert_eq!(packed.count(), 0);
        }
    }
    sandbox.end();
    // What stays is compressed soon.
    service.wait_until_compressed(&id);
    let output = block_on(async { read_all(&service.client(), &id, 0).await.unwrap() });
    assert!(text.ends_with(&output.of(Stream::Stdout)));
}

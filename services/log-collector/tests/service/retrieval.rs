//! Reading: positions, tails, times, waiting.

use crate::harness::*;
use schema::Code;
use schema::log_collector::{From, Stream};
use std::io::Write;
use std::time::{Duration, Instant};

#[test]
fn a_part_of_the_log_is_found_by_lines_and_by_time() {
    let service = Service::start();
    let id = id();
    let mut sandbox = Sandbox::new(&service, &id, false, false);
    let client = service.client();
    block_on(async {
        client.open(&call(), &id, &sandbox.spec(4096, 100)).await.unwrap();
        let (mut stdout, mut stderr) = (sandbox.writer("stdout"), sandbox.writer("stderr"));
        let (mut end, mut seen, mut middle) = (0, 0, 0);
        for number in 0..3000_u32 {
            let line = format!("line {number}\n");
            let target = if number % 3 == 0 { &mut stderr } else { &mut stdout };
            target.write_all(line.as_bytes()).unwrap();
            end += line.len() as u64;
            if number % 100 == 0 {
                seen = read_until(&client, &id, seen, end).await.next;
            }
            if number == 1500 {
                tokio::time::sleep(Duration::from_millis(5)).await;
                middle = kit::process::now();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        // The streams are two pipes: only what is captured has its place between them.
        seen = read_until(&client, &id, seen, end).await.next;
        stdout.write_all(b"unfinished").unwrap();
        read_until(&client, &id, seen, end + 10).await;

        let patience = call();
        let from = |from| client.locate(&patience, &id, from);
        assert_eq!(from(From::Start).await, Ok(0));
        assert_eq!(from(From::End).await, Ok(end + 10));
        assert_eq!(from(From::LastLines(0)).await, Ok(end + 10));
        assert_eq!(from(From::LastLines(1)).await, Ok(end));
        assert_eq!(from(From::LastLines(u64::MAX)).await, Ok(0));
        assert_eq!(from(From::Since(0)).await, Ok(0));
        assert_eq!(from(From::Since(i64::MAX)).await, Ok(end + 10));
        let all = read_until(&client, &id, 0, end + 10).await;
        for lines in [2, 3, 10, 999, 2500] {
            let position = from(From::LastLines(lines)).await.unwrap();
            let tail = read_until(&client, &id, position, end + 10).await.text();
            assert!(all.text().ends_with(&tail));
            assert_eq!(tail.lines().count() as u64, lines);
        }
        let since = from(From::Since(middle)).await.unwrap();
        let recent = read_until(&client, &id, since, end + 10).await;
        assert!(recent.records.iter().all(|record| record.at >= middle));
        let streams = [Stream::Stdout, Stream::Stderr].map(|stream| String::from_utf8(recent.of(stream)).unwrap());
        let numbers: Vec<u32> = streams
            .iter()
            .flat_map(|text| text.lines())
            .filter(|line| *line != "unfinished")
            .map(|line| line.strip_prefix("line ").unwrap().parse().unwrap())
            .collect();
        assert_eq!(numbers.len(), 1499);
        assert!(numbers.iter().all(|number| *number > 1500));
        drop((stdout, stderr));
        sandbox.end();
    });
}

#[test]
fn a_long_write_is_read_in_pieces_and_odd_positions_are_answered() {
    let service = Service::start();
    let id = id();
    let sandbox = Sandbox::new(&service, &id, true, false);
    let client = service.client();
    block_on(async {
        client.open(&call(), &id, &sandbox.spec(0, 0)).await.unwrap();
        let text = lines(0..10_000);
        sandbox.writer("stdout").write_all(&text).unwrap();
        read_until(&client, &id, 0, text.len() as u64).await;
        let mut output = Output::default();
        while output.next < text.len() as u64 {
            let chunk = client.read(&call(), &id, output.next, 997, 0).await.unwrap();
            assert!(chunk.records.iter().map(|record| record.data.len()).sum::<usize>() <= 997);
            output.add(chunk);
        }
        assert_same(&output.of(Stream::Stdout), &text);
        let beyond = client.read(&call(), &id, u64::MAX, 0, 0).await.unwrap();
        assert_eq!((beyond.next, beyond.lost, beyond.records.len()), (text.len() as u64, 0, 0));
        assert!(!beyond.ended);
    });
}

#[test]
fn readers_are_woken_by_data_by_the_end_and_by_removal() {
    let service = Service::start();
    let id = id();
    let mut sandbox = Sandbox::new(&service, &id, true, false);
    let client = service.client();
    block_on(async {
        client.open(&call(), &id, &sandbox.spec(0, 0)).await.unwrap();
        let started = Instant::now();
        let chunk = client.read(&call(), &id, 0, 0, 50).await.unwrap();
        assert!(chunk.records.is_empty() && started.elapsed() >= Duration::from_millis(50));

        let mut slowest = Duration::ZERO;
        for round in 0..20 {
            let readers = (0..10).map(|_| async { client.read(&call(), &id, round * 2, 0, 20_000).await.unwrap() });
            let write = async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                sandbox.writer("stdout").write_all(b"x\n").unwrap();
                Instant::now()
            };
            let (chunks, written) = tokio::join!(futures::future::join_all(readers), write);
            slowest = slowest.max(written.elapsed());
            assert!(chunks.iter().all(|chunk| chunk.records.len() == 1 && chunk.next == round * 2 + 2));
        }
        eprintln!("ten readers woken within {slowest:?}");
        assert!(slowest < Duration::from_secs(2));

        let patience = call();
        let (chunk, ()) = tokio::join!(client.read(&patience, &id, 40, 0, 20_000), async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            sandbox.end();
        });
        assert!(chunk.unwrap().ended);

        let second = id_of_removed(&service).await;
        let failure = client.read(&call(), &second, 0, 0, 0).await.unwrap_err();
        assert_eq!(failure.code, Code::NotFound);
    });
}

/// Removes a log while readers wait for it.
async fn id_of_removed(service: &Service) -> schema::ContainerId {
    let id = id();
    let sandbox = Sandbox::new(service, &id, true, false);
    let client = service.client();
    client.open(&call(), &id, &sandbox.spec(0, 0)).await.unwrap();
    assert!(service.log_directory(&id).exists());
    let patience = call();
    let readers = (0..5).map(|_| client.read(&patience, &id, 0, 0, 30_000));
    let (answers, removed) = tokio::join!(futures::future::join_all(readers), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        client.remove(&call(), &id).await
    });
    assert_eq!(removed, Ok(()));
    assert!(answers.into_iter().all(|answer| answer.unwrap_err().code == Code::NotFound));
    assert!(!service.log_directory(&id).exists());
    assert_eq!(client.remove(&call(), &id).await, Ok(()));
    id
}

#[test]
fn damage_is_confined_and_counted() {
    let mut service = Service::start();
    let id = id();
    let mut sandbox = Sandbox::new(&service, &id, true, false);
    let client = service.client();
    let text = lines(0..20_000);
    block_on(async {
        client.open(&call(), &id, &sandbox.spec(8192, 100)).await.unwrap();
        for block in text.chunks(512) {
            sandbox.writer("stdout").write_all(block).unwrap();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        sandbox.end();
        read_all(&client, &id, 0).await.unwrap();
    });
    service.wait_until_compressed(&id);
    service.kill();
    let directory = service.log_directory(&id);
    // The index of one segment, the end of the data in another, a header in a third, a torn entry at the end.
    let overwrite = |name: &str, at: u64| {
        let file = std::fs::OpenOptions::new().write(true).open(directory.join(name)).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, b"damaged!", at).unwrap();
    };
    overwrite("000002.index.zst", 40);
    std::fs::File::options().write(true).open(directory.join("000004.stdout.zst")).unwrap().set_len(1500).unwrap();
    overwrite("000006.index.zst", 0);
    let last = std::fs::read_dir(&directory).unwrap().count() / 2;
    let mut index = std::fs::OpenOptions::new().append(true).open(directory.join(format!("{last:06}.index"))).unwrap();
    index.write_all(b"torn").unwrap();
    service.spawn();
    block_on(async {
        let output = read_all(&service.client(), &id, 0).await.unwrap();
        assert_eq!(output.next, text.len() as u64);
        assert!((3 * 8192 - 600..=4 * 8192).contains(&output.lost), "{}", output.lost);
        let mut at = 0;
        let mut chunk = Output::default();
        // What is there is in its place.
        while chunk.next < text.len() as u64 {
            let answer = service.client().read(&call(), &id, chunk.next, 0, 0).await.unwrap();
            at += answer.lost as usize;
            for record in &answer.records {
                assert_same(&record.data, &text[at..at + record.data.len()]);
                at += record.data.len();
            }
            chunk.add(answer);
        }
    });
}

#[test]
fn the_files_hold_what_is_read() {
    let service = Service::start();
    let id = id();
    let mut sandbox = Sandbox::new(&service, &id, false, false);
    let client = service.client();
    block_on(async {
        client.open(&call(), &id, &sandbox.spec(16 << 10, 1000)).await.unwrap();
        let (mut stdout, mut stderr) = (sandbox.writer("stdout"), sandbox.writer("stderr"));
        let (mut end, mut seen) = (0, 0);
        for number in 0..4000_u32 {
            let line = format!("line {number}\n");
            let target = if number % 7 == 0 { &mut stderr } else { &mut stdout };
            target.write_all(line.as_bytes()).unwrap();
            end += line.len() as u64;
            if number % 50 == 0 {
                read_until(&client, &id, seen, end).await;
                seen = end;
            }
        }
        drop((stdout, stderr));
        sandbox.end();
        let read = read_all(&client, &id, 0).await.unwrap();
        for most in [1 << 30, 5000, 1] {
            // A byte at a time is many calls: the end will do.
            let from = if most == 1 { end - 300 } else { 0 };
            let (files, _) = if from == 0 {
                read_files(&service.instance, &client, &id, most).await
            } else {
                let told = client.parts(&call(), &id, from, most, 0, 0).await.unwrap();
                assert_eq!((told.next, told.parts.len(), told.lost), (from + 1, 1, 0));
                continue;
            };
            // The order of the streams, too.
            assert_eq!(files.text(), read.text());
        }
        let beyond = client.parts(&call(), &id, u64::MAX, 0, 0, 0).await.unwrap();
        assert_eq!((beyond.next, beyond.lost, beyond.parts.len(), beyond.ended), (end, 0, 0, true));
    });
}

#[test]
fn who_waits_for_output_on_a_new_connection_holds_up_no_other_call() {
    let service = Service::start();
    let id = id();
    let sandbox = Sandbox::new(&service, &id, true, false);
    block_on(async {
        service.client().open(&call(), &id, &sandbox.spec(0, 0)).await.unwrap();
        // Its first call also connects, and waits for what is written when the second one is answered.
        let (client, call) = (service.client(), call());
        let second = async {
            assert_eq!(client.totals(&call).await.unwrap().len(), 1);
            sandbox.writer("stdout").write_all(b"now\n").unwrap();
        };
        let (told, ()) = futures::join!(client.parts(&call, &id, 0, 0, 50_000, 0), second);
        assert_eq!(told.unwrap().next, 4);
    });
}

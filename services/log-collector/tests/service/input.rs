//! Input: whatever happens to the collector, each byte once and in order.

use crate::harness::*;
use schema::Code;
use schema::log_collector::Client;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Opens a log with stdin; answers its parts.
fn with_stdin(service: &Service) -> (schema::ContainerId, Sandbox) {
    let id = id();
    let sandbox = Sandbox::new(service, &id, false, true);
    block_on(service.client().open(&call(), &id, &sandbox.spec(0, 0))).unwrap();
    (id, sandbox)
}

async fn send(client: &Client, id: &schema::ContainerId, session: &str, text: &[u8]) {
    let input = client.input(id, session, true);
    let mut offset = input.open(&call()).await.unwrap() as usize;
    while offset < text.len() {
        let length = (1 + random() as usize % (64 << 10)).min(text.len() - offset);
        let total = input.write(&call(), offset as u64, &text[offset..offset + length]).await.unwrap();
        assert_eq!(total, (offset + length) as u64);
        offset += length;
    }
    input.close(&call()).await.unwrap();
}

#[test]
fn whenever_the_collector_is_killed_each_byte_arrives_once() {
    let mut service = Service::start();
    let (id, mut sandbox) = with_stdin(&service);
    let text = lines(0..3_000_000);
    let stdin = sandbox.reader("stdin");
    let reading = std::thread::spawn(move || {
        let (mut stdin, mut got) = (stdin, Vec::new());
        let mut buffer = vec![0; 100_000];
        loop {
            let wanted = 1 + random() as usize % buffer.len();
            match stdin.read(&mut buffer[..wanted]).unwrap() {
                0 => return got,
                read => got.extend_from_slice(&buffer[..read]),
            }
            if random().is_multiple_of(8) {
                std::thread::sleep(Duration::from_millis(random() % 8));
            }
        }
    });
    let client_instance = service.instance.clone();
    let (sent, expected, sending_id) = (text.clone(), text, id.clone());
    let sending = std::thread::spawn(move || {
        block_on(async { send(&Client::new(&client_instance), &sending_id, "one", &sent).await });
    });
    service.torment(50, || !sending.is_finished());
    sending.join().unwrap();
    sandbox.close_stdin_when_asked();
    let got = reading.join().unwrap();
    assert_same(&got, &expected);
    eprintln!("{} kills, {} bytes", service.kills, got.len());
    assert!(service.kills >= 4, "only {} kills", service.kills);
    sandbox.end();
}

#[test]
fn the_sessions_of_many_clients_survive_kills_side_by_side() {
    const SESSIONS: usize = 4;
    const BYTES: usize = 1_500_000;
    let mut service = Service::start();
    let (id, sandbox) = with_stdin(&service);
    let stdin = sandbox.reader("stdin");
    let reading = std::thread::spawn(move || {
        let (mut stdin, mut next, mut got) = (stdin, [0; SESSIONS], 0);
        let mut buffer = vec![0; 50_000];
        while got < SESSIONS * BYTES {
            let read = stdin.read(&mut buffer).unwrap();
            got += read;
            for byte in &buffer[..read] {
                let session = usize::from(byte >> 6);
                assert_eq!(usize::from(byte & 63), next[session] % 61, "session {session}, byte {}", next[session]);
                next[session] += 1;
            }
        }
        next
    });
    let sending: Vec<_> = (0..SESSIONS)
        .map(|session| {
            let (instance, id) = (service.instance.clone(), id.clone());
            let text: Vec<u8> = (0..BYTES).map(|at| ((session << 6) | (at % 61)) as u8).collect();
            std::thread::spawn(move || {
                let name = format!("session-{session}");
                block_on(async {
                    let client = Client::new(&instance);
                    let input = client.input(&id, &name, false);
                    for (number, chunk) in text.chunks(7919).enumerate() {
                        input.write(&call(), number as u64 * 7919, chunk).await.unwrap();
                    }
                });
            })
        })
        .collect();
    service.torment(40, || sending.iter().any(|sending| !sending.is_finished()));
    sending.into_iter().for_each(|sending| sending.join().unwrap());
    assert_eq!(reading.join().unwrap(), [BYTES; SESSIONS]);
    eprintln!("{} kills", service.kills);
}

/// Writes more than any pipe holds; answers why that did not work.
async fn fill(input: &schema::log_collector::Input<'_>) -> Result<u64, schema::Failure> {
    let block = vec![b'x'; 60_000];
    let mut total = 0;
    for _ in 0..50 {
        total = input.write(&call(), total, &block).await?;
    }
    Ok(total)
}

#[test]
fn a_container_that_does_not_read_makes_the_caller_wait_until_it_ends() {
    let service = Service::start();
    let (id, mut sandbox) = with_stdin(&service);
    block_on(async {
        let client = service.client();
        let input = client.input(&id, "one", false);
        let other = client.input(&id, "two", false);
        input.open(&call()).await.unwrap();
        other.open(&call()).await.unwrap();
        let (one, two, ()) = tokio::join!(fill(&input), fill(&other), async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(client.input(&id, "one", false).open(&call()).await.unwrap() > 60_000);
            // The main loop serves all the while.
            assert!(client.read(&call(), &id, 0, 0, 0).await.is_ok());
            sandbox.end();
        });
        assert_eq!(one.unwrap_err().code, Code::Conflict);
        assert_eq!(two.unwrap_err().code, Code::Conflict);
        assert_eq!(client.input(&id, "three", false).open(&call()).await.unwrap_err().code, Code::Conflict);
    });
}

#[test]
fn removal_ends_the_wait_for_a_container_that_does_not_read() {
    let service = Service::start();
    let (id, _sandbox) = with_stdin(&service);
    block_on(async {
        let client = service.client();
        let input = client.input(&id, "one", false);
        let (waiting, removed) = tokio::join!(fill(&input), async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            client.remove(&call(), &id).await
        });
        assert_eq!(waiting.unwrap_err().code, Code::Conflict);
        assert_eq!(removed, Ok(()));
    });
}

#[test]
fn known_bytes_are_skipped_and_missing_ones_refused() {
    let service = Service::start();
    let (id, sandbox) = with_stdin(&service);
    let mut stdin = sandbox.reader("stdin");
    block_on(async {
        let client = service.client();
        let input = client.input(&id, "one", false);
        assert_eq!(input.write(&call(), 0, b"0123").await, Ok(4));
        assert_eq!(input.write(&call(), 2, b"2345").await, Ok(6));
        assert_eq!(input.write(&call(), 0, b"01").await, Ok(6));
        assert_eq!(input.write(&call(), 7, b"7").await.unwrap_err().code, Code::InvalidArgument);
        let large = vec![0; (64 << 10) + 1];
        assert_eq!(input.write(&call(), 6, &large).await.unwrap_err().code, Code::InvalidArgument);
        assert_eq!(client.input(&id, "", false).open(&call()).await.unwrap_err().code, Code::InvalidArgument);
        assert_eq!(client.input(&id, "two", false).write(&call(), 0, b"!").await, Ok(1));
        assert_eq!(client.input(&id, "one", false).open(&call()).await, Ok(6));
    });
    let mut got = [0; 7];
    stdin.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"012345!");
}

#[test]
fn many_clients_interleave_whole_writes() {
    let service = Service::start();
    let (id, sandbox) = with_stdin(&service);
    let mut stdin = sandbox.reader("stdin");
    let reading = std::thread::spawn(move || {
        let mut got = vec![0; 20_000];
        stdin.read_exact(&mut got).unwrap();
        got
    });
    block_on(async {
        let client = service.client();
        let writers = (0..10_u8).map(|number| {
            let (client, id) = (client.clone(), id.clone());
            async move {
                let session = format!("session-{number}");
                let input = client.input(&id, &session, false);
                for round in 0..20_u64 {
                    input.write(&call(), round * 100, &[number; 100]).await.unwrap();
                }
            }
        });
        futures::future::join_all(writers).await;
    });
    let got = reading.join().unwrap();
    let mut counts = [0; 10];
    for write in got.chunks(100) {
        assert!(write.iter().all(|byte| *byte == write[0]));
        counts[usize::from(write[0])] += 1;
    }
    assert_eq!(counts, [20; 10]);
}

#[test]
fn stdin_ends_with_a_client_that_does_not_come_back() {
    let mut service = Service::start();
    let (id, mut sandbox) = with_stdin(&service);
    let asked = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let mut close = sandbox.reader("stdin.close");
        let asked = &asked;
        scope.spawn(move || {
            close.read_exact(&mut [0]).unwrap();
            asked.store(true, Ordering::SeqCst);
        });
        let connect = |session: &'static str, once: bool| {
            let client = service.client();
            block_on(async { client.input(&id, session, once).open(&call()).await.unwrap() })
        };
        // Without `once`, nothing happens.
        connect("other", false);
        // The connection ends with the loop; it comes back in time, twice.
        for _ in 0..2 {
            connect("one", true);
            std::thread::sleep(Duration::from_millis(1500));
            assert!(!asked.load(Ordering::SeqCst));
        }
        service.kill();
        service.spawn();
        let ready = Instant::now();
        // Also after a restart there is time.
        std::thread::sleep(Duration::from_millis(1000));
        assert!(!asked.load(Ordering::SeqCst));
        while !asked.load(Ordering::SeqCst) {
            assert!(ready.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(ready.elapsed() > Duration::from_millis(1900));
    });
    block_on(async {
        let client = service.client();
        let failure = client.input(&id, "late", true).open(&call()).await.unwrap_err();
        assert_eq!(failure.code, Code::Conflict);
    });
    // The collector holds no write end: with the monitor's gone, the container sees the end.
    let mut stdin = sandbox.reader("stdin");
    sandbox.end();
    assert_eq!(stdin.read(&mut [0]).unwrap(), 0);
}

//! Containers with a pseudo-terminal.

use crate::bench::{Bench, on_bench, random_id, sh, spec, until};
use crate::capture::Capture;
use schema::executor::{ProcessSpec, SandboxSpec};
use schema::{Code, ContainerId};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

fn terminal() -> SandboxSpec {
    SandboxSpec { terminal: true, open_stdin: true, ..spec() }
}

fn with_size(script: &str) -> ProcessSpec {
    ProcessSpec { rows: 33, columns: 101, ..sh(script) }
}

fn stdin(directory: &Path) -> File {
    File::options().write(true).open(directory.join("stdin")).unwrap()
}

async fn begin(bench: &Bench, process: &ProcessSpec) -> (ContainerId, File, tokio::task::JoinHandle<Capture>) {
    let id = random_id();
    let prepared = bench.prepare(&id, &terminal()).await.unwrap();
    let capture = Capture::begin(&prepared.directory, true);
    bench.start(&id, process).await.unwrap();
    (id, stdin(&prepared.directory), capture)
}

#[test]
fn it_is_a_terminal_of_the_right_size() {
    on_bench(async |bench| {
        let (exit, captured) = bench
            .run(&terminal(), &with_size("tty; stty size; ls -l /dev/console /dev/pts | wc -l; test -t 2 && echo yes"))
            .await
            .unwrap();
        assert_eq!(exit.code, 0, "{captured:?}");
        assert_eq!(captured.stdout, "/dev/pts/0\r\n33 101\r\n6\r\nyes\r\n");
        let mut process = with_size("stat -c %u:%g:%a /dev/pts/0; echo x > /dev/tty; echo y > /dev/stdout");
        process.user = "www".to_owned();
        let (_, captured) = bench.run(&terminal(), &process).await.unwrap();
        assert_eq!(captured.stdout, "33:5:620\r\nx\r\ny\r\n");
    });
}

#[test]
fn keys_reach_the_program() {
    on_bench(async |bench| {
        let (id, mut stdin, capture) =
            begin(&bench, &with_size("stty -echo; read line; echo \"[$line]\"; sleep 1000; echo after")).await;
        stdin.write_all(b"typed\n").unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        stdin.write_all(b"\x03").unwrap();
        let exit = bench.wait(&id).await;
        assert_eq!(exit.code, 130, "{exit:?}");
        let output = capture.await.unwrap().stdout;
        assert!(output.contains("[typed]") && !output.contains("after"), "{output:?}");
        bench.destroy(&id).await;
    });
}

#[test]
fn sizes_change_and_are_told() {
    on_bench(async |bench| {
        let script = "trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.02; done";
        let (id, _stdin, capture) = begin(&bench, &with_size(script)).await;
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        bench.client.resize(&bench.call(), &id, 50, 200).await.unwrap();
        assert_eq!(bench.wait(&id).await.code, 0);
        assert_eq!(capture.await.unwrap().stdout, "ready\r\n50 200\r\n");
        bench.client.resize(&bench.call(), &id, 1, 1).await.unwrap();
        bench.destroy(&id).await;
    });
}

#[test]
fn a_size_that_was_told_before_the_start_counts() {
    on_bench(async |bench| {
        let id = random_id();
        let prepared = bench.prepare(&id, &terminal()).await.unwrap();
        bench.client.resize(&bench.call(), &id, 44, 77).await.unwrap();
        let capture = Capture::begin(&prepared.directory, true);
        bench.start(&id, &with_size("stty size")).await.unwrap();
        bench.wait(&id).await;
        assert_eq!(capture.await.unwrap().stdout, "44 77\r\n");
        bench.destroy(&id).await;
        bench.prepare(&id, &spec()).await.unwrap();
        assert_eq!(bench.client.resize(&bench.call(), &id, 1, 1).await.unwrap_err().code, Code::Conflict);
        bench.destroy(&id).await;
    });
}

#[test]
fn no_output_is_lost_at_the_end() {
    on_bench(async |bench| {
        let (_, captured) = bench.run(&terminal(), &with_size("stty -onlcr; seq 1 60000")).await.unwrap();
        let expected: String = (1..=60000).map(|number| format!("{number}\n")).collect();
        assert_eq!(captured.stdout.len(), expected.len());
        assert_eq!(captured.stdout, expected);
    });
}

#[test]
fn a_full_fifo_holds_the_program_and_not_the_monitor() {
    on_bench(async |bench| {
        let id = random_id();
        let prepared = bench.prepare(&id, &terminal()).await.unwrap();
        bench.start(&id, &with_size("stty -onlcr; seq 1 600000; exit 4")).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        // Nobody reads, and yet it answers.
        bench.client.resize(&bench.call(), &id, 10, 10).await.unwrap();
        let capture = Capture::begin(&prepared.directory, true);
        assert_eq!(bench.wait(&id).await.code, 4);
        assert!(capture.await.unwrap().stdout.ends_with("599999\n600000\n"));
        bench.destroy(&id).await;
    });
}

#[test]
fn a_program_that_leaves_its_terminal_does_not_keep_the_monitor_busy() {
    on_bench(async |bench| {
        let id = random_id();
        let prepared = bench.prepare(&id, &terminal()).await.unwrap();
        let capture = Capture::begin(&prepared.directory, true);
        bench.start(&id, &with_size("exec 0<&- 1>&- 2>&-; sleep 1; exit 6")).await.unwrap();
        assert_eq!(bench.wait(&id).await.code, 6);
        assert_eq!(capture.await.unwrap().stdout, "");
        // The monitor has ended, so its time is counted.
        bench.destroy(&id).await;
        let stat = fs::read_to_string(format!("/proc/{}/stat", bench.executor_pid())).unwrap();
        let times: Vec<u64> = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .skip(13)
            .take(2)
            .map(|time| time.parse().unwrap())
            .collect();
        assert!(times.iter().sum::<u64>() < 50, "{times:?} ticks of children");
    });
}

#[test]
fn closing_the_input_ends_nothing_else() {
    on_bench(async |bench| {
        let (id, mut stdin, capture) =
            begin(&bench, &with_size("stty -echo; read line; echo \"$line\"; read more")).await;
        stdin.write_all(b"last\n").unwrap();
        let directory = bench.sandbox_directory(&id);
        fs::write(directory.join("stdin.close"), "x").unwrap();
        drop(stdin);
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        assert!(!directory.join("exit").exists());
        bench.client.signal(&bench.call(), &id, 9).await.unwrap();
        assert_eq!(bench.wait(&id).await.code, 137);
        assert!(capture.await.unwrap().stdout.ends_with("last\r\n"));
        until("the record is there", || directory.join("exit").exists()).await;
        bench.destroy(&id).await;
    });
}

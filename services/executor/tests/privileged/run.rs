//! Commands, their output and how they end.

use crate::bench::{command, on_bench, random_id, sh, spec, until};
use crate::capture::Capture;
use schema::Code;
use schema::executor::{Phase, SandboxSpec};
use std::fs::{self, File};
use std::io::Write;

#[test]
fn output_and_exit_codes() {
    on_bench(async |bench| {
        let (exit, captured) = bench.run(&spec(), &sh("echo out; echo err >&2; exit 7")).await.unwrap();
        assert_eq!((exit.code, exit.signal, exit.oom_killed, exit.note.as_str()), (7, 0, false, ""));
        assert_eq!((captured.stdout.as_str(), captured.stderr.as_str()), ("out\n", "err\n"));
        assert_eq!(bench.script("echo hello").await, "hello\n");
        assert_eq!(bench.script("yes | head -c 3000000 | wc -c; yes | head -c 3000000").await.len(), 3_000_008);
    });
}

#[test]
fn commands_that_cannot_run_say_why() {
    on_bench(async |bench| {
        let failure = async |arguments: &[&str]| bench.run(&spec(), &command(arguments)).await.unwrap_err();
        let missing = failure(&["nope"]).await;
        assert_eq!(missing.code, Code::CommandNotFound);
        assert_eq!(missing.message, "exec: \"nope\": executable file not found in $PATH");
        assert_eq!(failure(&["/bin/nope"]).await.code, Code::CommandNotFound);
        for no_program in ["/etc/notes", "/etc", "/etc/passwd/x"] {
            let code = if no_program == "/etc/passwd/x" { Code::CommandNotFound } else { Code::NotExecutable };
            assert_eq!(failure(&[no_program]).await.code, code, "{no_program}");
        }
    });
}

#[test]
fn a_failed_start_fails_again_in_the_same_way() {
    on_bench(async |bench| {
        let id = random_id();
        bench.prepare(&id, &spec()).await.unwrap();
        let first = bench.start(&id, &command(&["nope"])).await.unwrap_err();
        assert_eq!(bench.start(&id, &command(&["true"])).await, Err(first.clone()));
        bench.kill_executor();
        assert_eq!(bench.start(&id, &command(&["true"])).await, Err(first.clone()));
        assert_eq!(bench.client.wait(&bench.call(), &id).await, Err(first));
        bench.destroy(&id).await;
    });
}

#[test]
fn environment_user_and_directory() {
    on_bench(async |bench| {
        let mut process = sh("env | sort; pwd; id -u; id -g; id -G; umask");
        process.environment.extend(["A=1".to_owned(), "B=x y".to_owned(), "A=2".to_owned()]);
        process.working_directory = "/made/for/me".to_owned();
        process.user = "www".to_owned();
        let (exit, captured) = bench.run(&spec(), &process).await.unwrap();
        assert_eq!(exit.code, 0, "{captured:?}");
        let lines: Vec<&str> = captured.stdout.lines().collect();
        assert_eq!(
            lines,
            [
                "A=2",
                "B=x y",
                "HOME=/var/www",
                "PATH=/bin",
                "PWD=/made/for/me",
                "SHLVL=1",
                "/made/for/me",
                "33",
                "34",
                "34 29",
                "0022"
            ]
        );
        process.user = "nobody".to_owned();
        let failure = bench.run(&spec(), &process).await.unwrap_err();
        assert_eq!(failure.code, Code::NotFound);
        assert!(failure.message.contains("nobody"), "{failure}");
        process.user = "4711:42".to_owned();
        process.arguments =
            vec!["sh".to_owned(), "-c".to_owned(), "id; echo x > /dev/stdout; echo y > /dev/stderr".to_owned()];
        let (_, captured) = bench.run(&spec(), &process).await.unwrap();
        assert_eq!(captured.stdout, "uid=4711 gid=42\nx\n");
        assert_eq!(captured.stderr, "y\n");
        process.working_directory = "/etc/passwd".to_owned();
        assert_eq!(bench.run(&spec(), &process).await.unwrap_err().code, Code::InvalidArgument);
    });
}

#[test]
fn signals_end_and_are_told() {
    on_bench(async |bench| {
        for (script, signal, code) in [
            ("trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done", 15, 3),
            ("echo ready; while :; do sleep 0.01; done", 9, 137),
        ] {
            let id = random_id();
            let prepared = bench.prepare(&id, &spec()).await.unwrap();
            assert_eq!(bench.client.signal(&bench.call(), &id, 15).await.unwrap_err().code, Code::Conflict);
            let capture = Capture::begin(&prepared.directory, false);
            bench.start(&id, &sh(script)).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            bench.client.signal(&bench.call(), &id, signal).await.unwrap();
            let exit = bench.wait(&id).await;
            assert_eq!(exit.code, code);
            assert_eq!(exit.signal, if code > 128 { signal } else { 0 });
            assert_eq!(capture.await.unwrap().stdout, "ready\n");
            bench.client.signal(&bench.call(), &id, signal).await.unwrap();
            let refused = bench.client.signal(&bench.call(), &id, 77).await.unwrap_err();
            assert!(refused.code == Code::InvalidArgument && refused.message.contains("77"));
            bench.destroy(&id).await;
        }
        assert_eq!(bench.client.signal(&bench.call(), &random_id(), 9).await.unwrap_err().code, Code::NotFound);
    });
}

#[test]
fn stdin_ends_when_it_is_closed() {
    on_bench(async |bench| {
        let id = random_id();
        let spec = SandboxSpec { open_stdin: true, ..spec() };
        let prepared = bench.prepare(&id, &spec).await.unwrap();
        let capture = Capture::begin(&prepared.directory, false);
        bench.start(&id, &command(&["cat"])).await.unwrap();
        let mut stdin = File::options().write(true).open(prepared.directory.join("stdin")).unwrap();
        stdin.write_all(b"one\n").unwrap();
        // A writer that goes away does not end the input.
        drop(stdin);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        let mut stdin = File::options().write(true).open(prepared.directory.join("stdin")).unwrap();
        stdin.write_all(b"two\n").unwrap();
        fs::write(prepared.directory.join("stdin.close"), "x").unwrap();
        drop(stdin);
        assert_eq!(bench.wait(&id).await.code, 0);
        assert_eq!(capture.await.unwrap().stdout, "one\ntwo\n");
        bench.destroy(&id).await;
    });
}

#[test]
fn stdin_that_is_not_open_is_empty() {
    on_bench(async |bench| assert_eq!(bench.script("cat; readlink /proc/self/fd/0").await, "/dev/null\n"));
}

#[test]
fn input_that_was_closed_before_the_start_is_read() {
    on_bench(async |bench| {
        let id = random_id();
        let prepared = bench.prepare(&id, &SandboxSpec { open_stdin: true, ..spec() }).await.unwrap();
        fs::write(prepared.directory.join("stdin"), "early\n").unwrap();
        fs::write(prepared.directory.join("stdin.close"), "x").unwrap();
        let capture = Capture::begin(&prepared.directory, false);
        bench.start(&id, &command(&["cat"])).await.unwrap();
        assert_eq!(bench.wait(&id).await.code, 0);
        assert_eq!(capture.await.unwrap().stdout, "early\n");
        bench.destroy(&id).await;
    });
}

#[test]
fn what_nobody_captured_is_spilled_in_whole() {
    on_bench(async |bench| {
        let id = random_id();
        let prepared = bench.prepare(&id, &spec()).await.unwrap();
        bench.start(&id, &sh("seq 1 5000; echo bad >&2")).await.unwrap();
        assert_eq!(bench.wait(&id).await.code, 0);
        let expected: String = (1..=5000).map(|number| format!("{number}\n")).collect();
        assert_eq!(fs::read_to_string(prepared.directory.join("log/stdout.spill")).unwrap(), expected);
        assert_eq!(fs::read_to_string(prepared.directory.join("log/stderr.spill")).unwrap(), "bad\n");
        bench.destroy(&id).await;
    });
}

#[test]
fn every_call_may_be_repeated() {
    on_bench(async |bench| {
        let (id, call) = (random_id(), bench.call());
        let first = bench.prepare(&id, &spec()).await.unwrap();
        assert_eq!(bench.client.prepare(&call, &id, &spec()).await, Ok(first.clone()));
        let other = SandboxSpec { hostname: "other".to_owned(), ..spec() };
        assert_eq!(bench.client.prepare(&call, &id, &other).await.unwrap_err().code, Code::Conflict);
        let started = bench.start(&id, &sh("exit 5")).await.unwrap();
        assert_eq!(bench.start(&id, &sh("exit 6")).await, Ok(started));
        let exit = bench.wait(&id).await;
        assert_eq!((exit.code, bench.wait(&id).await), (5, exit.clone()));
        assert_eq!(bench.start(&id, &sh("exit 6")).await, Ok(started));
        let states = bench.client.list(&call).await.unwrap();
        assert!(matches!(&states[..], [state] if state.id == id && state.phase == Phase::Exited(exit.clone())));
        bench.destroy(&id).await;
        bench.destroy(&id).await;
        assert_eq!(bench.start(&id, &sh("true")).await.unwrap_err().code, Code::NotFound);
        assert_eq!(bench.client.wait(&call, &id).await.unwrap_err().code, Code::NotFound);
        // The id may be used again.
        bench.prepare(&id, &other).await.unwrap();
        bench.destroy(&id).await;
    });
}

#[test]
fn a_running_sandbox_is_destroyed_with_all_its_processes() {
    on_bench(async |bench| {
        let id = random_id();
        bench.prepare(&id, &spec()).await.unwrap();
        let started = bench.start(&id, &sh("trap '' TERM; (sleep 1000 & sleep 1000) & sleep 1000")).await.unwrap();
        let waiting = {
            let (client, id, call) = (bench.client.clone(), id.clone(), bench.call());
            tokio::task::spawn_local(async move { client.wait(&call, &id).await })
        };
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        bench.destroy(&id).await;
        assert!(!fs::exists(format!("/proc/{}", started.pid)).unwrap());
        assert!(waiting.await.unwrap().is_ok_and(|exit| exit.code == 137));
        until("the directory is gone", || !bench.sandbox_directory(&id).exists()).await;
    });
}

#[test]
fn fifty_at_once() {
    on_bench(async |bench| {
        let runs = (0..50).map(|number| {
            let bench = std::rc::Rc::clone(&bench);
            tokio::task::spawn_local(async move {
                let (exit, captured) = bench.run(&spec(), &sh(&format!("echo {number}; exit {number}"))).await.unwrap();
                assert_eq!((exit.code, captured.stdout), (number, format!("{number}\n")));
            })
        });
        for run in runs.collect::<Vec<_>>() {
            run.await.unwrap();
        }
    });
}

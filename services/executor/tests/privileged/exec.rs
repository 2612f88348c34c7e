//! Further processes in a container: what they get, and how they end.

use crate::bench::{Bench, EXEC, command, on_bench, random_id, sh, spec, until};
use crate::capture::Capture;
use schema::executor::{ExecSpec, Phase, ProcessSpec, SandboxSpec};
use schema::{Code, ContainerId};
use std::fs::{self, File};
use std::io::Write;
use std::time::{Duration, Instant};

const TERMINAL: ExecSpec = ExecSpec { terminal: true, open_stdin: true, privileged: false };

#[test]
fn it_joins_everything_that_the_container_has() {
    on_bench(async |bench| {
        let id = bench.idle(&spec()).await;
        let (exit, captured) = bench.exec(&id, EXEC, &sh("echo out; echo err >&2; exit 7")).await.unwrap();
        assert_eq!((exit.code, captured.stdout.as_str(), captured.stderr.as_str()), (7, "out\n", "err\n"));
        for namespace in ["mnt", "uts", "ipc", "net", "pid", "cgroup"] {
            let script = format!("for pid in 1 self; do readlink /proc/$pid/ns/{namespace}; done");
            let output = bench.exec_script(&id, &script).await;
            let links: Vec<&str> = output.lines().collect();
            assert!(links.len() == 2 && links[0] == links[1], "{links:?}");
        }
        assert_eq!(bench.exec_script(&id, "hostname; cat /proc/self/cgroup | grep 0::").await, "box\n0::/\n");
        let (exit, captured) = bench.exec(&id, EXEC, &sh("test $$ -gt 1 && ps -o comm | sort -u")).await.unwrap();
        assert_eq!((exit.code, captured.stdout.contains("sleep")), (0, true), "{captured:?}");
        // The same files, and the same /dev.
        bench.exec_script(&id, "echo x > /tmp/shared; echo y > /dev/shm/shared").await;
        assert_eq!(bench.exec_script(&id, "cat /tmp/shared /dev/shm/shared").await, "x\ny\n");
        bench.destroy(&id).await;
    });
}

#[test]
fn it_is_restricted_as_the_container_is() {
    on_bench(async |bench| {
        let id = bench.idle(&spec()).await;
        let lines = "grep -E '^(Cap|NoNewPrivs|Seccomp:|Sig(Blk|Ign)|Umask)'";
        for what in [&format!("{lines} /proc/PID/status"), "cat /proc/PID/limits", "cat /proc/PID/oom_score_adj"] {
            let of = |pid: &str| what.replace("PID", pid);
            let (first, further) = (bench.exec_script(&id, &of("1")).await, bench.exec_script(&id, &of("self")).await);
            assert!(first == further && !first.is_empty(), "{first}\n{further}");
        }
        assert_eq!(
            bench.exec_script(&id, "ls /proc/self/fd | wc -l; readlink /proc/self/fd/0").await,
            "4\n/dev/null\n"
        );
        for (script, complaint) in
            [("mount -t tmpfs none /tmp", "permission denied"), ("mknod /tmp/sda b 8 0", "Operation not permitted")]
        {
            let (exit, captured) = bench.exec(&id, EXEC, &sh(script)).await.unwrap();
            assert!(exit.code != 0 && captured.stderr.contains(complaint), "{captured:?}");
        }
        bench.destroy(&id).await;
    });
}

#[test]
fn it_is_limited_together_with_the_container() {
    on_bench(async |bench| {
        let limits = schema::common::Limits { pids: 12, ..Default::default() };
        let id = bench.idle(&SandboxSpec { limits, ..spec() }).await;
        let (exit, captured) = bench.exec(&id, EXEC, &sh("for i in $(seq 30); do sleep 1000 & done")).await.unwrap();
        assert!(exit.code != 0 && captured.stderr.contains("can't fork"), "{exit:?} {captured:?}");
        bench.destroy(&id).await;
    });
}

#[test]
fn environment_user_and_directory_are_its_own() {
    on_bench(async |bench| {
        let id = bench.idle(&spec()).await;
        let mut process = sh("env | sort; id -u; id -g; id -G; echo x > /dev/stdout; echo y > /dev/stderr");
        process.environment.push("A=1".to_owned());
        process.working_directory = "/var/www".to_owned();
        process.user = "www".to_owned();
        let (exit, captured) = bench.exec(&id, EXEC, &process).await.unwrap();
        assert_eq!(exit.code, 0, "{captured:?}");
        let lines: Vec<&str> = captured.stdout.lines().collect();
        let wanted = ["A=1", "HOME=/var/www", "PATH=/bin", "PWD=/var/www", "SHLVL=1", "33", "34", "34 29", "x"];
        assert_eq!((&lines[..], captured.stderr.as_str()), (&wanted[..], "y\n"));
        // A user that the container has got since it was made.
        bench.exec_script(&id, "echo late:x:77:78::/tmp:/bin/sh >> /etc/passwd").await;
        process.user = "late".to_owned();
        assert!(bench.exec(&id, EXEC, &process).await.unwrap().1.stdout.contains("\n77\n78\n"));
        process.user = "nobody".to_owned();
        let failure = bench.exec(&id, EXEC, &process).await.unwrap_err();
        assert!(failure.code == Code::NotFound && failure.message.contains("nobody"), "{failure}");
        process.user.clear();
        process.working_directory = "/etc/passwd".to_owned();
        assert_eq!(bench.exec(&id, EXEC, &process).await.unwrap_err().code, Code::InvalidArgument);
        bench.destroy(&id).await;
    });
}

#[test]
fn commands_that_cannot_run_say_why_and_leave_the_container_alone() {
    on_bench(async |bench| {
        let id = bench.idle(&spec()).await;
        let missing = bench.exec(&id, EXEC, &command(&["nope"])).await.unwrap_err();
        assert_eq!(missing.code, Code::CommandNotFound);
        assert_eq!(missing.message, "exec: \"nope\": executable file not found in $PATH");
        let no_program = bench.exec(&id, EXEC, &command(&["/etc/notes"])).await.unwrap_err();
        assert!(no_program.code == Code::NotExecutable && no_program.message.contains("/etc/notes"), "{no_program}");
        assert_eq!(bench.exec_script(&id, "echo alive").await, "alive\n");
        bench.destroy(&id).await;
    });
}

fn sized(script: &str) -> ProcessSpec {
    ProcessSpec { rows: 33, columns: 101, ..sh(script) }
}

async fn begin(
    bench: &Bench,
    id: &ContainerId,
    spec: ExecSpec,
    process: &ProcessSpec,
) -> (ContainerId, File, tokio::task::JoinHandle<Capture>) {
    let exec = random_id();
    let prepared = bench.client.prepare_exec(&bench.call(), id, &exec, &spec).await.unwrap();
    let capture = Capture::begin(&prepared.directory, spec.terminal);
    bench.start(&exec, process).await.unwrap();
    (exec, File::options().write(true).open(prepared.directory.join("stdin")).unwrap(), capture)
}

#[test]
fn its_terminal_is_one_of_the_container() {
    on_bench(async |bench| {
        for terminal in [false, true] {
            let id = bench.idle(&SandboxSpec { terminal, ..spec() }).await;
            let script = "tty; stty size; test -t 2 && echo yes; ls -1 /dev/pts; echo x > /dev/tty";
            let (exit, captured) = bench.exec(&id, TERMINAL, &sized(script)).await.unwrap();
            let number = i32::from(terminal);
            let list: String = (0..=number).map(|number| format!("{number}\r\n")).collect();
            assert_eq!(
                captured.stdout,
                format!("/dev/pts/{number}\r\n33 101\r\nyes\r\n{list}ptmx\r\nx\r\n"),
                "{exit:?}"
            );
            let mut process = sized("stat -c %u:%g:%a $(tty); echo y > /dev/stdout");
            process.user = "www".to_owned();
            let (_, captured) = bench.exec(&id, TERMINAL, &process).await.unwrap();
            assert_eq!(captured.stdout, "33:5:620\r\ny\r\n");
            bench.destroy(&id).await;
        }
    });
}

#[test]
fn keys_and_sizes_reach_its_terminal() {
    on_bench(async |bench| {
        let id = bench.idle(&spec()).await;
        let script = "stty -echo; trap 'stty size > /size' WINCH; > /ready; until read line; do :; done; echo \"[$line]\"; \
            > /asleep; sleep 1000; echo no";
        let (exec, mut stdin, capture) = begin(&bench, &id, TERMINAL, &sized(script)).await;
        made(&bench, "ready").await;
        bench.client.resize(&bench.call(), &exec, 50, 200).await.unwrap();
        made(&bench, "size").await;
        stdin.write_all(b"typed\n").unwrap();
        made(&bench, "asleep").await;
        stdin.write_all(b"\x03").unwrap();
        let exit = bench.wait(&exec).await;
        assert_eq!(exit.code, 130, "{exit:?}");
        let output = capture.await.unwrap().stdout;
        assert!(output.contains("[typed]") && !output.contains("no"), "{output:?}");
        assert_eq!(fs::read_to_string(bench.directory.path().join("rootfs/size")).unwrap(), "50 200\n");
        bench.destroy(&exec).await;
        bench.destroy(&id).await;
    });
}

/// Waits until a script has made this file in the container.
async fn made(bench: &Bench, name: &str) {
    let path = bench.directory.path().join("rootfs").join(name);
    until(name, || path.exists()).await;
}

#[test]
fn its_input_is_its_own_and_ends() {
    on_bench(async |bench| {
        let id = bench.idle(&spec()).await;
        let open = ExecSpec { open_stdin: true, ..EXEC };
        let (exec, mut stdin, capture) = begin(&bench, &id, open, &command(&["cat"])).await;
        stdin.write_all(b"one\n").unwrap();
        drop(stdin);
        let directory = bench.sandbox_directory(&exec);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!directory.join("exit").exists());
        fs::write(directory.join("stdin"), "two\n").unwrap();
        fs::write(directory.join("stdin.close"), "x").unwrap();
        assert_eq!(bench.wait(&exec).await.code, 0);
        assert_eq!(capture.await.unwrap().stdout, "one\ntwo\n");
        bench.destroy(&exec).await;
        bench.destroy(&id).await;
    });
}

#[test]
fn all_output_arrives_whoever_is_slower() {
    on_bench(async |bench| {
        let id = bench.idle(&spec()).await;
        let expected: String = (1..=200_000).map(|number| format!("{number}\n")).collect();
        for terminal in [false, true] {
            let exec = random_id();
            let spec = ExecSpec { terminal, ..EXEC };
            let prepared = bench.client.prepare_exec(&bench.call(), &id, &exec, &spec).await.unwrap();
            let script = if terminal { "stty -onlcr; seq 1 200000; exit 4" } else { "seq 1 200000; exit 4" };
            bench.start(&exec, &sh(script)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
            // Nobody reads, and yet the monitor answers.
            assert!(matches!(bench.client.list(&bench.call()).await.unwrap().len(), 2));
            let capture = Capture::begin(&prepared.directory, terminal);
            assert_eq!(bench.wait(&exec).await.code, 4);
            assert!(capture.await.unwrap().stdout == expected);
            bench.destroy(&exec).await;
        }
        // A short output that nobody captures is kept in whole.
        let exec = random_id();
        let prepared = bench.client.prepare_exec(&bench.call(), &id, &exec, &EXEC).await.unwrap();
        bench.start(&exec, &sh("seq 1 5000; echo bad >&2")).await.unwrap();
        assert_eq!(bench.wait(&exec).await.code, 0);
        let spilled = fs::read_to_string(prepared.directory.join("log/stdout.spill")).unwrap();
        assert!(expected.starts_with(&spilled) && spilled.ends_with("\n5000\n"));
        assert_eq!(fs::read_to_string(prepared.directory.join("log/stderr.spill")).unwrap(), "bad\n");
        bench.destroy(&exec).await;
        bench.destroy(&id).await;
    });
}

/// As Docker: the output may end two seconds after the process; then it is over.
#[test]
fn a_background_process_that_holds_the_output_does_not_keep_it() {
    on_bench(async |bench| {
        let id = bench.idle(&spec()).await;
        for (terminal, background) in [
            (false, "(sleep 0.5; echo late; exec sleep 1000) &"),
            (true, "trap '' HUP; (sleep 0.5; echo late; exec sleep 1000) &"),
            (false, "trap '' PIPE; (sleep 0.5; echo late; while :; do echo noise; done) &"),
        ] {
            let script = format!("stty -onlcr 2>/dev/null; {background} echo early; exit 3");
            let began = Instant::now();
            let spec = ExecSpec { terminal, ..EXEC };
            let (exit, captured) = bench.exec(&id, spec, &sh(&script)).await.unwrap();
            let took = began.elapsed();
            assert_eq!(exit.code, 3, "{script}");
            assert!(captured.stdout.starts_with("early\nlate\n"), "{script}: {} bytes", captured.stdout.len());
            assert!(took > Duration::from_millis(1900) && took < Duration::from_secs(8), "{script}: {took:?}");
            // It lives on in the container.
            let holder = if background.contains("noise") { "sh" } else { "sleep" };
            assert!(bench.exec_script(&id, "ps -o ppid,comm").await.contains(&format!("1 {holder}")));
        }
        bench.destroy(&id).await;
    });
}

#[test]
fn it_ends_with_the_container() {
    on_bench(async |bench| {
        let id = bench.idle(&spec()).await;
        let (exec, _, capture) =
            begin(&bench, &id, ExecSpec { open_stdin: true, ..EXEC }, &sh("echo begun; > /begun; sleep 1000")).await;
        made(&bench, "begun").await;
        bench.client.signal(&bench.call(), &id, 15).await.unwrap();
        assert_eq!(bench.wait(&id).await.code, 0);
        let exit = bench.wait(&exec).await;
        assert_eq!((exit.code, exit.signal), (137, 9));
        assert_eq!(capture.await.unwrap().stdout, "begun\n");
        // Nothing can be begun in it any more.
        let refused = bench.client.prepare_exec(&bench.call(), &id, &random_id(), &EXEC).await.unwrap_err();
        assert!(refused.code == Code::Conflict && refused.message.contains("not running"), "{refused}");
        bench.destroy(&id).await;
        assert_eq!(bench.wait(&exec).await, exit);
        bench.destroy(&exec).await;
    });
}

#[test]
fn a_destroyed_container_ends_its_execs() {
    on_bench(async |bench| {
        let id = bench.idle(&spec()).await;
        let (running, _, capture) =
            begin(&bench, &id, ExecSpec { open_stdin: true, ..EXEC }, &command(&["sleep", "1000"])).await;
        let parked = random_id();
        bench.client.prepare_exec(&bench.call(), &id, &parked, &EXEC).await.unwrap();
        let waiting = {
            let (client, parked, call) = (bench.client.clone(), parked.clone(), bench.call());
            tokio::task::spawn_local(async move { client.wait(&call, &parked).await })
        };
        bench.destroy(&id).await;
        assert_eq!(bench.wait(&running).await.code, 137);
        assert_eq!(waiting.await.unwrap().unwrap_err().code, Code::Conflict);
        assert_eq!(bench.start(&parked, &sh("true")).await.unwrap_err().code, Code::Conflict);
        capture.await.unwrap();
        for exec in [running, parked] {
            bench.destroy(&exec).await;
            assert!(!bench.sandbox_directory(&exec).exists());
        }
    });
}

#[test]
fn signals_reach_it_and_nobody_else() {
    on_bench(async |bench| {
        let id = bench.idle(&spec()).await;
        let script = "trap 'echo caught; exit 5' TERM; echo ready; > /trapped; while :; do sleep 0.01; done";
        let (exec, _, capture) = begin(&bench, &id, ExecSpec { open_stdin: true, ..EXEC }, &sh(script)).await;
        made(&bench, "trapped").await;
        bench.client.signal(&bench.call(), &exec, 15).await.unwrap();
        assert_eq!(bench.wait(&exec).await.code, 5);
        assert_eq!(capture.await.unwrap().stdout, "ready\ncaught\n");
        bench.destroy(&exec).await;
        let states = bench.client.list(&bench.call()).await.unwrap();
        assert!(matches!(&states[..], [state] if state.id == id && matches!(state.phase, Phase::Running(_))));
        bench.destroy(&id).await;
    });
}

#[test]
fn every_call_may_be_repeated() {
    on_bench(async |bench| {
        let (call, exec) = (bench.call(), random_id());
        let unknown = bench.client.prepare_exec(&call, &random_id(), &exec, &EXEC).await.unwrap_err();
        assert_eq!(unknown.code, Code::NotFound);
        let id = random_id();
        bench.prepare(&id, &spec()).await.unwrap();
        assert_eq!(bench.client.prepare_exec(&call, &id, &exec, &EXEC).await.unwrap_err().code, Code::Conflict);
        bench.start(&id, &command(&["sleep", "1000"])).await.unwrap();
        let prepared = bench.client.prepare_exec(&call, &id, &exec, &EXEC).await.unwrap();
        assert_eq!(bench.client.prepare_exec(&call, &id, &exec, &EXEC).await, Ok(prepared));
        for (of, spec) in [(&id, TERMINAL), (&exec, EXEC)] {
            let other = bench.client.prepare_exec(&call, of, &exec, &spec).await.unwrap_err();
            assert_eq!(other.code, Code::Conflict, "{other}");
        }
        // An exec is not a container.
        for failure in [
            bench.client.prepare_exec(&call, &exec, &random_id(), &EXEC).await.unwrap_err(),
            bench.client.freeze(&call, &exec, true).await.unwrap_err(),
            bench.client.prepare(&call, &exec, &spec()).await.unwrap_err(),
            bench.client.signal(&call, &exec, 9).await.unwrap_err(),
            bench.client.resize(&call, &exec, 1, 1).await.unwrap_err(),
        ] {
            assert!(failure.code == Code::Conflict && failure.message.contains("exec"), "{failure}");
        }
        let started = bench.start(&exec, &sh("exit 5")).await.unwrap();
        assert_eq!(bench.start(&exec, &sh("exit 6")).await, Ok(started));
        let exit = bench.wait(&exec).await;
        assert_eq!((exit.code, bench.wait(&exec).await), (5, exit));
        assert_eq!(bench.start(&exec, &sh("exit 6")).await, Ok(started));
        bench.destroy(&exec).await;
        bench.destroy(&exec).await;
        assert_eq!(bench.client.wait(&call, &exec).await.unwrap_err().code, Code::NotFound);
        bench.destroy(&id).await;
    });
}

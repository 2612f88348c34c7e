//! Further processes in a container.

use crate::bench::until;
use crate::bench::{EXEC, command, on_bench, sh, spec};
use schema::Code;
use schema::executor::SandboxState;

#[test]
fn a_frozen_container_stands_still_until_it_is_thawed() {
    on_bench(async |bench| {
        let id = bench.idle(&spec()).await;
        let counter = bench.directory.path().join("rootfs/counter");
        let script = "while :; do echo x >> /counter; sleep 0.01; done";
        let exec = crate::bench::random_id();
        bench.client.prepare_exec(&bench.call(), &id, &exec, &EXEC).await.unwrap();
        bench.start(&exec, &sh(script)).await.unwrap();
        let size = || std::fs::metadata(&counter).map_or(0, |file| file.len());
        until("it counts", || size() > 10).await;
        for _ in 0..2 {
            bench.client.freeze(&bench.call(), &id, true).await.unwrap();
        }
        let before = size();
        bench.kill_executor();
        let states = bench.client.list(&bench.call()).await.unwrap();
        assert!(states.len() == 2 && states.iter().all(|state: &SandboxState| state.frozen), "{states:?}");
        let refused = bench.exec(&id, EXEC, &sh("true")).await.unwrap_err();
        assert!(refused.code == Code::Conflict && refused.message.contains("paused"), "{refused}");
        assert_eq!(size(), before);
        bench.client.freeze(&bench.call(), &id, false).await.unwrap();
        until("it counts again", || size() > before).await;
        assert!(bench.client.list(&bench.call()).await.unwrap().iter().all(|state| !state.frozen));
        // What is frozen can be killed, ...
        bench.client.freeze(&bench.call(), &id, true).await.unwrap();
        bench.client.signal(&bench.call(), &id, 9).await.unwrap();
        assert_eq!(bench.wait(&id).await.code, 137);
        assert_eq!(bench.wait(&exec).await.code, 137);
        assert_eq!(bench.client.freeze(&bench.call(), &id, true).await.unwrap_err().code, Code::Conflict);
        bench.destroy(&exec).await;
        bench.destroy(&id).await;
        assert_eq!(bench.client.freeze(&bench.call(), &id, true).await.unwrap_err().code, Code::NotFound);
        // ... and destroyed.
        let id = bench.idle(&spec()).await;
        bench.client.freeze(&bench.call(), &id, true).await.unwrap();
        bench.destroy(&id).await;
    });
}

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

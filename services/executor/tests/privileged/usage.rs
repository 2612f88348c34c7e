//! What a container uses, and its processes.

use crate::bench::{Bench, EXEC, command, on_bench, random_id, sh, spec, until};
use schema::common::Limits;
use schema::executor::{ExecSpec, Process, SandboxSpec, Stats};
use schema::{Code, ContainerId};
use std::process::Command;

async fn stats(bench: &Bench, id: &ContainerId) -> Stats {
    bench.client.stats(&bench.call(), id).await.unwrap()
}

async fn processes(bench: &Bench, id: &ContainerId) -> Vec<Process> {
    bench.client.processes(&bench.call(), id).await.unwrap()
}

#[test]
fn time_memory_and_tasks_are_counted() {
    on_bench(async |bench| {
        let id = random_id();
        bench.prepare(&id, &spec()).await.unwrap();
        // A shell that holds twenty million bytes, and then is busy.
        let script = "text=$(head -c 20000000 /dev/zero | tr '\\0' x); echo > /filled; while :; do :; done";
        bench.start(&id, &sh(script)).await.unwrap();
        until("the memory is filled", || bench.directory.path().join("rootfs/filled").exists()).await;
        let before = stats(&bench, &id).await;
        assert!(before.memory > 20_000_000 && before.memory < 200_000_000, "{before:?}");
        assert!(before.memory_limit > before.memory && before.pids == 1, "{before:?}");
        assert_eq!(before.cpus as usize, std::thread::available_parallelism().unwrap().get());
        assert!((kit::process::now() - before.at).abs() < 10_000_000_000);
        let mut after = before;
        while after.cpu_ns < before.cpu_ns + 100_000_000 {
            assert!(after.at < before.at + 20_000_000_000, "{before:?} {after:?}");
            after = stats(&bench, &id).await;
        }
        assert!(after.cpu_ns - before.cpu_ns <= 2 * (after.at - before.at) as u64, "{before:?} {after:?}");
        bench.destroy(&id).await;
    });
}

#[test]
fn limits_are_told() {
    on_bench(async |bench| {
        let limits = Limits { memory: 64 << 20, pids: 50, ..Limits::default() };
        let id = bench.idle(&SandboxSpec { limits, ..spec() }).await;
        let used = stats(&bench, &id).await;
        assert_eq!(used.memory_limit, 64 << 20);
        assert!(used.memory > 0 && used.memory < 64 << 20 && used.pids == 2, "{used:?}");
        bench.destroy(&id).await;
    });
}

#[test]
fn storage_is_counted() {
    on_bench(async |bench| {
        let id = random_id();
        bench.prepare(&id, &spec()).await.unwrap();
        let script = "dd if=/dev/zero of=/blob bs=1M count=8 conv=fsync 2>/dev/null; echo > /written; sleep 1000";
        bench.start(&id, &sh(script)).await.unwrap();
        until("it has written", || bench.directory.path().join("rootfs/written").exists()).await;
        let used = stats(&bench, &id).await;
        assert!(used.block_written >= 8 << 20 && used.block_written < 64 << 20, "{used:?}");
        bench.destroy(&id).await;
    });
}

#[test]
fn traffic_of_its_own_network_is_counted() {
    on_bench(async |bench| {
        let id = random_id();
        bench.prepare(&id, &spec()).await.unwrap();
        let started = bench.start(&id, &command(&["sleep", "1000"])).await.unwrap();
        let send = "import socket; to = (\"192.0.2.2\", 9); \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b\"x\" * 5000, to); \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b\"x\" * 5000, (\"127.0.0.1\", 9))";
        let script = format!(
            "ip link set lo up && ip link add va type veth peer name vb && ip link set va up && ip link set vb up && \
            ip addr add 192.0.2.1/24 dev va && ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:01 dev va && python3 -c '{send}'"
        );
        let pid = started.pid.to_string();
        let sent = Command::new("nsenter").args(["-t", &pid, "-n", "sh", "-c", &script]).output().unwrap();
        assert!(sent.status.success(), "{sent:?}");
        // What one end of the pair sends, the other receives; and loopback does not count.
        let used = stats(&bench, &id).await;
        assert!(used.sent > 5000 && used.sent < 9000 && used.received == used.sent, "{used:?}");
        bench.destroy(&id).await;
        let id = bench.idle(&SandboxSpec { host_network: true, ..spec() }).await;
        let used = stats(&bench, &id).await;
        assert_eq!((used.sent, used.received), (0, 0));
        bench.destroy(&id).await;
    });
}

#[test]
fn processes_are_told_as_ps_does() {
    on_bench(async |bench| {
        let id = random_id();
        let prepared = bench.prepare(&id, &spec()).await.unwrap();
        let started = bench.start(&id, &command(&["sleep", "1000"])).await.unwrap();
        let exec = random_id();
        let terminal = ExecSpec { terminal: true, ..EXEC };
        bench.client.prepare_exec(&bench.call(), &id, &exec, &terminal).await.unwrap();
        let mut busy = sh("while :; do :; done # two  words");
        busy.user = "33".to_owned();
        let joined = bench.start(&exec, &busy).await.unwrap();
        let mut found = processes(&bench, &id).await;
        while found.len() < 2 || found[1].cpu_permille < 100 {
            found = processes(&bench, &id).await;
        }
        let [first, further] = &found[..] else { panic!("{found:?}") };
        assert_eq!((first.pid, first.parent, first.uid), (started.pid, prepared.sandbox.pid, 0));
        assert_eq!((first.user.as_str(), first.terminal.as_str(), first.state.as_str()), ("root", "?", "S"));
        assert_eq!((first.command.as_str(), first.cpu_permille), ("sleep 1000", 0));
        assert!((first.started_at - started.started_at).abs() < 1_000_000_000, "{first:?} {started:?}");
        assert!(first.memory > 0 && first.memory < 10_000_000, "{first:?}");
        assert_eq!((further.pid, further.uid, further.terminal.as_str()), (joined.pid, 33, "pts/0"));
        assert_eq!((further.user.as_str(), further.state.as_str()), ("www-data", "R"));
        assert_eq!(further.command, "sh -c while :; do :; done # two  words");
        assert!(further.cpu_ns > 0 && further.cpu_permille <= 1100, "{further:?}");
        bench.destroy(&id).await;
        bench.destroy(&exec).await;
    });
}

#[test]
fn only_what_runs_is_counted() {
    on_bench(async |bench| {
        let id = random_id();
        let codes = async |id: &ContainerId| {
            let stats = bench.client.stats(&bench.call(), id).await.unwrap_err();
            let processes = bench.client.processes(&bench.call(), id).await.unwrap_err();
            (stats.code, processes.code)
        };
        assert_eq!(codes(&id).await, (Code::NotFound, Code::NotFound));
        bench.prepare(&id, &spec()).await.unwrap();
        assert_eq!(codes(&id).await, (Code::Conflict, Code::Conflict));
        bench.start(&id, &sh("exit 0")).await.unwrap();
        bench.wait(&id).await;
        assert_eq!(codes(&id).await, (Code::Conflict, Code::Conflict));
        bench.destroy(&id).await;
    });
}

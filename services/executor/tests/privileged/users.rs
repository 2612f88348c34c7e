//! Sandboxes with a user namespace of their own.

use crate::bench::{Bench, children_of, command, on_bench, random_id, sh, spec, until};
use rustix::process::{Pid, Signal, kill_process};
use schema::Code;
use schema::common::IdRange;
use schema::executor::{ExecSpec, SandboxSpec};
use std::fs;
use std::os::unix::fs::MetadataExt;

const BASE: u32 = 0x2468_0000;

fn with_ids(base: u32) -> SandboxSpec {
    SandboxSpec { ids: IdRange::new(base), ..spec() }
}

async fn script(bench: &Bench, spec: &SandboxSpec, script: &str) -> String {
    let (exit, captured) = bench.run(spec, &sh(script)).await.unwrap();
    assert_eq!(exit.code, 0, "{script}: {captured:?}");
    captured.stdout
}

#[test]
fn its_ids_are_those_of_the_range() {
    on_bench(async |bench| {
        let spec = with_ids(BASE);
        let map = script(&bench, &spec, "cat /proc/self/uid_map /proc/self/gid_map").await;
        let line = vec!["0".to_owned(), BASE.to_string(), "65536".to_owned()];
        assert_eq!(map.split_whitespace().collect::<Vec<_>>(), [&line[..], &line].concat());
        // It is root there, may do there what it may elsewhere, and no more.
        let facts = "id -u; grep -E '^(CapEff|NoNewPrivs)' /proc/self/status; stat -c %u:%g /dev /dev/null /dev/pts; \
                     echo 1 > /proc/sys/kernel/hostname || echo refused; hostname; \
                     echo x > /dev/null && echo y > /dev/shm/y && echo written > /dev/stdout; ls /sys/class/net";
        let told = script(&bench, &spec, facts).await;
        assert_eq!(
            told.lines().collect::<Vec<_>>(),
            [
                "0",
                "CapEff:\t00000000a00425fb",
                "NoNewPrivs:\t1",
                "0:0",
                "0:0",
                "0:0",
                "refused",
                "box",
                "written",
                "lo"
            ]
        );
        let host = SandboxSpec { host_network: true, ..with_ids(BASE) };
        let link = fs::read_link("/proc/self/ns/net").unwrap();
        let told = script(&bench, &host, "readlink /proc/self/ns/net; ls -d /sys/class/net").await;
        assert_eq!(told, format!("{}\n/sys/class/net\n", link.display()));
        let mut process = command(&["true"]);
        process.user = "65536".to_owned();
        let failure = bench.run(&spec, &process).await.unwrap_err();
        assert!(failure.code == Code::InvalidArgument && failure.message.contains("65536"), "{failure}");
    });
}

#[test]
fn no_two_sandboxes_have_an_id_in_common() {
    on_bench(async |bench| {
        let (one, two) = (random_id(), random_id());
        bench.prepare(&one, &with_ids(BASE)).await.unwrap();
        for base in [BASE, BASE + 65535, BASE - 65535] {
            let failure = bench.prepare(&two, &with_ids(base)).await.unwrap_err();
            assert_eq!(failure.code, Code::Conflict, "{failure}");
        }
        // Also not for an executor that finds the first one.
        bench.kill_executor();
        assert_eq!(bench.prepare(&two, &with_ids(BASE)).await.unwrap_err().code, Code::Conflict);
        let listed = bench.client.list(&bench.call()).await.unwrap();
        assert_eq!(listed.iter().map(|state| state.ids).collect::<Vec<_>>(), [IdRange::new(BASE)]);
        bench.prepare(&two, &with_ids(BASE + 65536)).await.unwrap();
        bench.destroy(&one).await;
        bench.destroy(&two).await;
        bench.prepare(&two, &with_ids(BASE)).await.unwrap();
        bench.destroy(&two).await;
    });
}

#[test]
fn its_streams_belong_to_its_user_and_an_exec_is_in_it_too() {
    on_bench(async |bench| {
        for terminal in [false, true] {
            let id = random_id();
            let prepared = bench.prepare(&id, &SandboxSpec { terminal, ..with_ids(BASE) }).await.unwrap();
            let mut process = command(&["sleep", "600"]);
            process.user = "33:7".to_owned();
            let started = bench.start(&id, &process).await.unwrap();
            assert_eq!(fs::metadata(prepared.directory.join("stdout")).unwrap().uid(), BASE + 33);
            let status = fs::read_to_string(format!("/proc/{}/status", started.pid)).unwrap();
            for (name, number) in [("Uid", BASE + 33), ("Gid", BASE + 7)] {
                let line = format!("{name}:\t{number}\t{number}\t{number}\t{number}");
                assert!(status.lines().any(|found| found == line), "{line}: {status}");
            }
            let link = |kind: &str| fs::read_link(format!("/proc/{}/ns/{kind}", started.pid)).unwrap();
            let exec = random_id();
            let spec = ExecSpec { terminal, open_stdin: false, privileged: false };
            bench.client.prepare_exec(&bench.call(), &id, &exec, &spec).await.unwrap();
            let further = bench.start(&exec, &command(&["sleep", "600"])).await.unwrap();
            for kind in ["user", "mnt", "net", "pid", "uts", "ipc", "cgroup"] {
                let of_exec = fs::read_link(format!("/proc/{}/ns/{kind}", further.pid)).unwrap();
                assert_eq!(of_exec, link(kind), "{kind}");
                assert_ne!(of_exec, fs::read_link(format!("/proc/self/ns/{kind}")).unwrap(), "{kind}");
            }
            assert_eq!(fs::metadata(format!("/proc/{}", further.pid)).unwrap().uid(), BASE);
            bench.destroy(&id).await;
            bench.destroy(&exec).await;
        }
    });
}

#[test]
fn a_monitor_that_is_killed_leaves_nothing() {
    on_bench(async |bench| {
        for number in 0..20 {
            let id = random_id();
            let call = bench.call();
            let (client, spec) = (bench.client.clone(), with_ids(BASE));
            let preparing = tokio::task::spawn_local({
                let id = id.clone();
                async move { client.prepare(&call, &id, &spec).await }
            });
            // At any time of its work: it is the newest child.
            tokio::time::sleep(std::time::Duration::from_micros(700 * number)).await;
            for pid in children_of(bench.executor_pid()) {
                let _ = kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::KILL);
            }
            match preparing.await.unwrap() {
                Ok(_) => {}
                Err(failure) => assert_eq!(failure.code, Code::SandboxLost, "{failure}"),
            }
            bench.destroy(&id).await;
        }
        // The audit sees that no process is left.
        until("no process has these ids", || {
            let all = fs::read_dir("/proc").unwrap().flatten();
            let maps = all.filter_map(|entry| fs::read_to_string(entry.path().join("uid_map")).ok());
            maps.filter(|map| map.contains(&BASE.to_string())).count() == 0
        })
        .await;
    });
}

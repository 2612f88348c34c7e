//! Sandboxes whose first process was made before anybody knew what it is to execute.

use crate::bench::{Bench, children_of, command, on_bench, on_v1_bench, random_id, sh, spec, until};
use crate::capture::Capture;
use rustix::process::{Pid, Signal, kill_process};
use schema::common::IdRange;
use schema::executor::{Phase, Prepared, ProcessSpec, SandboxSpec};
use schema::security::Security;
use schema::{Code, ContainerId};
use std::fs;

/// What of a process one can see from inside.
const LOOK: &str = "id; pwd; tty; umask; cat /proc/mounts /proc/self/cgroup /proc/self/uid_map /proc/sys/net/ipv4/ip_forward; \
    grep -E '^(Cap|NoNewPrivs|Seccomp|Groups)' /proc/self/status; readlink /proc/self/fd/*; ls -l /dev; cat /etc/notes";

async fn set_up(bench: &Bench, spec: &SandboxSpec) -> (ContainerId, Prepared) {
    let id = random_id();
    let prepared = bench.prepare(&id, spec).await.unwrap();
    bench.client.set_up(&bench.call(), &id).await.unwrap();
    (id, prepared)
}

/// Who waits to be told what it is.
fn waiting(prepared: &Prepared) -> i32 {
    let [child] = children_of(prepared.sandbox.pid as u32)[..] else { panic!("one child") };
    child as i32
}

async fn run_set_up(bench: &Bench, spec: &SandboxSpec, process: &ProcessSpec) -> (i32, Capture) {
    let (id, prepared) = set_up(bench, spec).await;
    let capture = Capture::begin(&prepared.directory, spec.terminal);
    let waited = waiting(&prepared);
    assert_eq!(bench.start(&id, process).await.unwrap().pid, waited);
    let code = bench.wait(&id).await.code;
    bench.destroy(&id).await;
    (code, capture.await.unwrap())
}

fn specs() -> Vec<SandboxSpec> {
    let ids = IdRange::new(0x3000_0000);
    let security = |change: fn(&mut Security)| {
        let mut security = Security::default();
        change(&mut security);
        Box::new(security)
    };
    let sysctl = |security: &mut Security| security.sysctls = vec!["net.ipv4.ip_forward=1".into()];
    vec![
        spec(),
        SandboxSpec { terminal: true, open_stdin: true, ..spec() },
        SandboxSpec { ids, ..spec() },
        SandboxSpec { host_network: true, security: security(|security| security.read_only_root = true), ..spec() },
        SandboxSpec { security: security(sysctl), ..spec() },
    ]
}

#[test]
fn a_process_sees_the_same_as_without() {
    on_bench(async |bench| {
        for spec in specs() {
            let mut looks = sh(LOOK);
            (looks.user, looks.working_directory) = ("www".into(), "/var/www".into());
            for process in [sh(LOOK), looks] {
                let (exit, plain) = bench.run(&spec, &process).await.unwrap();
                let (code, captured) = run_set_up(&bench, &spec, &process).await;
                // Of overlays and pipes, each container has its own.
                let own = |text: &str| text.replace(|character: char| character.is_ascii_digit(), "");
                assert_eq!((code, own(&captured.stdout)), (exit.code, own(&plain.stdout)), "{spec:?}");
                assert!(captured.stdout.contains("not a program"), "{captured:?}");
            }
        }
    });
}

#[test]
fn on_v1_as_well() {
    on_v1_bench(async |bench| {
        let (code, captured) = run_set_up(&bench, &spec(), &sh("cat /proc/self/cgroup; exit 4")).await;
        assert!(code == 4 && captured.stdout.contains("freezer:/\n"), "{code} {captured:?}");
    });
}

#[test]
fn it_is_done_once_and_nothing_can_be_mounted_any_more() {
    on_bench(async |bench| {
        let (id, prepared) = set_up(&bench, &spec()).await;
        let waits = waiting(&prepared);
        bench.client.set_up(&bench.call(), &id).await.unwrap();
        assert_eq!(waiting(&prepared), waits);
        let again = bench.client.prepare(&bench.call(), &id, &spec()).await.unwrap_err();
        assert_eq!(again.code, Code::SandboxLost, "{again}");
        bench.start(&id, &sh("exit 3")).await.unwrap();
        assert_eq!(bench.wait(&id).await.code, 3);
        bench.client.set_up(&bench.call(), &id).await.unwrap();
        bench.destroy(&id).await;
    });
}

#[test]
fn what_cannot_be_started_is_told_as_ever() {
    on_bench(async |bench| {
        for (process, code) in
            [(command(&["nothing"]), Code::CommandNotFound), (command(&["/etc"]), Code::NotExecutable)]
        {
            let (id, _) = set_up(&bench, &spec()).await;
            assert_eq!(bench.start(&id, &process).await.unwrap_err().code, code);
            bench.destroy(&id).await;
        }
        // Nobody knows the user: it may be started as another.
        let (id, _) = set_up(&bench, &spec()).await;
        let unknown = ProcessSpec { user: "who".into(), ..sh("exit 1") };
        assert_eq!(bench.start(&id, &unknown).await.unwrap_err().code, Code::NotFound);
        bench.start(&id, &sh("exit 2")).await.unwrap();
        assert_eq!(bench.wait(&id).await.code, 2);
        bench.destroy(&id).await;
        // There is no root filesystem.
        let id = random_id();
        bench.client.prepare(&bench.call(), &id, &spec()).await.unwrap();
        let bare = bench.client.set_up(&bench.call(), &id).await.unwrap_err();
        assert!(bare.code == Code::Conflict && bare.message.contains("not mounted"), "{bare}");
        bench.destroy(&id).await;
    });
}

#[test]
fn who_waits_is_killed() {
    on_bench(async |bench| {
        for (kills_monitor, restarts) in [(false, false), (false, true), (true, false), (true, true)] {
            let (id, prepared) = set_up(&bench, &spec()).await;
            let waits = waiting(&prepared);
            let victim = if kills_monitor { prepared.sandbox.pid } else { waits };
            kill_process(Pid::from_raw(victim).unwrap(), Signal::KILL).unwrap();
            until("it is gone", || !fs::exists(format!("/proc/{waits}")).unwrap()).await;
            if restarts {
                bench.kill_executor();
            }
            let lost = bench.start(&id, &sh("true")).await.unwrap_err();
            assert_eq!(lost.code, Code::SandboxLost, "{lost}");
            let lost = bench.client.prepare(&bench.call(), &id, &spec()).await.unwrap_err();
            assert_eq!(lost.code, Code::SandboxLost, "{lost}");
            bench.destroy(&id).await;
        }
    });
}

#[test]
fn who_waits_is_stopped() {
    on_bench(async |bench| {
        let (id, prepared) = set_up(&bench, &spec()).await;
        kill_process(Pid::from_raw(waiting(&prepared)).unwrap(), Signal::STOP).unwrap();
        bench.start(&id, &sh("exit 6")).await.unwrap();
        assert_eq!(bench.wait(&id).await.code, 6);
        bench.destroy(&id).await;
    });
}

#[test]
fn the_executor_is_killed_meanwhile() {
    on_bench(async |bench| {
        let (id, prepared) = set_up(&bench, &spec()).await;
        bench.kill_executor();
        assert!(
            matches!(bench.client.list(&bench.call()).await.unwrap()[..], [ref state] if state.phase == Phase::Parked)
        );
        let waits = waiting(&prepared);
        assert_eq!(bench.start(&id, &sh("exit 5")).await.unwrap().pid, waits);
        bench.kill_executor();
        assert_eq!(bench.wait(&id).await.code, 5);
        bench.destroy(&id).await;

        // What another executor has set up in another way is not used.
        let (id, prepared) = set_up(&bench, &spec()).await;
        let mut plan = fs::read(prepared.directory.join("setup")).unwrap();
        plan.pop();
        fs::write(prepared.directory.join("setup"), plan).unwrap();
        bench.kill_executor();
        assert_eq!(bench.start(&id, &sh("true")).await.unwrap_err().code, Code::SandboxLost);
        bench.destroy(&id).await;
    });
}

#[test]
fn it_is_destroyed_whole() {
    on_bench(async |bench| {
        let (id, prepared) = set_up(&bench, &spec()).await;
        let waits = waiting(&prepared);
        bench.destroy(&id).await;
        assert!(!fs::exists(format!("/proc/{waits}")).unwrap());
    });
}

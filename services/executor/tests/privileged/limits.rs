//! Resource limits.

use crate::bench::{on_bench, random_id, sh, spec};
use schema::Code;
use schema::common::Limits;
use schema::executor::SandboxSpec;

fn limited(limits: Limits) -> SandboxSpec {
    SandboxSpec { limits, ..spec() }
}

#[test]
fn too_much_memory_kills_and_is_told() {
    on_bench(async |bench| {
        let spec = limited(Limits { memory: 16 << 20, ..Limits::default() });
        let (exit, _) = bench.run(&spec, &sh("exec dd if=/dev/zero of=/dev/null bs=64M count=1")).await.unwrap();
        assert_eq!((exit.code, exit.signal, exit.oom_killed), (137, 9, true));
        let (exit, _) = bench.run(&spec, &sh("exec dd if=/dev/zero of=/dev/null bs=1M count=64")).await.unwrap();
        assert_eq!((exit.code, exit.oom_killed), (0, false));
    });
}

#[test]
fn the_cgroups_have_the_values_that_were_asked_for() {
    on_bench(async |bench| {
        let id = random_id();
        // Any number of pages; the kernel counts in those.
        let memory = (64 << 20) + u64::from(std::process::id() % 1000) * (64 << 10);
        let limits = Limits { memory, memory_swap: 0, nano_cpus: 1_500_000_000, pids: 77, cpu_shares: 512 };
        bench.client.prepare(&bench.call(), &id, &limited(limits)).await.unwrap();
        let (unified, swap) = (memory.to_string(), (2 * memory).to_string());
        for (v1, of_v1, v2, of_v2) in [
            ("memory.limit_in_bytes", unified.as_str(), "memory.max", unified.as_str()),
            ("memory.memsw.limit_in_bytes", swap.as_str(), "memory.swap.max", unified.as_str()),
            ("cpu.cfs_quota_us", "150000", "cpu.max", "150000 100000"),
            ("cpu.shares", "512", "cpu.weight", "59"),
            ("pids.max", "77", "pids.max", "77"),
        ] {
            let values = |file: &str| -> Vec<String> {
                let files = bench.cgroups().into_iter().map(|cgroup| cgroup.join(id.as_str()).join(file));
                files.filter_map(|file| std::fs::read_to_string(file).ok()).map(|text| text.trim().to_owned()).collect()
            };
            assert!(values(v1) == [of_v1] || values(v2) == [of_v2], "{v1} {:?}, {v2} {:?}", values(v1), values(v2));
        }
        bench.destroy(&id).await;
    });
}

#[test]
fn processes_are_counted() {
    on_bench(async |bench| {
        let spec = limited(Limits { pids: 5, ..Limits::default() });
        let script = "for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; wait";
        let (exit, captured) = bench.run(&spec, &sh(script)).await.unwrap();
        assert!(exit.code != 0 && captured.stderr.contains("can't fork"), "{exit:?} {captured:?}");
    });
}

#[test]
fn cpu_time_is_bounded() {
    on_bench(async |bench| {
        let spec = limited(Limits { nano_cpus: 200_000_000, ..Limits::default() });
        let script = "timeout 1 sh -c 'while :; do :; done'; cat /proc/self/stat >/dev/null; times";
        let (_, captured) = bench.run(&spec, &sh(script)).await.unwrap();
        let children = captured.stdout.lines().nth(1).unwrap_or_default();
        let seconds: f64 = children.trim_start_matches("0m").split('s').next().unwrap().parse().unwrap();
        assert!(seconds < 0.5, "{captured:?}");
    });
}

#[test]
fn senseless_limits_are_refused_and_leave_nothing() {
    on_bench(async |bench| {
        let spec = limited(Limits { memory: 1 << 20, ..Limits::default() });
        let failure = bench.client.prepare(&bench.call(), &random_id(), &spec).await.unwrap_err();
        assert_eq!(failure.code, Code::InvalidArgument);
        assert!(failure.message.contains("1048576") && failure.message.contains("6291456"), "{failure}");
    });
}

#[test]
fn all_limits_together_give_no_warning_here() {
    on_bench(async |bench| {
        let id = random_id();
        let limits =
            Limits { memory: 64 << 20, memory_swap: 128 << 20, nano_cpus: 500_000_000, pids: 100, cpu_shares: 512 };
        let prepared = bench.client.prepare(&bench.call(), &id, &limited(limits)).await.unwrap();
        assert_eq!(prepared.warnings, Vec::<String>::new());
        bench.destroy(&id).await;
    });
}

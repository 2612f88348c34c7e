//! What is written where, so that a container has its limits.

use super::layout::{Controller, Hierarchy, Layout};
use schema::common::Limits;
use std::path::PathBuf;

/// Microseconds in which a CPU quota is counted.
const CPU_PERIOD: u64 = 100_000;
/// Billionths of a CPU in a microsecond of quota.
const NANO_CPUS_PER_MICROSECOND: u64 = 1_000_000_000 / CPU_PERIOD;

/// Controllers of v2 that count what a container without limits uses, at next to no cost. CPU time is counted anyway.
const COUNTED: [Controller; 3] = [Controller::Memory, Controller::Pids, Controller::Io];

/// A file of a container's cgroup, and what is written to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) file: &'static str,
    pub(super) value: String,
    /// What is said when the host does not have the file; none: nobody asked for this.
    pub(super) warning: Option<String>,
}

/// A hierarchy that a container needs a cgroup in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) root: PathBuf,
    /// Controllers that have to be enabled from the root down, on v2.
    pub(super) enable: Vec<&'static str>,
    pub(super) settings: Vec<Setting>,
}

/// Everything to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) places: Vec<Place>,
    /// Limits for which the host has no controller.
    pub(super) warnings: Vec<String>,
}

/// What these limits need in this host. One hierarchy is always joined ([`Layout::home`]).
pub(super) fn plan(layout: &Layout, limits: &Limits) -> Plan {
    let mut plan = Plan::default();
    let wanted = wanted(limits);
    for hierarchy in &layout.hierarchies {
        let here: Vec<Limit> =
            wanted.iter().copied().filter(|limit| hierarchy.controllers.contains(&limit.controller())).collect();
        if layout.home() == Some(hierarchy) || !here.is_empty() {
            plan.places.push(Place {
                root: hierarchy.root.clone(),
                enable: enabled(hierarchy, &here),
                settings: here.iter().flat_map(|limit| settings(*limit, hierarchy, limits)).collect(),
            });
        }
    }
    let missing = wanted
        .iter()
        .filter(|limit| !layout.hierarchies.iter().any(|known| known.controllers.contains(&limit.controller())));
    plan.warnings = missing.map(|limit| unsupported(*limit)).collect();
    plan
}

/// The controllers to enable for a container: those of its limits, and those that count what it uses. On v1 there
/// is nothing to enable.
fn enabled(hierarchy: &Hierarchy, limits: &[Limit]) -> Vec<&'static str> {
    let needed = |controller: &&Controller| {
        COUNTED.contains(controller) || limits.iter().any(|limit| limit.controller() == **controller)
    };
    let controllers = hierarchy.controllers.iter().filter(|_| hierarchy.unified);
    controllers.filter(needed).map(|controller| controller.name()).collect()
}

/// A limit that can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Memory,
    Quota,
    Shares,
    Pids,
}

impl Limit {
    fn controller(self) -> Controller {
        match self {
            Self::Memory => Controller::Memory,
            Self::Quota | Self::Shares => Controller::Cpu,
            Self::Pids => Controller::Pids,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Memory => "the memory limit",
            Self::Quota => "the CPU limit",
            Self::Shares => "the weight of CPU time",
            Self::Pids => "the limit of processes",
        }
    }
}

/// The limits that are set.
fn wanted(limits: &Limits) -> Vec<Limit> {
    let Limits { memory, memory_swap: _, nano_cpus, pids, cpu_shares } = *limits;
    [(memory, Limit::Memory), (nano_cpus, Limit::Quota), (cpu_shares, Limit::Shares), (pids, Limit::Pids)]
        .into_iter()
        .filter_map(|(value, limit)| (value != 0).then_some(limit))
        .collect()
}

fn unsupported(limit: Limit) -> String {
    format!("{} is not enforced: this host has no cgroup controller {:?}", limit.name(), limit.controller().name())
}

fn settings(limit: Limit, hierarchy: &Hierarchy, limits: &Limits) -> Vec<Setting> {
    let name = limit.name();
    match limit {
        Limit::Memory => memory(hierarchy.unified, limits),
        Limit::Quota => cpu(hierarchy.unified, limits.nano_cpus, name),
        Limit::Shares if hierarchy.unified => vec![required("cpu.weight", weight(limits.cpu_shares), name)],
        Limit::Shares => vec![required("cpu.shares", limits.cpu_shares, name)],
        Limit::Pids => vec![required("pids.max", limits.pids, name)],
    }
}

/// The `cpu.weight` of v2 for the `cpu.shares` of v1: the curve through the least, the default and the greatest
/// value of both (2 and 1, 1024 and 100, 262144 and 10000) that runc uses since 1.3.2
/// (opencontainers/cgroups, `ConvertCPUSharesToCgroupV2Value`; its reasons are in opencontainers/runc#4772).
fn weight(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let log = (shares as f64).log2();
            let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
            10_f64.powf(exponent).ceil() as u64
        }
    }
}

fn required(file: &'static str, value: impl ToString, limit: &str) -> Setting {
    let warning = format!("{limit} is not enforced: this host's cgroups have no {file}");
    Setting { file, value: value.to_string(), warning: Some(warning) }
}

fn memory(unified: bool, limits: &Limits) -> Vec<Setting> {
    let Limits { memory, memory_swap, .. } = *limits;
    // Without a word about swap, as much again; and no complaint where the kernel does not count it.
    let both = u64::try_from(memory_swap).ok().map(|both| if both == 0 { memory.saturating_mul(2) } else { both });
    let asked = memory_swap > 0;
    let swap = |file: &'static str, value: Option<u64>, unlimited: &str| {
        let value = value.map_or_else(|| unlimited.to_owned(), |value| value.to_string());
        let setting = required(file, value, "the limit of swap");
        if asked { setting } else { Setting { warning: None, ..setting } }
    };
    if unified {
        vec![
            required("memory.max", memory, "the memory limit"),
            swap("memory.swap.max", both.map(|both| both.saturating_sub(memory)), "max"),
        ]
    } else {
        vec![
            required("memory.limit_in_bytes", memory, "the memory limit"),
            swap("memory.memsw.limit_in_bytes", both, "-1"),
        ]
    }
}

fn cpu(unified: bool, nano_cpus: u64, limit: &str) -> Vec<Setting> {
    let quota = nano_cpus / NANO_CPUS_PER_MICROSECOND;
    if unified {
        vec![required("cpu.max", format_args!("{quota} {CPU_PERIOD}"), limit)]
    } else {
        vec![required("cpu.cfs_period_us", CPU_PERIOD, limit), required("cpu.cfs_quota_us", quota, limit)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::check::{LEAST_CPUS, LEAST_MEMORY, SHARES};
    use proptest::prelude::*;

    const ALL: [Controller; 3] = [Controller::Memory, Controller::Cpu, Controller::Pids];

    fn hierarchy(root: &str, unified: bool, controllers: &[Controller]) -> Hierarchy {
        Hierarchy { root: root.into(), unified, controllers: controllers.to_vec() }
    }

    fn pure() -> Layout {
        Layout { hierarchies: vec![hierarchy("/cg", true, &ALL)] }
    }

    fn hybrid() -> Layout {
        let mut hierarchies: Vec<_> = ALL
            .iter()
            .map(|controller| hierarchy(&format!("/cg/{}", controller.name()), false, &[*controller]))
            .collect();
        hierarchies.push(hierarchy("/cg/unified", true, &[]));
        Layout { hierarchies }
    }

    const LIMITS: Limits =
        Limits { memory: 64 << 20, memory_swap: 0, nano_cpus: 1_500_000_000, pids: 50, cpu_shares: 512 };

    /// `place/file=value` for all that is written.
    fn writes(plan: &Plan) -> Vec<String> {
        plan.places
            .iter()
            .flat_map(|place| {
                place
                    .settings
                    .iter()
                    .map(|setting| format!("{}/{}={}", place.root.display(), setting.file, setting.value))
            })
            .collect()
    }

    #[test]
    fn v2() {
        let plan = plan(&pure(), &LIMITS);
        assert_eq!(
            writes(&plan),
            [
                "/cg/memory.max=67108864",
                "/cg/memory.swap.max=67108864",
                "/cg/cpu.max=150000 100000",
                "/cg/cpu.weight=59",
                "/cg/pids.max=50"
            ]
        );
        assert_eq!(plan.places[0].enable, ["memory", "cpu", "pids"]);
        assert!(plan.warnings.is_empty());
        assert_eq!(super::plan(&pure(), &Limits::default()).places[0].enable, ["memory", "pids"]);
    }

    #[test]
    fn hybrid_hosts_get_a_cgroup_only_where_a_limit_needs_one() {
        let plan = |limits| plan(&hybrid(), &limits);
        assert_eq!(
            writes(&plan(LIMITS)),
            [
                "/cg/memory/memory.limit_in_bytes=67108864",
                "/cg/memory/memory.memsw.limit_in_bytes=134217728",
                "/cg/cpu/cpu.cfs_period_us=100000",
                "/cg/cpu/cpu.cfs_quota_us=150000",
                "/cg/cpu/cpu.shares=512",
                "/cg/pids/pids.max=50"
            ]
        );
        assert!(plan(LIMITS).places.iter().all(|place| place.enable.is_empty()));
        let none = plan(Limits::default());
        assert_eq!(none.places, [Place { root: "/cg/unified".into(), enable: vec![], settings: vec![] }]);
    }

    #[test]
    fn swap_is_what_is_left_beyond_memory() {
        let swap = |layout: &Layout, memory_swap| {
            let plan = plan(layout, &Limits { memory: 10 << 20, memory_swap, ..Limits::default() });
            let setting = plan.places[0].settings[1].clone();
            (setting.value, setting.warning.is_some())
        };
        assert_eq!(swap(&pure(), 0), ("10485760".to_owned(), false));
        assert_eq!(swap(&pure(), -1), ("max".to_owned(), false));
        assert_eq!(swap(&pure(), 10 << 20), ("0".to_owned(), true));
        assert_eq!(swap(&hybrid(), -1), ("-1".to_owned(), false));
        assert_eq!(swap(&hybrid(), 12 << 20), ("12582912".to_owned(), true));
    }

    #[test]
    fn a_limit_without_controller_is_a_warning_that_names_it() {
        let bare = Layout { hierarchies: vec![hierarchy("/cg", true, &[Controller::Cpu])] };
        let plan = plan(&bare, &LIMITS);
        assert_eq!(plan.warnings.len(), 2);
        assert!(plan.warnings[0].contains("memory") && plan.warnings[1].contains("pids"), "{:?}", plan.warnings);
        assert_eq!(writes(&plan), ["/cg/cpu.max=150000 100000", "/cg/cpu.weight=59"]);
        let warnings = super::plan(&Layout::default(), &LIMITS).warnings;
        assert_eq!(warnings.len(), 4);
        assert!(warnings[2].contains("weight") && warnings[2].contains("\"cpu\""), "{warnings:?}");
    }

    #[test]
    fn weights_keep_the_least_the_default_and_the_greatest() {
        for (shares, wanted) in [(2, 1), (1024, 100), (262_144, 10_000), (512, 59), (2048, 174), (102_400, 4429)] {
            assert_eq!(weight(shares), wanted, "{shares}");
        }
        assert!((2..262_144).all(|shares| weight(shares) <= weight(shares + 1)));
    }

    proptest! {
        #[test]
        fn every_limit_is_written_or_warned_of(
            memory in prop_oneof![Just(0), LEAST_MEMORY..u64::MAX],
            memory_swap in -1i64..i64::MAX,
            nano_cpus in prop_oneof![Just(0), LEAST_CPUS..u64::MAX],
            pids in any::<u64>(),
            cpu_shares in prop_oneof![Just(0), SHARES],
            kept in proptest::sample::subsequence(ALL.to_vec(), 0..=3),
            unified in any::<bool>(),
        ) {
            let limits = Limits { memory, memory_swap, nano_cpus, pids, cpu_shares };
            let layout = Layout { hierarchies: vec![hierarchy("/cg", unified, &kept)] };
            let plan = plan(&layout, &limits);
            for limit in wanted(&limits) {
                let name = limit.controller().name();
                let written = writes(&plan).iter().any(|write| write.starts_with(&format!("/cg/{name}.")));
                let warned = plan.warnings.iter().any(|warning| warning.contains(name));
                prop_assert!(written != warned, "{name}: {plan:?}");
            }
        }
    }
}

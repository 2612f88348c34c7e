//! Limits that cannot be meant.

use schema::Failure;
use schema::common::Limits;
use std::ops::RangeInclusive;

/// Bytes below which nothing useful runs; Docker's minimum.
pub(super) const LEAST_MEMORY: u64 = 6 << 20;
/// Billionths of a CPU below which the kernel refuses.
pub(super) const LEAST_CPUS: u64 = 10_000_000;
/// Weights that the kernel knows (`cpu.shares` of v1).
pub(super) const SHARES: RangeInclusive<u64> = 2..=262_144;

/// Whether limits can be meant. The kernel's own refusals come later.
pub(crate) fn check(limits: &Limits) -> Result<(), Failure> {
    let Limits { memory, memory_swap, nano_cpus, pids: _, cpu_shares } = *limits;
    if memory != 0 && memory < LEAST_MEMORY {
        return Err(Failure::invalid(format_args!(
            "a memory limit of {memory} bytes is below the minimum of {LEAST_MEMORY} (6m)"
        ))
        .hint("raise the limit, or leave it out"));
    }
    if memory_swap < -1 {
        return Err(Failure::invalid(format_args!("{memory_swap} is not a limit of memory and swap"))
            .hint("use -1 for unlimited swap"));
    }
    if let Ok(both @ 1..) = u64::try_from(memory_swap) {
        if memory == 0 {
            return Err(Failure::invalid(format_args!(
                "a limit of memory and swap ({both} bytes) needs a memory limit"
            )));
        }
        if both < memory {
            return Err(Failure::invalid(format_args!(
                "the limit of memory and swap together ({both} bytes) is below that of memory ({memory} bytes)"
            )));
        }
    }
    if nano_cpus != 0 && nano_cpus < LEAST_CPUS {
        return Err(Failure::invalid(format_args!("{} CPUs are below the minimum of 0.01", nano_cpus as f64 / 1e9)));
    }
    if cpu_shares != 0 && !SHARES.contains(&cpu_shares) {
        return Err(Failure::invalid(format_args!("{cpu_shares} is not a weight of CPU time")).hint(format_args!(
            "use {} to {}; 1024 is what everybody else has",
            SHARES.start(),
            SHARES.end()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::Code;

    #[test]
    fn senseless_limits_are_refused_by_name() {
        let refused = |limits: Limits, named: &str| {
            let failure = check(&limits).unwrap_err();
            assert_eq!(failure.code, Code::InvalidArgument);
            assert!(failure.message.contains(named), "{failure}");
        };
        let memory = 64 << 20;
        refused(Limits { memory: 4 << 20, ..Limits::default() }, "4194304");
        refused(Limits { memory, memory_swap: 1 << 20, ..Limits::default() }, "1048576");
        refused(Limits { memory_swap: 1 << 20, ..Limits::default() }, "1048576");
        refused(Limits { memory, memory_swap: -2, ..Limits::default() }, "-2");
        refused(Limits { nano_cpus: 1_000_000, ..Limits::default() }, "0.001");
        refused(Limits { cpu_shares: 1, ..Limits::default() }, "1 is not a weight");
        refused(Limits { cpu_shares: 262_145, ..Limits::default() }, "262145");
        let limits = Limits { memory, memory_swap: 0, nano_cpus: 1_500_000_000, pids: 50, cpu_shares: 512 };
        assert_eq!(check(&limits), Ok(()));
        assert_eq!(check(&Limits { memory_swap: -1, ..limits }), Ok(()));
    }
}

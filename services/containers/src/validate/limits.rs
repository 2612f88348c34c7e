//! Limits that make sense.

use schema::Failure;
use schema::common::Limits;
use std::fs;

/// Less does not hold a container's first process.
const LEAST_MEMORY: u64 = 6 << 20;
const MIB: u64 = 1 << 20;
/// A hundredth of a CPU.
const LEAST_NANO_CPUS: u64 = 10_000_000;
const NANOS: u64 = 1_000_000_000;
/// `PID_MAX_LIMIT` of the kernel: pids.max takes no more.
const MOST_PIDS: u64 = 1 << 22;
/// `MIN_SHARES` and `MAX_SHARES` of the kernel's scheduler.
const LEAST_SHARES: u64 = 2;
const MOST_SHARES: u64 = 1 << 18;

/// Checks limits, on a host with so many CPUs (none: unknown).
pub(super) fn check(limits: &Limits, processors: Option<u32>) -> Result<(), Failure> {
    let Limits { memory, memory_swap, nano_cpus, pids, cpu_shares } = *limits;
    if memory != 0 && memory < LEAST_MEMORY {
        return Err(Failure::invalid(format_args!(
            "a memory limit of {memory} bytes is too small: the minimum is {} MiB",
            LEAST_MEMORY / MIB
        ))
        .hint("raise it, or leave it out"));
    }
    check_swap(memory, memory_swap)?;
    check_cpus(nano_cpus, processors)?;
    check_shares(cpu_shares)?;
    if pids > MOST_PIDS {
        return Err(Failure::invalid(format_args!("a limit of {pids} processes is more than {MOST_PIDS}"))
            .hint("leave it out for no limit"));
    }
    Ok(())
}

fn check_swap(memory: u64, both: i64) -> Result<(), Failure> {
    let refuse = |why: &str| {
        Err(Failure::invalid(format_args!("a limit of {both} bytes of memory and swap together {why}"))
            .hint("make it at least the memory limit, 0 for twice the memory limit, or -1 for no limit of swap"))
    };
    match both {
        0 => Ok(()),
        _ if memory == 0 => refuse("needs a limit of memory too"),
        -1 => Ok(()),
        _ => match u64::try_from(both) {
            Ok(both) if both >= memory => Ok(()),
            Ok(_) => refuse("is less than that of memory alone"),
            Err(_) => refuse("means nothing"),
        },
    }
}

fn check_cpus(nano_cpus: u64, processors: Option<u32>) -> Result<(), Failure> {
    let most = processors.map_or(u64::MAX, |count| u64::from(count) * NANOS);
    if nano_cpus == 0 || (LEAST_NANO_CPUS..=most).contains(&nano_cpus) {
        return Ok(());
    }
    let range = match processors {
        Some(count) => format!("from 0.01 to {count}, as this host has {count}"),
        None => "from 0.01 on".to_owned(),
    };
    let given = format!("{}.{:09}", nano_cpus / NANOS, nano_cpus % NANOS);
    let given = given.trim_end_matches('0').trim_end_matches('.');
    Err(Failure::invalid(format_args!("{given} CPUs are out of range"))
        .hint(format_args!("the range of CPUs is {range}")))
}

fn check_shares(shares: u64) -> Result<(), Failure> {
    if shares == 0 || (LEAST_SHARES..=MOST_SHARES).contains(&shares) {
        return Ok(());
    }
    Err(Failure::invalid(format_args!("{shares} CPU shares are out of range"))
        .hint(format_args!("the range is {LEAST_SHARES} to {MOST_SHARES}; 1024 is what everybody else has")))
}

/// How many CPUs this host has; none if the kernel does not say. What this process may use is another matter.
pub(crate) fn processors() -> Option<u32> {
    count(&fs::read_to_string("/sys/devices/system/cpu/online").ok()?)
}

/// Counts the members of a list such as `0-3,6`.
fn count(list: &str) -> Option<u32> {
    list.trim()
        .split(',')
        .map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            (last.parse::<u32>().ok()?.checked_sub(first.parse().ok()?)?).checked_add(1)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(limits: Limits) -> Failure {
        check(&limits, Some(2)).unwrap_err()
    }

    #[test]
    fn sensible_limits_pass() {
        let full = Limits { memory: LEAST_MEMORY, memory_swap: -1, nano_cpus: 2 * NANOS, pids: 1, cpu_shares: 2 };
        for good in [
            Limits::default(),
            full,
            Limits { memory_swap: i64::try_from(LEAST_MEMORY).unwrap(), ..full },
            Limits { nano_cpus: LEAST_NANO_CPUS, ..full },
        ] {
            assert_eq!(check(&good, Some(2)), Ok(()));
        }
        assert_eq!(check(&Limits { nano_cpus: 99 * NANOS, ..full }, None), Ok(()));
    }

    #[test]
    fn what_is_out_of_range_is_named_with_the_range() {
        let none = Limits::default();
        let small = refused(Limits { memory: LEAST_MEMORY - 1, ..none });
        assert!(small.message.contains("6291455") && small.message.contains("6 MiB"), "{small}");
        let many = refused(Limits { nano_cpus: 2_500_000_000, ..none });
        assert!(many.message.starts_with("2.5 CPUs") && many.hint.contains("0.01 to 2"), "{many:?}");
        refused(Limits { nano_cpus: LEAST_NANO_CPUS - 1, ..none });
        assert!(refused(Limits { nano_cpus: 10 * NANOS, ..none }).message.starts_with("10 CPUs"));
        refused(Limits { pids: MOST_PIDS + 1, ..none });
        for shares in [1, MOST_SHARES + 1] {
            let failure = refused(Limits { cpu_shares: shares, ..none });
            assert!(
                failure.message.starts_with(&shares.to_string()) && failure.hint.contains("2 to 262144"),
                "{failure:?}"
            );
        }
        refused(Limits { memory_swap: -1, ..none });
        refused(Limits { memory: 2 * LEAST_MEMORY, memory_swap: i64::try_from(LEAST_MEMORY).unwrap(), ..none });
        refused(Limits { memory: LEAST_MEMORY, memory_swap: -2, ..none });
    }

    #[test]
    fn cpu_lists_are_counted() {
        assert_eq!(count("0-1\n"), Some(2));
        assert_eq!(count("0,2-3,7"), Some(4));
        assert_eq!(count("0"), Some(1));
        for bad in ["", "x", "3-1", "0-4294967295"] {
            assert_eq!(count(bad), None, "{bad}");
        }
        assert!(processors().unwrap() >= 1);
    }
}

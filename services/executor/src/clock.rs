//! How the kernel tells times of processes: in ticks, some since boot.

use nix::unistd::{SysconfVar, sysconf};
use rustix::time::{ClockId, clock_gettime};
use std::io;

const SECOND: u64 = 1_000_000_000;

/// What ticks mean, now.
pub(crate) struct Clock {
    per_second: u64,
    /// Nanoseconds since the Unix epoch.
    pub(crate) now: i64,
    /// Nanoseconds since boot, time asleep included, as the start of a process is counted.
    since_boot: u64,
}

impl Clock {
    /// Reads the clocks.
    pub(crate) fn read() -> io::Result<Self> {
        let ticks = sysconf(SysconfVar::CLK_TCK)?.and_then(|ticks| u64::try_from(ticks).ok());
        let time = clock_gettime(ClockId::Boottime);
        let part = |number: i64| u64::try_from(number).unwrap_or(0);
        Ok(Self {
            per_second: ticks.filter(|ticks| *ticks > 0).ok_or(io::ErrorKind::Unsupported)?,
            now: kit::process::now(),
            since_boot: part(time.tv_sec).saturating_mul(SECOND).saturating_add(part(time.tv_nsec)),
        })
    }

    /// So many ticks in nanoseconds.
    pub(crate) fn nanoseconds(&self, ticks: u64) -> u64 {
        (ticks / self.per_second).saturating_mul(SECOND) + (ticks % self.per_second) * SECOND / self.per_second
    }

    /// How long something has lasted that began so many ticks after boot, in nanoseconds.
    pub(crate) fn since(&self, ticks: u64) -> u64 {
        self.since_boot.saturating_sub(self.nanoseconds(ticks))
    }

    /// When that was, in nanoseconds since the Unix epoch.
    pub(crate) fn time(&self, ticks: u64) -> i64 {
        self.now.saturating_sub(i64::try_from(self.since(ticks)).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_become_times() {
        let clock = Clock { per_second: 100, now: 1_000 * SECOND as i64, since_boot: 50 * SECOND };
        assert_eq!(clock.nanoseconds(150), 3 * SECOND / 2);
        assert_eq!((clock.since(4_000), clock.time(4_000)), (10 * SECOND, 990 * SECOND as i64));
        // A start that is rounded up into the future.
        assert_eq!((clock.since(5_001), clock.time(5_001)), (0, clock.now));
    }

    #[test]
    fn this_process_was_started_a_moment_ago() {
        let clock = Clock::read().unwrap();
        let start = kit::process::start_time(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(clock.since(start) < 600 * SECOND, "{}", clock.since(start));
    }
}

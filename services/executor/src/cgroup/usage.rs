//! What a container's cgroups tell of what it uses.

use super::Cgroups;
use schema::ContainerId;
use std::fs;

/// What is used; none: no cgroup of the container tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// CPU time, nanoseconds.
    pub(crate) cpu_ns: Option<u64>,
    /// Bytes, without page cache that can be dropped at once.
    pub(crate) memory: Option<u64>,
    /// Bytes; also none if there is no limit.
    pub(crate) memory_limit: Option<u64>,
    /// Tasks.
    pub(crate) pids: Option<u64>,
    /// Bytes read from block devices, and written.
    pub(crate) block: Option<(u64, u64)>,
}

impl Cgroups {
    /// Reads it all. May block.
    pub(crate) fn usage(&self, id: &ContainerId) -> Usage {
        let places = self.directories(id.as_str());
        places
            .map(|directory| Usage::read(|file| fs::read_to_string(directory.join(file)).ok()))
            .fold(Usage::default(), Usage::or)
    }
}

impl Usage {
    /// From the files of one cgroup, of v2 or v1 (Linux: admin-guide/cgroup-v2.rst, cgroup-v1/*.rst).
    fn read(file: impl Fn(&str) -> Option<String>) -> Self {
        let number = |name: &str| file(name)?.trim().parse::<u64>().ok();
        let keyed = |name: &str, key: &str| keyed(&file(name)?, key);
        let without = |used: Option<u64>, cache: Option<u64>| Some(used?.saturating_sub(cache.unwrap_or(0)));
        Self {
            cpu_ns: keyed("cpu.stat", "usage_usec")
                .map(|microseconds| microseconds.saturating_mul(1000))
                .or_else(|| number("cpuacct.usage")),
            memory: without(number("memory.current"), keyed("memory.stat", "inactive_file"))
                .or_else(|| without(number("memory.usage_in_bytes"), keyed("memory.stat", "total_inactive_file"))),
            // "max", or a number that no host has: no limit.
            memory_limit: number("memory.max").or_else(|| number("memory.limit_in_bytes")),
            pids: number("pids.current"),
            block: file("io.stat")
                .map(|text| block_v2(&text))
                .or_else(|| file("blkio.throttle.io_service_bytes_recursive").map(|text| block_v1(&text))),
        }
    }

    fn or(self, other: Self) -> Self {
        Self {
            cpu_ns: self.cpu_ns.or(other.cpu_ns),
            memory: self.memory.or(other.memory),
            memory_limit: self.memory_limit.or(other.memory_limit),
            pids: self.pids.or(other.pids),
            block: self.block.or(other.block),
        }
    }
}

/// The number of the line `key number`.
fn keyed(text: &str, key: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(name, _)| *name == key).and_then(|(_, number)| number.trim().parse().ok())
}

/// Lines `8:0 rbytes=1 wbytes=2 …`, one a device.
fn block_v2(text: &str) -> (u64, u64) {
    let sum = |key: &str| {
        let fields = text.split_ascii_whitespace().filter_map(|field| field.split_once('='));
        fields.filter(|(name, _)| *name == key).filter_map(|(_, number)| number.parse::<u64>().ok()).sum()
    };
    (sum("rbytes"), sum("wbytes"))
}

/// Lines `8:0 Read 1`, `8:0 Write 2`, and others.
fn block_v1(text: &str) -> (u64, u64) {
    let sum = |kind: &str| {
        let lines = text.lines().filter_map(|line| line.split_once(' ')?.1.split_once(' '));
        lines.filter(|(name, _)| *name == kind).filter_map(|(_, number)| number.parse::<u64>().ok()).sum()
    };
    (sum("Read"), sum("Write"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Usage {
        Usage::read(|name| files.iter().find(|(file, _)| *file == name).map(|(_, text)| (*text).to_owned()))
    }

    #[test]
    fn v2() {
        let usage = read(&[
            ("cpu.stat", "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\n"),
            ("memory.current", "10000\n"),
            ("memory.stat", "anon 7000\nfile 3000\ninactive_file 2000\n"),
            ("memory.max", "67108864\n"),
            ("pids.current", "3\n"),
            ("io.stat", "254:0 rbytes=100 wbytes=20 rios=1 wios=1 dbytes=0 dios=0\n8:0 rbytes=1 wbytes=2\n"),
        ]);
        let wanted = Usage {
            cpu_ns: Some(1_500_000),
            memory: Some(8000),
            memory_limit: Some(64 << 20),
            pids: Some(3),
            block: Some((101, 22)),
        };
        assert_eq!(usage, wanted);
        assert_eq!(read(&[("memory.max", "max\n"), ("memory.current", "5\n")]).memory_limit, None);
    }

    #[test]
    fn v1() {
        let memory = read(&[
            ("memory.usage_in_bytes", "10000\n"),
            ("memory.stat", "inactive_file 1\ntotal_inactive_file 2500\n"),
            ("memory.limit_in_bytes", "9223372036854771712\n"),
        ]);
        assert_eq!((memory.memory, memory.memory_limit), (Some(7500), Some(9_223_372_036_854_771_712)));
        let cpu = read(&[("cpu.stat", "nr_periods 0\nnr_throttled 0\n"), ("cpuacct.usage", "123456789\n")]);
        assert_eq!(cpu, Usage { cpu_ns: Some(123_456_789), ..Usage::default() });
        let block = "8:0 Read 10\n8:0 Write 20\n8:0 Sync 30\n8:0 Total 30\n8:16 Read 5\nTotal 35\n";
        let block = read(&[("blkio.throttle.io_service_bytes_recursive", block)]);
        assert_eq!(block.block, Some((15, 20)));
        assert_eq!(cpu.or(memory).or(block).pids, None);
        assert_eq!(cpu.or(memory).memory, Some(7500));
    }
}

//! Facts about processes and the running kernel, from /proc.

use nix::unistd::{SysconfVar, sysconf};
use schema::supervisor::Usage;
use std::fs::{self, File};
use std::io::{self, Read};
use std::sync::OnceLock;

/// A line of /proc/pid/stat is shorter: some fifty numbers.
const LONGEST_STAT: usize = 2048;

/// When a process was started, in clock ticks since boot: with its id, it names a process for good
/// (proc(5): field 22 of /proc/pid/stat). Fails with `NotFound` if there is no such process.
pub fn start_time(pid: i32) -> io::Result<u64> {
    let stat = stat(pid)?;
    parse_start_time(&stat)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat: {stat:?}")))
}

/// The command name may hold spaces and parentheses: fields are counted after its last `)`.
fn parse_start_time(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// The line of /proc/pid/stat, in one read.
fn stat(pid: i32) -> io::Result<String> {
    let mut line = vec![0; LONGEST_STAT];
    let length = File::open(format!("/proc/{pid}/stat"))?.read(&mut line)?;
    line.truncate(length);
    // A process may call itself what it likes.
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// Whether the process with this id is the one that was started then, and has not ended.
pub fn is_alive(pid: i32, started: u64) -> bool {
    stat(pid).is_ok_and(|stat| parse_start_time(&stat) == Some(started) && !is_zombie(&stat))
}

/// Whether a process is in a PID namespace below that of whoever asks, as those of containers are.
pub fn is_below(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    numbers.split_ascii_whitespace().count() > 1
}

fn is_zombie(stat: &str) -> bool {
    stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']))
}

/// Identifies this boot of the kernel: what was true before another boot is not true now.
pub fn boot_id() -> io::Result<String> {
    static KNOWN: OnceLock<String> = OnceLock::new();
    if let Some(known) = KNOWN.get() {
        return Ok(known.clone());
    }
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
    Ok(KNOWN.get_or_init(|| id).clone())
}

/// The proportional set size of a process in bytes: its memory, shared pages divided by their users.
pub fn memory(pid: i32) -> io::Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let kib: u64 = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Pss:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|number| number.parse().ok())
        .ok_or(io::ErrorKind::InvalidData)?;
    Ok(kib * 1024)
}

/// What a process uses. Fails if it has ended.
pub fn usage(pid: i32) -> io::Result<Usage> {
    let stat = stat(pid)?;
    let (ticks, threads) = parse_usage(&stat).ok_or(io::ErrorKind::InvalidData)?;
    let per_second = sysconf(SysconfVar::CLK_TCK)?.and_then(|ticks| u64::try_from(ticks).ok());
    let per_second = per_second.filter(|ticks| *ticks > 0).ok_or(io::ErrorKind::Unsupported)?;
    let io = fs::read_to_string(format!("/proc/{pid}/io"))?;
    let bytes = |key: &str| {
        let number = io.lines().find_map(|line| line.strip_prefix(key));
        number.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
    };
    Ok(Usage {
        cpu_ns: ticks.saturating_mul(1_000_000_000 / per_second),
        io_read: bytes("read_bytes:"),
        io_written: bytes("write_bytes:"),
        descriptors: descriptors(pid)?,
        threads,
    })
}

/// Time on CPUs, in ticks, and threads (proc(5): fields 14, 15 and 20 of /proc/pid/stat).
fn parse_usage(stat: &str) -> Option<(u64, u32)> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some((number(11)?.saturating_add(number(12)?), u32::try_from(number(17)?).ok()?))
}

/// Since Linux 6.2 the size of the directory is the number of descriptors: there may be thousands.
fn descriptors(pid: i32) -> io::Result<u32> {
    let directory = format!("/proc/{pid}/fd");
    let count = match fs::metadata(&directory)?.len() {
        0 => fs::read_dir(&directory)?.count() as u64,
        size => size,
    };
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Now, in nanoseconds since the Unix epoch.
pub fn now() -> i64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_times_are_found_behind_odd_names() {
        let stat = "7 (a) (b) c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20";
        assert_eq!(parse_start_time(stat), Some(4242));
        assert_eq!(parse_start_time("7 (x"), None);
        assert_eq!(parse_usage(stat), Some((23, 17)));
    }

    #[test]
    fn this_process_is_alive() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let started = start_time(pid).unwrap();
        assert!(is_alive(pid, started));
        assert!(!is_alive(pid, started + 1));
        assert!(memory(pid).unwrap() > 0);
        let (_other, usage) = (fs::File::open("/proc/self/stat").unwrap(), usage(pid).unwrap());
        assert!(usage.descriptors > 3 && usage.threads > 0, "{usage:?}");
        assert!(!is_below(pid));
    }
}

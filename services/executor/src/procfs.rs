//! What /proc tells of processes (proc(5)). Pure, but for the reading itself.

use std::fs;
use std::io::{self, Read};

/// A process, from /proc/pid/stat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) pid: i32,
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) parent: i32,
    pub(crate) terminal: u64,
    /// CPU time, in ticks.
    pub(crate) own_ticks: u64,
    /// That of the children that have ended.
    pub(crate) children_ticks: u64,
    pub(crate) threads: u64,
    /// When it was started, in ticks since boot.
    pub(crate) start: u64,
}

impl Stat {
    /// Of one process. None if it is gone.
    pub(crate) fn read(pid: i32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        // The name may hold blanks and parentheses.
        let (pid, rest) = text.split_once(" (")?;
        let (name, rest) = rest.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // Numbered as in proc(5), where the state is field 3.
        let field = |number: usize| fields.get(number - 3).copied();
        let number = |place: usize| field(place)?.parse::<u64>().ok();
        Some(Self {
            pid: pid.parse().ok()?,
            name: name.to_owned(),
            state: field(3)?.to_owned(),
            parent: field(4)?.parse().ok()?,
            terminal: number(7)?,
            own_ticks: number(14)?.saturating_add(number(15)?),
            children_ticks: number(16)?.saturating_add(number(17)?),
            threads: number(20)?,
            start: number(22)?,
        })
    }

    /// Its terminal as ps calls it.
    pub(crate) fn terminal_name(&self) -> String {
        // Numbers in Documentation/admin-guide/devices.txt.
        const SERIAL: u64 = 4;
        const PSEUDO: std::ops::RangeInclusive<u64> = 136..=143;
        let (major, minor) =
            ((self.terminal >> 8) & 0xfff, (self.terminal & 0xff) | ((self.terminal >> 12) & 0xf_ff00));
        match (major, minor) {
            (0, 0) => "?".to_owned(),
            (major, minor) if PSEUDO.contains(&major) => format!("pts/{}", ((major - PSEUDO.start()) << 8) + minor),
            (SERIAL, minor @ ..64) => format!("tty{minor}"),
            (SERIAL, minor) => format!("ttyS{}", minor - 64),
            (major, minor) => format!("{major}:{minor}"),
        }
    }
}

/// The lines `key: value` of /proc/pid/status.
pub(crate) struct Status(String);

impl Status {
    /// Of one process; empty if it is gone.
    pub(crate) fn read(pid: i32) -> Self {
        Self(fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default())
    }

    /// The words behind a key and its colon; none if it is missing.
    pub(crate) fn words(&self, key: &str) -> impl DoubleEndedIterator<Item = &str> {
        let line = self.0.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        line.split_ascii_whitespace()
    }

    /// The first number behind a key and its colon.
    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        self.words(key).next()?.parse().ok()
    }
}

/// Its arguments, separated by blanks, and so many bytes of them at most; empty if it shows none.
pub(crate) fn command(pid: i32, longest: u64) -> String {
    let mut bytes = Vec::new();
    let read =
        fs::File::open(format!("/proc/{pid}/cmdline")).and_then(|file| file.take(longest).read_to_end(&mut bytes));
    if read.is_err() {
        return String::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    // A blank keeps a line of a table one line.
    text.trim_end_matches('\0').replace(|character: char| character.is_control(), " ")
}

/// Bytes that a process has read from storage and written to it; none if it is gone.
pub(crate) fn block(pid: i32) -> Option<(u64, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    Some((value(&text, "read_bytes:")?, value(&text, "write_bytes:")?))
}

/// Bytes that the interfaces of a process's network namespace have received and sent, but for loopback.
pub(crate) fn network(pid: i32) -> (u64, u64) {
    traffic(&fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap_or_default())
}

fn traffic(text: &str) -> (u64, u64) {
    let interfaces = text.lines().filter_map(|line| line.split_once(':')).filter(|(name, _)| name.trim() != "lo");
    let numbers = interfaces.filter_map(|(_, counters)| {
        let mut counters = counters.split_ascii_whitespace().map(str::parse::<u64>);
        Some((counters.next()?.ok()?, counters.nth(7)?.ok()?))
    });
    numbers.fold((0, 0), |(received, sent), (more, also)| (received + more, sent + also))
}

/// The memory of the host, in bytes.
pub(crate) fn host_memory() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    value(&text, "MemTotal:").map(|kib| kib * 1024).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Every process of the PID namespace that this one is in; those in namespaces below it too, but not their own.
pub(crate) fn peers(pid: i32) -> Vec<i32> {
    let namespace = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let Some(wanted) = namespace(pid) else { return Vec::new() };
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| namespace(*pid).as_ref() == Some(&wanted))
        .collect()
}

fn value(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_do_not_shift_the_fields() {
        let text = "7 (a) (b c) S 1 7 7 34816 7 4194560 1 2 3 4 10 20 30 40 20 0 5 0 4242 1000 99 18446744073709551615";
        let stat = Stat::parse(text).unwrap();
        assert_eq!((stat.pid, stat.name.as_str(), stat.state.as_str(), stat.parent), (7, "a) (b c", "S", 1));
        assert_eq!((stat.own_ticks, stat.children_ticks, stat.threads), (30, 70, 5));
        assert_eq!((stat.start, stat.terminal_name().as_str()), (4242, "pts/0"));
        assert_eq!(Stat::parse("7 (x"), None);
        assert_eq!(Stat::parse(""), None);
    }

    #[test]
    fn terminals_have_the_names_that_ps_gives_them() {
        let name = |terminal| {
            let text = format!("7 (a) S 1 7 7 {terminal} 7 0 1 2 3 4 10 20 30 40 20 0 5 0 4242 1000 99");
            Stat::parse(&text).unwrap().terminal_name()
        };
        assert_eq!([name(0), name(136 << 8 | 3), name(4 << 8 | 1), name(4 << 8 | 64)], ["?", "pts/3", "tty1", "ttyS0"]);
        assert_eq!([name(137 << 8), name(136 << 8 | 1 << 20 | 5), name(9 << 8 | 2)], ["pts/256", "pts/261", "9:2"]);
    }

    #[test]
    fn traffic_is_that_of_all_interfaces_but_loopback() {
        let text = "Inter-|   Receive                                                |  Transmit\n \
            face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs\n    \
            lo:     999       1    0    0    0     0          0         0      999       1    0\n  \
            eth0:    1000      10    0    0    0     0          0         0      300       3    0\n\
            eth1:5 1 0 0 0 0 0 0 6 1 0\n";
        assert_eq!(traffic(text), (1005, 306));
        assert_eq!(traffic("garbage: x"), (0, 0));
    }

    #[test]
    fn a_process_finds_itself() {
        let pid = i32::try_from(std::process::id()).unwrap();
        assert_eq!(Stat::read(pid).unwrap().pid, pid);
        assert!(Status::read(pid).number("VmRSS:").unwrap() > 0);
        assert!(peers(pid).contains(&pid));
        assert!(!command(pid, 4096).contains('\0') && command(pid, 3).len() <= 3);
        assert!(host_memory().unwrap() > 1 << 20);
    }
}

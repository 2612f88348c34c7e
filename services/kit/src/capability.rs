//! Capabilities by their names, without `CAP_` (capabilities(7)).

/// In the order of their numbers.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The set of this one capability; none: there is no such name.
pub fn parse(name: &str) -> Option<u64> {
    let number = NAMES.iter().position(|known| *known == name)?;
    Some(1 << number)
}

/// The names of a set; a capability that is newer than this program has its number as its name.
pub fn names(set: u64) -> Vec<String> {
    let name = |number: usize| NAMES.get(number).map_or_else(|| number.to_string(), |name| (*name).to_owned());
    (0..64).filter(|number| set & (1 << number) != 0).map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_belong_together() {
        assert_eq!(parse("SYS_ADMIN"), Some(1 << 21));
        assert_eq!(parse("CHECKPOINT_RESTORE"), Some(1 << 40));
        assert_eq!(parse("CAP_CHOWN"), None);
        assert_eq!(names(1 | 1 << 21 | 1 << 50), ["CHOWN", "SYS_ADMIN", "50"]);
    }
}

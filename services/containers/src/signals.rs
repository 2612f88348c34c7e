//! Signals by name, as images name theirs.

/// SIGKILL.
pub(crate) const KILL: i32 = 9;
/// SIGTERM.
pub(crate) const TERM: i32 = 15;
/// The highest signal of Linux.
pub(crate) const LAST: i32 = 64;

const REALTIME_FIRST: i32 = 34;

/// signal(7), in the order of the numbers from 1 on, as on every architecture but alpha, mips and parisc.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
];

/// The number of a signal that is given as `15`, `TERM`, `SIGTERM`, `RTMIN+3` or `RTMAX-1`, in any case.
pub(crate) fn parse(text: &str) -> Option<i32> {
    let upper = text.trim().to_ascii_uppercase();
    if let Ok(number) = upper.parse::<i32>() {
        return (1..=LAST).contains(&number).then_some(number);
    }
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(index) = NAMES.iter().position(|known| *known == name) {
        return i32::try_from(index + 1).ok();
    }
    realtime(name)
}

fn realtime(name: &str) -> Option<i32> {
    let offset = |text: &str, sign: char| match text {
        "" => Some(0),
        signed => signed.strip_prefix(sign)?.parse::<i32>().ok().filter(|offset| (0..=LAST).contains(offset)),
    };
    let number = if let Some(rest) = name.strip_prefix("RTMIN") {
        REALTIME_FIRST + offset(rest, '+')?
    } else {
        LAST - offset(name.strip_prefix("RTMAX")?, '-')?
    };
    (REALTIME_FIRST..=LAST).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        for (text, number) in [
            ("15", 15),
            ("TERM", 15),
            ("sigterm", 15),
            ("SIGKILL", 9),
            ("SIGSYS", 31),
            ("SIGRTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("RTMAX-1", 63),
            ("64", 64),
        ] {
            assert_eq!(parse(text), Some(number), "{text}");
        }
        for bad in ["", "0", "65", "-9", "SIG", "NOPE", "RTMIN+31", "RTMAX-31", "RTMIN3", "RTMIN+-1"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}

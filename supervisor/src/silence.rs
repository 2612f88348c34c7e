//! Whether a silent process hangs: judged by what the process did meanwhile, not by the clock alone. On a host
//! whose CPUs or disks are busy, a healthy process may be silent for long; to restart it would only add load.

use rustix::process::Pid;
use std::fs;
use std::io;
use std::time::{Duration, Instant};

/// A process that waits for a disk is given so many times the time that others are: it cannot be ended before the
/// disk answers.
const DISK: u32 = 5;
/// A process is not looked at again before this part of its limit has passed.
const LOOKS: u32 = 4;

/// What the scheduler did with the main thread of a process, since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Time on a CPU.
    pub(crate) ran: Duration,
    /// Time in which it could have run and no CPU was free, as far as that is over.
    pub(crate) queued: Duration,
}

/// What the main thread of a process is up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    /// It runs, or waits for a CPU.
    Runnable,
    /// It waits for something.
    Sleeping,
    /// It waits, and takes no signal: for a disk.
    Disk,
    /// It was stopped by a signal or by a debugger.
    Stopped,
}

/// A look at a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) activity: Activity,
    pub(crate) usage: Usage,
}

/// What a silence means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The process hangs, in this way.
    Hangs(&'static str),
    /// It may be well: look again after this time.
    Wait(Duration),
}

/// Judges a process that was last heard when it had used `before`, `silent` ago, and that is expected to speak
/// within `limit`. A look is none where the process could not be looked at: it may just have ended.
pub(crate) fn judge(limit: Duration, silent: Duration, before: Usage, look: Option<Look>) -> Verdict {
    let Some(Look { activity, usage }) = look else { return Verdict::Wait(limit) };
    let ran = usage.ran.saturating_sub(before.ran);
    let queued = usage.queued.saturating_sub(before.queued);
    // How long it could have spoken.
    let (able, allowed, how) = match activity {
        Activity::Stopped => (silent, limit, "it is stopped"),
        // The time that it waits for a CPU right now is not counted yet.
        Activity::Runnable => (ran.min(silent), limit, "it runs without end"),
        Activity::Sleeping => (silent.saturating_sub(queued), limit, "it waits for something"),
        Activity::Disk => (silent.saturating_sub(queued), limit * DISK, "it waits for a disk"),
    };
    match allowed.saturating_sub(able) {
        Duration::ZERO => Verdict::Hangs(how),
        // Rounded up by the least that is worth a look: a process may be looked at by many.
        left => Verdict::Wait(left.clamp(limit / LOOKS, limit)),
    }
}

/// How much longer than usual a process is waited for after its predecessors were killed for their silence: if that does
/// not help, it is the machine that is slow. One whose processors are emulated, or taken by other machines, does not see
/// that in what the scheduler tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Leniency {
    kills: u32,
    last: Option<Instant>,
}

impl Leniency {
    /// At most so many times twice.
    const MOST: u32 = 5;
    /// After so long, one kill is forgotten.
    const FORGOTTEN: Duration = Duration::from_secs(300);

    /// One was killed. That it was stopped says nothing of the machine.
    pub(crate) fn killed(&mut self, look: Option<Look>, now: Instant) {
        if look.is_none_or(|look| look.activity != Activity::Stopped) {
            *self = Self { kills: (self.remembered(now) + 1).min(Self::MOST), last: Some(now) };
        }
    }

    /// How long one may be silent that usually may for `limit`. One that is stopped does nothing, however long.
    pub(crate) fn limit(&self, limit: Duration, look: Option<Look>, now: Instant) -> Duration {
        let is_stopped = look.is_some_and(|look| look.activity == Activity::Stopped);
        limit * if is_stopped { 1 } else { 1 << self.remembered(now) }
    }

    fn remembered(&self, now: Instant) -> u32 {
        let since = self.last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        let forgotten = since.as_secs() / Self::FORGOTTEN.as_secs();
        self.kills.saturating_sub(u32::try_from(forgotten).unwrap_or(u32::MAX))
    }
}

/// How long a process may be silent: `limit`, and `start` before its first word, since what it does before that takes as
/// long as a slow machine makes it. One that is stopped does nothing.
pub(crate) fn patience(limit: Duration, start: Duration, has_spoken: bool, look: Option<Look>) -> Duration {
    let is_stopped = look.is_some_and(|look| look.activity == Activity::Stopped);
    if has_spoken || is_stopped { limit } else { start }
}

/// Looks at a process.
pub(crate) fn look(pid: Pid) -> io::Result<Look> {
    let pid = pid.as_raw_nonzero();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    Ok(Look { activity: activity(&stat).ok_or(io::ErrorKind::InvalidData)?, usage: usage_of(pid.get()) })
}

/// What a process has used, as far as the kernel tells.
pub(crate) fn usage(pid: Pid) -> Usage {
    usage_of(pid.as_raw_nonzero().get())
}

/// A kernel that does not count this (CONFIG_SCHED_INFO) says nothing or zero: then the clock alone judges, except
/// of a process that is runnable.
fn usage_of(pid: i32) -> Usage {
    fs::read_to_string(format!("/proc/{pid}/schedstat")).ok().and_then(|text| parse_usage(&text)).unwrap_or_default()
}

/// Of the first thread (proc(5), Documentation/scheduler/sched-stats.rst): nanoseconds.
fn parse_usage(schedstat: &str) -> Option<Usage> {
    let mut numbers = schedstat.split_ascii_whitespace().map(|word| word.parse().ok().map(Duration::from_nanos));
    Some(Usage { ran: numbers.next()??, queued: numbers.next()?? })
}

/// The state behind the command's name, which may hold spaces and parentheses (proc(5)). None of a zombie: it has
/// ended.
fn activity(stat: &str) -> Option<Activity> {
    let (_, after_name) = stat.rsplit_once(')')?;
    match after_name.trim_start().bytes().next()? {
        b'R' => Some(Activity::Runnable),
        b'D' => Some(Activity::Disk),
        b'T' | b't' => Some(Activity::Stopped),
        b'Z' | b'X' => None,
        _ => Some(Activity::Sleeping),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMIT: Duration = Duration::from_secs(1);

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    fn judged(activity: Activity, silent: u64, ran: u64, queued: u64) -> Verdict {
        let before = Usage { ran: seconds(7), queued: seconds(8) };
        let usage = Usage { ran: seconds(7 + ran), queued: seconds(8 + queued) };
        judge(LIMIT, seconds(silent), before, Some(Look { activity, usage }))
    }

    #[test]
    fn who_could_have_spoken_hangs_and_who_could_not_is_waited_for() {
        assert_eq!(judged(Activity::Stopped, 1, 0, 0), Verdict::Hangs("it is stopped"));
        assert_eq!(judged(Activity::Sleeping, 1, 0, 0), Verdict::Hangs("it waits for something"));
        assert_eq!(judged(Activity::Runnable, 1, 1, 0), Verdict::Hangs("it runs without end"));
        // Nine of ten seconds it was not let run.
        assert_eq!(judged(Activity::Sleeping, 10, 0, 10), Verdict::Wait(LIMIT));
        assert_eq!(judged(Activity::Runnable, 10, 0, 0), Verdict::Wait(LIMIT));
        assert_eq!(judged(Activity::Runnable, 10, 1, 9), Verdict::Hangs("it runs without end"));
        assert_eq!(judged(Activity::Disk, 4, 0, 0), Verdict::Wait(LIMIT));
        assert_eq!(judged(Activity::Disk, 5, 0, 0), Verdict::Hangs("it waits for a disk"));
        assert_eq!(judge(LIMIT, seconds(9), Usage::default(), None), Verdict::Wait(LIMIT));
    }

    #[test]
    fn kills_that_do_not_help_make_patient_until_they_are_forgotten() {
        let look = |activity| Some(Look { activity, usage: Usage::default() });
        let (runs, stopped) = (look(Activity::Runnable), look(Activity::Stopped));
        let (mut leniency, now) = (Leniency::default(), Instant::now());
        assert_eq!(leniency.limit(LIMIT, runs, now), LIMIT);
        leniency.killed(stopped, now);
        assert_eq!(leniency.limit(LIMIT, runs, now), LIMIT, "a stopped one is no sign");
        leniency.killed(runs, now);
        leniency.killed(None, now);
        assert_eq!(leniency.limit(LIMIT, runs, now), 4 * LIMIT);
        assert_eq!(leniency.limit(LIMIT, stopped, now), LIMIT);
        (0..20).for_each(|_| leniency.killed(runs, now));
        assert_eq!(leniency.limit(LIMIT, runs, now), 32 * LIMIT);
        assert_eq!(leniency.limit(LIMIT, runs, now + 2 * Leniency::FORGOTTEN), 8 * LIMIT);
        assert_eq!(leniency.limit(LIMIT, runs, now + 100 * Leniency::FORGOTTEN), LIMIT);
    }

    #[test]
    fn the_first_word_is_waited_for_unless_the_process_is_stopped() {
        let start = seconds(30);
        let look = |activity| Some(Look { activity, usage: Usage::default() });
        for activity in [Activity::Runnable, Activity::Sleeping, Activity::Disk] {
            assert_eq!(patience(LIMIT, start, false, look(activity)), start);
            assert_eq!(patience(LIMIT, start, true, look(activity)), LIMIT);
        }
        assert_eq!(patience(LIMIT, start, false, look(Activity::Stopped)), LIMIT);
        assert_eq!(patience(LIMIT, start, false, None), start);
    }

    #[test]
    fn a_process_is_looked_at() {
        let own = look(rustix::process::getpid()).unwrap();
        assert_ne!(own.activity, Activity::Stopped);
        assert!(own.usage.ran > Duration::ZERO, "{own:?}");
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
        while look(pid).unwrap().activity != Activity::Stopped {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(look(pid).is_err());
    }

    proptest! {
        #[test]
        fn a_look_never_comes_sooner_than_it_is_worth_nor_later_than_the_limit(
            silent in 0u64..100, ran in 0u64..100, queued in 0u64..100,
        ) {
            for activity in [Activity::Runnable, Activity::Sleeping, Activity::Disk, Activity::Stopped] {
                if let Verdict::Wait(next) = judged(activity, silent, ran, queued) {
                    prop_assert!(next >= LIMIT / LOOKS && next <= LIMIT);
                }
            }
        }

        #[test]
        fn any_text_is_read(text in ".*") {
            activity(&text);
            parse_usage(&text);
        }
    }
}

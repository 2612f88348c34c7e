//! What a run came to, as a table: faults injected, noticed, recovered, time, and what became of the users.

use crate::ledger::{Ledger, Wrong};
use crate::memory::Used;
use crate::plan::{Kind, SERVICES, Target};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// The faults of one target.
#[derive(Clone, Debug, Default)]
struct Row {
    kills: usize,
    hangs: usize,
    pauses: usize,
    restarts: usize,
    /// The supervisor counted a restart.
    noticed: usize,
    /// The next call of a client had a true answer.
    recovered: usize,
    /// From each kill to that answer.
    times: Vec<Duration>,
}

impl Row {
    fn add(&mut self, other: &Self) {
        self.kills += other.kills;
        self.hangs += other.hangs;
        self.pauses += other.pauses;
        self.restarts += other.restarts;
        self.noticed += other.noticed;
        self.recovered += other.recovered;
        self.times.extend(&other.times);
    }

    fn line(&self, name: &str) -> String {
        let mut times = self.times.clone();
        times.sort_unstable();
        let time = |percent| percentile(&times, percent).map_or("-".to_owned(), |time| format!("{:.0}", ms(time)));
        format!(
            "{name:<14}{:>6}{:>6}{:>7}{:>9}{:>10}{:>11}{:>8}{:>6}{:>6}\n",
            self.kills,
            self.hangs,
            self.pauses,
            self.restarts,
            self.noticed,
            self.recovered,
            time(50),
            time(99),
            time(100)
        )
    }
}

/// The smallest of the sorted values that so many percent do not exceed.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The counts of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(BTreeMap<&'static str, Row>);

impl Tally {
    /// A fault is done to a target.
    pub(crate) fn injected(&mut self, kind: Kind, target: Target) {
        let row = self.0.entry(target.name()).or_default();
        match kind {
            Kind::Kill => row.kills += 1,
            Kind::Hang => row.hangs += 1,
            Kind::Pause(_) => row.pauses += 1,
            Kind::Restart => row.restarts += 1,
        }
    }

    /// The supervisor has counted it.
    pub(crate) fn noticed(&mut self, target: Target) {
        self.0.entry(target.name()).or_default().noticed += 1;
    }

    /// The target serves again, after so long.
    pub(crate) fn recovered(&mut self, kind: Kind, target: Target, time: Duration) {
        let row = self.0.entry(target.name()).or_default();
        row.recovered += 1;
        if kind == Kind::Kill {
            row.times.push(time);
        }
    }

    /// The faults, by target.
    pub(crate) fn table(&self) -> String {
        let mut table = format!(
            "{:<14}{:>28}{:>10}{:>11}{:>20}\n{:<14}{:>6}{:>6}{:>7}{:>9}{:>10}{:>11}{:>8}{:>6}{:>6}\n",
            "",
            "faults injected",
            "noticed",
            "recovered",
            "ms to recover",
            "",
            "kill",
            "hang",
            "pause",
            "restart",
            "",
            "",
            "p50",
            "p99",
            "max"
        );
        let mut sum = Row::default();
        for name in SERVICES.into_iter().chain(["supervisor", "keeper", "all at once", "shim"]) {
            if let Some(row) = self.0.get(name) {
                table += &row.line(name);
                sum.add(row);
            }
        }
        table + &sum.line("all faults")
    }
}

/// What became of those who used cctl.
pub(crate) fn users(ledger: &Ledger) -> String {
    let count = |wrong| ledger.count(wrong);
    let mut text = String::new();
    let mut line = |what: &str, said: String| writeln!(text, "{what:<22}{said}").expect("a string");
    line("user commands", format!("{} run, {} failed", ledger.commands(), count(Wrong::Command)));
    line("containers", format!("{} disturbed", count(Wrong::Container)));
    line("log lines", format!("{} lost, {} repeated", count(Wrong::Lost), count(Wrong::Repeated)));
    line("connections", format!("{} reset, refused or wrong", count(Wrong::Connection)));
    line("services", format!("{} not recovered", count(Wrong::Recovery)));
    line("leaks", count(Wrong::Leak).to_string());
    text
}

/// What our processes used at two times.
pub(crate) fn memory(before: &BTreeMap<String, Used>, after: &BTreeMap<String, Used>) -> String {
    let mut text = "memory, KiB (descriptors)\n".to_owned();
    for (name, used) in before {
        let now = after.get(name).map_or("-".to_owned(), |now| format!("{:>6} ({})", now.pss, now.descriptors));
        writeln!(text, "  {name:<14}{:>6} ({:>3})  ->  {now}", used.pss, used.descriptors).expect("a string");
    }
    text
}

#[test]
fn percentiles_are_values_that_were_measured() {
    let times: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
    assert_eq!(percentile(&times, 50), Some(Duration::from_millis(100)));
    assert_eq!(percentile(&times, 99), Some(Duration::from_millis(198)));
    assert_eq!(percentile(&times, 100), Some(Duration::from_millis(200)));
    assert_eq!(percentile(&times[..1], 50), Some(Duration::from_millis(1)));
    assert_eq!(percentile(&[], 50), None);
}

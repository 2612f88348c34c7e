//! What containers use, in a list.

use super::listing::{Headings, Listing};
use super::size::{memory, stored};
use crate::error::Result;
use schema::containers::Summary;
use schema::executor::Stats;
use serde::Serialize;

const HEADINGS: &Headings = &[
    ("ID", "CONTAINER ID"),
    ("Container", "CONTAINER"),
    ("Name", "NAME"),
    ("CPUPerc", "CPU %"),
    ("MemUsage", "MEM USAGE / LIMIT"),
    ("MemPerc", "MEM %"),
    ("NetIO", "NET I/O"),
    ("BlockIO", "BLOCK I/O"),
    ("PIDs", "PIDS"),
];
const SHOWN: [&str; 8] = ["ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"];

/// A container, and what it used at two times.
#[derive(Clone, Copy)]
pub(crate) struct Sample<'a> {
    pub(crate) container: &'a Summary,
    pub(crate) before: Option<Stats>,
    /// None: it does not run.
    pub(crate) now: Option<Stats>,
}

/// How much of each id is shown.
#[derive(Clone, Copy)]
pub(crate) struct View {
    pub(crate) whole: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    #[serde(rename = "Container")]
    container: &'a str,
    #[serde(rename = "Name")]
    name: &'a str,
    #[serde(rename = "CPUPerc")]
    cpu: String,
    #[serde(rename = "MemUsage")]
    memory: String,
    #[serde(rename = "MemPerc")]
    memory_share: String,
    #[serde(rename = "NetIO")]
    network: String,
    #[serde(rename = "BlockIO")]
    block: String,
    #[serde(rename = "PIDs")]
    pids: String,
}

impl View {
    /// The containers in a list.
    pub(crate) fn listing(self, samples: &[Sample<'_>]) -> Result<Listing> {
        let mut listing = Listing::new(HEADINGS, SHOWN);
        for sample in samples {
            listing.push(&self.line(sample))?;
        }
        Ok(listing)
    }

    fn line<'a>(self, sample: &Sample<'a>) -> Line<'a> {
        let container = sample.container;
        let stats = sample.now.unwrap_or_default();
        let id = if self.whole { container.id.as_str() } else { container.id.short() };
        Line {
            id,
            container: id,
            name: &container.name,
            cpu: format!("{:.2}%", cpu(sample)),
            memory: format!("{} / {}", memory(stats.memory), memory(stats.memory_limit)),
            memory_share: format!("{:.2}%", share(stats.memory, stats.memory_limit)),
            network: format!("{} / {}", stored(stats.received), stored(stats.sent)),
            block: format!("{} / {}", stored(stats.block_read), stored(stats.block_written)),
            pids: stats.pids.to_string(),
        }
    }
}

/// Hundredths of a CPU that it had between the samples.
fn cpu(sample: &Sample<'_>) -> f64 {
    let (Some(before), Some(now)) = (sample.before, sample.now) else { return 0.0 };
    let passed = u64::try_from(now.at.saturating_sub(before.at)).unwrap_or(0);
    share(now.cpu_ns.saturating_sub(before.cpu_ns), passed)
}

/// A part in hundredths of a whole.
fn share(part: u64, whole: u64) -> f64 {
    // Four digits are shown: what a float drops does not matter.
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Format, list_format};
    use crate::render::container::tests::summary;

    #[test]
    fn docker_s_columns() {
        let container = summary();
        let before = Stats { at: 1_000_000_000, cpu_ns: 0, ..Stats::default() };
        let now = Stats {
            at: 2_000_000_000,
            cpu_ns: 1_500_000_000,
            memory: 32 << 20,
            memory_limit: 64 << 20,
            pids: 2,
            received: 1500,
            ..Stats::default()
        };
        let running = Sample { container: &container, before: Some(before), now: Some(now) };
        let listing = View { whole: false }.listing(&[running, Sample { now: None, ..running }]).unwrap();
        let table = listing.render(&Format::Table).unwrap();
        let rows: Vec<String> =
            table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(rows[0], "CONTAINER ID NAME CPU % MEM USAGE / LIMIT MEM % NET I/O BLOCK I/O PIDS");
        assert_eq!(rows[1], "abababababab web 150.00% 32MiB / 64MiB 50.00% 1.5kB / 0B 0B / 0B 2");
        assert_eq!(rows[2], "abababababab web 0.00% 0B / 0B 0.00% 0B / 0B 0B / 0B 0");
        assert_eq!(listing.render(&list_format("{{.Name}}").unwrap()).unwrap(), "web\nweb\n");
    }
}

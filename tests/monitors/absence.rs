//! The log collector is away for long, or stuck: no container waits for it, and nothing is missing.

use crate::{counts, monitors, signal};
use harness::{Instance, eventually};
use rustix::fs::{FlockOperation, flock};
use rustix::process::Signal;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Bytes of a line, and lines of a piece; a piece each 10 ms makes 10 MB/s.
const LINE: usize = 100;
const PIECE: usize = 1000;
const PACE: Duration = Duration::from_millis(10);
/// What a container may be held up at most.
const MOST: Duration = Duration::from_millis(100);

fn parent(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(')').unwrap().1.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn lines(numbers: std::ops::Range<usize>) -> Vec<u8> {
    numbers.flat_map(|number| format!("{number:>width$}\n", width = LINE - 1).into_bytes()).collect()
}

/// Writes as a container does, for so long: how many lines, and the longest that one piece has taken.
fn write_for(fifo: &Path, time: Duration, from: usize) -> (usize, Duration) {
    let mut fifo = File::options().write(true).open(fifo).unwrap();
    let (began, mut next, mut longest) = (Instant::now(), from, Duration::ZERO);
    let mut due = began;
    while began.elapsed() < time {
        let piece = lines(next..next + PIECE);
        let before = Instant::now();
        fifo.write_all(&piece).unwrap();
        longest = longest.max(before.elapsed());
        next += PIECE;
        due += PACE;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    (next, longest)
}

/// Keeps the services from being started again, and the collector from working.
struct Absence {
    stopped: Vec<i32>,
}

impl Absence {
    fn begin(cctl: &Instance, with: Signal, id: &str) -> Self {
        let (supervisor, collector) = (cctl.pid("supervisor"), cctl.pid("log-collector"));
        let keeper = parent(supervisor);
        [keeper, supervisor].into_iter().for_each(|pid| signal(pid, Signal::STOP));
        signal(collector, with);
        let lock = cctl.runtime().join("sandboxes").join(id).join("take.lock");
        // Stopped in the middle of its turn, it would hold up the container until it is killed for that.
        eventually("it is not in the middle of a turn", || {
            let free = flock(File::open(&lock).unwrap(), FlockOperation::NonBlockingLockExclusive).is_ok();
            if !free {
                signal(collector, Signal::CONT);
                thread::sleep(Duration::from_millis(1));
                signal(collector, with);
            }
            free.then_some(())
        });
        Self { stopped: vec![collector, supervisor, keeper] }
    }

    fn end(self) {
        self.stopped.into_iter().for_each(|pid| signal(pid, Signal::CONT));
    }
}

fn logged(cctl: &Instance, id: &str, last: usize) {
    let text = eventually("all is in the log", || {
        let output = cctl.cctl(&["logs", "--tail", "1", id]);
        (output.code == 0 && output.stdout.trim() == (last - 1).to_string())
            .then_some(())
            .map(|()| cctl.cctl(&["logs", id]).stdout)
    });
    assert_eq!(text.lines().count(), last - 1);
    for (line, number) in text.lines().zip(1..) {
        assert_eq!(line.trim_start(), number.to_string(), "a gap or a repeat");
    }
}

#[test]
fn a_collector_that_is_away_holds_up_nobody() {
    let cctl = Instance::start();
    let run = ["run", "-d", "--log-opt", "max-size=100m", "--log-opt", "max-file=10", "base", "sleep", "1000"];
    for (with, kills) in [(Signal::KILL, false), (Signal::STOP, false), (Signal::STOP, true)] {
        let id = cctl.cctl(&run).ok();
        let fifo = cctl.runtime().join("sandboxes").join(&id).join("stdout");
        let (next, _) = write_for(&fifo, Duration::from_millis(500), 1);
        let absence = Absence::begin(&cctl, with, &id);
        let writer = thread::spawn(move || write_for(&fifo, Duration::from_secs(8), next));
        while kills && !writer.is_finished() {
            // The executor is there.
            monitors(&cctl).into_iter().for_each(|pid| signal(pid, Signal::KILL));
            thread::sleep(Duration::from_millis(200));
        }
        let (next, longest) = writer.join().unwrap();
        absence.end();
        println!("away by {with:?}, monitors killed: {kills}: {next} lines, {longest:?} at the longest");
        let fifo = cctl.runtime().join("sandboxes").join(&id).join("stdout");
        let (next, _) = write_for(&fifo, Duration::from_millis(500), next);
        logged(&cctl, &id, next);
        assert!(kills || longest < MOST, "{longest:?}");
        cctl.cctl(&["rm", "-f", &id]).ok();
    }
}

#[test]
fn what_is_beyond_the_bound_waits_or_is_counted() {
    let cctl = Instance::start();
    let options = ["--log-opt", "max-size=1m", "--log-opt", "max-file=2"];
    for mode in ["block", "drop"] {
        let mode = format!("mode={mode}");
        let run = [&["run", "-d", "--log-opt", &mode][..], &options, &["base", "sleep", "1000"]].concat();
        let id = cctl.cctl(&run).ok();
        let fifo = cctl.runtime().join("sandboxes").join(&id).join("stdout");
        let absence = Absence::begin(&cctl, Signal::KILL, &id);
        let path = fifo.clone();
        let writer = thread::spawn(move || write_for(&path, Duration::from_secs(3), 1));
        thread::sleep(Duration::from_secs(4));
        let waits = !writer.is_finished();
        absence.end();
        let (next, longest) = writer.join().unwrap();
        println!("{mode}: {next} lines, {longest:?} at the longest");
        assert_eq!(waits, mode == "mode=block", "{longest:?}");
        let mut last = write_for(&fifo, Duration::from_millis(1), next).0 - 1;
        eventually("the last line is in the log", || {
            let output = cctl.cctl(&["logs", "--tail", "1", &id]);
            let is_there = output.stdout.trim() == last.to_string();
            // In mode `drop` it may be lost while the log takes over what was spilled: then the next one is the last.
            if !is_there && mode == "mode=drop" {
                last = write_for(&fifo, Duration::from_millis(1), last + 1).0 - 1;
            }
            is_there.then_some(())
        });
        cctl.cctl(&["rm", "-f", &id]).ok();
    }
}

#[test]
fn a_terminal_goes_on_while_the_collector_is_away() {
    let cctl = Instance::start();
    let script = "i=0; while [ $i -lt 300000 ]; do echo $((i=i+1)); done; echo end > /done; sleep 1000";
    let id = cctl.cctl(&["run", "-d", "-t", "base", "sh", "-c", script]).ok();
    let absence = Absence::begin(&cctl, Signal::KILL, &id);
    let done = eventually("it writes on", || {
        let pid = std::fs::read_to_string(cctl.runtime().join("sandboxes").join(&id).join("sandbox.json")).unwrap();
        let record: serde_json::Value = serde_json::from_str(&pid).unwrap();
        let first = record["first"]["pid"].as_i64().unwrap();
        std::path::PathBuf::from(format!("/proc/{first}/root/done")).exists().then_some(true)
    });
    assert!(done);
    absence.end();
    let text = eventually("all is in the log", || {
        let text = cctl.cctl(&["logs", &id]).stdout;
        (text.lines().count() == 300_000).then_some(text)
    });
    counts(&text, 300_000);
    cctl.cctl(&["rm", "-f", &id]).ok();
}

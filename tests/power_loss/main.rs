//! The power goes while cctl works. Whatever the disk had written of what it was told: cctl comes up, all that was
//! acknowledged is there, and every object is whole or absent.
//!
//! The state of an instance is on a filesystem on a loop device, whose file is served by us (FUSE): so each write
//! and each flush is known. For each of many moments the disk is built as a power cut then leaves it: what was
//! flushed, and none, some or all blocks of what was not. The kernel mounts it, which replays the journal, and an
//! instance is started on it, in another boot of the host.
//!
//! `POWER_LOSS_CUTS` says how many moments of each filesystem are tried; `all`: all of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod check;
mod disk;
mod fuse;
mod scenario;

use disk::{Disk, Luck, Recording};
use fuse::Shelf;
use harness::{Boot, Instance, Random, Registry, within};
use rustix::mount::{UnmountFlags, unmount};
use scenario::{Step, World};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Moments that are tried unless more are asked for.
const CUTS: usize = 24;

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
}

/// A filesystem on a disk, mounted where an instance has its state.
struct Mounted(PathBuf);

impl Mounted {
    fn new(file: &Path, at: PathBuf, options: &str) -> Self {
        fs::create_dir_all(&at).unwrap();
        let options = if options.is_empty() { "loop".to_owned() } else { format!("loop,{options}") };
        run("mount", &["-o", &options, file.to_str().unwrap(), at.to_str().unwrap()]);
        Self(at)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // The loop device goes with it. The last process of ours is gone a moment after it said so.
        let unmounted = within(Duration::from_secs(10), || unmount(&self.0, UnmountFlags::empty()).ok());
        assert!(unmounted.is_some() || std::thread::panicking(), "{} stays busy", self.0.display());
    }
}

/// A kind of filesystem.
struct Kind {
    make: &'static [&'static str],
    size: &'static str,
    options: &'static str,
}

/// An archive of the image that is used: the base image, and files that are named by their content.
fn archive(scratch: &Path) -> Vec<u8> {
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/base-image");
    let script = "mkdir -p \"$1/tree/data\" && cd \"$1/tree\" && \"$2\" | tar -x && cd data && \
        for n in 1 100 5000 70000 300000; do seq $n > f; mv f $(sha256sum < f | cut -d ' ' -f 1); done; \
        cd .. && tar -c . ; rm -rf \"$1/tree\"";
    let output = Command::new("sh").args(["-c", script, "sh"]).arg(scratch).arg(recipe).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// What happens to the disk during all steps, and what is there after each.
fn record(cctl: &Instance, shelf: &mut Shelf, disk: Disk, steps: &[Step], kind: &Kind) -> (Recording, Vec<World>) {
    let file = shelf.put(disk, true);
    let mounted = Mounted::new(&file, cctl.root(), kind.options);
    cctl.cctl(&["system", "start"]).ok();
    let mut worlds = vec![World::default()];
    shelf.answered(0);
    for (number, (_, act)) in steps.iter().enumerate() {
        let mut world = worlds.last().unwrap().clone();
        act(cctl, &mut world);
        worlds.push(world);
        shelf.answered(number + 1);
    }
    // The disk works on for a moment after the last answer.
    let recording = shelf.take_recording(&file);
    cctl.cctl(&["system", "stop", "--containers"]).ok();
    drop(mounted);
    shelf.take(&file);
    (recording, worlds)
}

/// The moments to try: at flushes and between them, all over the recording.
fn moments(recording: &Recording, wanted: &str) -> Vec<(usize, Luck)> {
    let begin = recording.events.iter().position(|event| matches!(event, disk::Event::Answered(0))).unwrap();
    let flushes: Vec<usize> = recording.flushes().into_iter().filter(|flush| *flush > begin).collect();
    let mut random = Random::new(0x5eed);
    let mut all = Vec::new();
    for (place, flush) in flushes.iter().enumerate() {
        let next = flushes.get(place + 1).copied().unwrap_or(recording.events.len());
        // Just before the next flush the most is at stake.
        all.push((next.saturating_sub(1).max(*flush), Luck::Some(random.draw())));
        all.push((*flush, Luck::None));
        all.push((flush + random.index(next - flush), Luck::Some(random.draw())));
        all.push((flush + random.index(next - flush), Luck::All));
    }
    if wanted == "all" {
        return all;
    }
    let wanted: usize = wanted.parse().expect("POWER_LOSS_CUTS is a number, or `all`");
    let step = (all.len() / wanted.max(1)).max(1);
    // Not always the same of the four.
    (0..wanted.min(all.len())).map(|number| all[(number * step + number % 4) % all.len()]).collect()
}

fn power_cuts(kind: &Kind) {
    let cctl = Instance::prepare();
    let registry = Registry::start();
    let image = cctl.scratch().join("disk");
    fs::File::create(&image).unwrap();
    run("truncate", &["-s", kind.size, image.to_str().unwrap()]);
    run(kind.make[0], &[&kind.make[1..], &[image.to_str().unwrap()]].concat());
    let disk = Disk::read_from(&image).unwrap();
    let steps = scenario::steps(&registry, archive(cctl.scratch()));
    let mut shelf = Shelf::mount(&cctl.scratch().join("disks"));
    let mut boot = Boot::new(cctl.scratch());
    let (recording, worlds) = record(&cctl, &mut shelf, disk, &steps, kind);
    let wanted = std::env::var("POWER_LOSS_CUTS").unwrap_or_else(|_| CUTS.to_string());
    let moments = moments(&recording, &wanted);
    let (events, flushes) = (recording.events.len(), recording.flushes().len());
    println!("{}: {events} events, {flushes} flushes, {} moments", kind.make[0], moments.len());
    let mut failures = Vec::new();
    for (moment, luck) in moments {
        let answered = recording.answered(moment);
        fs::remove_dir_all(cctl.runtime()).unwrap();
        boot.next();
        let file = shelf.put(recording.cut(moment, luck), false);
        let mounted = Mounted::new(&file, cctl.root(), kind.options);
        let under_way = steps.get(answered).map_or("the end", |(name, _)| name);
        let (before, after) = (&worlds[answered], worlds.get(answered + 1).unwrap_or(&worlds[answered]));
        let wrong = check::after_power_cut(&cctl, before, after);
        if !wrong.is_empty() {
            let logs = cctl.logs();
            failures.push(format!("event {moment}, {luck:?}, during {under_way}: {wrong:#?}\n{logs}"));
            println!("FAILED {}", failures.last().unwrap());
        }
        drop(mounted);
        shelf.take(&file);
    }
    drop(boot);
    drop(shelf);
    assert!(failures.is_empty(), "{} moments failed", failures.len());
}

#[test]
fn ext4_after_power_cuts() {
    let make = &["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", "-F"];
    power_cuts(&Kind { make, size: "192M", options: "commit=1" });
}

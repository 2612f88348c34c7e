//! What a container uses, and its processes: from its cgroups where they tell, from /proc where they do not. Blocks.

use crate::clock::Clock;
use crate::host::Host;
use crate::procfs::{self, Stat, Status};
use crate::sandbox::running::Running;
use crate::users;
use rustix::process::Pid;
use rustix::thread::sched_getaffinity;
use schema::Failure;
use schema::executor::{Process, Stats};
use std::collections::HashMap;
use std::fs;

/// Bytes of a process's arguments that are told.
const LONGEST_COMMAND: u64 = 4096;
/// The same, if there are more processes than that: an answer stays small, whatever a container does.
const SHORT_COMMAND: u64 = 64;
const MANY: usize = 1000;

fn clock() -> Result<Clock, Failure> {
    Clock::read().map_err(|error| Failure::io("reading the clocks", &error))
}

/// What it has used and uses.
pub(crate) fn stats(host: &Host, running: &Running) -> Result<Stats, Failure> {
    let usage = host.cgroups.usage(&running.id);
    let first = running.first.pid;
    let total = procfs::host_memory().map_err(|error| Failure::io("reading /proc/meminfo", &error))?;
    let all = Survey::new(host, running);
    let (received, sent) = if running.host_network { (0, 0) } else { procfs::network(first) };
    let (block_read, block_written) = usage.block.unwrap_or_else(|| all.block());
    let clock = clock()?;
    Ok(Stats {
        at: clock.now,
        cpu_ns: usage.cpu_ns.unwrap_or_else(|| clock.nanoseconds(all.ticks())),
        memory: usage.memory.unwrap_or_else(|| all.memory()),
        memory_limit: usage.memory_limit.map_or(total, |limit| limit.min(total)),
        pids: usage.pids.unwrap_or_else(|| all.tasks()),
        block_read,
        block_written,
        received,
        sent,
        cpus: cpus(first)?,
        oom_kills: host.cgroups.oom_kills(&running.id),
    })
}

fn cpus(pid: i32) -> Result<u32, Failure> {
    let set = sched_getaffinity(Pid::from_raw(pid));
    set.map(|set| set.count()).map_err(|error| Failure::io("asking for the CPUs of a process", &error.into()))
}

/// Its processes, in the order of their ids.
pub(crate) fn processes(host: &Host, running: &Running) -> Result<Vec<Process>, Failure> {
    let clock = clock()?;
    // The host need not have one.
    let names = users::names(&fs::read_to_string("/etc/passwd").unwrap_or_default());
    let survey = Survey::new(host, running);
    let longest = if survey.0.len() > MANY { SHORT_COMMAND } else { LONGEST_COMMAND };
    Ok(survey.0.into_iter().filter_map(|stat| describe(&stat, &clock, &names, longest)).collect())
}

/// None if it has ended meanwhile.
fn describe(stat: &Stat, clock: &Clock, names: &HashMap<u32, String>, longest: u64) -> Option<Process> {
    let status = Status::read(stat.pid);
    let uid = u32::try_from(status.number("Uid:")?).ok()?;
    let command = procfs::command(stat.pid, longest);
    let cpu_ns = clock.nanoseconds(stat.own_ticks);
    let lived = clock.since(stat.start).max(1);
    Some(Process {
        pid: stat.pid,
        parent: stat.parent,
        uid,
        user: names.get(&uid).cloned().unwrap_or_else(|| uid.to_string()),
        cpu_ns,
        started_at: clock.time(stat.start),
        terminal: stat.terminal_name(),
        command: if command.is_empty() { format!("[{}]", stat.name) } else { command },
        state: stat.state.clone(),
        // A zombie has none.
        memory: status.number("VmRSS:").unwrap_or(0) * 1024,
        cpu_permille: u32::try_from(u128::from(cpu_ns) * 1000 / u128::from(lived)).unwrap_or(u32::MAX),
    })
}

/// The processes of a container.
struct Survey(Vec<Stat>);

impl Survey {
    fn new(host: &Host, running: &Running) -> Self {
        let mut pids = host.cgroups.processes(&running.id);
        if pids.is_empty() {
            // This host has no cgroup for every container.
            pids = procfs::peers(running.first.pid);
            pids.sort_unstable();
        }
        Self(pids.into_iter().filter_map(Stat::read).collect())
    }

    /// Those of children that have ended count, when their parent has noticed that.
    fn ticks(&self) -> u64 {
        self.0.iter().map(|stat| stat.own_ticks.saturating_add(stat.children_ticks)).sum()
    }

    /// Pages that several processes share are counted once.
    fn memory(&self) -> u64 {
        self.0.iter().filter_map(|stat| kit::process::memory(stat.pid).ok()).sum()
    }

    fn tasks(&self) -> u64 {
        self.0.iter().map(|stat| stat.threads).sum()
    }

    fn block(&self) -> (u64, u64) {
        let all = self.0.iter().filter_map(|stat| procfs::block(stat.pid));
        all.fold((0, 0), |(read, written), (more, also)| (read + more, written + also))
    }
}

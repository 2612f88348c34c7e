//! What the processes of this instance hold, by the kernel's word, beside what the manifest leaves to them.

use crate::landlock;
use crate::launch::Launcher;
use crate::privileges::Network;
use kit::users::User;
use schema::Instance;
use schema::capability;
use schema::supervisor::Held;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Namespaces that a process may have of its own.
const NAMESPACES: [&str; 7] = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];

/// The mode of seccomp(2) in which there is a filter.
const FILTERED: &str = "2";

/// What the manifest leaves to a service.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    service: String,
    user: User,
    /// None: all.
    capabilities: Option<u64>,
    new_privileges: bool,
    /// Whether its system calls are filtered.
    filtered: bool,
    /// Whether rules of Landlock hold for it.
    landlocked: bool,
    /// By which version, 0 if by none: the kernel tells nobody.
    landlock: u32,
    /// Namespaces that have to be its own.
    own: Vec<&'static str>,
}

impl Grant {
    /// What a service is started with.
    pub(crate) fn of(launcher: &Launcher, landlock: u32) -> Self {
        let (definition, user) = (&launcher.plan.definition, launcher.user());
        let own = [("mnt", user.is_some()), ("net", definition.network == Network::None)];
        Self {
            service: definition.name.clone(),
            user: user.unwrap_or(User::ROOT),
            capabilities: (!definition.capabilities.are_all()).then_some(definition.capabilities.0),
            new_privileges: definition.new_privileges,
            filtered: definition.calls().is_some(),
            landlocked: definition.is_landlocked(),
            landlock,
            own: own.into_iter().filter_map(|(kind, own)| own.then_some(kind)).collect(),
        }
    }

    /// What a process of the service has beyond that. Pure.
    fn excess(&self, held: &Held, set: u64) -> Vec<String> {
        let mut excess = Vec::new();
        if held.uid != self.user.uid || held.gid != self.user.gid {
            let (uid, gid) = (self.user.uid, self.user.gid);
            excess.push(format!("it runs as {}:{}, not as {uid}:{gid}", held.uid, held.gid));
        }
        let beyond = set & !self.capabilities.unwrap_or(u64::MAX);
        if beyond != 0 {
            excess.push(format!("it has {}", capability::names(beyond).join(", ")));
        }
        if !held.no_new_privileges && !self.new_privileges {
            excess.push("it may gain privileges by executing a program".to_owned());
        }
        if !held.seccomp && self.filtered {
            excess.push("its system calls are not filtered".to_owned());
        }
        for kind in &self.own {
            if !held.namespaces.iter().any(|namespace| namespace == kind) {
                excess.push(format!("it is in the supervisor's {kind} namespace"));
            }
        }
        let socket = format!("{}.sock", self.service);
        if self.user != User::ROOT
            && let Some(other) = held.listens.iter().find(|name| **name != socket)
        {
            excess.push(format!("it listens on {other}"));
        }
        excess
    }

    /// What is to hold a process of the service, and does not. Pure.
    fn lacks(&self, kernel: Result<u32, &str>) -> Vec<String> {
        if !self.landlocked || self.landlock > 0 {
            return Vec::new();
        }
        let why = kernel.err().unwrap_or("it was started when the kernel had no Landlock");
        vec![format!("no rules of Landlock: {why}")]
    }
}

/// Looks at the supervisor, its keeper, the processes of services, and all monitors. Those that end meanwhile are left
/// out. Blocks.
pub(crate) fn audit(instance: &Instance, services: &[(i32, Grant)]) -> io::Result<Vec<Held>> {
    let host = Host::look()?;
    let mut found = Vec::new();
    let own = [
        ("supervisor", rustix::process::getpid()),
        ("keeper", rustix::process::getppid().unwrap_or(rustix::process::Pid::INIT)),
    ];
    for (name, pid) in own {
        found.extend(host.held(pid.as_raw_nonzero().get(), name.to_owned()).map(|(held, _)| held));
    }
    for (pid, grant) in services {
        if let Some((held, set)) = host.held(*pid, grant.service.clone()) {
            let (excess, lacks) = (grant.excess(&held, set), grant.lacks(landlock::version()));
            found.push(Held { landlock: grant.landlock, excess, lacks, ..held });
        }
    }
    for (pid, id) in monitors(instance)? {
        found.extend(host.held(pid, format!("monitor {id}")).map(|(held, _)| held));
    }
    Ok(found)
}

/// What is the same for all.
struct Host {
    namespaces: HashMap<&'static str, PathBuf>,
    /// Listening sockets, by their inodes.
    sockets: HashMap<String, String>,
}

impl Host {
    fn look() -> io::Result<Self> {
        let own = |kind| Ok((kind, fs::read_link(format!("/proc/self/ns/{kind}"))?));
        let namespaces = NAMESPACES.into_iter().map(own).collect::<io::Result<_>>()?;
        let sockets = unix(&fs::read_to_string("/proc/self/net/unix")?);
        Ok(Self { namespaces, sockets })
    }

    /// What a process holds, and its capabilities; none: it has ended.
    fn held(&self, pid: i32, process: String) -> Option<(Held, u64)> {
        let directory = PathBuf::from(format!("/proc/{pid}"));
        let mut threads = Vec::new();
        for thread in fs::read_dir(directory.join("task")).ok()?.flatten() {
            threads.extend(fs::read_to_string(thread.path().join("status")).ok().and_then(|text| Thread::parse(&text)));
        }
        let first = *threads.first()?;
        let set = threads.iter().fold(0, |set, thread| set | thread.capabilities);
        // A thread that is somebody else is what is worth to be shown.
        let shown = threads.iter().find(|thread| thread.uid == 0).copied().unwrap_or(first);
        let namespaces = NAMESPACES.into_iter().filter(|kind| {
            fs::read_link(directory.join("ns").join(kind)).is_ok_and(|own| Some(&own) != self.namespaces.get(kind))
        });
        let held = Held {
            process,
            pid,
            uid: shown.uid,
            gid: shown.gid,
            capabilities: capability::names(set),
            no_new_privileges: threads.iter().all(|thread| thread.no_new_privileges),
            seccomp: threads.iter().all(|thread| thread.seccomp),
            namespaces: namespaces.map(str::to_owned).collect(),
            landlock: 0,
            listens: self.listens(&directory),
            excess: Vec::new(),
            lacks: Vec::new(),
        };
        Some((held, set))
    }

    fn listens(&self, process: &Path) -> Vec<String> {
        let mut network = HashMap::new();
        for file in ["tcp", "tcp6"] {
            network.extend(tcp(&fs::read_to_string(process.join("net").join(file)).unwrap_or_default()));
        }
        let open = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        let links = open.filter_map(|entry| fs::read_link(entry.path()).ok());
        let inodes =
            links.filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()));
        let mut names: Vec<String> =
            inodes.filter_map(|inode| self.sockets.get(&inode).or_else(|| network.get(&inode)).cloned()).collect();
        names.sort();
        names.dedup();
        names
    }
}

/// What /proc says of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Thread {
    uid: u32,
    gid: u32,
    /// Those that it has, and those that it would have after executing something.
    capabilities: u64,
    no_new_privileges: bool,
    seccomp: bool,
}

impl Thread {
    fn parse(status: &str) -> Option<Self> {
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let id = |name| field(name)?.split_ascii_whitespace().nth(1)?.parse().ok();
        let set = |name| u64::from_str_radix(field(name)?.trim(), 16).ok();
        let (uid, gid): (u32, u32) = (id("Uid")?, id("Gid")?);
        let own = set("CapPrm")? | set("CapEff")? | set("CapAmb")?;
        // Root gets what is in its bounding set when it executes a program.
        let capabilities = own | if uid == 0 { set("CapBnd")? } else { set("CapInh")? };
        let no_new_privileges = field("NoNewPrivs")?.trim() == "1";
        let seccomp = field("Seccomp").is_some_and(|mode| mode.trim() == FILTERED);
        Some(Self { uid, gid, capabilities, no_new_privileges, seccomp })
    }
}

/// The listening unix sockets, from /proc/net/unix: their inodes, and the file names that they are bound to.
fn unix(table: &str) -> HashMap<String, String> {
    const LISTENS: u32 = 1 << 16;
    let sockets = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, _, _, flags, _, _, inode, path, ..] = *fields else { return None };
        let listens = u32::from_str_radix(flags, 16).ok()? & LISTENS != 0;
        let name = path.rsplit('/').next().unwrap_or(path);
        listens.then(|| (inode.to_owned(), name.to_owned()))
    });
    sockets.collect()
}

/// The listening TCP sockets, from /proc/net/tcp and tcp6: their inodes, and their ports.
fn tcp(table: &str) -> HashMap<String, String> {
    const LISTENS: &str = "0A";
    let sockets = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        let port = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
        (*state == LISTENS).then(|| ((*inode).to_owned(), format!("tcp {port}")))
    });
    sockets.collect()
}

/// The monitors of the instance, and the short ids of what they watch over. A monitor has its sandbox's directory
/// open as its standard input.
fn monitors(instance: &Instance) -> io::Result<Vec<(i32, String)>> {
    let Ok(sandboxes) = fs::canonicalize(instance.sandboxes()) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(directory) = fs::read_link(entry.path().join("fd/0")) else { continue };
        if directory.parent() != Some(&sandboxes) {
            continue;
        }
        let id = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        found.push((pid, id.get(..12).map(str::to_owned).unwrap_or(id)));
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\ta\nUid:\t5\t7\t7\t7\nGid:\t6\t8\t8\t8\nCapInh:\t0000000000000001\n\
        CapPrm:\t0000000000000002\nCapEff:\t0000000000000002\nCapBnd:\t00000000000000f0\nCapAmb:\t0000000000000004\n\
        NoNewPrivs:\t1\nSeccomp:\t2\n";

    #[test]
    fn threads_are_read() {
        let thread = Thread { uid: 7, gid: 8, capabilities: 7, no_new_privileges: true, seccomp: true };
        assert_eq!(Thread::parse(STATUS), Some(thread));
        let root = STATUS.replace("\t7\t", "\t0\t");
        assert_eq!(Thread::parse(&root).unwrap().capabilities, 0xf6);
        assert_eq!(Thread::parse("Name:\tx\n"), None);
    }

    #[test]
    fn listening_sockets_are_read() {
        let table = "Num RefCount Protocol Flags Type St Inode Path\n\
            0: 00000002 00000000 00010000 0001 01 11 /proc/self/fd/5/a.sock\n\
            0: 00000002 00000000 00000000 0001 03 12 /run/b.sock\n\
            0: 00000002 00000000 00000000 0001 03 13\n";
        assert_eq!(unix(table), HashMap::from([("11".to_owned(), "a.sock".to_owned())]));
        let table = "  sl  local_address rem_address st\n   0: 0100007F:1F90 00000000:0000 0A 0:0 0:0 0 0 0 21 1\n   \
            1: 0100007F:1F91 00000000:0000 01 0:0 0:0 0 0 0 22 1\n";
        assert_eq!(tcp(table), HashMap::from([("21".to_owned(), "tcp 8080".to_owned())]));
    }

    #[test]
    fn whatever_is_more_than_granted_is_told() {
        let user = User { uid: 7, gid: 8 };
        let grant = Grant {
            service: "a".into(),
            user,
            capabilities: Some(0),
            new_privileges: false,
            filtered: true,
            landlocked: true,
            landlock: 0,
            own: vec!["mnt", "net"],
        };
        let none = "the kernel has no Landlock";
        assert_eq!(grant.lacks(Err(none)), [format!("no rules of Landlock: {none}")]);
        assert_eq!(Grant { landlock: 2, ..grant.clone() }.lacks(Err(none)), [""; 0]);
        assert_eq!(Grant { landlocked: false, ..grant.clone() }.lacks(Err(none)), [""; 0]);
        let held = Held {
            uid: 7,
            gid: 8,
            no_new_privileges: true,
            seccomp: true,
            namespaces: vec!["mnt".into(), "net".into()],
            listens: vec!["a.sock".into()],
            ..Held::default()
        };
        assert_eq!(grant.excess(&held, 0), [""; 0]);
        let much = Held { uid: 0, gid: 0, listens: vec!["tcp 80".into()], ..Held::default() };
        let told = grant.excess(&much, 1 << 21).join("\n");
        for part in ["0:0, not as 7:8", "SYS_ADMIN", "gain", "filtered", "mnt", "net", "tcp 80"] {
            assert!(told.contains(part), "{part}: {told}");
        }
        let all = Grant { user: User::ROOT, capabilities: None, new_privileges: true, filtered: false, ..grant };
        let root = Grant { own: Vec::new(), ..all };
        assert_eq!(root.excess(&much, u64::MAX), [""; 0]);
    }
}

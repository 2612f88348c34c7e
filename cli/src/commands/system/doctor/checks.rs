//! What the facts mean. Pure.

use super::facts::{Facts, Limits, Namespace, Place};
use crate::render::size;
use serde::Serialize;
use std::fmt;

/// What is needed of the kernel: mount_setattr(2) is of 5.12.
const OLDEST_KERNEL: (u32, u32) = (5, 12);
/// Of each namespace a container has one.
const FEW_NAMESPACES: u64 = 1000;
/// Free space below which an image is hardly pulled any more, and below which nothing goes on.
const LITTLE_SPACE: u64 = 1 << 30;
const NO_SPACE: u64 = 64 << 20;

/// How well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Ok,
    /// Containers run, and something is missing or may be in the way.
    Warning,
    /// Containers do not run.
    Problem,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        })
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) check: &'static str,
    pub(super) state: State,
    pub(super) found: String,
    /// Why it matters.
    pub(super) why: String,
    /// The command that mends it; empty if all is well.
    pub(super) mend: String,
}

/// A check, before it has an outcome.
struct Check(&'static str, &'static str);

impl Check {
    fn is(&self, state: State, found: impl Into<String>, mend: impl Into<String>) -> Finding {
        Finding { check: self.0, state, found: found.into(), why: self.1.to_owned(), mend: mend.into() }
    }

    fn ok(&self, found: impl Into<String>) -> Finding {
        self.is(State::Ok, found, "")
    }

    fn warning(&self, found: impl Into<String>, mend: impl Into<String>) -> Finding {
        self.is(State::Warning, found, mend)
    }

    fn problem(&self, found: impl Into<String>, mend: impl Into<String>) -> Finding {
        self.is(State::Problem, found, mend)
    }
}

/// That who has access is as configured, where cctl runs and says that it is not.
pub(super) fn access(wrong: String) -> Finding {
    let check = Check("access", "until it is mended, only root and the group cctl have access");
    check.problem(wrong, "mend what it names: it is read again within a second")
}

/// All checks, in the order in which they are worth reading.
pub(super) fn examine(facts: &Facts) -> Vec<Finding> {
    vec![
        programs(facts),
        kernel(&facts.kernel),
        namespaces(&facts.namespaces),
        overlay(facts),
        users(facts),
        cgroups(facts),
        controllers(facts),
        seccomp(facts),
        landlock(facts),
        links(facts),
        firewall(facts),
        forwarding(facts),
        others(facts),
        bridge(facts),
        state(&facts.state),
        runtime(&facts.runtime),
        limits(&facts.limits),
    ]
}

fn programs(facts: &Facts) -> Finding {
    let check = Check("programs", "each service is a program of its own");
    match &facts.programs {
        Ok(missing) if missing.is_empty() => check.ok("all are installed"),
        Ok(missing) => check.problem(
            format!("missing: {}", missing.join(", ")),
            "install the whole of cctl again: `make install`, or the package",
        ),
        Err(why) => check.problem(why, "install the whole of cctl, or set CCTL_LIBEXEC to the directory that has it"),
    }
}

fn kernel(release: &str) -> Finding {
    let check = Check("kernel", "containers are mounted and joined by system calls of Linux 5.12 and before");
    let mut numbers = release.split(['.', '-']).map(|part| part.parse::<u32>().ok());
    let found = format!("Linux {release}");
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) if (major, minor) >= OLDEST_KERNEL => check.ok(found),
        (Some(_), Some(_)) => {
            check.problem(found, "boot a newer kernel; Debian 12 has 6.1: `apt install linux-image-amd64`")
        }
        _ => check
            .warning(format!("{found}: not a version that we know"), "see that it is Linux 5.12 or newer: `uname -r`"),
    }
}

fn namespaces(found: &[Namespace]) -> Finding {
    let check = Check("namespaces", "each container has one of each kind");
    let names = |list: Vec<&Namespace>| list.iter().map(|one| one.name).collect::<Vec<_>>().join(", ");
    let missing: Vec<_> = found.iter().filter(|one| !one.exists).collect();
    let least =
        found.iter().filter(|one| one.limit.is_some_and(|limit| limit < FEW_NAMESPACES)).min_by_key(|one| one.limit);
    match (missing.is_empty(), least) {
        (false, _) => check.problem(
            format!("the kernel has no {}", names(missing)),
            "boot a kernel with CONFIG_NAMESPACES and all below it; Debian's has them: `apt install linux-image-amd64`",
        ),
        (true, Some(Namespace { name, limit: Some(limit), .. })) => {
            let state = if *limit == 0 { State::Problem } else { State::Warning };
            let mend = format!("`sysctl -w user.max_{name}_namespaces=65536`, and the same in /etc/sysctl.d");
            check.is(state, format!("there may be {limit} {name} namespaces"), mend)
        }
        _ => check.ok(names(found.iter().collect())),
    }
}

fn overlay(facts: &Facts) -> Finding {
    let check = Check("overlayfs", "a container's files are an overlay over the layers of its image");
    let Place { path, filesystem, .. } = &facts.state;
    let place = format!("{filesystem} of {}", path.display());
    match &facts.overlay {
        None => check.ok(format!("mounted on the {place}, and written to")),
        Some(why) => check.problem(
            format!("on the {place}: {why}"),
            "`modprobe overlay`; if that is there, put CCTL_ROOT on ext4, xfs or btrfs",
        ),
    }
}

fn users(facts: &Facts) -> Finding {
    let check =
        Check("user ids", "root of a container is nobody on the host, unless it was started with --userns host");
    const MEND: &str = "Linux 5.19, `sysctl -w user.max_user_namespaces=65536`, and CCTL_ROOT on ext4, xfs or btrfs; \
                        or default = \"host\" below [userns] in containers.toml, or --userns host each time";
    match &facts.users {
        Ok(None) => check.ok(format!("an overlay with mapped user ids was mounted on the {}", facts.state.filesystem)),
        Ok(Some(why)) => check.problem(why, MEND),
        Err(why) => check.warning(format!("not known: {why}"), "install the whole of cctl again"),
    }
}

fn cgroups(facts: &Facts) -> Finding {
    let check = Check(
        "cgroups",
        "limits, `pause` and `stats` are done by cgroups, and what is left of a container is found by them",
    );
    let found: Vec<String> = facts.cgroups.iter().map(|one| one.root.display().to_string()).collect();
    let read_only = facts.cgroups.iter().find(|one| !one.writable);
    let can_freeze = facts.cgroups.iter().any(|one| one.unified || has(&one.controllers, "freezer"));
    let mount = "`mount -t cgroup2 cgroup2 /sys/fs/cgroup`";
    match read_only {
        _ if found.is_empty() => check.problem("none is mounted", mount),
        Some(one) => {
            let root = one.root.display();
            check.problem(format!("{root} cannot be written"), format!("`mount -o remount,rw {root}`"))
        }
        None if !can_freeze => check.warning(
            format!("{}: neither v2 nor the freezer of v1", found.join(", ")),
            "`mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified` (make the directory first)",
        ),
        None => {
            let pure = facts.cgroups.iter().all(|one| one.unified);
            let unified = facts.cgroups.iter().any(|one| one.unified);
            check.ok(if pure {
                "v2"
            } else if unified {
                "v1, and v2 beside it"
            } else {
                "v1"
            })
        }
    }
}

fn has(words: &[String], wanted: &str) -> bool {
    words.iter().any(|word| word == wanted)
}

fn controllers(facts: &Facts) -> Finding {
    let check = Check("limits by", "without a controller its limit is not enforced: `-m`, `-c`, `--pids-limit`");
    let (here, missing): (Vec<&str>, Vec<&str>) = ["memory", "cpu", "pids"]
        .into_iter()
        .partition(|name| facts.cgroups.iter().any(|one| has(&one.controllers, name)));
    if missing.is_empty() {
        return check.ok(here.join(", "));
    }
    let mend = if missing.contains(&"memory") {
        "boot with `cgroup_enable=memory swapaccount=1` on the kernel's command line"
    } else {
        "boot a kernel with CONFIG_CGROUP_PIDS and CONFIG_CGROUP_SCHED, or mount the hierarchies of these controllers"
    };
    check.warning(format!("there is no controller {}", missing.join(", ")), mend)
}

fn seccomp(facts: &Facts) -> Finding {
    let check = Check("seccomp", "each container runs under a filter of system calls");
    if facts.has_seccomp {
        check.ok("filters are there")
    } else {
        check.problem(
            "the kernel has no filters",
            "boot a kernel with CONFIG_SECCOMP_FILTER: `apt install linux-image-amd64`",
        )
    }
}

fn landlock(facts: &Facts) -> Finding {
    let check =
        Check("landlock", "services without privileges are held to their files once more, by the kernel's Landlock");
    match &facts.landlock {
        Ok(None) => check.ok("rules are there"),
        Ok(Some(why)) => check.warning(
            why,
            "boot a kernel from Linux 5.19 on with CONFIG_SECURITY_LANDLOCK, and `landlock` first in what lsm= says on its \
             command line; without it, services still see no more files than they need",
        ),
        Err(why) => check.warning(format!("not known: {why}"), "install the whole of cctl again"),
    }
}

fn links(facts: &Facts) -> Finding {
    let check = Check("links", "a container is connected by a pair of interfaces (veth) and a bridge");
    match &facts.network {
        Ok(network) => match &network.links {
            None => check.ok("a bridge and a pair were made"),
            Some(why) => check.problem(why, "`modprobe bridge; modprobe veth`"),
        },
        Err(why) => check.problem(format!("cannot be tried: {why}"), "install the whole of cctl, and run this as root"),
    }
}

fn firewall(facts: &Facts) -> Finding {
    let check = Check("nftables", "addresses are masqueraded and ports published by one table of nftables");
    match &facts.network {
        Ok(network) => match &network.firewall {
            None => check.ok("our rules were loaded"),
            Some(why) => check.problem(why, "`modprobe nf_tables; modprobe nft_chain_nat; modprobe nft_masq`"),
        },
        Err(_) => check.problem("cannot be tried", "see links"),
    }
}

fn forwarding(facts: &Facts) -> Finding {
    let check = Check("forwarding", "packets between containers and the world pass through the host");
    let mend = "`sysctl -w net.ipv4.ip_forward=1`, and the same in /etc/sysctl.d";
    match (facts.forwarding.value.as_deref(), facts.forwarding.writable) {
        (Some("1"), _) => check.ok("on"),
        (Some(_), true) => check.ok("off; cctl switches it on with its bridge"),
        (Some(_), false) => check.problem("off, and cctl may not switch it on", mend),
        (None, _) => check
            .problem("/proc/sys/net/ipv4/ip_forward is missing", "mount proc at /proc, of a kernel with CONFIG_INET"),
    }
}

/// What others have in the way of packets.
fn others(facts: &Facts) -> Finding {
    let check = Check(
        "other rules",
        "a packet passes only if every firewall lets it: another one that drops what it does not know keeps containers from \
         the world, and the world from published ports",
    );
    let bridge = &facts.bridge;
    let chains = facts.network.as_ref().map_or(&[][..], |network| &network.forward);
    let iptables = |program: &str| {
        format!("`{program} -I FORWARD -i {bridge} -j ACCEPT; {program} -I FORWARD -o {bridge} -j ACCEPT`")
    };
    if let Some(first) = chains.first() {
        let named = |chain: &super::facts::Chain| format!("{} {} {}", chain.family, chain.table, chain.chain);
        let found = chains.iter().map(named).collect::<Vec<_>>().join(", ");
        let mend = match (first.family.as_str(), first.table.as_str(), first.chain.as_str()) {
            ("ip", "filter", "FORWARD") => iptables("iptables"),
            ("ip6", "filter", "FORWARD") => iptables("ip6tables"),
            _ => format!(
                "`nft insert rule {0} iifname {bridge} accept; nft insert rule {0} oifname {bridge} accept`",
                named(first)
            ),
        };
        return check.warning(format!("these drop forwarded packets: {found}"), mend);
    }
    if facts.has_old_iptables {
        let mend = format!("if `iptables-legacy -S FORWARD` says DROP: {}", iptables("iptables-legacy"));
        return check.warning("the older iptables has rules, which cannot be seen from here", mend);
    }
    check.ok("no chain of others drops forwarded packets")
}

fn bridge(facts: &Facts) -> Finding {
    let check = Check(
        "bridge calls",
        "packets between two containers pass through the host's firewall, too, if a bridge calls it",
    );
    let in_the_way = facts.has_old_iptables || facts.network.as_ref().is_ok_and(|network| !network.forward.is_empty());
    match facts.bridge_calls_firewall.value.as_deref() {
        Some("1") if in_the_way => check.warning(
            "bridge-nf-call-iptables is on, and other rules drop packets",
            "see other rules; or `sysctl -w net.bridge.bridge-nf-call-iptables=0`",
        ),
        Some("1") => check.ok("on, and nothing is in the way"),
        _ => check.ok("off"),
    }
}

fn state(place: &Place) -> Finding {
    let check = Check("state", "images, containers and logs are kept there");
    let path = place.path.display();
    let found = format!("{} free in {path}, {}", size::memory(place.free), place.filesystem);
    let few_inodes = place.inodes > 0 && place.free_inodes < place.inodes / 100;
    let mend = "`cctl system df` shows what takes the space; `cctl rm`, `cctl rmi`; or a larger disk";
    if place.read_only {
        check.problem(format!("{path} cannot be written"), format!("`mount -o remount,rw {path}`, if its disk is well"))
    } else if place.free < NO_SPACE {
        check.problem(found, mend)
    } else if few_inodes {
        check.warning(format!("{found}, and {} files can be made", place.free_inodes), mend)
    } else if place.free < LITTLE_SPACE {
        check.warning(found, mend)
    } else if ["tmpfs", "ramfs"].contains(&place.filesystem.as_str()) {
        check.warning(format!("{found}: gone at the next boot"), "set CCTL_ROOT to a directory on a disk")
    } else {
        check.ok(found)
    }
}

fn runtime(place: &Place) -> Finding {
    let check = Check("runtime", "sockets and sandboxes are of one boot: files in memory go with it, and are faster");
    let found = format!("{}, {}", place.path.display(), place.filesystem);
    if place.read_only {
        return check.problem(format!("{found}, cannot be written"), "set CCTL_RUN to a directory that can");
    }
    match place.filesystem.as_str() {
        "tmpfs" | "ramfs" => check.ok(found),
        _ => check.warning(found, "`mount -t tmpfs tmpfs /run`, or set CCTL_RUN to a directory on a tmpfs"),
    }
}

fn limits(limits: &Limits) -> Finding {
    let check = Check("host limits", "many containers are many processes and open files");
    // What is little, with what is usual.
    let wanted = [
        (limits.pids, 32768, 4_194_304, "kernel.pid_max"),
        (limits.threads, 16384, 128_000, "kernel.threads-max"),
        (limits.files, 100_000, 1_000_000, "fs.file-max"),
        (limits.inotify_instances, 128, 1024, "fs.inotify.max_user_instances"),
        (limits.inotify_watches, 8192, 524_288, "fs.inotify.max_user_watches"),
    ];
    let little = wanted.iter().find_map(|(value, least, usual, name)| {
        let value = value.filter(|value| value < least)?;
        let mend = format!("`sysctl -w {name}={usual}`, and the same in /etc/sysctl.d");
        Some(check.warning(format!("{name} is {value}"), mend))
    });
    let files = limits.files_of_a_process.filter(|files| *files < 65536).map(|files| {
        check.warning(
            format!("a process may have {files} open files"),
            "`ulimit -Hn 524288` before `cctl system start`; LimitNOFILE=524288 in the unit",
        )
    });
    little.or(files).unwrap_or_else(|| check.ok("enough processes, open files and watches"))
}

#[cfg(test)]
mod tests {
    use super::super::facts::{Chain, Hierarchy, Network, Switch};
    use super::*;

    /// A host on which all is well.
    fn well() -> Facts {
        let place = |path: &str, filesystem: &str| Place {
            path: path.into(),
            filesystem: filesystem.into(),
            read_only: false,
            free: 100 << 30,
            free_inodes: 1000,
            inodes: 2000,
        };
        let namespace = |name| Namespace { name, exists: true, limit: Some(95000) };
        let words = |text: &str| text.split(' ').map(str::to_owned).collect();
        Facts {
            bridge: "cctl0".into(),
            kernel: "6.1.0-28-amd64".into(),
            namespaces: ["mnt", "net"].map(namespace).into(),
            overlay: None,
            users: Ok(None),
            cgroups: vec![Hierarchy {
                root: "/sys/fs/cgroup".into(),
                unified: true,
                controllers: words("cpuset cpu io memory pids"),
                writable: true,
            }],
            has_seccomp: true,
            landlock: Ok(None),
            network: Ok(Network::default()),
            forwarding: Switch { value: Some("0".into()), writable: true },
            bridge_calls_firewall: Switch::default(),
            has_old_iptables: false,
            state: place("/var/lib/cctl", "ext4"),
            runtime: place("/run/cctl", "tmpfs"),
            limits: Limits::default(),
            programs: Ok(Vec::new()),
        }
    }

    fn changed(change: impl FnOnce(&mut Facts)) -> Vec<Finding> {
        let mut facts = well();
        change(&mut facts);
        examine(&facts).into_iter().filter(|finding| finding.state != State::Ok).collect()
    }

    /// What a change leads to: this finding alone, whose words and remedy are these.
    fn leads_to(change: impl FnOnce(&mut Facts), check: &str, state: State, found: &str, mend: &str) {
        let findings = changed(change);
        assert_eq!(findings.len(), 1, "{findings:?}");
        let finding = &findings[0];
        assert_eq!((finding.check, finding.state), (check, state), "{finding:?}");
        assert!(finding.found.contains(found) && finding.mend.contains(mend), "{finding:?}");
        assert!(!finding.why.is_empty());
    }

    #[test]
    fn all_is_well() {
        assert_eq!(changed(|_| ()), []);
        assert!(examine(&well()).iter().all(|finding| finding.mend.is_empty() && !finding.found.is_empty()));
    }

    #[test]
    fn a_kernel_that_lacks_something() {
        use State::{Problem, Warning};
        leads_to(|facts| facts.kernel = "5.10.0-33".into(), "kernel", Problem, "5.10", "linux-image");
        leads_to(|facts| facts.kernel = "odd".into(), "kernel", Warning, "odd", "uname");
        leads_to(|facts| facts.users = Ok(Some("no map".into())), "user ids", Problem, "no map", "--userns host");
        leads_to(|facts| facts.users = Err("no program".into()), "user ids", Warning, "no program", "install");
        leads_to(|facts| facts.namespaces[1].exists = false, "namespaces", Problem, "no net", "CONFIG_NAMESPACES");
        leads_to(
            |facts| facts.namespaces[1].limit = Some(0),
            "namespaces",
            Problem,
            "0 net",
            "user.max_net_namespaces",
        );
        leads_to(
            |facts| facts.namespaces[0].limit = Some(9),
            "namespaces",
            Warning,
            "9 mnt",
            "user.max_mnt_namespaces",
        );
        leads_to(|facts| facts.overlay = Some("ENODEV".into()), "overlayfs", Problem, "ENODEV", "modprobe overlay");
        leads_to(|facts| facts.landlock = Ok(Some("none here".into())), "landlock", Warning, "none here", "lsm=");
        leads_to(|facts| facts.landlock = Err("no program".into()), "landlock", Warning, "no program", "install");
        leads_to(|facts| facts.has_seccomp = false, "seccomp", Problem, "no filters", "CONFIG_SECCOMP_FILTER");
    }

    #[test]
    fn cgroups_that_are_missing() {
        use State::{Problem, Warning};
        let findings = changed(|facts| facts.cgroups.clear());
        assert_eq!(findings.iter().map(|finding| finding.check).collect::<Vec<_>>(), ["cgroups", "limits by"]);
        assert!(findings[0].mend.contains("mount -t cgroup2"));
        leads_to(|facts| facts.cgroups[0].writable = false, "cgroups", Problem, "cannot be written", "remount,rw");
        let without =
            |name: &'static str| move |facts: &mut Facts| facts.cgroups[0].controllers.retain(|word| word != name);
        leads_to(without("memory"), "limits by", Warning, "memory", "cgroup_enable=memory");
        leads_to(without("pids"), "limits by", Warning, "pids", "CONFIG_CGROUP_PIDS");
        leads_to(|facts| facts.cgroups[0].unified = false, "cgroups", Warning, "neither v2", "cgroup2");
    }

    #[test]
    fn networks_that_are_missing_or_in_the_way() {
        use State::{Problem, Warning};
        let network = |change: fn(&mut Network)| move |facts: &mut Facts| change(facts.network.as_mut().unwrap());
        leads_to(
            network(|network| network.links = Some("EOPNOTSUPP".into())),
            "links",
            Problem,
            "EOPNOTSUPP",
            "modprobe bridge",
        );
        leads_to(
            network(|network| network.firewall = Some("ENOENT".into())),
            "nftables",
            Problem,
            "ENOENT",
            "nf_tables",
        );
        let chain = |family: &str, table: &str, chain: &str| Chain {
            family: family.into(),
            table: table.into(),
            chain: chain.into(),
        };
        let ufw = chain("ip", "filter", "FORWARD");
        let drops = |chain: Chain| move |facts: &mut Facts| facts.network.as_mut().unwrap().forward.push(chain);
        leads_to(drops(ufw.clone()), "other rules", Warning, "ip filter FORWARD", "iptables -I FORWARD -i cctl0");
        leads_to(
            drops(chain("inet", "mine", "fwd")),
            "other rules",
            Warning,
            "inet mine fwd",
            "nft insert rule inet mine fwd iifname cctl0",
        );
        leads_to(|facts| facts.has_old_iptables = true, "other rules", Warning, "older", "iptables-legacy");
        leads_to(|facts| facts.forwarding.writable = false, "forwarding", Problem, "off", "net.ipv4.ip_forward=1");
        let on = |facts: &mut Facts| facts.bridge_calls_firewall.value = Some("1".into());
        assert_eq!(changed(on), []);
        let both = changed(|facts| {
            on(facts);
            drops(ufw)(facts);
        });
        assert_eq!(both.iter().map(|finding| finding.check).collect::<Vec<_>>(), ["other rules", "bridge calls"]);
        let none = changed(|facts| facts.network = Err("there is no network".into()));
        assert!(none.iter().all(|finding| finding.state == Problem) && none.len() == 2, "{none:?}");
    }

    #[test]
    fn places_and_limits() {
        use State::{Problem, Warning};
        leads_to(|facts| facts.state.free = 1 << 20, "state", Problem, "1MiB free", "cctl system df");
        leads_to(|facts| facts.state.free = 512 << 20, "state", Warning, "512MiB free", "cctl system df");
        leads_to(|facts| facts.state.free_inodes = 3, "state", Warning, "3 files", "cctl system df");
        leads_to(|facts| facts.state.read_only = true, "state", Problem, "cannot be written", "remount");
        leads_to(|facts| facts.state.filesystem = "tmpfs".into(), "state", Warning, "next boot", "CCTL_ROOT");
        leads_to(|facts| facts.runtime.filesystem = "ext4".into(), "runtime", Warning, "ext4", "tmpfs");
        leads_to(
            |facts| facts.limits.pids = Some(4096),
            "host limits",
            Warning,
            "kernel.pid_max is 4096",
            "sysctl -w kernel.pid_max",
        );
        leads_to(
            |facts| facts.limits.files_of_a_process = Some(1024),
            "host limits",
            Warning,
            "1024 open files",
            "ulimit",
        );
        leads_to(
            |facts| facts.programs = Ok(vec!["/x/network".into()]),
            "programs",
            Problem,
            "/x/network",
            "make install",
        );
    }
}

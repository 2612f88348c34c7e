//! The plan by which a container's first process is made: what the process sees, what it may do, and what it
//! executes. Pure; the monitor carries it out (`shim_protocol::plan`).

mod command;
mod describe;
mod filesystem;

pub(crate) use describe::failure;

use crate::lsm::Modules;
use crate::security::Confinement;
use crate::users::{Owner, User};
use schema::Failure;
use schema::common::IdRange;
use schema::executor::ProcessSpec;
use shim_protocol::plan::{Numbers, Step, put_header};
use std::ffi::CString;

/// Namespaces that a further process joins; that of process ids it was born in.
const JOINED: u32 =
    (libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC | libc::CLONE_NEWNET | libc::CLONE_NEWCGROUP) as u32;

/// What a plan depends on, beside what the caller wants.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// Capabilities that this process has itself, and so can give.
    pub(crate) capabilities: u64,
    /// How many capabilities the kernel knows.
    pub(crate) known_capabilities: u32,
    /// The program that filters the system calls of a container about which nothing was said.
    pub(crate) seccomp: Vec<u8>,
    /// The kernel's version, as far as it counts: 6.1.
    pub(crate) kernel: (u32, u32),
    /// Its security modules.
    pub(crate) modules: Modules,
    /// Whether the host has the unified cgroup hierarchy alone.
    pub(crate) pure_cgroups: bool,
    /// Whether the processes of this program are spared by the OOM killer, which those of containers shall not be.
    pub(crate) oom_protected: bool,
}

/// Who a process runs as.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub(crate) user: User,
    /// The same on the host.
    pub(crate) owner: Owner,
    /// Of the sandbox's user namespace, if it has one.
    pub(crate) ids: Option<IdRange>,
}

/// The plan of a sandbox's first process; what is left of it, if `build_first` was carried out.
pub(crate) fn build(
    host: &Host,
    confinement: &Confinement,
    is_set_up: bool,
    terminal: bool,
    process: &ProcessSpec,
    who: &Who,
) -> Result<Vec<u8>, Failure> {
    let mut plan = Plan::new();
    if !is_set_up {
        surround(&mut plan, host, confinement, who.ids)?;
    }
    let stdio = if terminal {
        Step::Terminal { uid: who.owner.uid, rows: process.rows, columns: process.columns }
    } else {
        Step::Streams {}
    };
    start(&mut plan, host, &stdio, process, who)?;
    filesystem::seal(&mut plan, &confinement.surroundings);
    finish(plan, host, confinement, process, who, true)
}

/// What of that plan does not depend on the process. Whoever carries it out waits then.
pub(crate) fn build_first(host: &Host, confinement: &Confinement, ids: Option<IdRange>) -> Result<Vec<u8>, Failure> {
    let mut plan = Plan::new();
    surround(&mut plan, host, confinement, ids)?;
    plan.add(&Step::Await {});
    Ok(plan.bytes)
}

/// What a sandbox's processes see.
fn surround(plan: &mut Plan, host: &Host, confinement: &Confinement, ids: Option<IdRange>) -> Result<(), Failure> {
    plan.add(&Step::Unshare { flags: libc::CLONE_NEWCGROUP as u32 });
    plan.add(&Step::Pivot {});
    files_of_root(plan, ids);
    filesystem::add(plan, host, confinement, ids)
}

/// What is made for a container belongs to its root.
fn files_of_root(plan: &mut Plan, ids: Option<IdRange>) {
    if let Some(ids) = ids {
        plan.add(&Step::FilesOf { id: ids.base() });
    }
}

/// The plan of a further process in a sandbox.
pub(crate) fn build_exec(
    host: &Host,
    confinement: &Confinement,
    terminal: bool,
    process: &ProcessSpec,
    who: &Who,
) -> Result<Vec<u8>, Failure> {
    let mut plan = Plan::new();
    plan.add(&Step::Join { namespaces: JOINED });
    files_of_root(&mut plan, who.ids);
    let uid = who.owner.uid;
    let stdio = if terminal {
        Step::FurtherTerminal { uid, rows: process.rows, columns: process.columns }
    } else {
        Step::Pipes { uid }
    };
    start(&mut plan, host, &stdio, process, who)?;
    finish(plan, host, confinement, process, who, false)
}

/// What every process of a sandbox has in common, from where it is in its namespaces: streams, and where it runs.
fn start(plan: &mut Plan, host: &Host, stdio: &Step<'_>, process: &ProcessSpec, who: &Who) -> Result<(), Failure> {
    if host.oom_protected {
        plan.add(&Step::Write { path: c"/proc/self/oom_score_adj", content: b"0" });
    }
    plan.add(&Step::Mask022 {});
    plan.add(stdio);
    let directory = command::working_directory(&process.working_directory)?;
    let Owner { uid, gid } = who.owner;
    plan.add(&Step::WorkingDirectory { path: &directory, uid, gid });
    Ok(())
}

/// What it gives up, and what it executes.
fn finish(
    mut plan: Plan,
    host: &Host,
    confinement: &Confinement,
    process: &ProcessSpec,
    who: &Who,
    is_first: bool,
) -> Result<Vec<u8>, Failure> {
    let Confinement { capabilities, may_gain, seccomp, taken_on, sysctls: _, limits, surroundings: _ } = confinement;
    for (resource, soft, hard) in limits {
        plan.add(&Step::Limit { resource: *resource, soft: *soft, hard: *hard });
    }
    for label in taken_on {
        plan.add(&Step::Write { path: label.path, content: label.content.as_bytes() });
    }
    let Who { user, owner: _, ids } = who;
    if ids.is_some() {
        plan.add(&Step::Users {});
        if is_first {
            // Mounts of ours that a container must not undo, it could not even with all capabilities.
            plan.add(&Step::Unshare { flags: libc::CLONE_NEWNS as u32 });
        }
    }
    // One that the container does not have gives no right.
    let has = |group: &&u32| ids.is_none_or(|ids| ids.outside(**group).is_some());
    let groups: Vec<u8> = user.groups.iter().filter(has).flat_map(|group| group.to_le_bytes()).collect();
    let groups = Numbers::new(&groups).map_err(malformed)?;
    let (uid, gid, capabilities, known_capabilities) = (user.uid, user.gid, *capabilities, host.known_capabilities);
    let filter = seccomp.as_ref().map(|program| Step::Seccomp { program });
    if *may_gain {
        // Whoever may gain privileges may only set a filter while he has CAP_SYS_ADMIN.
        filter.iter().for_each(|filter| plan.add(filter));
        plan.add(&Step::Identity { uid, gid, groups, capabilities, known_capabilities });
    } else {
        plan.add(&Step::Credentials { uid, gid, groups, capabilities, known_capabilities });
        filter.iter().for_each(|filter| plan.add(filter));
    }
    command::add(&mut plan, process, user)?;
    Ok(plan.bytes)
}

fn malformed(error: shim_protocol::Malformed) -> Failure {
    Failure::internal(format_args!("building a plan: {error}"))
}

/// A text without NUL bytes, as the kernel wants it.
fn c_string(text: &str) -> Result<CString, Failure> {
    CString::new(text).map_err(|_| Failure::invalid(format_args!("{text:?} contains a NUL byte")))
}

/// A plan that grows.
struct Plan {
    bytes: Vec<u8>,
}

impl Plan {
    fn new() -> Self {
        let mut bytes = Vec::new();
        put_header(&mut |piece| bytes.extend_from_slice(piece));
        Self { bytes }
    }

    fn add(&mut self, step: &Step<'_>) {
        step.encode(&mut |piece| self.bytes.extend_from_slice(piece));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::devices::Node;
    use crate::lsm::TakenOn;
    use crate::security::confine;
    use schema::security::Security;
    use shim_protocol::plan::Steps;

    fn process() -> ProcessSpec {
        ProcessSpec {
            arguments: vec!["sh".to_owned(), "-c".to_owned(), "true".to_owned()],
            environment: vec!["PATH=/a:/b".to_owned()],
            working_directory: "/".to_owned(),
            user: String::new(),
            rows: 24,
            columns: 80,
        }
    }

    fn user() -> Who {
        let user = User { uid: 5, gid: 6, groups: vec![7, 8], home: "/home/x".to_owned() };
        Who { user, owner: Owner { uid: 5, gid: 6 }, ids: None }
    }

    /// A host that can do all.
    pub(crate) fn host() -> Host {
        Host {
            capabilities: u64::MAX,
            known_capabilities: 41,
            seccomp: vec![1; 8],
            kernel: (6, 1),
            modules: Modules::default(),
            pure_cgroups: true,
            oom_protected: false,
        }
    }

    fn usual() -> Confinement {
        confine(&host(), &Security::default(), Vec::new(), false).unwrap()
    }

    fn place(steps: &[Step<'_>], wanted: impl Fn(&Step<'_>) -> bool) -> usize {
        steps.iter().position(wanted).unwrap()
    }

    #[test]
    fn power_is_given_up_after_all_that_needs_it_and_before_the_program() {
        for terminal in [false, true] {
            let bytes = build(&host(), &usual(), false, terminal, &process(), &user()).unwrap();
            let steps: Vec<Step<'_>> = Steps::new(&bytes).unwrap().map(Result::unwrap).collect();
            let credentials = place(&steps, |step| matches!(step, Step::Credentials { .. }));
            let seccomp = place(&steps, |step| matches!(step, Step::Seccomp { .. }));
            let last_mount = steps
                .iter()
                .rposition(|step| matches!(step, Step::Mount { .. } | Step::Mask { .. } | Step::ReadOnly { .. }))
                .unwrap();
            assert!(matches!(steps[0], Step::Unshare { .. }) && matches!(steps[1], Step::Pivot {}));
            assert!(last_mount < credentials && credentials < seccomp && seccomp + 2 == steps.len());
            assert!(matches!(steps.last(), Some(Step::Execute { .. })));
            assert_eq!(steps.iter().any(|step| matches!(step, Step::Terminal { .. })), terminal);
            assert_eq!(steps.iter().any(|step| matches!(step, Step::Streams {})), !terminal);
        }
    }

    #[test]
    fn a_further_process_is_restricted_as_the_first_is() {
        for oom_protected in [false, true] {
            let host = Host { oom_protected, ..host() };
            let restrictions = |bytes: &[u8]| {
                let steps = Steps::new(bytes).unwrap().map(Result::unwrap);
                let restricts = |step: &Step<'_>| {
                    matches!(step, Step::Write { .. } | Step::Mask022 {} | Step::Credentials { .. })
                        || matches!(step, Step::Seccomp { .. } | Step::WorkingDirectory { .. } | Step::Execute { .. })
                };
                steps.filter(restricts).map(|step| format!("{step:?}")).collect::<Vec<_>>()
            };
            let first = build(&host, &usual(), false, false, &process(), &user()).unwrap();
            let further = build_exec(&host, &usual(), false, &process(), &user()).unwrap();
            assert_eq!(restrictions(&further), restrictions(&first));
            assert_eq!(restrictions(&further).len(), 5 + usize::from(oom_protected));
            let terminal = build_exec(&host, &usual(), true, &process(), &user()).unwrap();
            for (bytes, stdio) in [
                (&further, Step::Pipes { uid: 5 }),
                (&terminal, Step::FurtherTerminal { uid: 5, rows: 24, columns: 80 }),
            ] {
                let steps: Vec<Step<'_>> = Steps::new(bytes).unwrap().map(Result::unwrap).collect();
                assert!(matches!(steps[0], Step::Join { .. }) && steps.contains(&stdio), "{steps:?}");
                assert!(
                    !steps.iter().any(|step| matches!(step, Step::Mount { .. } | Step::Node { .. } | Step::Pivot {}))
                );
            }
        }
    }

    #[test]
    fn what_is_set_up_first_and_the_rest_are_the_whole() {
        let ids = IdRange::new(0x2000_0000);
        let owner = Owner { uid: 0x2000_0005, gid: 0x2000_0006 };
        for (who, terminal) in [(user(), false), (Who { owner, ids, ..user() }, true)] {
            let whole = build(&host(), &usual(), false, terminal, &process(), &who).unwrap();
            let first = build_first(&host(), &usual(), who.ids).unwrap();
            let rest = build(&host(), &usual(), true, terminal, &process(), &who).unwrap();
            let steps = |bytes: &[u8]| {
                Steps::new(bytes).unwrap().map(|step| format!("{:?}", step.unwrap())).collect::<Vec<_>>()
            };
            let (mut first, rest) = (steps(&first), steps(&rest));
            assert_eq!(first.pop().as_deref(), Some("Await"));
            assert!(first.iter().chain(&rest).eq(&steps(&whole)));
            assert!(!first.iter().any(|step| step.starts_with("Streams") || step.starts_with("Terminal")), "{first:?}");
        }
    }

    fn planned(confinement: &Confinement, exec: bool, check: impl FnOnce(&[Step<'_>])) {
        let bytes = if exec {
            build_exec(&host(), confinement, false, &process(), &user())
        } else {
            build(&host(), confinement, false, false, &process(), &user())
        }
        .unwrap();
        check(&Steps::new(&bytes).unwrap().map(Result::unwrap).collect::<Vec<_>>());
    }

    #[test]
    fn what_needs_the_hosts_power_comes_before_the_user_namespace() {
        let ids = IdRange::new(0x2000_0000);
        let owner = Owner { uid: 0x2000_0005, gid: 0x2000_0006 };
        let mut who = Who { owner, ids, ..user() };
        who.user.groups.push(70_000);
        for bytes in [
            build(&host(), &usual(), false, true, &process(), &who).unwrap(),
            build(&host(), &usual(), false, false, &process(), &who).unwrap(),
            build_exec(&host(), &usual(), true, &process(), &who).unwrap(),
            build_exec(&host(), &usual(), false, &process(), &who).unwrap(),
        ] {
            let steps: Vec<Step<'_>> = Steps::new(&bytes).unwrap().map(Result::unwrap).collect();
            let entered = place(&steps, |step| matches!(step, Step::Users {}));
            assert!(place(&steps, |step| *step == Step::FilesOf { id: 0x2000_0000 }) < 3);
            let rest: Vec<_> =
                steps[entered + 1..].iter().filter(|step| !matches!(step, Step::Unshare { .. })).collect();
            assert!(matches!(
                rest[..],
                [Step::Credentials { uid: 5, gid: 6, groups, .. }, Step::Seccomp { .. }, Step::Execute { .. }]
                    if groups.bytes().len() == 8
            ));
            let wanted = |step: &Step<'_>| match step {
                Step::Terminal { uid, .. } | Step::FurtherTerminal { uid, .. } | Step::Pipes { uid } => {
                    *uid == owner.uid
                }
                Step::WorkingDirectory { uid, gid, .. } => (*uid, *gid) == (owner.uid, owner.gid),
                _ => true,
            };
            assert!(steps.iter().all(wanted), "{steps:?}");
        }
    }

    #[test]
    fn who_may_gain_privileges_is_filtered_while_he_has_them() {
        let may_gain = Confinement { may_gain: true, ..usual() };
        for exec in [false, true] {
            planned(&may_gain, exec, |steps| {
                let filter = place(steps, |step| matches!(step, Step::Seccomp { .. }));
                assert!(matches!(steps[filter + 1], Step::Identity { .. }));
                assert!(!steps.iter().any(|step| matches!(step, Step::Credentials { .. })));
            });
        }
        let unconfined = Confinement { seccomp: None, ..usual() };
        planned(&unconfined, false, |steps| assert!(!steps.iter().any(|step| matches!(step, Step::Seccomp { .. }))));
    }

    #[test]
    fn a_root_becomes_read_only_when_all_in_it_is_made() {
        let confinement = |privileged, read_only_root| {
            let mut confinement = usual();
            (confinement.surroundings.privileged, confinement.surroundings.read_only_root) =
                (privileged, read_only_root);
            confinement
        };
        let remount = |step: &Step<'_>| match step {
            Step::Mount { target, flags, .. } if *target == c"/" => Some(*flags),
            _ => None,
        };
        let bind = libc::MS_REMOUNT | libc::MS_BIND;
        for (privileged, read_only, flags) in [
            (false, false, None),
            (false, true, Some(bind | libc::MS_NODEV | libc::MS_RDONLY)),
            (true, false, Some(bind)),
            (true, true, Some(bind | libc::MS_RDONLY)),
        ] {
            planned(&confinement(privileged, read_only), false, |steps| {
                assert_eq!(steps.iter().find_map(remount), flags);
                let directory = place(steps, |step| matches!(step, Step::WorkingDirectory { .. }));
                assert!(
                    steps.iter().position(|step| remount(step).is_some()).is_none_or(|place| place == directory + 1)
                );
            });
        }
        planned(&confinement(true, true), true, |steps| assert_eq!(steps.iter().find_map(remount), None));
    }

    #[test]
    fn labels_and_limits_come_before_rights_are_given_up() {
        let path = c"/proc/self/attr/exec";
        let taken_on = vec![TakenOn { path, content: "exec mine".to_owned() }];
        let confinement = Confinement { taken_on, limits: vec![(7, 1, 2)], ..usual() };
        for exec in [false, true] {
            planned(&confinement, exec, |steps| {
                let label = place(steps, |step| *step == Step::Write { path, content: b"exec mine" });
                let limit = place(steps, |step| *step == Step::Limit { resource: 7, soft: 1, hard: 2 });
                let credentials = place(steps, |step| matches!(step, Step::Credentials { .. }));
                assert!(limit < credentials && label < credentials);
            });
        }
    }

    #[test]
    fn what_was_asked_for_is_made_and_not_hidden() {
        let mut confinement = Confinement { sysctls: vec![("net.a.b".into(), "1".into())], ..usual() };
        let names = vec!["snd".to_owned(), "x".to_owned()];
        let access = schema::security::Access::ALL;
        confinement.surroundings.devices = vec![Node { names, mode: 0o20600, uid: 1, gid: 2, device: 9, access }];
        confinement.surroundings.shm_size = 4096;
        planned(&confinement, false, |steps| {
            let parameter = place(steps, |step| *step == Step::Write { path: c"/proc/sys/net/a/b", content: b"1" });
            let sealed = place(steps, |step| matches!(step, Step::ReadOnly { path, .. } if *path == c"/proc/sys"));
            assert!(parameter < sealed);
            let directory = place(steps, |step| *step == Step::Directory { path: c"/dev/snd", mode: 0o755 });
            assert_eq!(steps[directory + 1], Step::Node { path: c"/dev/snd/x", mode: 0o20600, device: 9 });
            assert_eq!(steps[directory + 2], Step::Give { path: c"/dev/snd/x", uid: 1, gid: 2 });
            assert!(
                steps.iter().any(|step| matches!(step, Step::Mount { data, .. } if *data == c"mode=1777,size=4096"))
            );
        });
        confinement.surroundings.system_paths = true;
        planned(&confinement, false, |steps| {
            assert!(!steps.iter().any(|step| matches!(step, Step::Mask { .. } | Step::ReadOnly { .. })));
        });
    }
}

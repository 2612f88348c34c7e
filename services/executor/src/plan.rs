//! The plan by which a container's first process is made: what the process sees, what it may do, and what it
//! executes. Pure; the monitor carries it out (`shim_protocol::plan`).

mod command;
mod describe;
mod filesystem;
mod limits;

pub(crate) use describe::failure;

use crate::users::User;
use schema::Failure;
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
    /// The program that filters system calls.
    pub(crate) seccomp: Vec<u8>,
    /// Whether the host has the unified cgroup hierarchy alone.
    pub(crate) pure_cgroups: bool,
    /// Whether the processes of this program are spared by the OOM killer, which those of containers shall not be.
    pub(crate) oom_protected: bool,
}

/// The plan of a sandbox's first process.
pub(crate) fn build(host: &Host, terminal: bool, process: &ProcessSpec, user: &User) -> Result<Vec<u8>, Failure> {
    let mut plan = Plan::new();
    plan.add(&Step::Unshare { flags: libc::CLONE_NEWCGROUP as u32 });
    plan.add(&Step::Pivot {});
    filesystem::add(&mut plan, host);
    let stdio = if terminal {
        Step::Terminal { uid: user.uid, rows: process.rows, columns: process.columns }
    } else {
        Step::Streams {}
    };
    finish(plan, host, &stdio, process, user)
}

/// The plan of a further process in a sandbox.
pub(crate) fn build_exec(host: &Host, terminal: bool, process: &ProcessSpec, user: &User) -> Result<Vec<u8>, Failure> {
    let mut plan = Plan::new();
    plan.add(&Step::Join { namespaces: JOINED });
    let stdio = if terminal {
        Step::FurtherTerminal { uid: user.uid, rows: process.rows, columns: process.columns }
    } else {
        Step::Pipes { uid: user.uid }
    };
    finish(plan, host, &stdio, process, user)
}

/// What every process of a sandbox has in common, from where it is in its namespaces.
fn finish(
    mut plan: Plan,
    host: &Host,
    stdio: &Step<'_>,
    process: &ProcessSpec,
    user: &User,
) -> Result<Vec<u8>, Failure> {
    if host.oom_protected {
        plan.add(&Step::Write { path: c"/proc/self/oom_score_adj", content: b"0" });
    }
    plan.add(&Step::Mask022 {});
    plan.add(stdio);
    let directory = command::working_directory(&process.working_directory)?;
    plan.add(&Step::WorkingDirectory { path: &directory, uid: user.uid, gid: user.gid });
    let groups: Vec<u8> = user.groups.iter().flat_map(|group| group.to_le_bytes()).collect();
    plan.add(&Step::Credentials {
        uid: user.uid,
        gid: user.gid,
        groups: Numbers::new(&groups).map_err(malformed)?,
        capabilities: limits::DEFAULT_CAPABILITIES & host.capabilities,
        known_capabilities: host.known_capabilities,
    });
    plan.add(&Step::Seccomp { program: &host.seccomp });
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
mod tests {
    use super::*;
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

    fn user() -> User {
        User { uid: 5, gid: 6, groups: vec![7, 8], home: "/home/x".to_owned() }
    }

    fn host() -> Host {
        Host {
            capabilities: u64::MAX,
            known_capabilities: 41,
            seccomp: vec![1; 8],
            pure_cgroups: true,
            oom_protected: false,
        }
    }

    fn place(steps: &[Step<'_>], wanted: impl Fn(&Step<'_>) -> bool) -> usize {
        steps.iter().position(wanted).unwrap()
    }

    #[test]
    fn power_is_given_up_after_all_that_needs_it_and_before_the_program() {
        for terminal in [false, true] {
            let bytes = build(&host(), terminal, &process(), &user()).unwrap();
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
            let first = build(&host, false, &process(), &user()).unwrap();
            let further = build_exec(&host, false, &process(), &user()).unwrap();
            assert_eq!(restrictions(&further), restrictions(&first));
            assert_eq!(restrictions(&further).len(), 5 + usize::from(oom_protected));
            let terminal = build_exec(&host, true, &process(), &user()).unwrap();
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
    fn only_default_capabilities_that_we_have_are_given() {
        let few = Host { capabilities: 0b11, ..host() };
        for (host, wanted) in [(host(), 0xa004_25fb), (few, 0b11)] {
            let bytes = build(&host, false, &process(), &user()).unwrap();
            let given = Steps::new(&bytes).unwrap().find_map(|step| match step {
                Ok(Step::Credentials { capabilities, .. }) => Some(capabilities),
                _ => None,
            });
            assert_eq!(given, Some(wanted & !(1 << 27)));
        }
    }
}

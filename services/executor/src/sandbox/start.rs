//! Prepares the start of a process: resolves in advance all that can be resolved, and writes the plan. Blocks.

use super::record::{Record, Spec};
use super::rootfs::Rootfs;
use super::running::{Running, check_thawed};
use super::{directory, prepare};
use crate::cgroup::Entrances;
use crate::host::Host;
use crate::process::Process;
use crate::security::Confinement;
use crate::{plan, security, users};
use schema::common::{IdRange, SandboxRef};
use schema::executor::{ProcessSpec, SandboxSpec, Started};
use schema::{ContainerId, Failure};
use shim_protocol::control::Request;
use shim_protocol::layout;
use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;

const PASSWD: &str = "etc/passwd";
const GROUP: &str = "etc/group";

/// What is known of a sandbox that is set up, and need not be found out when its process starts.
pub(super) struct Known {
    confinement: Confinement,
    passwd: String,
    group: String,
}

impl Known {
    /// Reads the image's users: as long as nothing was executed, nobody changes them.
    fn read(record: &Record, is_set_up: bool, confinement: Confinement) -> Result<Self, Failure> {
        let rootfs = Rootfs::of_parked(record.monitor, is_set_up)?;
        Ok(Self { confinement, passwd: rootfs.read(PASSWD)?, group: rootfs.read(GROUP)? })
    }

    /// Of one that was set up before this executor began. Fails with `sandboxLost` if that is not what would be set up now:
    /// another executor has done that, or a profile has changed.
    pub(super) fn found(host: &Host, id: &ContainerId, record: &Record) -> Result<Self, Failure> {
        let spec = sandbox(record)?;
        let confinement = prepare::confinement(host, &spec.security)?;
        let file = directory::file(&host.directory(id), layout::SETUP);
        let then = fs::read(&file).map_err(|error| Failure::io(format_args!("reading {}", file.display()), &error))?;
        if plan::build_first(&host.plan, &confinement, spec.ids).is_ok_and(|now| now == then) {
            return Self::read(record, true, confinement);
        }
        Err(Failure::sandbox_lost("the sandbox was set up in another way than it would be now")
            .hint("start the container again"))
    }
}

/// What a sandbox was made by that is, or is to be, set up.
fn sandbox(record: &Record) -> Result<&SandboxSpec, Failure> {
    match &record.spec {
        Spec::Sandbox(spec) => Ok(spec),
        Spec::Exec { .. } => Err(Failure::conflict("an exec joins what is set up already").hint("start it")),
    }
}

/// Writes the plan of what comes before a process; answers with what its monitor is to be asked, the descriptors that go
/// with that, and what is known then: none if the image cannot be read, which is tried again when the process starts.
pub(super) fn plan_first(
    host: &Host,
    id: &ContainerId,
    record: &Record,
) -> Result<(Request, Vec<OwnedFd>, Option<Known>), Failure> {
    let spec = sandbox(record)?;
    let confinement = prepare::confinement(host, &spec.security)?;
    write(host, id, layout::SETUP, &plan::build_first(&host.plan, &confinement, spec.ids)?)?;
    let Entrances { birth, joined } = host.cgroups.entrances(id)?;
    let request = Request::SetUp { born_in: birth.is_some() };
    let known = Known::read(record, false, confinement).ok();
    Ok((request, birth.into_iter().chain(joined).collect(), known))
}

/// Writes the rest of the plan of a sandbox that is set up; answers with what its monitor is to be asked.
/// Writes to memory only, as all of the instance's transient state lies there: it is done before another thread would wake.
pub(super) fn plan_rest(
    host: &Host,
    id: &ContainerId,
    record: &Record,
    process: &ProcessSpec,
    known: &Known,
) -> Result<Request, Failure> {
    let spec = sandbox(record)?;
    let Known { confinement, passwd, group } = known;
    let who = who(process, &spec.security.groups, passwd, group, spec.ids)?;
    let plan = plan::build(&host.plan, confinement, true, spec.terminal, process, &who)?;
    put(host, id, record, &plan, &who)?;
    Ok(Request::Start { born_in: false })
}

/// Who a process is to run as, by the texts of its root filesystem.
fn who(
    process: &ProcessSpec,
    groups: &[String],
    passwd: &str,
    group: &str,
    ids: Option<IdRange>,
) -> Result<plan::Who, Failure> {
    let mut user = users::resolve(&process.user, passwd, group)?;
    users::join(&mut user, groups, group)?;
    let owner = users::outside(&user, ids)?;
    Ok(plan::Who { user, owner, ids })
}

/// Leaves the plan to the monitor, and the streams to whom the process runs as.
fn put(host: &Host, id: &ContainerId, record: &Record, plan: &[u8], who: &plan::Who) -> Result<(), Failure> {
    directory::give_streams(&host.directory(id), &record.spec, who.owner.uid)?;
    write(host, id, layout::PLAN, plan)
}

fn write(host: &Host, id: &ContainerId, name: &CStr, plan: &[u8]) -> Result<(), Failure> {
    let file = directory::file(&host.directory(id), name);
    kit::file::write_atomically(&file, plan)
        .map_err(|error| Failure::io(format_args!("writing {}", file.display()), &error))
}

/// Writes the plan of a process whose sandbox is not set up, or runs; answers with what its monitor is to be asked, and the
/// descriptors that go with that.
pub(super) fn plan(
    host: &Host,
    id: &ContainerId,
    record: &Record,
    process: &ProcessSpec,
    joined: Option<&Running>,
) -> Result<(Request, Vec<OwnedFd>), Failure> {
    if let Some(joined) = joined {
        check_thawed(host, &joined.id)?;
    }
    let rootfs = joined.map_or_else(|| Rootfs::of_parked(record.monitor, false), Rootfs::of_running)?;
    let (passwd, group) = (rootfs.read(PASSWD)?, rootfs.read(GROUP)?);
    let (groups, confinement) = match (&record.spec, joined) {
        (Spec::Sandbox(spec), _) => (&spec.security.groups, prepare::confinement(host, &spec.security)?),
        // The container's devices are there already, or gone.
        (Spec::Exec { exec, .. }, Some(Running { security, .. })) => {
            (&security.groups, security::confine(&host.plan, security, Vec::new(), exec.privileged)?)
        }
        (Spec::Exec { .. }, None) => return Err(Failure::internal("an exec without a sandbox")),
    };
    let ids = joined.map_or(record.spec.ids(), |joined| joined.ids);
    let (who, terminal) = (who(process, groups, &passwd, &group, ids)?, record.spec.terminal());
    let plan = match record.spec {
        Spec::Sandbox(_) => plan::build(&host.plan, &confinement, false, terminal, process, &who),
        Spec::Exec { .. } => plan::build_exec(&host.plan, &confinement, terminal, process, &who),
    }?;
    put(host, id, record, &plan, &who)?;
    let first = joined.map(|joined| joined.first.duplicate()).transpose();
    let first = first.map_err(|error| Failure::io("handing on a descriptor", &error))?;
    let Entrances { birth, joined } = host.cgroups.entrances(joined.map_or(id, |joined| &joined.id))?;
    let request = Request::Start { born_in: birth.is_some() };
    Ok((request, first.into_iter().chain(birth).chain(joined).collect()))
}

/// Whether a monitor may have been asked to start a process.
pub(super) fn is_planned(host: &Host, id: &ContainerId) -> bool {
    directory::file(&host.directory(id), layout::PLAN).exists()
}

/// No monitor was asked after all.
pub(super) fn withdraw(host: &Host, id: &ContainerId) -> Result<(), Failure> {
    let file = directory::file(&host.directory(id), layout::PLAN);
    match fs::remove_file(&file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Failure::io(format_args!("removing {}", file.display()), &error))
        }
        _ => Ok(()),
    }
}

/// Notes down what was started: in memory, as `plan_rest` does.
pub(super) fn note(host: &Host, id: &ContainerId, record: Record, first: &Process, started: Started) -> Record {
    let Ok(start_time) = kit::process::start_time(first.pid) else { return record };
    let first = Some(SandboxRef { pid: first.pid, start_time });
    let record = Record { first, started_at: started.started_at, ..record };
    // It is only needed if the monitor is killed.
    if let Err(error) = record.write(&host.directory(id)) {
        tracing::warn!(%id, %error, "cannot note down a process");
    }
    record
}

/// What the failure of a step of the plan in this file means.
pub(super) fn failure(host: &Host, id: &ContainerId, name: &CStr, step: u32, error: i32) -> Failure {
    let file = directory::file(&host.directory(id), name);
    match fs::read(&file) {
        Ok(plan) => plan::failure(&plan, step, error),
        Err(error) => Failure::io(format_args!("reading {}", file.display()), &error),
    }
}

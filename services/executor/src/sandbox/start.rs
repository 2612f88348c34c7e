//! Prepares the start of a process: resolves in advance all that can be resolved, and writes the plan. Blocks.

use super::directory;
use super::record::Record;
use super::rootfs::Rootfs;
use crate::host::Host;
use crate::{plan, users};
use schema::executor::ProcessSpec;
use schema::{ContainerId, Failure};
use shim_protocol::layout;
use std::fs;
use std::os::fd::OwnedFd;

/// Writes the plan; answers with the entrances of the cgroups that the process joins.
pub(super) fn plan(
    host: &Host,
    id: &ContainerId,
    record: &Record,
    process: &ProcessSpec,
) -> Result<Vec<OwnedFd>, Failure> {
    let rootfs = Rootfs::open(record.monitor)?;
    let user = users::resolve(&process.user, &rootfs.read("etc/passwd")?, &rootfs.read("etc/group")?)?;
    let plan = plan::build(&host.plan, &record.spec, process, &user)?;
    let path = host.directory(id);
    directory::give_streams(&path, &record.spec, user.uid, user.gid)?;
    let file = directory::file(&path, layout::PLAN);
    kit::file::write_atomically(&file, &plan)
        .map_err(|error| Failure::io(format_args!("writing {}", file.display()), &error))?;
    host.cgroups.entrances(id)
}

/// What the failure of a step means.
pub(super) fn failure(host: &Host, id: &ContainerId, step: u32, error: i32) -> Failure {
    let file = directory::file(&host.directory(id), layout::PLAN);
    match fs::read(&file) {
        Ok(plan) => plan::failure(&plan, step, error),
        Err(error) => Failure::io(format_args!("reading {}", file.display()), &error),
    }
}

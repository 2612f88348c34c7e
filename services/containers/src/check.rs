//! Whether all that is stored of containers is whole.

use crate::container::Shared;
use crate::registry::{AllDamaged, Registry};
use actix::Addr;
use kit::actor::{ask, on_thread};
use schema::common::{CheckReport, Problem};
use schema::{Call, Failure};
use std::rc::Rc;
use std::sync::Arc;

/// Verifies the records, and has the filesystem service verify what it stores.
pub(crate) async fn run(shared: Rc<Shared>, registry: Addr<Registry>, call: Call) -> Result<CheckReport, Failure> {
    let journal = Arc::clone(&shared.journal);
    let mut report = on_thread(move || journal.verify()).await?;
    for (id, damage) in ask(&registry, AllDamaged).await? {
        let files: Vec<_> = damage.files.iter().map(|file| file.display().to_string()).collect();
        report.examined += 1;
        report.problems.push(Problem {
            object: format!("record of container {id}"),
            message: format!("it is damaged, and was moved aside: {}", files.join(", ")),
            hint: format!("the container's files are left alone; `cctl rm -f {}` removes all of it", id.short()),
        });
    }
    let files = shared.workers.filesystem.check(&call).await?;
    report.examined += files.examined;
    report.bytes += files.bytes;
    report.problems.extend(files.problems);
    Ok(report)
}

//! Whether all that is stored of containers is whole, and mending what is not.

use crate::container::{Handle, Shared, View, WriteAnew};
use crate::exec;
use crate::journal::Torn;
use crate::lifecycle::Phase;
use crate::registry::{AllDamaged, Registry, Views};
use actix::Addr;
use kit::actor::{ask, on_thread};
use schema::common::{CheckReport, Problem};
use schema::{Call, Code, ContainerId, Failure};
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

/// Verifies the records, and has the filesystem service verify what it stores.
pub(crate) async fn run(
    shared: Rc<Shared>,
    registry: Addr<Registry>,
    call: Call,
    repair: bool,
) -> Result<CheckReport, Failure> {
    let check = Check { shared, registry, call, repair, report: CheckReport::default() };
    check.all().await
}

struct Check {
    shared: Rc<Shared>,
    registry: Addr<Registry>,
    call: Call,
    repair: bool,
    report: CheckReport,
}

impl Check {
    async fn all(mut self) -> Result<CheckReport, Failure> {
        if self.repair {
            let journal = Arc::clone(&self.shared.journal);
            for file in on_thread(move || journal.mend_events()).await? {
                let object = format!("event log {}", file.display());
                self.report.repaired.push(Problem::new(object, "it is written anew without what cannot be read", ""));
            }
        }
        let journal = Arc::clone(&self.shared.journal);
        let (verified, torn) = on_thread(move || journal.verify()).await?;
        self.add(verified);
        for torn in torn {
            self.torn(torn).await?;
        }
        let damaged = ask(&self.registry, AllDamaged).await?;
        for (id, damage) in &damaged {
            let files: Vec<_> = damage.files.iter().map(|file| file.display().to_string()).collect();
            self.report.examined += 1;
            self.report.problems.push(Problem::new(
                format!("record of container {id}"),
                format!("it is damaged, and was moved aside: {}", files.join(", ")),
                format!("the container's files are left alone; `cctl rm -f {}` removes all of it", id.short()),
            ));
        }
        self.images().await?;
        let may_run = |(_, view): &&(Handle, View)| !matches!(view.phase(), Phase::Created | Phase::Exited);
        let views = ask(&self.registry, Views).await?;
        let mut running: Vec<ContainerId> =
            views.iter().filter(may_run).map(|(_, view)| view.record.id().clone()).collect();
        running.extend(damaged.into_iter().map(|(id, _)| id));
        let files = self.shared.workers.filesystem.check(&self.call, self.repair, &running).await?;
        self.add(files);
        Ok(self.report)
    }

    fn add(&mut self, part: CheckReport) {
        let CheckReport { examined, bytes, problems, repaired, kept } = part;
        self.report.examined += examined;
        self.report.bytes += bytes;
        self.report.problems.extend(problems);
        self.report.repaired.extend(repaired);
        self.report.kept.extend(kept);
    }

    /// A record that cannot be read any more, of something that is known.
    async fn torn(&mut self, torn: Torn) -> Result<(), Failure> {
        let Torn { kind, name, reason } = torn;
        let object = format!("record of {kind} {name}");
        if self.repair && self.written_anew(kind, &name).await? {
            self.report.repaired.push(Problem::new(object, format!("{reason}: it is written anew"), ""));
        } else {
            let hint = "`cctl system check --repair` writes it anew";
            self.report.problems.push(Problem::new(object, reason, hint));
        }
        Ok(())
    }

    /// Has a record written again. False: there is no such container or exec.
    async fn written_anew(&self, kind: &str, name: &str) -> Result<bool, Failure> {
        let Ok(id) = name.parse::<ContainerId>() else { return Ok(false) };
        let written = if kind == crate::journal::EXEC_KIND {
            match ask(&self.shared.execs, exec::Find(id)).await {
                Ok(exec) => exec.ask(exec::WriteAnew).await,
                Err(failure) => Err(failure),
            }
        } else {
            let views = ask(&self.registry, Views).await?;
            match views.into_iter().find(|(_, view)| *view.record.id() == id) {
                Some((handle, _)) => handle.ask(WriteAnew).await,
                None => return Ok(false),
            }
        };
        match written {
            Ok(()) => Ok(true),
            Err(failure) if failure.code == Code::NotFound => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Each container keeps its image at the image store.
    async fn images(&mut self) -> Result<(), Failure> {
        // Nobody is asked before all leases of old are told.
        self.shared.leases.pass(crate::workers::STEP).await?;
        let views = ask(&self.registry, Views).await?;
        let images = self.shared.workers.image_store.list(&self.call).await?;
        let held: HashSet<(&str, &str)> = images
            .iter()
            .flat_map(|image| image.holders.iter().map(|holder| (holder.as_str(), image.id.as_str())))
            .collect();
        let mut lost = Vec::new();
        for (handle, view) in &views {
            let (id, image) = (view.record.id(), &view.record.container.image_id);
            if !held.contains(&(id.as_str(), image.as_str())) {
                lost.push((handle.clone(), id.clone(), image.clone()));
            }
        }
        for (handle, id, image) in lost {
            let images = &self.shared.workers.image_store;
            let object = format!("container {}", id.short());
            let is_there = match images.resolve(&self.call, image.as_str()).await {
                Ok(_) => true,
                Err(failure) if failure.code == Code::NotFound => false,
                Err(failure) => return Err(failure),
            };
            if is_there && self.repair {
                images.lease(&self.call, id.as_str(), image.as_str()).await?;
                if !handle.now().is_listed() {
                    // It has been removed meanwhile, and gave back what it had not yet.
                    images.release(&self.call, id.as_str()).await?;
                    continue;
                }
                self.report.repaired.push(Problem::new(object, format!("it keeps its image {image} again"), ""));
            } else if handle.now().is_listed() && handle.now().phase() != Phase::Removing {
                let (message, hint) = if is_there {
                    (format!("nothing keeps its image {image}"), "`cctl system check --repair` has it kept again")
                } else {
                    (format!("its image {image} is not there"), "bring the image again, or remove the container")
                };
                self.report.problems.push(Problem::new(object, message, hint));
            }
        }
        Ok(())
    }
}

//! Whether all that is stored of containers is whole, and mending what is not.

use crate::container::{Handle, Shared, View, WriteAnew};
use crate::exec;
use crate::journal::{Journal, Torn};
use crate::lifecycle::Phase;
use crate::registry::{AllDamaged, Ids, Registry, Views};
use crate::spares::MakeRoom;
use crate::workers::Workers;
use actix::Addr;
use kit::actor::{ask, on_thread};
use schema::common::{CheckReport, Problem};
use schema::network::Mode;
use schema::{Call, Code, ContainerId, Failure, executor, filesystem, log_collector, network};
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
    let began = kit::process::now();
    let check = Check { shared, registry, call, repair, began, report: CheckReport::default() };
    check.all().await
}

struct Check {
    shared: Rc<Shared>,
    registry: Addr<Registry>,
    call: Call,
    repair: bool,
    /// When: nanoseconds since the Unix epoch.
    began: i64,
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
        for (id, damage) in damaged {
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
        if self.repair {
            // What stands ready is not to be in the way of what is mended.
            ask(&self.shared.spares, MakeRoom).await?;
        }
        let views = ask(&self.registry, Views).await?;
        // And of what is not listed, nobody knows.
        let at_rest: HashSet<_> =
            views.iter().filter(|listed| !may_run(listed)).map(|(_, view)| view.record.id().clone()).collect();
        let all = ask(&self.registry, Ids).await?;
        let running: Vec<ContainerId> = all.difference(&at_rest).cloned().collect();
        let (workers, call, repair) = (self.shared.workers.clone(), self.call, self.repair);
        // Containers that run now, if they do afterwards, too, should have something at each worker.
        let live: Vec<Handle> =
            views.into_iter().filter(|(_, view)| view.phase() == Phase::Running).map(|(handle, _)| handle).collect();
        let filesystem = workers.filesystem.check(&call, repair, &running).await?;
        self.compare(filesystem::SERVICE, filesystem, &live).await?;
        let network = workers.network.check(&call, repair).await;
        self.compare_if_it_does(network::SERVICE, network, &live).await?;
        let executor = workers.executor.check(&call, repair).await;
        self.compare_if_it_does(executor::SERVICE, executor, &live).await?;
        let logs = workers.log_collector.check(&call, repair).await;
        self.compare_if_it_does(log_collector::SERVICE, logs, &live).await?;
        Ok(self.report)
    }

    /// The same for a worker that need not know this method: it may be another's, or of before.
    async fn compare_if_it_does(
        &mut self,
        worker: &'static str,
        answer: Result<CheckReport, Failure>,
        live: &[Handle],
    ) -> Result<(), Failure> {
        match answer {
            Err(failure) if failure.code == Code::Unimplemented => {
                tracing::info!(worker, %failure, "it cannot be checked");
                Ok(())
            }
            answer => self.compare(worker, answer?, live).await,
        }
    }

    /// Compares those who have something at a worker with those who should. `live` ran before the worker was asked.
    async fn compare(&mut self, worker: &'static str, part: CheckReport, live: &[Handle]) -> Result<(), Failure> {
        let owners: HashSet<ContainerId> = part.owners.iter().cloned().collect();
        self.add(part);
        for handle in live {
            let View { record, .. } = handle.now();
            let (id, spec) = (record.id(), &record.container.spec);
            let needs_it = worker != network::SERVICE || spec.network == Mode::Bridge;
            // One that was started again meanwhile had nothing when the worker was asked.
            let is_same = record.phase == Phase::Running && record.container.started_at < self.began;
            if needs_it && is_same && !owners.contains(id) {
                let message = format!("it runs, and {worker} has nothing of it");
                let hint = format!("`cctl restart {}` makes all of it anew", id.short());
                self.report.problems.push(Problem::new(format!("container {}", id.short()), message, hint));
            }
        }
        for id in self.orphans(owners).await? {
            let object = format!("{worker}: container or exec {}", id.short());
            // Asked again: it may have been on its way out.
            let still = self.owners_at(worker).await?.contains(&id);
            if still && self.repair {
                self.remove_orphan(worker, &id).await?;
                tell_of_orphan(&self.shared.journal, worker, &id).await?;
                self.report.repaired.push(Problem::new(object, "there is none: what was left of it is removed", ""));
            } else if still {
                let hint = "`cctl system check --repair` removes what is left of it";
                self.report.problems.push(Problem::new(object, "there is none, but something is left of it", hint));
            }
        }
        Ok(())
    }

    /// Those of them that are neither a container nor an exec.
    async fn orphans(&self, owners: HashSet<ContainerId>) -> Result<Vec<ContainerId>, Failure> {
        // Asked after the workers: a container is known before anything is made for it, and until all of it is gone.
        let known = ask(&self.registry, Ids).await?;
        let mut orphans = Vec::new();
        for id in owners.into_iter().filter(|id| !known.contains(id)) {
            match ask(&self.shared.execs, exec::Find(id.clone())).await {
                Ok(_) => {}
                Err(failure) if failure.code == Code::NotFound => orphans.push(id),
                Err(failure) => return Err(failure),
            }
        }
        orphans.sort();
        Ok(orphans)
    }

    async fn owners_at(&self, worker: &str) -> Result<Vec<ContainerId>, Failure> {
        let Workers { filesystem, network, executor, log_collector, image_store: _ } = &self.shared.workers;
        let report = match worker {
            filesystem::SERVICE => filesystem.check(&self.call, false, &[]).await,
            network::SERVICE => network.check(&self.call, false).await,
            executor::SERVICE => executor.check(&self.call, false).await,
            _ => log_collector.check(&self.call, false).await,
        };
        report.map(|report| report.owners)
    }

    async fn remove_orphan(&self, worker: &str, id: &ContainerId) -> Result<(), Failure> {
        tracing::warn!(worker, %id, "removing what is left of something that there is not");
        let Workers { filesystem, network, executor, log_collector, image_store: _ } = &self.shared.workers;
        match worker {
            filesystem::SERVICE => filesystem.release(&self.call, id).await,
            network::SERVICE => network.detach(&self.call, id).await,
            executor::SERVICE => executor.destroy(&self.call, id).await,
            _ => log_collector.remove(&self.call, id).await,
        }
    }

    fn add(&mut self, part: CheckReport) {
        let CheckReport { examined, bytes, problems, repaired, kept, owners: _ } = part;
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

/// Tells that something was removed that belonged to no container.
pub(crate) async fn tell_of_orphan(
    journal: &Arc<Journal>,
    worker: &'static str,
    id: &ContainerId,
) -> Result<(), Failure> {
    let (journal, id) = (Arc::clone(journal), id.clone());
    on_thread(move || {
        journal.tell_of(&id, "orphan", &[("service", worker)]);
        Ok(())
    })
    .await
}

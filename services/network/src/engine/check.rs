//! Comparing the kernel, and what is on the disk, with the books.

use super::Engine;
use schema::common::{CheckReport, Problem};
use schema::{ContainerId, Failure};
use std::collections::BTreeSet;

const REPAIR: &str = "`cctl system check --repair` makes it anew";

impl Engine {
    /// Names what is otherwise than the books say. With `repair`, that is made so again.
    pub fn check(&mut self, repair: bool) -> Result<CheckReport, Failure> {
        self.ground.mend()?;
        let found = self.faults()?;
        let mut report = CheckReport { examined: 2 + self.leases_by_id().count() as u64, ..CheckReport::default() };
        if repair && !found.is_empty() {
            self.write_anew()?;
            self.restore()?;
            let left = self.faults()?;
            let is_mended = |problem: &Problem| left.iter().all(|other| other.object != problem.object);
            report.repaired = found.into_iter().filter(is_mended).map(|problem| mended(&problem)).collect();
            report.problems = left;
        } else {
            report.problems = found;
        }
        for (name, kept) in self.records.quarantined()? {
            let message = format!("it was damaged, and is kept in {}", kept.display());
            let hint = format!("nothing depends on that file: `rm {}`", kept.display());
            report.kept.push(Problem::new(format!("record of the network {name}"), message, hint));
        }
        let mut owners: BTreeSet<ContainerId> = self.leases_by_id().map(|(id, _)| id.clone()).collect();
        owners.extend(self.ground.connected()?.into_iter().map(|(id, ..)| id));
        report.owners = owners.into_iter().collect();
        Ok(report)
    }

    fn faults(&mut self) -> Result<Vec<Problem>, Failure> {
        let Some(books) = &self.books else { return Ok(Vec::new()) };
        let (published, is_used) = (books.published(), !books.leases().is_empty());
        let (ruleset, name) = (self.ruleset()?, self.ground.name().to_owned());
        let mut faults = Vec::new();
        if is_used && self.ground.bridge()?.is_none() {
            faults.push(Problem::new(format!("bridge {name}"), "it is missing, and containers are attached", REPAIR));
        }
        let stands = self.netfilter.stands(&ruleset)?;
        if (is_used || stands) && !self.netfilter.stands_with(&ruleset, &published)? {
            let message = "it is missing, or its rules or published ports are not as they should be";
            faults.push(Problem::new(format!("nftables table inet {name}"), message, REPAIR));
        }
        let (intact, connected) = (self.records.intact()?, self.ground.connected()?);
        for (id, lease) in self.leases_by_id() {
            let object = format!("address {} of container {}", lease.address, id.short());
            if !intact.contains(id) {
                faults.push(Problem::new(format!("{object}: record"), "it is damaged, or missing", REPAIR));
            }
            // That of a sandbox that is gone has gone with it.
            let lives = || kit::process::is_alive(lease.sandbox.pid, lease.sandbox.start_time);
            if connected.iter().all(|(.., interface)| *interface != lease.interface) && lives() {
                let message = format!("its interface {} is not at the bridge", lease.interface);
                faults.push(Problem::new(object, message, format!("`cctl restart {}` makes another", id.short())));
            }
        }
        let known: BTreeSet<_> = self.leases_by_id().map(|(id, _)| id).collect();
        for (id, address, interface) in connected.iter().filter(|(id, ..)| !known.contains(id)) {
            let message = format!("interface {interface} has it, and nothing is recorded of it");
            faults.push(Problem::new(format!("address {address} of container {}", id.short()), message, REPAIR));
        }
        if !self.records.is_choice_intact()? {
            faults.push(Problem::new("record of the network bridge", "it is damaged, or missing", REPAIR));
        }
        Ok(faults)
    }

    /// The books, on the disk.
    fn write_anew(&mut self) -> Result<(), Failure> {
        let Some(books) = &self.books else { return Ok(()) };
        if !self.records.is_choice_intact()? {
            self.records.put_subnets(books.subnets())?;
        }
        let intact = self.records.intact()?;
        for (id, lease) in books.leases().iter().filter(|(id, _)| !intact.contains(*id)) {
            self.records.put_lease(id, lease)?;
        }
        Ok(())
    }
}

fn mended(problem: &Problem) -> Problem {
    Problem::new(problem.object.clone(), format!("{}: mended", problem.message), "")
}

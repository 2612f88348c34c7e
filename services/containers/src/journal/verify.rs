//! Reading everything once more.

use super::Journal;
use kit::store::Verified;
use schema::Failure;
use schema::common::{CheckReport, Problem};

impl Journal {
    /// Reads every record and event that is on the disk. Damage that was found at start is not told again.
    /// Blocks.
    pub(crate) fn verify(&self) -> Result<CheckReport, Failure> {
        let mut report = CheckReport::default();
        collect("container", self.kept.verify()?, &mut report);
        collect("container", self.passing.verify()?, &mut report);
        collect("exec", self.execs.verify()?, &mut report);
        let (events, bytes, damaged) = self.events.check()?;
        report.examined += events;
        report.bytes += bytes;
        report.problems.extend(damaged.into_iter().map(|file| Problem {
            object: format!("event log {}", file.display()),
            message: "it holds events that cannot be read".to_owned(),
            hint: "they are left out; newer events are not affected".to_owned(),
        }));
        Ok(report)
    }
}

fn collect<T>(kind: &str, records: Verified<T>, report: &mut CheckReport) {
    for (name, bytes, record) in records {
        report.examined += 1;
        report.bytes += bytes;
        if let Err(reason) = record {
            report.problems.push(Problem {
                object: format!("record of {kind} {name}"),
                message: reason,
                hint: "it is written anew when the container changes: start or stop it".to_owned(),
            });
        }
    }
}

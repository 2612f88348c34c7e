//! Reading everything once more.

use super::Journal;
use schema::Failure;
use schema::common::{CheckReport, Problem};

impl Journal {
    /// Reads every record and event that is on the disk. Damage that was found at start is not told again.
    /// Blocks.
    pub(crate) fn verify(&self) -> Result<CheckReport, Failure> {
        let mut report = CheckReport::default();
        let stores =
            [("container", self.kept.verify()?), ("container", self.passing.verify()?), ("exec", self.execs.verify()?)];
        for (kind, found) in stores {
            report.examined += found.intact;
            report.bytes += found.bytes;
            report.problems.extend(found.damaged.into_iter().map(|(name, reason)| Problem {
                object: format!("record of {kind} {name}"),
                message: reason,
                hint: "it is written anew when the container changes: start or stop it".to_owned(),
            }));
        }
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

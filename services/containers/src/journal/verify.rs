//! Reading everything once more.

use super::{EXEC_KIND, Journal, KIND};
use kit::store::Verified;
use schema::Failure;
use schema::common::{CheckReport, Problem};
use std::path::{Path, PathBuf};

/// A record that was whole, and cannot be read any more.
#[derive(Debug)]
pub(crate) struct Torn {
    /// Of which kind.
    pub(crate) kind: &'static str,
    /// Its name: an id.
    pub(crate) name: String,
    /// What is wrong with it.
    pub(crate) reason: String,
}

impl Journal {
    /// Reads every record and event that is on the disk. Damage that was found at start is not told again, but for
    /// what was kept of it. Blocks.
    pub(crate) fn verify(&self) -> Result<(CheckReport, Vec<Torn>), Failure> {
        let (mut report, mut torn) = (CheckReport::default(), Vec::new());
        collect(KIND, self.kept.verify()?, &mut report, &mut torn);
        collect(KIND, self.passing.verify()?, &mut report, &mut torn);
        collect(EXEC_KIND, self.execs.verify()?, &mut report, &mut torn);
        let (events, bytes, damaged) = self.events.check()?;
        report.examined += events;
        report.bytes += bytes;
        report.problems.extend(damaged.into_iter().map(|file| {
            Problem::new(
                format!("event log {}", file.display()),
                "it holds events that cannot be read",
                "`cctl system check --repair` leaves them out; newer events are not affected",
            )
        }));
        for (name, kept) in self.execs.quarantined()? {
            report.kept.push(kept_file(format!("record of {EXEC_KIND} {name}"), &kept));
        }
        for kept in self.events.kept() {
            report.kept.push(kept_file("event log".to_owned(), &kept));
        }
        Ok((report, torn))
    }

    /// Leaves out of the log of events what cannot be read, and tells in which files that was. Blocks.
    pub(crate) fn mend_events(&self) -> Result<Vec<PathBuf>, Failure> {
        self.events.mend()
    }
}

fn kept_file(object: String, kept: &Path) -> Problem {
    let message = format!("it was damaged, and is kept in {}", kept.display());
    Problem::new(object, message, format!("nothing depends on that file: `rm {}`", kept.display()))
}

fn collect<T>(kind: &'static str, records: Verified<T>, report: &mut CheckReport, torn: &mut Vec<Torn>) {
    for (name, bytes, record) in records {
        report.examined += 1;
        report.bytes += bytes;
        torn.extend(record.err().map(|reason| Torn { kind, name, reason }));
    }
}

//! What was checked, and what came of it.

use crate::line::Line;
use schema::bindings::common_capnp::service;
use schema::{Call, Code, Failure};
use std::fmt::Display;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

/// Longer no check may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a check failed.
pub(crate) type Outcome = Result<(), String>;

/// Prints a line a check, and counts.
pub(crate) struct Report {
    socket: PathBuf,
    /// Of the service when the checks began: it has to be the same process all the time.
    epoch: Option<u64>,
    passed: u32,
    failed: u32,
    skipped: u32,
}

impl Report {
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self { socket, epoch: None, passed: 0, failed: 0, skipped: 0 }
    }

    /// Makes a check, and sees that the service has survived it.
    pub(crate) async fn check(&mut self, name: &str, work: impl Future<Output = Outcome>) {
        let outcome = match tokio::time::timeout(PATIENCE, work).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("nothing came of it in {PATIENCE:?}")),
        };
        let outcome = match (outcome, self.survived().await) {
            (Ok(()), survived) => survived,
            (Err(why), Ok(())) => Err(why),
            (Err(why), Err(also)) => Err(format!("{why}; and {also}")),
        };
        match outcome {
            Ok(()) => {
                self.passed += 1;
                println!("pass  {name}");
            }
            Err(why) => {
                self.failed += 1;
                println!("FAIL  {name}: {}", why.replace('\n', " "));
            }
        }
    }

    /// Says that a check was not made, and what it needs.
    pub(crate) fn skip(&mut self, name: &str, needs: &str) {
        self.skipped += 1;
        println!("skip  {name}: needs {needs}");
    }

    async fn survived(&mut self) -> Outcome {
        let epoch = tokio::time::timeout(PATIENCE, self.ask_epoch()).await;
        let epoch = epoch.map_err(|_| "the service answers nobody any more".to_owned()).flatten()?;
        match *self.epoch.get_or_insert(epoch) {
            known if known == epoch => Ok(()),
            _ => {
                self.epoch = Some(epoch);
                Err("the service was restarted meanwhile: its epoch has changed".to_owned())
            }
        }
    }

    async fn ask_epoch(&self) -> Result<u64, String> {
        let line = Line::<service::Client>::connect(&self.socket).await?;
        Ok(line.hello(0).await?.epoch)
    }

    /// Whether the service has ever said who it is.
    pub(crate) fn is_reachable(&self) -> bool {
        self.epoch.is_some()
    }

    pub(crate) fn is_good(&self) -> bool {
        self.failed == 0
    }

    pub(crate) fn summary(&self) -> String {
        format!("{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// A call that may take as long as anything here.
pub(crate) fn call() -> Call {
    Call::within(PATIENCE)
}

/// Fails with this reason unless it is so.
pub(crate) fn expect(is_so: bool, otherwise: impl Display) -> Outcome {
    if is_so { Ok(()) } else { Err(otherwise.to_string()) }
}

/// A failure in the words of a report.
pub(crate) fn words(failure: Failure) -> String {
    format!("{:?}: {}", failure.code, failure.message)
}

/// Fails unless the answer is a failure with one of these codes, and a message of one line.
pub(crate) fn refused<T>(answer: Result<T, Failure>, codes: &[Code], doing: &str) -> Outcome {
    match answer {
        Ok(_) => Err(format!("{doing} succeeds, and should fail with {codes:?}")),
        Err(failure) if !codes.contains(&failure.code) => {
            Err(format!("{doing} fails with {}, not {codes:?}", words(failure)))
        }
        Err(failure) => {
            let is_line = !failure.message.is_empty() && !failure.message.contains('\n');
            expect(is_line, format!("{doing}: the message {:?} is not one line", failure.message))
        }
    }
}

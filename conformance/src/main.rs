//! `cctl-conformance SERVICE SOCKET`: whether the service that listens on SOCKET keeps the contract of SERVICE.
//!
//! A line a check: `pass`, `FAIL` with the reason, or `skip` with what would be needed. Exits 1 if any check failed, and 2
//! if the command line is wrong. `--disposable` says that nothing of the instance is to be kept: then it is also checked
//! that `reconcile` removes what is not named.

mod common;
mod filesystem;
mod image_store;
mod line;
mod log_collector;
mod manager;
mod network;
mod report;

use report::Report;
use schema::Instance;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: cctl-conformance [--disposable] SERVICE SOCKET
SERVICE is image-store, filesystem, network, executor, log-collector or containers.";

/// Whom to check.
struct Subject {
    service: &'static str,
    /// Where the typed clients find it.
    instance: Instance,
    /// Nothing of it is to be kept.
    disposable: bool,
    /// For files of the checks.
    scratch: tempfile::TempDir,
}

impl Subject {
    fn new(service: &'static str, socket: &Path, disposable: bool) -> std::io::Result<Self> {
        let scratch = tempfile::Builder::new().prefix("cctl-conformance-").tempdir()?;
        // The clients look for the name of the service in the directory of an instance.
        let instance = Instance::new(scratch.path(), scratch.path());
        std::os::unix::fs::symlink(std::path::absolute(socket)?, instance.socket(service))?;
        Ok(Self { service, instance, disposable, scratch })
    }

    fn socket(&self) -> PathBuf {
        self.instance.socket(self.service)
    }
}

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let disposable = words.iter().position(|word| word == "--disposable").map(|at| words.remove(at)).is_some();
    let [service, socket] = words.as_slice() else { return usage() };
    let Some(service) = schema::SERVICES.into_iter().find(|known| known == service) else { return usage() };
    let subject = match Subject::new(service, Path::new(socket), disposable) {
        Ok(subject) => subject,
        Err(error) => {
            eprintln!("cctl-conformance: {socket}: {error}");
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cctl-conformance: {error}");
            return ExitCode::from(2);
        }
    };
    let report = tokio::task::LocalSet::new().block_on(&runtime, check(&subject));
    println!("{service}: {}", report.summary());
    if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

async fn check(subject: &Subject) -> Report {
    let mut report = Report::new(subject.socket());
    common::check(subject, &mut report).await;
    // A service that does not even say who it is has nothing more to show.
    if !report.is_reachable() {
        return report;
    }
    match subject.service {
        schema::log_collector::SERVICE => log_collector::check(subject, &mut report).await,
        schema::image_store::SERVICE => image_store::check(subject, &mut report).await,
        schema::network::SERVICE => network::check(subject, &mut report).await,
        schema::filesystem::SERVICE => filesystem::check(subject, &mut report).await,
        schema::executor::SERVICE => manager::check_executor(subject, &mut report).await,
        _ => manager::check_containers(subject, &mut report).await,
    }
    report
}

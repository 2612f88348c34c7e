//! What is kept of a run in which something went wrong.

use crate::ledger::Ledger;
use harness::Instance;
use std::fs;
use std::path::{Path, PathBuf};

/// Where that is.
pub(crate) fn place(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/chaos").join(name)
}

/// Keeps its course, and the traces of our processes.
pub(crate) fn keep(name: &str, ledger: &Ledger, cctl: &Instance) {
    let directory = place(name);
    fs::create_dir_all(&directory).expect("a directory for the evidence");
    fs::write(directory.join("timeline"), ledger.timeline()).expect("the timeline");
    for entry in fs::read_dir(cctl.root().join("logs")).expect("logs").flatten() {
        fs::copy(entry.path(), directory.join(entry.file_name())).expect("a copy of a log");
    }
}

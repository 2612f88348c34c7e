//! What is remembered of a sandbox in its own directory, for the executor's next start.

use schema::common::SandboxRef;
use schema::executor::SandboxSpec;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::Path;

/// Written when the sandbox is whole, removed first when it is destroyed: a directory without it is a sandbox
/// that was half made or half destroyed.
const FILE: &str = "sandbox.json";

/// A sandbox that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Boot of the kernel in which it was made.
    pub(crate) boot: String,
    /// What it was made by.
    pub(crate) spec: SandboxSpec,
    /// Its monitor.
    pub(crate) monitor: SandboxRef,
    /// Limits that are not enforced.
    pub(crate) warnings: Vec<String>,
}

impl Record {
    /// Writes it, whole or not at all. It need not survive a power cut: no sandbox does.
    pub(crate) fn write(&self, directory: &Path) -> io::Result<()> {
        kit::file::write_atomically(&directory.join(FILE), &serde_json::to_vec(self)?)
    }

    /// Reads it.
    pub(crate) fn read(directory: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(directory.join(FILE))?)?)
    }

    /// Removes it: from now on there is no such sandbox.
    pub(crate) fn remove(directory: &Path) -> io::Result<()> {
        match fs::remove_file(directory.join(FILE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

//! `completion` and `man`: made of the definition of the command line.

use crate::args::definition;
use crate::console;
use crate::error::Result;
use clap_complete::Shell;
use schema::Failure;
use schema::log_collector::Stream;
use std::path::Path;

/// Prints what completes command lines in a shell.
pub(crate) fn completion(shell: Shell) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut definition(), "cctl", &mut script);
    console::write(Stream::Stdout, &script)?;
    Ok(0)
}

/// Writes a manual page of each verb.
pub(crate) fn pages(directory: &Path) -> Result<u8> {
    clap_mangen::generate_to(definition(), directory)
        .map_err(|error| Failure::io(format_args!("writing manual pages to {}", directory.display()), &error))?;
    Ok(0)
}

//! What the executor holds for a sandbox that runs, so that nothing of it goes when its monitor is killed.

use super::directory;
use super::record::Spec;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Ends of FIFOs; closed when this is dropped.
pub(super) struct Holds {
    _outputs: Vec<OwnedFd>,
    input: Option<JoinHandle<()>>,
}

impl Holds {
    /// Takes hold. Needs the main loop.
    pub(super) fn take(path: &Path, spec: &Spec) -> io::Result<Self> {
        let input = if spec.open_stdin() { Some(hold_input(path)?) } else { None };
        Ok(Self { _outputs: directory::spares(path, spec)?, input })
    }
}

/// Holds stdin until it is to end.
fn hold_input(path: &Path) -> io::Result<JoinHandle<()>> {
    let (stdin, close) = directory::spare_input(path)?;
    let close = kit::watch(Arc::new(close))?;
    Ok(actix::spawn(async move {
        // The byte stays there, for the monitors.
        let _ = close.readable().await;
        drop(stdin);
    }))
}

impl Drop for Holds {
    fn drop(&mut self) {
        if let Some(input) = &self.input {
            input.abort();
        }
    }
}

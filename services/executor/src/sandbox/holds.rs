//! What the executor holds for a sandbox that runs, and its shelf with it, so that nothing of it goes when its monitor
//! is killed.

use super::directory;
use super::keep::Run;
use super::record::Record;
use crate::host::Host;
use crate::process::Process;
use schema::ContainerId;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use tokio::io::Interest;
use tokio::task::JoinHandle;

/// Ends of FIFOs; closed when this is dropped.
pub(super) struct Holds {
    _outputs: Vec<OwnedFd>,
    input: Option<JoinHandle<()>>,
    /// What the shelf keeps, too.
    run: Option<Run>,
}

impl Holds {
    /// Takes hold. Needs the main loop.
    pub(super) fn take(
        host: &Arc<Host>,
        id: &ContainerId,
        record: &Record,
        first: Option<&Process>,
        master: Option<&OwnedFd>,
    ) -> Self {
        let (path, run) = (host.directory(id), Run::of(id, record));
        let outputs = directory::spares(&path, &record.spec);
        let outputs = outputs.unwrap_or_else(|error| complain(id, &error));
        if let (Some(run), Some(first)) = (&run, first) {
            host.keep.put_process(run, first, master, &outputs);
        }
        let input = record.spec.open_stdin().then(|| hold_input(host, &path, run.clone()));
        let input = input.transpose().unwrap_or_else(|error| complain(id, &error));
        Self { _outputs: outputs, input, run }
    }

    /// The run is over.
    pub(super) fn let_go(mut self, host: &Arc<Host>) {
        if let Some(run) = self.run.take() {
            sweep(host, move |host| host.keep.remove(&run));
        }
    }
}

fn complain<T: Default>(id: &ContainerId, error: &io::Error) -> T {
    tracing::warn!(%error, %id, "cannot hold the streams of a sandbox");
    T::default()
}

/// Holds stdin until it is to end.
fn hold_input(host: &Arc<Host>, path: &Path, run: Option<Run>) -> io::Result<JoinHandle<()>> {
    let (stdin, close) = directory::spare_input(path)?;
    if let Some(run) = &run {
        host.keep.put_input(run, &stdin);
    }
    let close = kit::watch(Arc::new(close), Interest::READABLE)?;
    let host = Arc::clone(host);
    Ok(actix::spawn(async move {
        // The byte stays there, for the monitors.
        let _ = close.readable().await;
        drop(stdin);
        if let Some(run) = run {
            sweep(&host, move |host| host.keep.remove_input(&run));
        }
    }))
}

/// Removes something from the shelf, on a thread; that runs to its end, whether somebody waits or not.
fn sweep(host: &Arc<Host>, work: impl FnOnce(&Host) + Send + 'static) {
    let host = Arc::clone(host);
    drop(tokio::task::spawn_blocking(move || work(&host)));
}

impl Drop for Holds {
    fn drop(&mut self) {
        if let Some(input) = &self.input {
            input.abort();
        }
    }
}

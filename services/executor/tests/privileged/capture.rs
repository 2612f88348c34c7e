//! Captures a run's output as the log collector does: under the capture lock, until both FIFOs end.

use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::thread;
use tokio::task::JoinHandle;

#[derive(Debug, Default)]
pub(crate) struct Capture {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Capture {
    /// Begins, and ends with the run.
    pub(crate) fn begin(directory: &Path, terminal: bool) -> JoinHandle<Self> {
        let lock = File::options().read(true).write(true).open(directory.join("capture.lock")).unwrap();
        flock(&lock, FlockOperation::LockExclusive).unwrap();
        let open = |name: &str| File::open(directory.join(name)).unwrap();
        let (stdout, stderr) = (open("stdout"), (!terminal).then(|| open("stderr")));
        tokio::task::spawn_blocking(move || {
            let stderr = stderr.map(|stderr| thread::spawn(move || read(stderr)));
            let stdout = read(stdout);
            let stderr = stderr.map(|stderr| stderr.join().unwrap()).unwrap_or_default();
            drop(lock);
            Self { stdout, stderr }
        })
    }
}

fn read(mut stream: File) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

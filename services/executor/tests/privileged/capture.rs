//! Captures a run's output as the log collector does: under the capture lock, until both FIFOs end.

use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;
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
        let open = |name: &str| Stream {
            fifo: File::open(directory.join(name)).unwrap(),
            more: directory.join("output.open"),
        };
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

struct Stream {
    fifo: File,
    /// As long as this is there, an end is not the last one: a monitor was killed.
    more: PathBuf,
}

fn read(mut stream: Stream) -> String {
    let mut bytes = Vec::new();
    loop {
        let over = !stream.more.exists();
        stream.fifo.read_to_end(&mut bytes).unwrap();
        if over {
            return String::from_utf8_lossy(&bytes).into_owned();
        }
        thread::sleep(Duration::from_millis(1));
    }
}

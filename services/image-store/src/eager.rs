//! A file whose content goes to the disk while it is written, so that nobody waits for all of it at the end.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Bytes after which the disk is given something to do.
const PORTION: usize = 32 << 20;

/// The file.
#[derive(Debug)]
pub(crate) struct Eager {
    file: Arc<File>,
    /// Bytes since the last portion.
    since: usize,
    writer: Option<Writer>,
}

/// A thread that has portions written. An error of the disk is told once: it is kept for the end.
#[derive(Debug)]
struct Writer {
    wake: SyncSender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl Eager {
    /// Writes to this file.
    pub(crate) fn new(file: File) -> Self {
        Self { file: Arc::new(file), since: 0, writer: None }
    }

    /// Returns when all is on the disk.
    pub(crate) fn finish(self) -> io::Result<()> {
        let written = match self.writer {
            Some(Writer { wake, thread }) => {
                drop(wake);
                thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread ended early")))
            }
            None => Ok(()),
        };
        written.and(self.file.sync_all())
    }

    fn wake(&mut self) -> io::Result<()> {
        let writer = match &self.writer {
            Some(writer) => writer,
            None => {
                let (wake, woken) = sync_channel(1);
                let file = Arc::clone(&self.file);
                let work = move || woken.iter().try_for_each(|()| file.sync_data());
                let thread = std::thread::Builder::new().name("write".to_owned()).spawn(work)?;
                self.writer.insert(Writer { wake, thread })
            }
        };
        // It is at work already, or has failed, which `finish` tells.
        let _busy = writer.wake.try_send(());
        Ok(())
    }
}

impl Write for Eager {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = (&*self.file).write(bytes)?;
        self.since += count;
        if self.since >= PORTION {
            self.since = 0;
            self.wake()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_there() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut eager = Eager::new(file.reopen().unwrap());
        let piece = vec![7; PORTION / 2 + 1];
        for _ in 0..5 {
            eager.write_all(&piece).unwrap();
        }
        eager.finish().unwrap();
        let mut content = Vec::new();
        io::Read::read_to_end(&mut file, &mut content).unwrap();
        assert!(content == piece.repeat(5));
    }
}

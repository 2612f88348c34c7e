//! Interfaces whose containers are gone.
//!
//! An interface goes with its container's namespace, which costs nobody anything. But a namespace lives on as long
//! as the kernel tries to deliver the last bytes of a connection whose other side does not answer: minutes. So what
//! is still there after a moment is removed.

use crate::link::Links;
use kit::store::{Durability, Store};
use schema::Failure;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const VERSION: u32 = 1;

/// How long the kernel gets to remove an interface with its namespace.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// Nothing but its name is to be known of an interface.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Left {}

/// Those interfaces, recorded: whoever dies meanwhile leaves the rest to the next process.
pub(crate) struct Leaving {
    records: Store<Left>,
    names: Vec<(String, Instant)>,
}

impl Leaving {
    /// From the records of an earlier process.
    pub(crate) fn open(directory: PathBuf) -> Result<Self, Failure> {
        let records = Store::open_volatile(directory, "interface", VERSION)?;
        let names = records.load()?.0.into_iter().map(|(name, _)| (name, Instant::now())).collect();
        Ok(Self { records, names })
    }

    /// An interface is expected to go. One that cannot be recorded, on a full disk say, is removed at once.
    pub(crate) fn add(&mut self, host: &Links, interface: &str) -> Result<(), Failure> {
        match self.records.put(interface, &Left {}, Durability::Process) {
            Ok(()) => self.names.push((interface.to_owned(), Instant::now())),
            Err(failure) => {
                tracing::warn!(%failure, interface, "cannot record that it will go: removing it now");
                if let Some(link) = host.named(interface)? {
                    host.remove(link.index)?;
                }
            }
        }
        Ok(())
    }

    /// An interface is in use again.
    pub(crate) fn stay(&mut self, interface: &str) -> Result<(), Failure> {
        let known = self.names.len();
        self.names.retain(|(name, _)| name != interface);
        if self.names.len() < known { self.records.drop_record(interface) } else { Ok(()) }
    }

    /// Removes those that should have gone for `grace`, and are still there.
    pub(crate) fn sweep(&mut self, host: &Links, grace: Duration) -> Result<(), Failure> {
        // They come in the order of time. What cannot be removed now is tried again at the next sweep.
        while let Some((name, since)) = self.names.first()
            && since.elapsed() >= grace
        {
            if let Some(link) = host.named(name)? {
                tracing::info!(interface = name, "removing what its namespace still holds");
                host.remove(link.index)?;
            }
            self.records.drop_record(name)?;
            self.names.remove(0);
        }
        Ok(())
    }
}

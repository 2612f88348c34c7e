//! Where this service keeps what.
//!
//! ```text
//! layers/<hex of the diff id>/       an unpacked layer; only a complete one has this name
//! layers/<hex>.tmp-<number>/         one that is being unpacked
//! unsynced/<hex>                    the boot in which a layer was unpacked that may not be on the disk yet
//! records/<hex>.json                 how it was when it was complete
//! chains/<id>.json                   the layers that a container needs
//! containers/<id>/upper, work        the writable layer
//! containers/<id>/lower/             short names of the layers, where overlayfs takes them as one string
//! containers/<id>/etc/               hostname, hosts, resolv.conf
//! containers/<id>/holder             the sandbox that has the writable layer
//! empty/                             nothing
//! views/<number>/                    short names of layers, while they are being mounted to be read
//! trash/                             what is being removed
//! ```

use schema::{ContainerId, Digest, Failure};
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The service's state directory.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    state: PathBuf,
    views: Arc<AtomicU64>,
}

const VIEWS: &str = "views";

impl Layout {
    /// A directory with nothing in it, relative to the state directory.
    pub(crate) const EMPTY: &str = "empty";

    /// Makes the directories that are missing.
    pub(crate) fn open(state: PathBuf) -> Result<Self, Failure> {
        let layout = Self { state, views: Arc::default() };
        make_directory(&layout.layers())?;
        make_directory(&layout.unsynced())?;
        make_directory(&layout.containers())?;
        make_directory(&layout.state.join(Self::EMPTY))?;
        let views = layout.state.join(VIEWS);
        match fs::remove_dir_all(&views) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Failure::io(format_args!("removing {}", views.display()), &error));
            }
            _ => {}
        }
        Ok(layout)
    }

    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    pub(crate) fn layers(&self) -> PathBuf {
        self.state.join("layers")
    }

    pub(crate) fn layer(&self, diff_id: &Digest) -> PathBuf {
        self.layers().join(diff_id.hex())
    }

    pub(crate) fn unsynced(&self) -> PathBuf {
        self.state.join("unsynced")
    }

    pub(crate) fn records(&self) -> PathBuf {
        self.state.join("records")
    }

    pub(crate) fn chains(&self) -> PathBuf {
        self.state.join("chains")
    }

    pub(crate) fn containers(&self) -> PathBuf {
        self.state.join("containers")
    }

    pub(crate) fn container(&self, id: &ContainerId) -> PathBuf {
        self.containers().join(id.as_str())
    }

    pub(crate) fn upper(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join("upper")
    }

    /// A name for a directory of short names, another one each time.
    pub(crate) fn view(&self) -> PathBuf {
        self.state.join(VIEWS).join(self.views.fetch_add(1, Ordering::Relaxed).to_string())
    }

    pub(crate) fn trash(&self) -> PathBuf {
        self.state.join("trash")
    }
}

/// Makes a directory that only we may enter, if it is missing, and those above it.
pub(crate) fn make_directory(path: &Path) -> Result<(), Failure> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| Failure::io(format_args!("making {}", path.display()), &error))
}

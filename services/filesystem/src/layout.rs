//! Where this service keeps what.
//!
//! ```text
//! layers/<hex of the diff id>/       an unpacked layer; only a complete one has this name
//! layers/<hex>.tmp-<number>/         one that is being unpacked
//! containers/<id>/upper, work        the writable layer
//! containers/<id>/lower/             short names of the layers, where overlayfs takes them as one string
//! containers/<id>/etc/               hostname, hosts, resolv.conf
//! containers/<id>/holder.json        the sandbox that has the writable layer
//! trash/                             what is being removed
//! ```

use schema::{ContainerId, Digest, Failure};
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The service's state directory.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    state: PathBuf,
}

impl Layout {
    /// Makes the directories that are missing.
    pub(crate) fn open(state: PathBuf) -> Result<Self, Failure> {
        let layout = Self { state };
        make_directory(&layout.layers())?;
        make_directory(&layout.containers())?;
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

    pub(crate) fn containers(&self) -> PathBuf {
        self.state.join("containers")
    }

    pub(crate) fn container(&self, id: &ContainerId) -> PathBuf {
        self.containers().join(id.as_str())
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

//! The filesystem service: layers, root filesystems, volumes.

//! The filesystem service: layers, root filesystems, volumes.
fn main() {}

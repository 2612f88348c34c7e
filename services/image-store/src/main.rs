//! The image store: blobs, manifests, tags.
fn main() {}

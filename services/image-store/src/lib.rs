//! The image store: blobs, manifests, tags.

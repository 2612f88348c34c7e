//! The container manager: records and lifecycle.
fn main() {}

//! The executor: sandboxes and their monitors.
fn main() {}

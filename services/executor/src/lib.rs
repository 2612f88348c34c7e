//! The executor: sandboxes and their monitors.

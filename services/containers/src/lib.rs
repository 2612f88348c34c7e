//! The container manager: records and lifecycle.

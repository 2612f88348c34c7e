//! The log collector: capture, storage and retrieval of output.

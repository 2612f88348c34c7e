//! What the executor and the monitor of a sandbox (shim) say to each other.
#![cfg_attr(not(test), no_std)]

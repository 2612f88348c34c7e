//! The main job: containers run, their output and exit codes arrive, they are listed, stopped and removed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod files;
mod foreground;
mod input;
mod lifecycle;
mod logs;
mod network;
mod scale;

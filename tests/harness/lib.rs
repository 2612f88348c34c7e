//! The harness of the end-to-end tests.
//!
//! A test makes an [`Instance`] of cctl, with directories, a bridge and a subnet of its own, and drives it
//! as a user does: by the `cctl` program. When the instance is finished, the leak audit compares the host
//! with what it was before.
//!
//! Tests run one after another, whatever the test runner does: the audit looks at the whole host.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod audit;
mod boot;
mod instance;
mod output;
mod random;
mod sys;
mod terminal;
mod wait;

pub use boot::Boot;
pub use instance::{Instance, base_image};
pub use output::Output;
pub use random::Random;
pub use terminal::Terminal;
pub use test_registry::{self, Registry};
pub use wait::{eventually, within};

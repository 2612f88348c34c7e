//! Images from and to registries, and from and to other tools.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod archives;
mod foreign;
mod login;
mod pull;

use harness::{Instance, Registry};

/// An instance that pushes and pulls at a registry without further words, with the image `base`.
fn instance(registry: &Registry) -> Instance {
    let cctl = Instance::start();
    cctl.configure(&format!("default = \"{}\"\n", registry.name()));
    cctl
}

/// The digest in the last line of a push or pull: `sha256:<hex>`.
fn digest(output: &str) -> String {
    let at = output.rfind("sha256:").unwrap_or_else(|| panic!("no digest: {output}"));
    output[at..].chars().take(7 + 64).collect()
}

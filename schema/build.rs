//! Replays the compiled contract into Rust bindings, so that a build needs no `capnp` program.
//! `make schema` renews `contract.cgr`; a test compares it with the `.capnp` files.

use std::error::Error;
use std::{env, fs::File, io::BufReader};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=contract.cgr");
    println!("cargo::rerun-if-changed=build.rs");
    let request = BufReader::new(File::open("contract.cgr")?);
    capnpc::codegen::CodeGenerationCommand::new()
        .output_directory(env::var("OUT_DIR")?)
        .default_parent_module(vec!["bindings".into()])
        .run(request)?;
    Ok(())
}

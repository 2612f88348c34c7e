//! `cp`: files between a container and the host, by Docker's rules.

mod from;
mod local;
mod pack;
mod place;
mod to;
mod unpack;

use crate::args::Copy;
use crate::engine::Engine;
use crate::error::Result;
use crate::transfer::unless_interrupted;
use place::{Side, side};
use schema::Failure;

/// Copies in the direction that the arguments say.
pub(crate) async fn run(engine: &Engine, arguments: &Copy) -> Result<u8> {
    match (side(&arguments.source), side(&arguments.destination)) {
        (Side::Container { name, path }, Side::Local(destination)) => {
            unless_interrupted(from::copy(engine, arguments, name, path, destination)).await?;
        }
        (Side::Local(source), Side::Container { name, path }) => {
            unless_interrupted(to::copy(engine, arguments, source, name, path)).await?;
        }
        (Side::Container { .. }, Side::Container { .. }) => {
            return Err(Failure::invalid("copying between containers is not supported")
                .hint("copy to the host first, or pipe: cctl cp A:/x - | cctl cp - B:/")
                .into());
        }
        (Side::Local(_), Side::Local(_)) => {
            return Err(Failure::invalid("must specify at least one container source")
                .hint("write CONTAINER:PATH for one of the two")
                .into());
        }
    }
    Ok(0)
}
